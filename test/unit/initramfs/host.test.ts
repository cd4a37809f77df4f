import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { chmodSync, linkSync, lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { resolveConfig } from '../../../src/config.js';
import { packInitramfs, unpackInitramfs } from '../../../src/initramfs/cpio.js';
import type { InitramfsEntry } from '../../../src/initramfs/cpio.js';
import { readDirectory } from '../../../src/initramfs/directory.js';
import { extractInitramfs } from '../../../src/initramfs/extract.js';
import { formatList, parseList } from '../../../src/initramfs/list-file.js';
import { loadInitrd, readSource } from '../../../src/initramfs/source.js';

const scratch = mkdtempSync(join(tmpdir(), 'nodevm-initramfs-'));
afterAll(() => rmSync(scratch, { recursive: true }));

let count = 0;
const fresh = (): string => join(scratch, `dir${count++}`);

/** Writes a file into the scratch directory. */
function put(name: string, contents: string | Uint8Array): string {
  const path = join(scratch, name);
  writeFileSync(path, contents);
  return path;
}

/** A small root file system on the host. */
function makeRoot(): string {
  const root = fresh();
  mkdirSync(join(root, 'bin'), { recursive: true });
  chmodSync(join(root, 'bin'), 0o755);
  mkdirSync(join(root, 'a'), { mode: 0o700 });
  writeFileSync(join(root, 'init'), '#!/bin/sh\n');
  chmodSync(join(root, 'init'), 0o755);
  writeFileSync(join(root, 'bin/sh'), 'shell');
  chmodSync(join(root, 'bin/sh'), 0o4755);
  linkSync(join(root, 'bin/sh'), join(root, 'bin/ash'));
  symlinkSync('/nonexistent', join(root, 'a/dangling'));
  return root;
}

describe('readDirectory', () => {
  it('reads files, links and modes, sorted, and gives all to root', async () => {
    const owner = { uid: 0, gid: 0 };
    const shell = new Uint8Array(Buffer.from('shell'));
    const script = new Uint8Array(Buffer.from('#!/bin/sh\n'));
    const entries = await readDirectory(makeRoot());
    expect(unpackInitramfs(packInitramfs(entries))).toEqual([
      { path: 'a', type: 'dir', mode: 0o700, ...owner },
      { path: 'a/dangling', type: 'symlink', mode: 0o777, ...owner, target: '/nonexistent' },
      { path: 'bin', type: 'dir', mode: 0o755, ...owner },
      { path: 'bin/ash', type: 'file', mode: 0o4755, ...owner, data: shell },
      { path: 'bin/sh', type: 'link', mode: 0o4755, ...owner, target: 'bin/ash' },
      { path: 'init', type: 'file', mode: 0o755, ...owner, data: script },
    ]);
  });

  it('gives the same archive each time', async () => {
    const pack = async () => packInitramfs(await readDirectory(makeRoot()));
    expect(await pack()).toEqual(await pack());
  });

  it('keeps owners where it is asked to', async () => {
    const [entry] = await readDirectory(makeRoot(), { keepOwner: true });
    expect(entry).toMatchObject({ uid: process.getuid?.() ?? 0, gid: statSync(scratch).gid });
  });

  it('says how far it is', async () => {
    const heard: number[] = [];
    await readDirectory(makeRoot(), { onProgress: ({ entries }) => heard.push(entries) });
    expect(heard).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('reads devices and pipes', async () => {
    const root = fresh();
    mkdirSync(root);
    if (spawnSync('mkfifo', ['-m', '640', join(root, 'p')]).status !== 0) return;
    const isRoot =
      spawnSync('mknod', ['-m', '600', join(root, 'c'), 'c', '300', '70000']).status === 0;
    const entries = await readDirectory(root);
    expect(entries.at(-1)).toMatchObject({ path: 'p', type: 'fifo', mode: 0o640 });
    if (isRoot) expect(entries[0]).toMatchObject({ type: 'char', major: 300, minor: 70000 });
  });
});

describe('parseList', () => {
  const read = (location: string) => Promise.resolve(new Uint8Array(Buffer.from(location)));

  it('reads each kind of line', async () => {
    const text = [
      '# a comment',
      '',
      'dir /dev 0755 0 0',
      'nod /dev/console 0600 0 5 c 5 1',
      '\tnod /dev/vda 0660 0 6 b 254 0',
      'file /bin/busybox ${HERE}/bb 4755 1 2 /bin/sh /bin/ash',
      'slink /init bin/busybox 0777 0 0',
      'pipe /p 0644 1000 1000',
      'sock /s 0600 0 0  ',
    ].join('\n');
    const root = { uid: 0, gid: 0 };
    const busybox = { mode: 0o4755, uid: 1, gid: 2 };
    const data = new Uint8Array(Buffer.from('/here/bb'));
    const link = { type: 'link', target: 'bin/busybox', ...busybox };
    expect(await parseList(text, read, { HERE: '/here' })).toEqual([
      { path: 'dev', type: 'dir', mode: 0o755, ...root },
      { path: 'dev/console', type: 'char', major: 5, minor: 1, mode: 0o600, uid: 0, gid: 5 },
      { path: 'dev/vda', type: 'block', major: 254, minor: 0, mode: 0o660, uid: 0, gid: 6 },
      { path: 'bin/busybox', type: 'file', data, ...busybox },
      { path: 'bin/sh', ...link },
      { path: 'bin/ash', ...link },
      { path: 'init', type: 'symlink', target: 'bin/busybox', mode: 0o777, ...root },
      { path: 'p', type: 'fifo', mode: 0o644, uid: 1000, gid: 1000 },
      { path: 's', type: 'socket', mode: 0o600, ...root },
    ]);
  });

  it.each([
    ['link /a b 0755 0 0', /line 1: keyword is "link", expected file, dir/],
    ['dir /a 0855 0 0', /line 1: mode is "0855", not octal, expected "dir <name>/],
    ['dir /a 0755 root 0', /"root" is not a decimal number/],
    ['dir /a 0755 0', /a word is missing/],
    ['dir /a 0755 0 0 0', /there is "0" at its end/],
    ['nod /a 0600 0 0 x 1 1', /device type is "x"/],
    ['\nfile /a ${NOWHERE}/a 0644 0 0', /line 2: the environment has no "NOWHERE"/],
    ['dir /a/../b 0755 0 0', /no "\.\."/],
  ])('refuses %j', async (text, message) => {
    const parsed = parseList(text, read, {});
    await expect(parsed).rejects.toMatchObject({ code: 'E_BAD_INITRD' });
    await expect(parsed).rejects.toThrow(message);
  });

  it('cannot write a name with white space', () => {
    const entries: InitramfsEntry[] = [{ path: 'a b', type: 'dir' }];
    expect(() => formatList(entries, String)).toThrow(/"\/a b" cannot be written to a list/);
  });
});

describe('extractInitramfs', () => {
  const data = new Uint8Array(Buffer.from('contents'));

  it('and its list give the same archive again', async () => {
    const text =
      'dir /dev 0755 0 0\nnod /dev/console 0600 0 5 c 5 1\nslink /lib usr/lib 0777 0 0\n';
    const made = await parseList(`${text}pipe /p 0640 3 4\n`, () =>
      Promise.reject(new Error('no')),
    );
    const files: InitramfsEntry[] = [
      { path: 'su', type: 'file', mode: 0o4511, uid: 1, gid: 2, data },
      { path: 'su2', type: 'link', target: 'su', mode: 0o4511, uid: 1, gid: 2 },
    ];
    const archive = packInitramfs([...made, ...files]);
    const directory = fresh();
    const { entries, skipped } = await extractInitramfs(unpackInitramfs(archive), directory);
    expect(skipped.map(({ path }) => path)).toEqual(['dev/console', 'p']);
    expect(lstatSync(join(directory, 'lib')).isSymbolicLink()).toBe(true);
    expect(statSync(join(directory, 'su')).mode & 0o7777).toBe(0o511);
    expect(statSync(join(directory, 'su2')).ino).toBe(statSync(join(directory, 'su')).ino);
    chmodSync(join(directory, 'su'), 0o600);
    const list = put(
      'again.list',
      formatList(entries, (path) => join(directory, path)),
    );
    expect(packInitramfs(await readSource(list))).toEqual(archive);
  });

  const outside = put('outside', 'safe');
  const file = (path: string): InitramfsEntry => ({ path, type: 'file', data });
  const link = (path: string, target: string): InitramfsEntry => ({
    path,
    type: 'symlink',
    target,
  });

  it.each<[string, InitramfsEntry[]]>([
    ['an absolute path', [file(outside)]],
    ['a symlink to the outside, then a file in it', [link('x', scratch), file('x/outside')]],
    ['a symlink upwards', [link('x', '..'), file('x/outside')]],
    ['a symlink to the file itself', [link('x', outside), file('x')]],
    ['a chain of symlinks', [link('a', '../..'), link('b', 'a/..'), file('b/outside')]],
    [
      'a symlink in the place of a directory',
      [{ path: 'x', type: 'dir' }, link('x', scratch), file('x/outside')],
    ],
    ['..', [file('../outside')]],
    ['.. within', [file('a/../../outside')]],
  ])('leaves alone what is outside: %s', async (_name, entries) => {
    const directory = fresh();
    const before = readdirSync(scratch).filter((name) => !name.startsWith('dir'));
    await extractInitramfs(entries, directory).catch((error: unknown) =>
      expect(error).toMatchObject({ code: 'E_BAD_INITRD' }),
    );
    expect(readFileSync(outside, 'utf8')).toBe('safe');
    expect(readdirSync(scratch).filter((name) => !name.startsWith('dir'))).toEqual(before);
  });

  it('refuses a directory that is not empty', async () => {
    await expect(extractInitramfs([file('a')], scratch)).rejects.toMatchObject({ code: 'E_FILE' });
  });

  it('hands a directory without write permission over as it was', async () => {
    const directory = fresh();
    await extractInitramfs([{ path: 'd', type: 'dir', mode: 0o555 }, file('d/f')], directory);
    expect(statSync(join(directory, 'd')).mode & 0o777).toBe(0o555);
    chmodSync(join(directory, 'd'), 0o755); // so that it can be removed
  });
});

describe('loadInitrd', () => {
  it('packs a directory, and says what would keep it from booting', async () => {
    const root = makeRoot();
    const { bytes, warnings } = await loadInitrd(root);
    expect(unpackInitramfs(bytes).map(({ path }) => path)).toContain('bin/ash');
    expect(warnings).toEqual([expect.stringMatching(/^\/dev\/console is missing/)]);
  });

  it('packs a list', async () => {
    const list = put('a.list', `# list\nfile /init ${put('script', 'x')} 0755 0 0\n`);
    const { bytes } = await loadInitrd(list);
    expect(unpackInitramfs(bytes)).toMatchObject([{ path: 'init', mode: 0o755 }]);
  });

  it('leaves everything else as it is', async () => {
    for (const contents of ['', 'not an archive', packInitramfs([]), Uint8Array.of(0x1f, 0x8b)]) {
      const { bytes, warnings } = await loadInitrd(put('other', contents));
      expect([Buffer.from(bytes), warnings]).toEqual([Buffer.from(contents), []]);
    }
  });

  it('warns of xz with a check that the kernel does not know', async () => {
    // "2.1.1. Stream Header": magic, and flags with the kind of check.
    const header = (check: number) =>
      Buffer.from(`fd377a585a000${check.toString(16).padStart(3, '0')}`, 'hex');
    const warnings = async (check: number) => (await loadInitrd(put('xz', header(check)))).warnings;
    expect([await warnings(0), await warnings(1)]).toEqual([[], []]);
    expect(await warnings(4)).toEqual([expect.stringMatching(/xz --check=crc32/)]);
  });

  it('is what a machine does with the path of its initrd', async () => {
    const config = await resolveConfig({ kernel: new Uint8Array(1), initrd: makeRoot() });
    expect(unpackInitramfs(config.initrds[0] ?? new Uint8Array())).toHaveLength(6);
  });

  it('names the file of a list that cannot be read', async () => {
    const list = put('b.list', 'file /init /nonexistent/file 0755 0 0\n');
    await expect(loadInitrd(list)).rejects.toMatchObject({ code: 'E_FILE' });
    await expect(loadInitrd(list)).rejects.toThrow('/nonexistent/file: no such file');
  });
});

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { runInitramfsCommand } from '../../src/cli/initramfs.js';
import { NodevmError } from '../../src/errors.js';
import { packObject, readInitramfs } from '../../src/initramfs/index.js';
import { nod } from '../../src/initramfs/object.js';
import { run } from './spawn.js';

const scratch = mkdtempSync(join(tmpdir(), 'nodevm-initramfs-cli-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const at = (name: string) => join(scratch, name);

/** Writes a file into the scratch directory. */
function put(name: string, contents: string | Uint8Array): string {
  writeFileSync(at(name), contents);
  return at(name);
}

const initramfs = (...args: string[]) => run(['initramfs', ...args]);

const archive = put(
  'archive.cpio',
  packObject({
    '/dev/console': nod('c', 5, 1),
    '/bin/sh': 'not a shell',
    '/init': '#!/bin/sh\n',
    '/evil\u001b[2J': 'x',
  }),
);

describe('nodevm initramfs', () => {
  it('says how it is used', async () => {
    const { status, stdout, stderr } = await initramfs();
    expect([status, stderr]).toEqual([0, '']);
    for (const command of ['pack', 'list', 'extract', 'edit', 'concat', 'check', 'busybox']) {
      expect(String(stdout)).toMatch(new RegExp(`^  ${command} `, 'm'));
    }
    expect(String((await initramfs('pack', '--help')).stdout)).toContain('--compress <kind>');
  });

  it('packs a directory and a list together, and lists them', async () => {
    mkdirSync(at('root'));
    chmodSync(put('root/init', 'x'), 0o755);
    const list = put('console.list', 'dir /dev 0755 0 0\nnod /dev/console 0600 0 0 c 5 1\n');
    const packed = await initramfs('pack', at('root'), list, '-o', at('out.gz'));
    expect([packed.status, packed.stderr]).toEqual([0, '']);
    const { stdout } = await initramfs('list', '--long', at('out.gz'));
    expect(String(stdout).split('\n')).toEqual([
      'drwxr-xr-x 0/0               0 dev',
      'crw------- 0/0             5,1 dev/console',
      '-rwxr-xr-x 0/0               1 init',
      '',
    ]);
    const segments = await initramfs('list', '--segments', at('out.gz'));
    expect(String(segments.stdout)).toMatch(/^offset 0, \d+ bytes, gzip, 3 entries\n$/);
  });

  it('extracts, and writes a list that packs the same again', async () => {
    const plain = put('plain.cpio', packObject({ '/dev/null': nod('c', 1, 3), '/etc/x': 'y' }));
    await initramfs('extract', plain, at('tree'), '--list', at('tree.list'));
    expect(readFileSync(at('tree/etc/x'), 'utf8')).toBe('y');
    await initramfs('pack', at('tree.list'), '-c', 'none', '-o', at('again.cpio'));
    expect(readFileSync(at('again.cpio')).equals(readFileSync(plain))).toBe(true);
  });

  it('edits, and keeps the mode of what it replaces', async () => {
    const script = put('script', 'no shebang');
    const args = ['--add', `/init=${script}`, '--remove', 'dev', '-c', 'zstd', '-o', at('edited')];
    const { stderr, status } = await initramfs('edit', archive, ...args);
    expect([status, stderr]).toEqual([
      0,
      expect.stringMatching(/^nodevm: warning: \/dev\/console/),
    ]);
    const entries = readInitramfs(readFileSync(at('edited')));
    expect(entries.map(({ path }) => path)).toEqual(['bin', 'bin/sh', 'evil\u001b[2J', 'init']);
    expect(entries.at(-1)).toMatchObject({ mode: 0o755 });
    expect(entries.at(-1)).toHaveProperty('data', new Uint8Array(Buffer.from('no shebang')));
  });

  it('puts archives one after another', async () => {
    const { stdout } = await initramfs('concat', archive, archive, '-o', '-');
    expect(readInitramfs(stdout)).toHaveLength(12);
  });

  it('ends a check with 1 when there is something to say', async () => {
    const { status, stderr } = await initramfs('check', archive);
    expect([status, stderr]).toEqual([
      1,
      'nodevm: warning: /init is run by /bin/sh, which is not executable\n',
    ]);
  });

  it('makes a root file system of BusyBox', async () => {
    const elf = Buffer.alloc(64);
    elf.write('\x7fELF\x02\x01', 'latin1');
    elf.writeUInt16LE(62, 18);
    const busybox = put('busybox', elf);
    const { status, stderr } = await initramfs('busybox', '--busybox', busybox, '-o', at('bb'));
    expect([status, stderr]).toEqual([0, '']);
    const checked = await initramfs('check', at('bb'));
    expect([checked.status, checked.stderr]).toEqual([0, '']);
    elf.writeUInt16LE(183, 18);
    const other = await initramfs('busybox', '--busybox', put('arm', elf), '-o', at('bb'));
    expect(other.stderr).toMatch(/is for AArch64, expected x86-64/);
  });

  it('does not let names through to the terminal as they are', async () => {
    const { stdout } = await initramfs('list', archive);
    expect(String(stdout)).toContain('evil\\u001b[2J\n');
  });

  it.each<[string[], RegExp]>([
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['pack', scratch], /required option '-o, --output <file>'/],
    [['pack', scratch, '-o', '-', '-c', 'lzop'], /Allowed choices are none, gzip, zstd/],
    [['pack', scratch, '-o', '-', '--mtime', 'now'], /--mtime "now": expected seconds/],
    [['pack', '/nonexistent/x', '-o', '-'], /initrd \/nonexistent\/x: no such file/],
    [['list', 'package.json'], /bad initramfs at offset 0: found the bytes/],
    [['edit', archive, '--add', 'x', '-o', '-'], /--add "x": expected PATH=FILE/],
    [['edit', archive, '--remove', 'x', '-o', '-'], /no "x" to remove/],
    [['extract', archive, 'src'], /directory src has \d+ entries, expected a new or empty one/],
    [['concat', archive, 'package.json', '-o', '-'], /bad initramfs at offset 0/],
    [['concat', archive, '-o', '/nonexistent/x'], /\/nonexistent\/x cannot be written/],
  ])('refuses %j', async (args, sentence) => {
    const refused = runInitramfsCommand(args);
    await expect(refused).rejects.toBeInstanceOf(NodevmError);
    await expect(refused).rejects.toThrow(sentence);
  });

  it('says what is wrong in one sentence, and ends with 125', async () => {
    const { status, stdout, stderr } = await initramfs('list', '/nonexistent/x');
    expect(stderr).toMatch(/^nodevm: \/nonexistent\/x cannot be read: [^\n]+\n$/);
    expect([status, String(stdout)]).toEqual([125, '']);
  });
});

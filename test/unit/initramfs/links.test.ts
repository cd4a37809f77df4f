import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { packInitramfs, unpackInitramfs } from '../../../src/initramfs/cpio.js';
import type { InitramfsEntry } from '../../../src/initramfs/cpio.js';
import { Tree } from '../../../src/initramfs/tree.js';
import { refusal } from '../../support/refusal.js';

const data = Uint8Array.from({ length: 1000 }, (_, index) => index);
const owner = { mode: 0o640, uid: 1, gid: 2 };
const linked: readonly InitramfsEntry[] = [
  { path: 'd', type: 'dir', mode: 0o755, uid: 0, gid: 0 },
  { path: 'd/a', type: 'file', data, ...owner },
  { path: 'd/b', type: 'link', target: 'd/a', ...owner },
  { path: 'other', type: 'file', data: Uint8Array.of(1), ...owner },
  { path: 'z', type: 'link', target: 'd/a', ...owner },
];

/** Runs GNU cpio; undefined where the host has none. */
function cpio(args: readonly string[], input: Uint8Array | string, cwd?: string) {
  const { error, ...ended } = spawnSync('cpio', args, { input, cwd });
  return error === undefined ? ended : undefined;
}

it.each([false, true])('keeps hard links (crc: %s)', (crc) => {
  const archive = packInitramfs(linked, { crc });
  expect(unpackInitramfs(archive)).toEqual(linked);
  const headers =
    Buffer.from(archive)
      .toString('latin1')
      .match(/07070[12][0-9A-F]{104}/g) ?? [];
  const field = (index: number) =>
    headers.map((text) => parseInt(text.slice(6 + index * 8).slice(0, 8), 16));
  expect(field(0)).toEqual([1, 2, 2, 3, 2, 0]); // ino
  expect(field(4)).toEqual([2, 3, 3, 1, 3, 1]); // nlink
  expect(field(6)).toEqual([0, 0, 0, 1, 1000, 0]); // filesize: the last name has the data
});

it('sums the bytes of files for magic 070702, and sees damage by it', () => {
  const archive = packInitramfs(linked, { crc: true });
  const at = Buffer.from(archive).indexOf(Buffer.from(data.subarray(0, 16)));
  archive[at] = 99;
  expect(refusal(() => unpackInitramfs(archive))).toMatch(
    /check of "z" is \d+: the data is damaged/,
  );
});

it('writes the time that it is told', () => {
  const archive = packInitramfs([{ path: 'd', type: 'dir' }], { mtime: 0x1234 });
  expect(Buffer.from(archive).subarray(46, 54).toString()).toBe('00001234');
});

it.each<[string, InitramfsEntry]>([
  ['nothing', { path: 'l', type: 'link', target: 'x' }],
  ['a directory', { path: 'l', type: 'link', target: 'd' }],
])('refuses a link to %s', (_name, link) => {
  const said = refusal(() => packInitramfs([{ path: 'd', type: 'dir' }, link]));
  expect(said).toMatch(/link "l" is to ".", expected a file that comes before it/);
});

it('is read by GNU cpio', () => {
  for (const crc of [false, true]) {
    const listed = cpio(['-itv', '--quiet', '-n'], packInitramfs(linked, { crc }));
    if (listed === undefined) return;
    expect([String(listed.stderr), listed.status]).toEqual(['', 0]);
    const lines = String(listed.stdout).trim().split('\n');
    expect(lines.map((line) => line.split(/\s+/).at(-1))).toEqual(linked.map(({ path }) => path));
    expect(lines[4]).toMatch(/^-rw-r----- +3 1 +2 +1000 /);
  }
});

it.each(['newc', 'crc'])('reads what GNU cpio writes as %s', async (format) => {
  const directory = await mkdtemp(join(tmpdir(), 'nodevm-cpio-'));
  try {
    const made = cpio(['-idm', '--quiet'], packInitramfs(linked), directory);
    if (made === undefined) return;
    expect(await readFile(join(directory, 'z'))).toEqual(Buffer.from(data));
    const names = linked.map(({ path }) => path).join('\n');
    const written = cpio(['-o', '--quiet', '-H', format, '-R', '0:0'], `${names}\n`, directory);
    const entries = unpackInitramfs(new Uint8Array(written?.stdout ?? []));
    // It writes the names of a file in an order of its own.
    const facts = (list: readonly InitramfsEntry[]) =>
      Tree.of(list)
        .entries()
        .map(({ path, type }) => [path, type]);
    expect(facts(entries)).toEqual(facts(linked));
    expect(Tree.of(entries).get('d/a')).toMatchObject({ data, mode: 0o640 });
  } finally {
    await rm(directory, { recursive: true });
  }
});

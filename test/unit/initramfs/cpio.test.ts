import { describe, expect, it } from 'vitest';
import { packInitramfs, unpackInitramfs } from '../../../src/initramfs/cpio.js';
import type { InitramfsEntry } from '../../../src/initramfs/cpio.js';
import { refusal } from '../../support/refusal.js';

const entries: readonly InitramfsEntry[] = [
  { path: 'dev', type: 'dir', mode: 0o755, uid: 0, gid: 0 },
  { path: 'dev/console', type: 'char', mode: 0o600, uid: 0, gid: 5, major: 5, minor: 1 },
  { path: 'dev/vda', type: 'block', mode: 0o660, uid: 0, gid: 6, major: 254, minor: 0 },
  { path: 'run', type: 'dir', mode: 0o1777, uid: 1000, gid: 1000 },
  { path: 'run/fifo', type: 'fifo', mode: 0o644, uid: 0, gid: 0 },
  { path: 'run/socket', type: 'socket', mode: 0o644, uid: 0, gid: 0 },
  { path: 'init', type: 'symlink', mode: 0o777, uid: 0, gid: 0, target: 'bin/tür' },
  { path: 'empty', type: 'file', mode: 0o644, uid: 0, gid: 0, data: new Uint8Array() },
  ...[1, 2, 3, 4, 5].map((size): InitramfsEntry => ({
    path: 'x'.repeat(size),
    type: 'file',
    mode: 0o4755,
    uid: 0,
    gid: 0,
    data: new Uint8Array(size).fill(size),
  })),
];

const one: InitramfsEntry = { path: 'a', type: 'file', data: Uint8Array.of(1, 2, 3) };

/** An archive with one file, with `text` put in at `offset`. */
function damaged(offset: number, text: string): Uint8Array {
  const archive = packInitramfs([one]);
  archive.set(Buffer.from(text, 'latin1'), offset);
  return archive;
}

describe('packInitramfs', () => {
  it('writes the newc format to the byte', () => {
    const header = (numbers: readonly number[]): string =>
      `070701${numbers.map((n) => n.toString(16).toUpperCase().padStart(8, '0')).join('')}`;
    const file = header([1, 0o100644, 0, 0, 1, 0, 3, 0, 0, 0, 0, 2, 0]);
    const trailer = header([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0]);
    // The name ends at 112 and at 124 + 110 + 11 = 237: padded to 116 - 4 and to 240.
    const expected = `${file}a\0\x01\x02\x03\0${trailer}TRAILER!!!\0\0\0\0`;
    expect(Buffer.from(packInitramfs([one])).toString('latin1')).toBe(expected);
  });

  it('gives back what was packed, in order', () => {
    expect(unpackInitramfs(packInitramfs(entries))).toEqual(entries);
  });

  it('depends on nothing but the entries, and pads to four bytes', () => {
    expect(packInitramfs(entries)).toEqual(packInitramfs([...entries]));
    expect(packInitramfs(entries).length % 4).toBe(0);
  });

  it('numbers inodes from 1', () => {
    const archive = Buffer.from(packInitramfs(entries)).toString('latin1');
    const inodes = [...archive.matchAll(/070701(.{8})/g)].map((match) => parseInt(match[1]!, 16));
    expect(inodes).toEqual([...entries.map((_, index) => index + 1), 0]);
  });

  it('gives directories and files their usual modes', () => {
    const [dir, file] = unpackInitramfs(packInitramfs([{ path: 'd', type: 'dir' }, one]));
    expect(dir).toMatchObject({ mode: 0o755 });
    expect(file).toMatchObject({ mode: 0o644 });
  });

  it.each(['', '/etc', 'a\0b', 'TRAILER!!!', 'x'.repeat(4096)])('refuses the path %j', (path) => {
    expect(refusal(() => packInitramfs([{ path, type: 'dir' }]))).toMatch(
      /^E_BAD_INITRD: .* path is/,
    );
  });

  it('refuses a path that is there twice and numbers that do not fit', () => {
    const refused = (...entries: InitramfsEntry[]) => refusal(() => packInitramfs(entries));
    expect(refused(one, one)).toMatch(/^E_BAD_INITRD: .* "a" is there twice/);
    expect(refused({ ...one, uid: -1 })).toMatch(/^E_BAD_INITRD: .* uid is -1/);
    expect(refused({ ...one, gid: 2 ** 32 })).toMatch(/^E_BAD_INITRD: .* gid is 4294967296/);
  });
});

describe('unpackInitramfs', () => {
  it.each([
    ['a file that is no archive', Buffer.from('x'.repeat(200)), /magic is "xxxxxx"/],
    ['an empty file', new Uint8Array(), /0 bytes are left/],
    ['the old binary magic', damaged(0, '070707'), /magic is "070707"/],
    ['a number that is not hex', damaged(6, '0000000g'), /ino is "0000000g"/],
    ['a file size beyond the end', damaged(54, 'FFFFFFFF'), /filesize of "a" is 4294967295/],
    ['a name size beyond the end', damaged(94, '00000FFF'), /namesize is 4095/],
    ['a name size of zero', damaged(94, '00000000'), /namesize is 0/],
    ['a name without end', damaged(111, 'b'), /namesize is 2/],
    ['an unknown file type', damaged(14, '0000F1A4'), /mode of "a" is 0170644/],
  ])('refuses %s', (_, archive, message) => {
    const said = refusal(() => unpackInitramfs(archive));
    expect(said).toMatch(/^E_BAD_INITRD: /);
    expect(said).toMatch(message);
  });

  it('refuses an archive cut off anywhere before its trailer is complete', () => {
    const archive = packInitramfs([one]);
    for (let length = 0; length < 237; length++) {
      expect(refusal(() => unpackInitramfs(archive.subarray(0, length)))).toMatch(
        /^E_BAD_INITRD: /,
      );
    }
  });
});

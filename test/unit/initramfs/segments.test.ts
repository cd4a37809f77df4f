import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

import { compress } from '../../../src/initramfs/compression.js';
import { packInitramfs } from '../../../src/initramfs/cpio.js';
import type { InitramfsEntry } from '../../../src/initramfs/cpio.js';
import { editTree, openInitramfs } from '../../../src/initramfs/edit.js';
import { concatInitramfs, readInitramfs, readSegments } from '../../../src/initramfs/segments.js';
import { refusal } from '../../support/refusal.js';

const text = (path: string, contents = path): InitramfsEntry => ({
  path,
  type: 'file',
  data: new Uint8Array(Buffer.from(contents)),
});
const dir = (path: string): InitramfsEntry => ({ path, type: 'dir' });

const MICROCODE = 'kernel/x86/microcode';
const microcode = packInitramfs([
  dir('.'),
  ...['kernel', 'kernel/x86', MICROCODE].map(dir),
  text(`${MICROCODE}/GenuineIntel.bin`),
]);
const main = packInitramfs([dir('etc'), text('etc/a'), text('init')]);

const paths = (bytes: Uint8Array) => readInitramfs(bytes).map(({ path }) => path);

describe('readSegments', () => {
  it('reads microcode, padding, and compressed archives one after another', async () => {
    const gzipped = gzipSync(main);
    const zstd = await compress(packInitramfs([text('last')]), 'zstd');
    const padding = Buffer.alloc(512 - (microcode.length % 512));
    const bytes = Buffer.concat([
      microcode,
      padding,
      gzipped,
      Buffer.alloc(3),
      zstd,
      Buffer.alloc(7),
    ]);
    const segments = readSegments(bytes);
    const gzipAt = microcode.length + padding.length;
    expect(segments.map(({ compression, offset }) => [compression, offset])).toEqual([
      ['none', 0],
      ['gzip', gzipAt],
      ['zstd', gzipAt + gzipped.length + 3],
    ]);
    expect(segments.map(({ length }) => length)).toEqual([
      microcode.length,
      gzipped.length,
      zstd.length,
    ]);
    expect(paths(bytes).slice(-4)).toEqual(['etc', 'etc/a', 'init', 'last']);
  });

  it('reads several archives within one compressed segment', () => {
    const bytes = gzipSync(Buffer.concat([main, Buffer.alloc(8), packInitramfs([text('b')])]));
    expect(paths(bytes)).toEqual(['etc', 'etc/a', 'init', 'b']);
  });

  it('takes an archive without trailer at the end, as the kernel does', () => {
    const end = Buffer.from(main).lastIndexOf('070701');
    expect(paths(main.subarray(0, end))).toEqual(['etc', 'etc/a', 'init']);
  });

  it.each([
    ['nothing', Buffer.alloc(0), /has 0 bytes, all zero/],
    ['zeros', Buffer.alloc(100), /has 100 bytes, all zero/],
    ['junk', Buffer.concat([main, Buffer.from('junk')]), /offset \d+: found the bytes 6a756e6b/],
    ['an archive that is not aligned', Buffer.concat([Buffer.alloc(2), main]), /offset 2: /],
    ['compressed junk', gzipSync('junk'), /bad gzip segment at offset 0: .* 6a756e6b at 0/],
    ['gzip within gzip', gzipSync(gzipSync(main)), /unpacks to the bytes 1f8b/],
    ['an archive cut off', main.subarray(0, 150), /bad cpio archive at offset/],
  ])('refuses %s', (_name, bytes, message) => {
    const said = refusal(() => readSegments(bytes));
    expect(said).toMatch(/^E_BAD_INITRD: /);
    expect(said).toMatch(message);
  });

  it('counts all segments against the limit, so that a small file cannot take all memory', () => {
    const bomb = gzipSync(Buffer.alloc(1 << 20));
    const bytes = Buffer.concat([gzipSync(main), bomb, bomb]);
    expect(readSegments(bytes, { limit: 3 << 20 })).toHaveLength(3);
    expect(refusal(() => readSegments(bytes, { limit: 2 << 20 }))).toMatch(/more than \d+ bytes/);
  });
});

it('concatInitramfs starts each archive where the kernel looks for it', () => {
  const gzipped = gzipSync(main);
  const odd = gzipped.subarray(0, gzipped.length);
  const bytes = concatInitramfs([odd, main, packInitramfs([text('c')])]);
  expect(paths(bytes)).toEqual(['etc', 'etc/a', 'init', 'etc', 'etc/a', 'init', 'c']);
});

describe('editing', () => {
  it('keeps microcode as it was, removes, then adds and replaces', () => {
    const { early, tree } = openInitramfs(Buffer.concat([microcode, gzipSync(main)]));
    expect(Buffer.from(early).equals(Buffer.from(microcode))).toBe(true);
    editTree(tree, { remove: ['/etc'], add: [text('init', 'new'), text('etc/b')] });
    expect(tree.entries()).toEqual([dir('etc'), text('etc/b'), text('init', 'new')]);
  });

  it('refuses to remove what is not there', () => {
    const { tree } = openInitramfs(main);
    expect(refusal(() => editTree(tree, { remove: ['nothing'] }))).toMatch(
      /no "nothing" to remove/,
    );
  });
});

import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

import { compress, decompressAt } from '../../../src/initramfs/compression.js';
import { refusal } from '../../support/refusal.js';
import { bzip2, gzip, lz4, lzma, xz, zstd } from './compressed.js';

/** What the streams of compressed.ts unpack to. */
const text = Buffer.from(Array.from({ length: 250 }, (_, n) => `line ${n * n}\n`).join(''));
const streams = { bzip2, gzip, lz4, lzma, xz, zstd };
const LIMIT = 1 << 24;

const unpack = (input: Uint8Array, start = 0, limit = LIMIT) => decompressAt(input, start, limit);

describe.each(Object.entries(streams))('%s', (name, stream) => {
  it('unpacks, and finds where it ends', () => {
    const surrounded = Buffer.concat([Buffer.from('abc'), stream, Buffer.alloc(9)]);
    const { data, end, format } = unpack(surrounded, 3);
    expect(Buffer.from(data).equals(text)).toBe(true);
    expect([format, end]).toEqual([name, 3 + stream.length]);
  });

  it('refuses to unpack to more than the limit', () => {
    expect(unpack(stream, 0, text.length).data).toHaveLength(text.length);
    const said = refusal(() => unpack(stream, 0, text.length - 1));
    expect(said).toMatch(/^E_BAD_INITRD: .* more than \d+ bytes/);
  });

  it('refuses a stream that is cut off', () => {
    for (let length = 6; length < stream.length; length += 1 + (length >> 4)) {
      const part = stream.subarray(0, length);
      // The legacy LZ4 frame has no end of its own: it may be cut between blocks.
      if (name === 'lz4' && length < 8) continue;
      expect(refusal(() => unpack(part))).toMatch(/^E_BAD_INITRD: /);
    }
  });

  it('ends in good order for whatever is damaged', () => {
    for (let at = 4; at < stream.length; at += 1 + (at >> 5)) {
      const damaged = Buffer.from(stream);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      const outcome = () => unpack(damaged).data.length <= LIMIT;
      expect(settled(outcome)).toMatch(/^(true|E_BAD_INITRD)/);
    }
  });
});

it.each(['bzip2', 'gzip', 'xz'] as const)(
  '%s data that is damaged does not pass its check',
  (name) => {
    const damaged = Buffer.from(streams[name]);
    const middle = damaged.length >> 1;
    damaged[middle] = (damaged[middle] ?? 0) ^ 0x10;
    expect(refusal(() => unpack(damaged))).toMatch(/^E_BAD_INITRD: /);
  },
);

it.each([
  ['an LZ4 frame', '04224d18', /LZ4 frame.*lz4 -l/],
  ['lzop', '894c5a4f000d0a', /lzop/],
  ['anything else', '7f454c46', /the bytes 7f454c46, expected a cpio archive/],
])('refuses %s by name', (_name, head, message) => {
  expect(refusal(() => unpack(Buffer.from(head, 'hex')))).toMatch(message);
});

it.each(['none', 'gzip', 'zstd'] as const)('writes %s, the same each time', async (kind) => {
  const packed = await compress(text, kind);
  expect(await compress(text, kind)).toEqual(packed);
  if (kind === 'none') return;
  const { data, format, end } = unpack(packed);
  expect([format, end]).toEqual([kind, packed.length]);
  expect(Buffer.from(data).equals(text)).toBe(true);
});

describe('the tools of the host', () => {
  const commands = [
    'gzip -9nc',
    'bzip2 -1c',
    'xz -c --check=crc32',
    'xz -c --check=crc64 --block-size=10000',
    'xz -c --check=none --lzma2=lc=0,lp=4,pb=2',
    'xz -c --check=crc32 --x86 --lzma2=dict=1MiB',
    'lzma -c',
    'lz4 -l -c',
    'zstd -19 -c',
    'zstd --fast=5 --no-check -c',
  ];
  const inputs = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(300_000, 'a'), text];

  it.each(commands)('%s', (command) => {
    const [tool = '', ...args] = command.split(' ');
    for (const input of inputs) {
      const { stdout, error } = spawnSync(tool, args, { input, maxBuffer: LIMIT });
      if (error !== undefined) return; // not on this host
      const { data, end } = unpack(stdout);
      expect(Buffer.from(data).equals(input)).toBe(true);
      expect(end).toBe(stdout.length);
    }
  });

  it('unpack what we write', async () => {
    for (const command of ['gzip', 'zstd'] as const) {
      const { stdout, error } = spawnSync(command, ['-dc'], {
        input: await compress(text, command),
      });
      if (error === undefined) expect(stdout.equals(text)).toBe(true);
    }
  });
});

function settled(action: () => boolean): string {
  let result = 'unset';
  try {
    return refusal(() => {
      result = String(action());
    });
  } catch {
    return result;
  }
}

it('LZ4 runs of any length, overlapping or not', () => {
  const literals = Buffer.from(Array.from({ length: 300 }, (_, n) => (n * 7) & 0xff));
  // 300 literals and 1000 bytes from 1 back; no literals and 200 from 1300 back; 1 literal.
  const block = Buffer.concat([
    Buffer.from([0xff, 255, 30]),
    literals,
    Buffer.from([1, 0, 255, 255, 255, 1000 - 4 - 15 - 3 * 255]),
    Buffer.from([0x0f, 1300 & 0xff, 1300 >> 8, 200 - 4 - 15]),
    Buffer.from([0x10, 0x2a]),
  ]);
  const header = Buffer.from([
    0x02,
    0x21,
    0x4c,
    0x18,
    block.length & 0xff,
    block.length >> 8,
    0,
    0,
  ]);
  const repeated = Buffer.alloc(1000, literals.at(-1));
  const expected = Buffer.concat([literals, repeated, literals.subarray(0, 200), Buffer.of(0x2a)]);
  const { data } = unpack(Buffer.concat([header, block]));
  expect(Buffer.from(data).equals(expected)).toBe(true);
});

/** The compressions that the kernel knows for an initramfs (lib/decompress.c), in and out. */
import { badInitrd } from './bad.js';
import { bunzip2 } from './codecs/bzip2.js';
import type { Decoder } from './codecs/codec.js';
import { gunzip } from './codecs/gzip.js';
import { unlz4 } from './codecs/lz4.js';
import { unlzma } from './codecs/lzma.js';
import { Output } from './codecs/output.js';
import { unxz } from './codecs/xz.js';
import { unzstd } from './codecs/zstd.js';

/** How a segment of an archive is compressed. */
export type Compression = 'none' | 'gzip' | 'bzip2' | 'lzma' | 'xz' | 'lz4' | 'zstd';

/** Compressions that {@link compress} can write. */
export const OUTPUT_COMPRESSIONS = ['none', 'gzip', 'zstd'] as const;
export type OutputCompression = (typeof OUTPUT_COMPRESSIONS)[number];

/** What initramfs-tools uses: a good ratio at a speed that nobody waits for. */
const ZSTD_LEVEL = 9;
const GZIP_LEVEL = 9;

interface Format {
  readonly name: Exclude<Compression, 'none'>;
  /** The first bytes, as many as the kernel compares; LZMA has no more. */
  readonly magic: readonly number[];
  readonly decode: Decoder;
}

const FORMATS: readonly Format[] = [
  { name: 'gzip', magic: [0x1f, 0x8b], decode: gunzip },
  { name: 'bzip2', magic: [0x42, 0x5a], decode: bunzip2 },
  { name: 'lzma', magic: [0x5d, 0x00], decode: unlzma },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], decode: unxz },
  { name: 'lz4', magic: [0x02, 0x21, 0x4c, 0x18], decode: unlz4 },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], decode: unzstd },
];

/** Formats that are often met and that a kernel, or we, cannot read. */
const FOREIGN: readonly { readonly magic: readonly number[]; readonly what: string }[] = [
  {
    magic: [0x04, 0x22, 0x4d, 0x18],
    what: 'an LZ4 frame; the kernel reads the legacy one, lz4 -l',
  },
  { magic: [0x89, 0x4c, 0x5a, 0x4f], what: 'lzop, which is not supported' },
];

/** How the stream at `start` is compressed; undefined where it is not known. */
export function compressionAt(input: Uint8Array, start: number): Compression | undefined {
  return FORMATS.find(({ magic }) => startsWith(input, start, magic))?.name;
}

/** A stream that was unpacked. */
export interface Unpacked {
  readonly format: Compression;
  readonly data: Uint8Array;
  /** Offset in the input behind the compressed stream. */
  readonly end: number;
}

/**
 * Unpacks the compressed stream at `start`.
 * @param room most bytes that it may unpack to, or where to put them: the data begins there then
 * @throws NodevmError `E_BAD_INITRD` when there is none, or when it is damaged or too large
 */
export function decompressAt(
  input: Uint8Array,
  start: number,
  room: number | Uint8Array,
): Unpacked {
  const format = FORMATS.find(({ magic }) => startsWith(input, start, magic));
  if (format !== undefined) {
    const output = new Output(room);
    const end = format.decode(input, start, output);
    return { format: format.name, data: output.take(), end };
  }
  const found = FOREIGN.find(({ magic }) => startsWith(input, start, magic));
  const head = Buffer.from(input.subarray(start, start + 6)).toString('hex');
  throw badInitrd(
    `bad initramfs at offset ${start}: found ${found?.what ?? `the bytes ${head}`}, expected a cpio archive, gzip, bzip2, lzma, xz, lz4 or zstd`,
  );
}

/** Compresses an archive; the same bytes give the same result on every host. */
export async function compress(
  archive: Uint8Array,
  compression: OutputCompression,
): Promise<Uint8Array> {
  // What compresses is loaded when it is wanted: every start of a machine would wait for it.
  switch (compression) {
    case 'none':
      return archive;
    case 'gzip': {
      // Not node:zlib, whose output differs between its versions and processors.
      const { gzipSync } = await import('fflate');
      return gzipSync(archive, { level: GZIP_LEVEL, mtime: 0 });
    }
    case 'zstd': {
      const { Zstd } = await import('@hpcc-js/wasm-zstd');
      return (await Zstd.load()).compress(archive, ZSTD_LEVEL);
    }
  }
}

function startsWith(input: Uint8Array, start: number, magic: readonly number[]): boolean {
  return magic.every((byte, index) => input[start + index] === byte);
}

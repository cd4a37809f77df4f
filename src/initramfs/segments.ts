/**
 * Whole initramfs files: cpio archives, plain and compressed, one after another with zeros in between
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
import { badInitrd } from './bad.js';
import { decompressAt, type Compression } from './compression.js';
import { hasCpioMagic, MAX_ARCHIVE, MAX_ENTRIES, readArchive } from './cpio.js';
import type { InitramfsEntry } from './entry.js';

const ALIGNMENT = 4;

/** A stretch of an initramfs file. */
export interface Segment {
  /** Offset in the file. */
  readonly offset: number;
  /** Bytes in the file, without padding. */
  readonly length: number;
  readonly compression: Compression;
  /** Entries in the archive's order. */
  readonly entries: readonly InitramfsEntry[];
}

/** What a reader may choose. */
export interface ReadOptions {
  /** Most bytes that the compressed segments may unpack to together; default and at most 2 GiB. */
  readonly limit?: number | undefined;
}

/**
 * Reads an initramfs the way the kernel does.
 * @throws NodevmError `E_BAD_INITRD` naming what is wrong and at which offset
 */
export function readSegments(bytes: Uint8Array, options: ReadOptions = {}): readonly Segment[] {
  const segments: Segment[] = [];
  let budget = Math.min(options.limit ?? MAX_ARCHIVE, MAX_ARCHIVE);
  let room = MAX_ENTRIES;
  let offset = skipZeros(bytes, 0);
  while (offset < bytes.length) {
    const { segment, unpacked } = readSegment(bytes, offset, budget);
    segments.push(segment);
    budget -= unpacked;
    room -= segment.entries.length;
    if (room < 0) throw badInitrd(`the initramfs has more than ${MAX_ENTRIES} entries, the limit`);
    offset = skipZeros(bytes, offset + segment.length);
  }
  if (segments.length === 0) {
    throw badInitrd(`the initramfs has ${bytes.length} bytes, all zero, expected an archive`);
  }
  return segments;
}

/** All entries of an initramfs in order; see {@link readSegments}. */
export function readInitramfs(
  bytes: Uint8Array,
  options: ReadOptions = {},
): readonly InitramfsEntry[] {
  return readSegments(bytes, options).flatMap(({ entries }) => entries);
}

/**
 * Puts initramfs files one after another, where the kernel expects the next one to begin. Later files
 * win over earlier ones.
 */
export function concatInitramfs(archives: readonly Uint8Array[]): Uint8Array {
  const starts: number[] = [];
  let length = 0;
  for (const archive of archives) {
    length += -length & (ALIGNMENT - 1);
    starts.push(length);
    length += archive.length;
    if (length > MAX_ARCHIVE) {
      throw badInitrd(`the archives together are larger than ${MAX_ARCHIVE} bytes, the limit`);
    }
  }
  const joined = new Uint8Array(length);
  archives.forEach((archive, index) => joined.set(archive, starts[index]));
  return joined;
}

function readSegment(
  bytes: Uint8Array,
  offset: number,
  budget: number,
): { segment: Segment; unpacked: number } {
  if (offset % ALIGNMENT === 0 && hasCpioMagic(bytes, offset)) {
    const { entries, end } = readArchive(bytes, offset);
    const length = end - offset;
    return { segment: { offset, length, compression: 'none', entries }, unpacked: 0 };
  }
  const { format, data, end } = decompressAt(bytes, offset, budget);
  const entries = readArchives(data, offset, format);
  const length = end - offset;
  return { segment: { offset, length, compression: format, entries }, unpacked: data.length };
}

/** Archives and zeros are what a compressed segment may hold. */
function readArchives(data: Uint8Array, offset: number, format: string): InitramfsEntry[] {
  const entries: InitramfsEntry[][] = [];
  for (let at = skipZeros(data, 0); at < data.length;) {
    if (at % ALIGNMENT !== 0 || !hasCpioMagic(data, at)) {
      const head = Buffer.from(data.subarray(at, at + 6)).toString('hex');
      throw badInitrd(
        `bad ${format} segment at offset ${offset}: it unpacks to the bytes ${head} at ${at}, expected a cpio archive (newc)`,
      );
    }
    const archive = readArchive(data, at);
    entries.push([...archive.entries]);
    at = skipZeros(data, archive.end);
  }
  return entries.flat();
}

function skipZeros(bytes: Uint8Array, start: number): number {
  let offset = start;
  while (bytes[offset] === 0) offset++;
  return offset;
}

/**
 * The compressed kernel within a bzImage (boot.rst, fields payload_offset and payload_length): an ELF file
 * with the table of relocations behind it (arch/x86/boot/compressed/Makefile).
 */
import { compressionAt, decompressAt, type Compression } from '../initramfs/compression.js';
import { NodevmError } from '../errors.js';
import { badKernel, hex, readNumber } from './binary.js';
import { isElf, isLoaded, parseElf, segmentRange, type ElfFile, type ElfSegment } from './elf.js';
import type { LinuxKernel } from './setup-header.js';

/** All formats but gzip have the unpacked size behind the data, as gzip does itself. */
const SIZE_LENGTH = 4;

/** The packed payload; empty where the header tells of none (before 2.08, or no Linux at all). */
export function packedPayload({ header, payload }: LinuxKernel): Uint8Array {
  return payload.subarray(header.payload_offset, header.payload_offset + header.payload_length);
}

/** The kernel mapping has 1 GiB (Documentation/arch/x86/x86_64/mm.rst). */
const MAX_UNPACKED = 2 ** 30;

/** How the payload is packed; undefined where there is none or it is not known. */
export function payloadCompression(kernel: LinuxKernel): Compression | undefined {
  const packed = packedPayload(kernel);
  return isElf(packed) ? 'none' : compressionAt(packed, 0);
}

/**
 * Unpacks the payload.
 * @param room where to put it; default memory of its own
 * @throws NodevmError `E_BAD_KERNEL` where it is missing, damaged, or larger than init_size or the room
 */
export function unpackPayload(kernel: LinuxKernel, room?: Uint8Array): Uint8Array {
  const packed = packedPayload(kernel);
  const compression = payloadCompression(kernel);
  if (compression === undefined) {
    const head = Buffer.from(packed.subarray(0, 6)).toString('hex');
    throw badKernel(
      `payload begins with ${head === '' ? 'nothing' : head}, expected gzip, bzip2, lzma, xz, lz4, zstd or ELF`,
    );
  }
  const most = Math.min(kernel.header.init_size, MAX_UNPACKED, room?.length ?? Infinity);
  if (compression === 'none') return copyOf(packed, most, room);
  const data = compression === 'gzip' ? packed : packed.subarray(0, -SIZE_LENGTH);
  const size = readNumber(packed, packed.length - SIZE_LENGTH, SIZE_LENGTH);
  const limit = Math.min(size, most);
  const unpacked = decompress(data, compression, room?.subarray(0, limit) ?? limit);
  if (compression !== 'gzip' && size !== unpacked.length) {
    throw badKernel(`size behind the payload is ${size}, but it unpacks to ${unpacked.length}`);
  }
  return unpacked;
}

/** A copy of a payload that is not packed: it is moved and relocated in place. */
function copyOf(packed: Uint8Array, most: number, room: Uint8Array | undefined): Uint8Array {
  if (room === undefined) return packed.slice();
  if (packed.length > most) {
    throw badKernel(`payload is ${packed.length} bytes, expected at most ${most}`);
  }
  room.set(packed);
  return room.subarray(0, packed.length);
}

function decompress(
  data: Uint8Array,
  compression: Compression,
  room: number | Uint8Array,
): Uint8Array {
  try {
    return decompressAt(data, 0, room).data;
  } catch (cause) {
    if (!(cause instanceof NodevmError)) throw cause;
    throw badKernel(`${compression} payload cannot be unpacked: ${cause.message}`, cause);
  }
}

/** Addresses in the kernel's own terms that are to be adjusted, by the width of what lies there. */
export interface Relocations {
  readonly add64: Uint32Array;
  /** Values relative to something that does not move, such as per-CPU offsets. */
  readonly subtract32: Uint32Array;
  readonly add32: Uint32Array;
}

/** The kernel proper, ready to be laid out. */
export interface UnpackedKernel {
  readonly elf: ElfFile;
  /** Undefined for a kernel that cannot be moved. */
  readonly relocations: Relocations | undefined;
}

/**
 * Takes an unpacked payload apart.
 * @throws NodevmError `E_BAD_KERNEL` where it is no ELF file or its relocations are not as expected
 */
export function parsePayload(unpacked: Uint8Array): UnpackedKernel {
  const elf = parseElf(unpacked);
  return { elf, relocations: parseRelocations(elf) };
}

/**
 * The table is words, read from the end: a list for 32-bit values, then for a 64-bit kernel one of
 * inverse ones (up to Linux 6.14) and one for 64-bit values; a zero ends each.
 */
function parseRelocations({ bytes, end, bits }: ElfFile): Relocations | undefined {
  if (bytes.length === end) return undefined;
  if ((bytes.length - end) % 4 !== 0) {
    throw badKernel(`relocations are ${bytes.length - end} bytes, expected a multiple of 4`);
  }
  const words = new Uint32Array(bytes.slice(end).buffer);
  const lists: Uint32Array[] = [];
  let rest = words.length;
  for (let zero: number; rest > 0; rest = zero) {
    zero = words.lastIndexOf(0, rest - 1);
    if (zero < 0) break;
    lists.push(words.subarray(zero + 1, rest));
  }
  const expected = bits === 32 ? [1] : [2, 3];
  if (!expected.includes(lists.length) || rest > 0) {
    throw badKernel(
      `relocations are ${lists.length} lists with ${rest} words in front, expected ${expected.join(' or ')} lists`,
    );
  }
  const none = new Uint32Array(0);
  const [add32 = none, second = none, third] = lists;
  return third === undefined
    ? { add32, subtract32: none, add64: second }
    : { add32, subtract32: second, add64: third };
}

/** The kernel's memory image. */
export interface KernelImage {
  /** From its lowest address on, up to the end of what the file holds. */
  readonly bytes: Uint8Array;
  /** Lowest address, where it was linked to run. */
  readonly base: number;
  /** Bytes of memory that it takes, with what the file does not hold. */
  readonly length: number;
}

/**
 * Whether each segment can be moved down within the file's own bytes before the next one is needed, as
 * the decompressor does it: a second copy of the kernel is most of what loading costs in memory.
 */
function canMoveInPlace(ascending: readonly ElfSegment[], base: number): boolean {
  return ascending.every(({ offset, paddr, filesz }, index) => {
    const next = ascending[index + 1]?.offset ?? Infinity;
    return paddr - base <= offset && paddr - base + filesz <= next && offset + filesz <= next;
  });
}

/** Lays the segments out as the decompressor does, over the file. @throws NodevmError `E_BAD_KERNEL` */
export function layOut(elf: ElfFile, limit: number): KernelImage {
  const { base, length } = segmentRange(elf);
  if (length > limit) {
    throw badKernel(`the kernel takes ${length} bytes, expected at most init_size, ${limit}`);
  }
  const loaded = elf.segments.filter(isLoaded).sort((a, b) => a.paddr - b.paddr);
  const end = Math.max(...loaded.map(({ paddr, filesz }) => paddr + filesz));
  const bytes = canMoveInPlace(loaded, base)
    ? elf.bytes.subarray(0, end - base)
    : new Uint8Array(end - base);
  let filled = 0;
  for (const { offset, paddr, filesz } of loaded) {
    bytes.set(elf.bytes.subarray(offset, offset + filesz), paddr - base);
    bytes.fill(0, filled, paddr - base);
    filled = paddr - base + filesz;
  }
  return { bytes, base, length };
}

/**
 * Adjusts an image in place by `delta` bytes of virtual address.
 * @throws NodevmError `E_BAD_KERNEL` for a relocation outside the image
 */
export function relocate(
  { bytes, base }: KernelImage,
  { elf, relocations }: UnpackedKernel,
  delta: number,
): void {
  const text = elf.segments.find((segment) => isLoaded(segment) && segment.paddr === base);
  if (delta === 0 || relocations === undefined || text === undefined) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  /** The words of the table are the low halves of virtual addresses. */
  const start = Number(BigInt.asUintN(32, text.vaddr));
  const place = (address: number, size: number): number => {
    const offset = address - start;
    if (offset >= 0 && offset + size <= bytes.length) return offset;
    throw badKernel(`relocation is at ${hex(address)}, expected within the kernel`);
  };
  for (const address of relocations.add32) {
    const offset = place(address, 4);
    view.setUint32(offset, view.getUint32(offset, true) + delta, true);
  }
  for (const address of relocations.subtract32) {
    const offset = place(address, 4);
    view.setUint32(offset, view.getUint32(offset, true) - delta, true);
  }
  for (const address of relocations.add64) {
    const offset = place(address, 8);
    const low = view.getUint32(offset, true) + delta;
    view.setUint32(offset, low, true);
    const carry = Math.floor(low / 2 ** 32);
    if (carry !== 0) view.setUint32(offset + 4, view.getUint32(offset + 4, true) + carry, true);
  }
}

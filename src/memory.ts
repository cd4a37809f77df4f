import { NodevmError } from './errors.js';
import { HIGH_RAM_BASE, type AddressRange } from './layout.js';

/** What {@link GuestMemory} is made from. */
export interface GuestMemoryOptions {
  /** Bytes of RAM from guest physical address 0. */
  readonly lowRam: number;
  /** Bytes of RAM from 4 GiB. */
  readonly highRam: number;
  /** RAM in host order: views of the low range, then views of the high range; none spans both. */
  readonly views: readonly ArrayBuffer[];
  /** Told of every write, so that translated code there is dropped. */
  invalidate(gpa: number, length: number): void;
}

/** One native view and the guest physical addresses it holds. */
interface Segment {
  readonly base: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

/** Part of an access that lies within one view. */
interface Piece {
  /** The view's own bytes (not a copy). */
  readonly bytes: Uint8Array;
  /** Offset of the piece within the access. */
  readonly offset: number;
}

/**
 * Guest RAM as the loader and the devices see it: little-endian, addressed by guest physical address.
 * Accesses may be unaligned and may cross views; one that is not wholly RAM throws NodevmError
 * `E_GUEST_ADDRESS` and has no effect. Every write drops translated code (design rule 6).
 */
export class GuestMemory {
  /** RAM ranges in ascending order; the one from 4 GiB is missing when it is empty. */
  readonly ranges: readonly AddressRange[];

  readonly #segments: readonly Segment[];
  readonly #invalidate: (gpa: number, length: number) => void;

  constructor(options: GuestMemoryOptions) {
    this.ranges = [
      { base: 0, length: options.lowRam },
      { base: HIGH_RAM_BASE, length: options.highRam },
    ].filter((range) => range.length > 0);
    this.#segments = placeViews(this.ranges, options.views);
    this.#invalidate = (gpa, length) => options.invalidate(gpa, length);
  }

  /** Whether `length` bytes at `gpa` are all RAM. */
  contains(gpa: number, length: number): boolean {
    return (
      Number.isSafeInteger(gpa) &&
      Number.isSafeInteger(length) &&
      length >= 0 &&
      this.ranges.some((range) => gpa >= range.base && gpa + length <= range.base + range.length)
    );
  }

  /** A copy of `length` bytes at `gpa`. */
  read(gpa: number, length: number): Uint8Array {
    const pieces = this.#pieces(gpa, length);
    const result = new Uint8Array(length);
    for (const piece of pieces) result.set(piece.bytes, piece.offset);
    return result;
  }

  /**
   * Where `bytes` first occur in `from` (inclusive) to `to`, parts of which may be no RAM; undefined where they do
   * not. Nothing is copied. What lies across the edge of two views is not found.
   */
  find(bytes: Uint8Array, from: number, to: number): number | undefined {
    for (const { base, end, bytes: ram } of this.#segments) {
      const first = Math.max(from, base);
      const last = Math.min(to, end);
      if (first >= last) continue;
      const part = Buffer.from(ram.buffer, ram.byteOffset + first - base, last - first);
      const at = part.indexOf(bytes);
      if (at >= 0) return first + at;
    }
    return undefined;
  }

  /** Writes `bytes` at `gpa`. */
  write(gpa: number, bytes: Uint8Array): void {
    for (const piece of this.#pieces(gpa, bytes.length)) {
      piece.bytes.set(bytes.subarray(piece.offset, piece.offset + piece.bytes.length));
    }
    this.#changed(gpa, bytes.length);
  }

  /**
   * The RAM at `gpa` itself, to be filled at once: before the guest runs on, which would not notice later
   * changes of its code. Undefined where the range crosses views.
   */
  room(gpa: number, length: number): Uint8Array | undefined {
    const [piece, ...others] = this.#pieces(gpa, length);
    if (others.length > 0) return undefined;
    this.#changed(gpa, length);
    return piece?.bytes;
  }

  /** Sets `length` bytes at `gpa` to the byte `value`. */
  fill(gpa: number, length: number, value: number): void {
    for (const piece of this.#pieces(gpa, length)) piece.bytes.fill(value);
    this.#changed(gpa, length);
  }

  /** The byte at `gpa`. */
  readU8(gpa: number): number {
    return this.#readUnsigned(gpa, 1);
  }

  /** The unsigned 16-bit value at `gpa`. */
  readU16(gpa: number): number {
    return this.#readUnsigned(gpa, 2);
  }

  /** The unsigned 32-bit value at `gpa`. */
  readU32(gpa: number): number {
    return this.#readUnsigned(gpa, 4);
  }

  /** Writes the low 8 bits of `value`. */
  writeU8(gpa: number, value: number): void {
    this.#writeUnsigned(gpa, value, 1);
  }

  /** Writes the low 16 bits of `value`. */
  writeU16(gpa: number, value: number): void {
    this.#writeUnsigned(gpa, value, 2);
  }

  /** Writes the low 32 bits of `value`. */
  writeU32(gpa: number, value: number): void {
    this.#writeUnsigned(gpa, value, 4);
  }

  /** Writes the low 64 bits of `value`. */
  writeU64(gpa: number, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.write(gpa, bytes);
  }

  #readUnsigned(gpa: number, size: 1 | 2 | 4): number {
    let value = 0;
    for (const { bytes, offset } of this.#pieces(gpa, size)) {
      bytes.forEach((byte, index) => (value |= byte << (8 * (offset + index))));
    }
    return value >>> 0;
  }

  #writeUnsigned(gpa: number, value: number, size: 1 | 2 | 4): void {
    for (const { bytes, offset } of this.#pieces(gpa, size)) {
      for (let index = 0; index < bytes.length; index++) {
        bytes[index] = value >>> (8 * (offset + index));
      }
    }
    this.#changed(gpa, size);
  }

  #changed(gpa: number, length: number): void {
    if (length > 0) this.#invalidate(gpa, length);
  }

  /** Cuts an access at the edges of views, having checked that all of it is RAM. */
  #pieces(gpa: number, length: number): readonly Piece[] {
    this.#checkRange(gpa, length);
    const end = gpa + length;
    const pieces: Piece[] = [];
    for (const segment of this.#segments) {
      const from = Math.max(gpa, segment.base);
      const to = Math.min(end, segment.end);
      if (from >= to) continue;
      pieces.push({
        bytes: segment.bytes.subarray(from - segment.base, to - segment.base),
        offset: from - gpa,
      });
    }
    return pieces;
  }

  #checkRange(gpa: number, length: number): void {
    if (this.contains(gpa, length)) return;
    const ram = this.ranges.map((r) => `${hex(r.base)} to ${hex(r.base + r.length - 1)}`);
    throw new NodevmError(
      'E_GUEST_ADDRESS',
      `guest physical range at ${hex(gpa)} of ${length} bytes is not RAM, expected within ${ram.join(' or ')}`,
    );
  }
}

/** Gives each view its guest physical address: the ranges are filled one after the other. */
function placeViews(
  ranges: readonly AddressRange[],
  views: readonly ArrayBuffer[],
): readonly Segment[] {
  const segments: Segment[] = [];
  const rest = [...views];
  for (const range of ranges) {
    const rangeEnd = range.base + range.length;
    let base = range.base;
    while (base < rangeEnd) {
      const view = rest.shift();
      const end = base + (view?.byteLength ?? 0);
      if (view === undefined || view.byteLength === 0 || end > rangeEnd) {
        throw new NodevmError(
          'E_NATIVE',
          `RAM views do not fill the range at ${hex(range.base)}, expected ${range.length} bytes of it`,
        );
      }
      segments.push({ base, end, bytes: new Uint8Array(view) });
      base = end;
    }
  }
  return segments;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

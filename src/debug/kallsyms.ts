/**
 * The kernel's own symbol table (scripts/kallsyms.c), found by its shape in a memory image: no other symbol
 * says where it is. Names are strings of tokens; two tables of tokens follow the names.
 */

import { alignDown } from '../loader/binary.js';
import { SymbolTable } from './symbol-table.js';

/** Tokens are numbered by a byte. */
const TOKENS = 256;
/** A marker, the offset of a name, is written for each group of so many. */
const GROUP = 256;
/** Bounds of what is taken for a kernel's: symbols, and bytes of all tokens. */
const LEAST_SYMBOLS = 256;
const MOST_SYMBOLS = 4_000_000;
const MOST_TOKEN_BYTES = 0x8000;
/** Name lengths from here on take a second byte (ULEB128; Linux 6.1). */
const BIG_NAME = 0x80;

/**
 * Finds and reads the tables.
 * @param image the kernel's memory, or any part of memory that has its read-only data; at an even offset in its buffer
 * @param bits size of the kernel's pointers
 * @param linear linear address of the image's first byte, which newest kernels' tables are relative to
 * @returns undefined where there are none, or not whole
 */
export function readKallsyms(
  image: Uint8Array,
  bits: 32 | 64,
  linear = 0n,
): SymbolTable | undefined {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const halves = new Uint16Array(image.buffer, image.byteOffset, image.length >> 1);
  const step = bits / 16;
  for (let at = 0; at + TOKENS <= halves.length; at += step) {
    // The first token's index is 0, the second's is small: nearly every place fails here.
    if (halves[at] !== 0) continue;
    const second = halves[at + 1] as number;
    if (second === 0 || second > GROUP) continue;
    const table = new Reader(view, bits, linear).readAt(2 * at);
    if (table !== undefined) return table;
  }
  return undefined;
}

/** Reads the tables around a place that may be kallsyms_token_index. */
class Reader {
  constructor(
    private readonly view: DataView,
    private readonly bits: 32 | 64,
    private readonly linear: bigint,
  ) {}

  readAt(tokenIndex: number): SymbolTable | undefined {
    const tokens = this.readTokens(tokenIndex);
    if (tokens === undefined) return undefined;
    const found = this.findNames(tokens.start);
    if (found === undefined) return undefined;
    const addresses = this.readAddresses(found, tokenIndex + 2 * TOKENS);
    if (addresses === undefined) return undefined;
    return new SymbolTable(addresses, this.expandNames(found, tokens.texts));
  }

  private align(offset: number): number {
    const size = this.bits / 8;
    return Math.ceil(offset / size) * size;
  }

  /** kallsyms_token_table lies in front of its index, padded; each token ends in a NUL. */
  private readTokens(index: number): { start: number; texts: string[] } | undefined {
    const offsets: number[] = [];
    for (let n = 0; n < TOKENS; n++) {
      const offset = this.view.getUint16(index + 2 * n, true);
      if (n > 0 && offset <= (offsets[n - 1] ?? 0)) return undefined;
      offsets.push(offset);
    }
    const last = offsets[TOKENS - 1] ?? 0;
    if (last > MOST_TOKEN_BYTES) return undefined;
    for (let length = 1; length < 64; length++) {
      const start = index - this.align(last + length + 1);
      if (start < 0) return undefined;
      const texts = this.readTexts(start, offsets, last + length);
      if (texts !== undefined) return { start, texts };
    }
    return undefined;
  }

  private readTexts(start: number, offsets: readonly number[], end: number): string[] | undefined {
    const texts: string[] = [];
    for (let n = 0; n < TOKENS; n++) {
      const from = start + (offsets[n] ?? 0);
      const to = start + ((offsets[n + 1] ?? end + 1) - 1);
      if (this.view.getUint8(to) !== 0) return undefined;
      let text = '';
      for (let at = from; at < to; at++) {
        const code = this.view.getUint8(at);
        if (code === 0) return undefined;
        text += String.fromCharCode(code);
      }
      texts.push(text);
    }
    return texts;
  }

  /**
   * kallsyms_num_syms, kallsyms_names and kallsyms_markers end somewhere in front of the tokens; newer kernels
   * have the order of names in between (three bytes a symbol). Found from the first two markers: the number
   * of symbols must lie so far in front of them that the names between fit it.
   */
  private findNames(tokens: number): Names | undefined {
    const step = this.bits / 8;
    const lowest = Math.max(0, tokens - 3 * MOST_SYMBOLS);
    for (let markers = tokens - 2 * step; markers > lowest; markers -= step) {
      if (this.view.getUint32(markers, true) !== 0) continue;
      for (const size of [4, 8]) {
        const second = this.u32(markers + size);
        const third = this.u32(markers + 2 * size);
        if (second < 2 * GROUP || second > GROUP * GROUP || third < second + 2 * GROUP) continue;
        const names = this.namesBefore(markers, size, tokens);
        if (names !== undefined) return names;
      }
    }
    return undefined;
  }

  private namesBefore(markers: number, size: number, end: number): Names | undefined {
    let last = 0;
    let groups = 1;
    for (let at = markers + size; at < end; at += size) {
      const next = this.u32(at);
      if (next <= last || next - last > GROUP * GROUP) break;
      last = next;
      groups++;
    }
    // What follows the markers may by chance look like some more.
    const step = this.bits / 8;
    for (let more = 0; more < 8 && groups - more > 1; more++) {
      const lastMarker = this.u32(markers + (groups - more - 1) * size);
      const most = alignDown(markers - lastMarker - step, step);
      for (let at = most; at > most - GROUP * GROUP && at >= 0; at -= step) {
        const count = this.view.getUint32(at, true);
        if (Math.ceil(count / GROUP) !== groups - more || count < LEAST_SYMBOLS) continue;
        if (this.namesEnd(at + step, count, lastMarker) === markers) {
          return { count, countAt: at, start: at + step };
        }
      }
    }
    return undefined;
  }

  /** Where `count` names from `start` on end, aligned; undefined where the last group is not at `marker`. */
  private namesEnd(start: number, count: number, marker: number): number | undefined {
    const group = Math.floor((count - 1) / GROUP) * GROUP;
    let at = start;
    for (let n = 0; n < count; n++) {
      if (n === group && at !== start + marker) return undefined;
      if (at + 2 > this.view.byteLength) return undefined;
      const { from, length } = this.nameAt(at);
      if (length === 0) return undefined;
      at = from + length;
    }
    return this.align(at);
  }

  private nameAt(at: number): { from: number; length: number } {
    const first = this.view.getUint8(at);
    if (first < BIG_NAME) return { from: at + 1, length: first };
    return { from: at + 2, length: (first & (BIG_NAME - 1)) | (this.view.getUint8(at + 1) << 7) };
  }

  private expandNames({ start, count }: Names, tokens: readonly string[]): string[] {
    const names: string[] = [];
    let at = start;
    for (let n = 0; n < count; n++) {
      const { from, length } = this.nameAt(at);
      let name = '';
      for (let k = from; k < from + length; k++) name += tokens[this.view.getUint8(k)] ?? '';
      // The first character is the type, as nm prints it.
      names.push(name.slice(1));
      at = from + length;
    }
    return names;
  }

  /** Behind the tokens since Linux 6.4, in front of the names before. */
  private readAddresses({ count, countAt }: Names, behind: number): BigUint64Array | undefined {
    const pointer = this.bits / 8;
    const length = this.align(4 * count);
    const behindAt = this.align(behind);
    return (
      this.relativeTo(behindAt, behindAt + length, count) ??
      this.relativeTo(countAt - pointer - length, countAt - pointer, count) ??
      this.selfRelative(behindAt, count) ??
      this.absolute(countAt - this.align(count * pointer), count)
    );
  }

  /**
   * kallsyms_offsets and kallsyms_relative_base. With per-CPU symbols at absolute places, their offsets are what
   * they are, and all others are counted down from -1.
   */
  private relativeTo(offsets: number, baseAt: number, count: number): BigUint64Array | undefined {
    if (offsets < 0 || baseAt + 8 > this.view.byteLength) return undefined;
    const base = this.pointer(baseAt);
    if (!this.isKernelAddress(base)) return undefined;
    const last = this.view.getInt32(offsets + 4 * (count - 1), true);
    return this.ascending(count, (n) => {
      const at = offsets + 4 * n;
      if (last >= 0) return base + BigInt(this.view.getUint32(at, true));
      const offset = this.view.getInt32(at, true);
      return offset >= 0 ? BigInt(offset) : base - 1n - BigInt(offset);
    });
  }

  /** Offsets that are relative to where they lie. */
  private selfRelative(offsets: number, count: number): BigUint64Array | undefined {
    if (offsets + 4 * count > this.view.byteLength) return undefined;
    return this.ascending(count, (n) => {
      const at = offsets + 4 * n;
      const address = this.linear + BigInt(at + this.view.getInt32(at, true));
      return this.isKernelAddress(address) ? address : BigInt(this.view.getUint32(at, true));
    });
  }

  /** kallsyms_addresses, before Linux 4.6. */
  private absolute(at: number, count: number): BigUint64Array | undefined {
    if (at < 0) return undefined;
    const size = this.bits / 8;
    return this.ascending(count, (n) => this.pointer(at + n * size));
  }

  /** Addresses in a row, provided that they ascend to the kernel's. */
  private ascending(count: number, address: (n: number) => bigint): BigUint64Array | undefined {
    const addresses = new BigUint64Array(count);
    let last = 0n;
    for (let n = 0; n < count; n++) {
      const next = address(n);
      if (next < last) return undefined;
      addresses[n] = last = next;
    }
    return this.isKernelAddress(last) ? addresses : undefined;
  }

  private isKernelAddress(address: bigint): boolean {
    return this.bits === 64 ? address >= 0xffff_ffff_8000_0000n : address >= 0x4000_0000n;
  }

  private u32(at: number): number {
    return at + 4 > this.view.byteLength ? 0 : this.view.getUint32(at, true);
  }

  private pointer(at: number): bigint {
    return this.bits === 64
      ? this.view.getBigUint64(at, true)
      : BigInt(this.view.getUint32(at, true));
  }
}

/** Where the names are. */
interface Names {
  readonly count: number;
  /** Offset of kallsyms_num_syms. */
  readonly countAt: number;
  /** Offset of kallsyms_names. */
  readonly start: number;
}

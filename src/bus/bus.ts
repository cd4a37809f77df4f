import { NodevmError } from '../errors.js';
import type { AccessSize, Device } from './device.js';

/** Which of the processor's two address spaces. */
export type AddressSpaceKind = 'port' | 'mmio';

/** One device's place in an address space. */
export interface BusRange {
  /** First address. */
  readonly base: number;
  /** Number of addresses, at least 1. */
  readonly length: number;
  readonly device: Device;
}

/** Called for an access that no device claims; `write` tells the direction. */
export type UnclaimedHook = (address: number, size: AccessSize, write: boolean) => void;

const hex = (value: number): string => `0x${value.toString(16)}`;
const describe = ({ base, length, device }: BusRange): string =>
  `${device.name} at ${hex(base)}-${hex(base + length - 1)}`;

/**
 * Maps addresses to devices. A device sees offsets from its own base. Addresses that nothing claims
 * read all ones and ignore writes, as an ISA or PCI bus without a responder does.
 *
 * An access that begins inside a range and runs over its end is carried out byte by byte. One that
 * begins outside every range is unclaimed as a whole: a 32-bit write to the PCI address register at
 * 0xcf8 must not reach the reset register at 0xcf9.
 */
export class AddressSpace {
  /** Trace hook for accesses without a device. */
  onUnclaimed: UnclaimedHook | undefined;

  private readonly sorted: BusRange[] = [];
  /** One slot a port; empty for MMIO, where {@link search} is used. */
  private readonly table: (BusRange | undefined)[];
  private last: BusRange | undefined;

  /**
   * @param kind port spaces use a flat table, MMIO spaces a sorted list
   * @param limit number of addresses: one past the last (0x10000 for ports)
   */
  constructor(
    readonly kind: AddressSpaceKind,
    readonly limit: number,
  ) {
    this.table = kind === 'port' ? new Array<BusRange | undefined>(limit).fill(undefined) : [];
  }

  /**
   * Places `device` at [base, base + length).
   * @throws NodevmError `E_BUS_RANGE` for an empty range or one beyond the limit, `E_BUS_OVERLAP`
   * where another device is already there.
   */
  insert(base: number, length: number, device: Device): void {
    const range: BusRange = { base, length, device };
    if (!Number.isSafeInteger(base) || !Number.isSafeInteger(length) || base < 0 || length < 1) {
      throw new NodevmError(
        'E_BUS_RANGE',
        `${this.kind} range of ${device.name}: base ${base}, length ${length}; ` +
          'expected a base from 0 and a length from 1',
      );
    }
    if (base + length > this.limit) {
      throw new NodevmError(
        'E_BUS_RANGE',
        `${this.kind} range ${describe(range)} goes beyond the last address ${hex(this.limit - 1)}`,
      );
    }
    const other = this.sorted.find((r) => r.base < base + length && base < r.base + r.length);
    if (other !== undefined) {
      throw new NodevmError(
        'E_BUS_OVERLAP',
        `${this.kind} range ${describe(range)} overlaps ${describe(other)}`,
      );
    }
    this.sorted.push(range);
    this.sorted.sort((a, b) => a.base - b.base);
    if (this.kind === 'port') this.table.fill(range, base, base + length);
  }

  /** Reads `size` bytes; the result is unsigned and below 2^(8*size). */
  read(address: number, size: AccessSize): number {
    const range = this.lookup(address);
    if (range === undefined) {
      this.onUnclaimed?.(address, size, false);
      return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
    }
    const offset = address - range.base;
    if (offset + size <= range.length) return range.device.read(offset, size);
    let value = 0;
    for (let i = 0; i < size; i++) value += this.read(address + i, 1) * 2 ** (8 * i);
    return value;
  }

  /** Writes the low `size` bytes of `value`. */
  write(address: number, size: AccessSize, value: number): void {
    const range = this.lookup(address);
    if (range === undefined) {
      this.onUnclaimed?.(address, size, true);
      return;
    }
    const offset = address - range.base;
    if (offset + size <= range.length) {
      range.device.write(offset, size, value);
      return;
    }
    for (let i = 0; i < size; i++) this.write(address + i, 1, (value >>> (8 * i)) & 0xff);
  }

  /** The range that holds `address`. */
  lookup(address: number): BusRange | undefined {
    return this.kind === 'port' ? this.table[address] : this.search(address);
  }

  /** All ranges in ascending order. */
  ranges(): readonly BusRange[] {
    return this.sorted;
  }

  private search(address: number): BusRange | undefined {
    const last = this.last;
    if (last !== undefined && address >= last.base && address < last.base + last.length) {
      return last;
    }
    let low = 0;
    let high = this.sorted.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const range = this.sorted[middle];
      if (range === undefined) return undefined;
      if (address < range.base) high = middle - 1;
      else if (address >= range.base + range.length) low = middle + 1;
      else return (this.last = range);
    }
    return undefined;
  }
}

import { describe, expect, it } from 'vitest';
import { AddressSpace } from '../../src/bus/bus.js';
import { refusal } from '../support/refusal.js';
import type { AccessSize, Device, DeviceState } from '../../src/bus/device.js';

/** RAM-like registers that record every access. */
class Registers implements Device {
  readonly accesses: string[] = [];
  readonly bytes: Uint8Array;

  constructor(
    readonly name: string,
    length: number,
  ) {
    this.bytes = Uint8Array.from({ length }, (_, i) => 0x10 + i);
  }

  read(offset: number, size: AccessSize): number {
    this.accesses.push(`r${offset}/${size}`);
    let value = 0;
    for (let i = 0; i < size; i++) value += (this.bytes[offset + i] ?? 0) * 2 ** (8 * i);
    return value;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.accesses.push(`w${offset}/${size}=${value.toString(16)}`);
  }

  reset(): void {
    this.accesses.length = 0;
  }

  save(): DeviceState {
    return { version: 1 };
  }

  load(): void {
    this.reset();
  }
}

describe.each(['port', 'mmio'] as const)('AddressSpace (%s)', (kind) => {
  const space = (): AddressSpace => new AddressSpace(kind, 0x10000);

  it('gives a device offsets from its own base', () => {
    const bus = space();
    const device = new Registers('a', 8);
    bus.insert(0x3f8, 8, device);
    expect(bus.read(0x3fa, 1)).toBe(0x12);
    bus.write(0x3ff, 1, 0xab);
    expect(bus.read(0x3f8, 4)).toBe(0x13121110);
    expect(device.accesses).toEqual(['r2/1', 'w7/1=ab', 'r0/4']);
  });

  it('reads ones and ignores writes where nothing is, and tells the hook', () => {
    const bus = space();
    const seen: string[] = [];
    bus.onUnclaimed = (address, size, write) => seen.push(`${address}/${size}/${write}`);
    expect(bus.read(1, 1)).toBe(0xff);
    expect(bus.read(2, 2)).toBe(0xffff);
    expect(bus.read(4, 4)).toBe(0xffffffff);
    bus.write(8, 4, 1);
    expect(seen).toEqual(['1/1/false', '2/2/false', '4/4/false', '8/4/true']);
  });

  it('splits an access that runs over the end of a range', () => {
    const bus = space();
    const first = new Registers('a', 2);
    const second = new Registers('b', 2);
    bus.insert(0x60, 2, first);
    bus.insert(0x62, 1, second);
    expect(bus.read(0x61, 4)).toBe(0xffff1011);
    bus.write(0x61, 2, 0xbeef);
    expect(first.accesses).toEqual(['r1/1', 'w1/1=ef']);
    expect(second.accesses).toEqual(['r0/1', 'w0/1=be']);
  });

  it('does not reach a device by an access that begins outside every range', () => {
    const bus = space();
    const reset = new Registers('reset-control', 1);
    bus.insert(0xcf9, 1, reset);
    bus.write(0xcf8, 4, 0x80000600);
    expect(bus.read(0xcf8, 4)).toBe(0xffffffff);
    expect(reset.accesses).toEqual([]);
  });

  it('splits at the last address', () => {
    const bus = space();
    bus.insert(0xffff, 1, new Registers('last', 1));
    expect(bus.read(0xffff, 2)).toBe(0xff10);
    expect(bus.read(0x10000, 1)).toBe(0xff);
  });

  it('names both devices and both ranges of an overlap', () => {
    const bus = space();
    bus.insert(0x40, 4, new Registers('pit', 4));
    const overlap = (): void => bus.insert(0x43, 2, new Registers('other', 2));
    expect(overlap).toThrowError(/other at 0x43-0x44.*pit at 0x40-0x43/);
    expect(refusal(overlap)).toMatch(/^E_BUS_OVERLAP:/);
    expect(bus.lookup(0x44)).toBeUndefined();
    bus.insert(0x44, 1, new Registers('next', 1));
    bus.insert(0x3f, 1, new Registers('previous', 1));
    expect(bus.ranges().map((range) => range.base)).toEqual([0x3f, 0x40, 0x44]);
  });

  it.each([
    [0, 0],
    [0, -1],
    [-1, 4],
    [0.5, 1],
    [0xffff, 2],
    [0x10000, 1],
    [Number.NaN, 1],
  ])('refuses the range at %d of length %d', (base, length) => {
    const insert = (): void => space().insert(base, length, new Registers('a', 1));
    expect(refusal(insert)).toMatch(/^E_BUS_RANGE:/);
  });
});

describe('AddressSpace (mmio)', () => {
  it('finds ranges anywhere below 2^52, whatever was accessed before', () => {
    const bus = new AddressSpace('mmio', 2 ** 52);
    const bases = [0xfec00000, 0xfed00000, 2 ** 40, 2 ** 52 - 4];
    for (const base of [...bases].reverse()) bus.insert(base, 4, new Registers(`d${base}`, 4));
    for (const base of [...bases, ...bases.slice().reverse()]) {
      expect(bus.lookup(base + 3)?.base).toBe(base);
      expect(bus.lookup(base - 1)).toBeUndefined();
    }
  });
});

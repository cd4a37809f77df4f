import { beforeEach, describe, expect, it } from 'vitest';
import { Hpet } from '../../../src/devices/hpet.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ProbeLine } from '../../support/probe-line.js';

const CONFIG = 0x10;
const STATUS = 0x20;
const COUNTER = 0xf0;
const [T0, T1, T2] = [0x100, 0x120, 0x140] as const;
const COMPARATOR = 8;
const [LEVEL, ENABLE, PERIODIC, SET_VALUE, MODE_32] = [0x02, 0x04, 0x08, 0x40, 0x100] as const;
const route = (pin: number): number => pin << 9;
/** One tick in nanoseconds. */
const TICK = 10;

let clock: ManualClock;
let pins: Map<number, ProbeLine>;
let hpet: Hpet;

beforeEach(() => {
  clock = new ManualClock();
  hpet = make();
});

function make(): Hpet {
  pins = new Map();
  return new Hpet({
    clock,
    route: (n) => {
      const line = new ProbeLine();
      pins.set(n, line);
      return line;
    },
  });
}

const read = (offset: number): number => hpet.read(offset, 4);
const write = (offset: number, value: number): void => hpet.write(offset, 4, value);
const read64 = (offset: number): bigint => (BigInt(read(offset + 4)) << 32n) | BigInt(read(offset));
const write64 = (offset: number, value: bigint): void => {
  write(offset, Number(value & 0xffffffffn));
  write(offset + 4, Number(value >> 32n));
};

describe('main counter', () => {
  it('has the capabilities of three 64-bit timers at 100 MHz', () => {
    expect(read(0)).toBe(0x80862201);
    expect(read(4)).toBe(10_000_000);
    expect(hpet.read(6, 2)).toBe(10_000_000 >> 16);
  });

  it('counts only while enabled', () => {
    clock.advance(1000);
    expect(read64(COUNTER)).toBe(0n);
    write(CONFIG, 1);
    clock.advance(1000);
    expect(read64(COUNTER)).toBe(100n);
    write(CONFIG, 0);
    clock.advance(1000);
    expect(read64(COUNTER)).toBe(100n);
    write(CONFIG, 1);
    clock.advance(10);
    expect(read64(COUNTER)).toBe(101n);
  });

  it('carries from the low to the high half and wraps at 2^64', () => {
    write64(COUNTER, 0x1_ffff_fff0n);
    write(CONFIG, 1);
    clock.advance(0x20 * TICK);
    expect(read64(COUNTER)).toBe(0x2_0000_0010n);
    write(CONFIG, 0);
    write64(COUNTER, 0xffff_ffff_ffff_fff0n);
    write(CONFIG, 1);
    clock.advance(0x11 * TICK);
    expect(read64(COUNTER)).toBe(1n);
  });
});

describe('timer registers', () => {
  it('keep the writable bits beside the capabilities', () => {
    write(T2, 0xffffffff);
    expect(read(T2)).toBe(0x3f7e & ~0x4000);
    expect(read(T2 + 4)).toBe(0x00f00000);
    expect(read(0x160)).toBe(0);
    write(0x160 + COMPARATOR, 1); // a fourth timer does not exist
    expect(read64(T0 + COMPARATOR)).toBe(0xffff_ffff_ffff_ffffn);
  });
});

describe('one-shot', () => {
  it('matches once, and interrupts on its I/O APIC pin', () => {
    write(T2, ENABLE | route(20));
    write64(T2 + COMPARATOR, 1000n);
    write(CONFIG, 1);
    clock.advance(999 * TICK);
    expect(pins.get(20)?.rises ?? 0).toBe(0);
    clock.advance(TICK);
    expect(pins.get(20)!.rises).toBe(1);
    expect(read(STATUS)).toBe(0);
    expect(clock.armed).toBe(0);
  });

  it('does not match a comparator that has been passed', () => {
    write(CONFIG, 1);
    clock.advance(1000 * TICK);
    write(T2, ENABLE | route(20));
    write64(T2 + COMPARATOR, 999n);
    expect(clock.armed).toBe(0);
  });

  it('matches the low half only in 32-bit mode, and again after it has wrapped', () => {
    write64(COUNTER, 0x5_0000_0000n);
    write(T2, ENABLE | MODE_32 | route(21));
    write(T2 + COMPARATOR, 100);
    write(T2 + COMPARATOR + 4, 7); // not there in this mode
    expect(read64(T2 + COMPARATOR)).toBe(100n);
    write(CONFIG, 1);
    clock.advance(100 * TICK);
    expect(pins.get(21)!.rises).toBe(1);
    expect(clock.nextDeadline).toBe((100 + 2 ** 32) * TICK);
  });

  it('is a level with a status bit where asked for', () => {
    write(T1, ENABLE | LEVEL | route(22));
    write64(T1 + COMPARATOR, 10n);
    write(CONFIG, 1);
    clock.advance(10 * TICK);
    expect(pins.get(22)!.level).toBe(true);
    expect(read(STATUS)).toBe(2);
    write(STATUS, 5);
    expect(pins.get(22)!.level).toBe(true);
    write(STATUS, 2);
    expect(pins.get(22)!.level).toBe(false);
    expect(read(STATUS)).toBe(0);
  });

  it('drops the line with the enable bit, and has none at pins that it cannot reach', () => {
    write(T1, ENABLE | LEVEL | route(22));
    write64(T1 + COMPARATOR, 10n);
    write(CONFIG, 1);
    clock.advance(10 * TICK);
    write(T1, LEVEL | route(22));
    expect(pins.get(22)!.level).toBe(false);
    write(T1, ENABLE | route(3));
    write64(T1 + COMPARATOR, 20n);
    clock.advance(100 * TICK);
    expect(pins.has(3)).toBe(false);
  });
});

describe('periodic', () => {
  it('starts as Linux starts it: SET_VALUE, comparator, period', () => {
    write(CONFIG, 1);
    clock.advance(500 * TICK);
    write(T0, ENABLE | PERIODIC | SET_VALUE | MODE_32 | route(20));
    write(T0 + COMPARATOR, 500 + 400_000);
    expect(read(T0) & SET_VALUE).toBe(0);
    write(T0 + COMPARATOR, 400_000);
    clock.advance(400_000 * TICK);
    expect(pins.get(20)!.rises).toBe(1);
    expect(read(T0 + COMPARATOR)).toBe(800_500);
    clock.advance(1e9);
    expect(pins.get(20)!.rises).toBe(1 + 250);
  });

  it('takes both halves of a 64-bit start and period', () => {
    write(T2, ENABLE | PERIODIC | SET_VALUE | route(20));
    write64(T2 + COMPARATOR, 0x1_0000_0000n);
    expect(read64(T2 + COMPARATOR)).toBe(0x1_0000_0000n);
    write64(T2 + COMPARATOR, 1_000_000n); // without SET_VALUE: the period
    expect(read64(T2 + COMPARATOR)).toBe(0x1_0000_0000n);
    write(CONFIG, 1);
    clock.advance(2 ** 32 * TICK);
    expect(pins.get(20)!.rises).toBe(1);
    expect(read64(T2 + COMPARATOR)).toBe(0x1_0000_0000n + 1_000_000n);
  });

  it('merges the matches of a jump of the clock and stays in phase', () => {
    write(T2, ENABLE | PERIODIC | SET_VALUE | route(20));
    write64(T2 + COMPARATOR, 100_000n);
    write(CONFIG, 1);
    clock.jumpTo(1_050_000 * TICK);
    expect(pins.get(20)!.rises).toBe(1);
    expect(clock.nextDeadline).toBe(1_100_000 * TICK);
  });

  it('does not flood', () => {
    write(T2, ENABLE | PERIODIC | SET_VALUE | route(20));
    write64(T2 + COMPARATOR, 1n);
    write(CONFIG, 1);
    clock.advance(1e6);
    expect(pins.get(20)!.rises).toBeLessThanOrEqual(51);
    expect(pins.get(20)!.rises).toBeGreaterThan(40);
  });
});

describe('legacy replacement', () => {
  it('is not there: its bit stays clear, and timer 0 goes where it is routed', () => {
    write(CONFIG, 3);
    expect(read(CONFIG)).toBe(1);
    write(T0, ENABLE | route(20));
    write64(T0 + COMPARATOR, 100n);
    clock.advance(100 * TICK);
    expect(pins.get(20)!.rises).toBe(1);
  });
});

describe('state', () => {
  it('goes on from a snapshot', () => {
    write(CONFIG, 1);
    write(T0, ENABLE | PERIODIC | SET_VALUE | route(20));
    write64(T0 + COMPARATOR, 100_000n);
    write(T2, ENABLE | LEVEL | route(23));
    write64(T2 + COMPARATOR, 10n);
    clock.advance(50_000 * TICK);
    const state = structuredClone(hpet.save());
    hpet.reset();
    hpet = make();
    hpet.load(state);
    expect(pins.get(23)!.level).toBe(true);
    clock.advance(50_000 * TICK);
    expect(pins.get(20)!.rises).toBe(1);
    expect(read64(COUNTER)).toBe(100_000n);
  });
});

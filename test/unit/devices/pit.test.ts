import { beforeEach, describe, expect, it } from 'vitest';
import { Pit } from '../../../src/devices/pit.js';
import { timeOfTick } from '../../../src/devices/ticks.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ProbeLine } from '../../support/probe-line.js';

const HZ = 1193182;
const CONTROL = 3;

let clock: ManualClock;
let irq: ProbeLine;
let pit: Pit;

beforeEach(() => {
  clock = new ManualClock();
  irq = new ProbeLine();
  pit = new Pit({ clock, irq });
});

/** Moves to the tick `n` of the oscillator since power-on. */
const toTick = (n: number): void => clock.advanceTo(timeOfTick(n, HZ));

/** Programs a counter, low byte then high byte; the count is loaded at the next tick. */
function program(counter: number, mode: number, count: number, bcd = 0): void {
  pit.write(CONTROL, 1, (counter << 6) | 0x30 | (mode << 1) | bcd);
  pit.write(counter, 1, count & 0xff);
  pit.write(counter, 1, count >> 8);
}

const readCount = (counter: number): number => {
  const low = pit.read(counter, 1);
  return (pit.read(counter, 1) << 8) | low;
};

/** OUT of counter 2 over `ticks` ticks from `first`, as a string of H and L. */
function wave(first: number, ticks: number): string {
  let out = '';
  for (let i = 0; i < ticks; i++) {
    toTick(first + i);
    out += pit.output2 ? 'H' : 'L';
  }
  return out;
}

describe('modes (counter 2; data sheet, "Mode Definitions")', () => {
  beforeEach(() => {
    pit.setGate2(true);
    toTick(100);
  });

  it('0: OUT rises N + 1 clocks after the write and stays', () => {
    program(2, 0, 4);
    expect(wave(100, 9)).toBe('LLLLLHHHH');
    expect(readCount(2)).toBe(0xfffd); // it counts on from zero
  });

  it('0: the gate holds the count', () => {
    program(2, 0, 10);
    toTick(105);
    pit.setGate2(false);
    expect(readCount(2)).toBe(6);
    toTick(500);
    expect(readCount(2)).toBe(6);
    pit.setGate2(true);
    expect(wave(500, 8)).toBe('LLLLLLHH');
  });

  it('0: a count written with the gate low starts when the gate rises', () => {
    pit.setGate2(false);
    program(2, 0, 3);
    toTick(200);
    expect(readCount(2)).toBe(3);
    pit.setGate2(true);
    expect(wave(200, 5)).toBe('LLLHH');
  });

  it('0: the first byte of a new count stops counting', () => {
    program(2, 0, 2);
    toTick(110);
    expect(pit.output2).toBe(true);
    pit.write(2, 1, 5);
    expect(pit.output2).toBe(false);
    toTick(150);
    pit.write(2, 1, 0);
    expect(wave(150, 8)).toBe('LLLLLLHH');
  });

  it('1: each rising gate starts a low pulse of N clocks', () => {
    program(2, 1, 3);
    expect(wave(100, 5)).toBe('HHHHH');
    pit.setGate2(false);
    pit.setGate2(true);
    expect(wave(104, 6)).toBe('HLLLHH');
    pit.setGate2(false);
    pit.setGate2(true);
    toTick(111);
    pit.setGate2(false);
    pit.setGate2(true); // retriggers
    expect(wave(111, 6)).toBe('LLLLHH');
  });

  it('1: a new count waits for the next trigger', () => {
    program(2, 1, 3);
    pit.setGate2(false);
    pit.setGate2(true);
    pit.write(2, 1, 1);
    pit.write(2, 1, 0);
    expect(wave(100, 6)).toBe('HLLLHH');
    pit.setGate2(false);
    pit.setGate2(true);
    expect(wave(105, 4)).toBe('HLHH');
  });

  it('2: OUT is low for the last clock of each period', () => {
    program(2, 2, 4);
    expect(wave(100, 10)).toBe('HHHHLHHHLH');
    expect(readCount(2)).toBe(4);
  });

  it('2: a new count takes over at the end of the period; the gate reloads', () => {
    program(2, 2, 5);
    toTick(102);
    pit.write(2, 1, 3);
    pit.write(2, 1, 0);
    expect(wave(102, 8)).toBe('HHHLHHLH');
    toTick(120);
    pit.setGate2(false);
    expect(wave(120, 6)).toBe('HHHHHH');
    pit.setGate2(true);
    expect(wave(125, 5)).toBe('HHHLH');
  });

  it('3: halves of even and odd counts', () => {
    program(2, 3, 4);
    expect(wave(101, 8)).toBe('HHLLHHLL');
    toTick(200);
    program(2, 3, 5);
    expect(wave(201, 10)).toBe('HHHLLHHHLL');
  });

  it('3: counts by two', () => {
    program(2, 3, 6);
    toTick(101);
    const counts = [101, 102, 103, 104, 105, 106].map((tick) => {
      toTick(tick);
      return readCount(2);
    });
    expect(counts).toEqual([6, 4, 2, 6, 4, 2]);
  });

  it('3: a new count takes over at the half period', () => {
    program(2, 3, 8);
    toTick(102);
    pit.write(2, 1, 4);
    pit.write(2, 1, 0);
    expect(wave(102, 9)).toBe('HHHLLHHLL');
  });

  it('4: one low clock when the count has run out', () => {
    program(2, 4, 3);
    expect(wave(100, 7)).toBe('HHHHLHH');
  });

  it('5: the same after a rising gate', () => {
    program(2, 5, 2);
    expect(wave(100, 5)).toBe('HHHHH');
    pit.setGate2(false);
    pit.setGate2(true);
    expect(wave(104, 6)).toBe('HHHLHH');
  });

  it('takes modes 6 and 7 for 2 and 3', () => {
    program(2, 6, 4);
    expect(wave(100, 6)).toBe('HHHHLH');
    toTick(200);
    program(2, 7, 4);
    expect(wave(201, 4)).toBe('HHLL');
  });
});

describe('reading and writing', () => {
  it('counts in BCD, zero standing for 10000', () => {
    program(1, 2, 0x0000, 1);
    toTick(1);
    expect(readCount(1)).toBe(0x0000);
    toTick(2);
    expect(readCount(1)).toBe(0x9999);
    program(1, 2, 0x1234, 1);
    toTick(3 + 35);
    expect(readCount(1)).toBe(0x1199);
  });

  it('keeps a latched count until both bytes are read', () => {
    program(0, 2, 1000);
    toTick(11);
    pit.write(CONTROL, 1, 0x00);
    toTick(50);
    pit.write(CONTROL, 1, 0x00); // ignored: the first is still there
    expect(readCount(0)).toBe(990);
    expect(readCount(0)).toBe(951);
  });

  it('reads and writes the low or the high byte only', () => {
    pit.write(CONTROL, 1, 0x54); // counter 1, low byte, mode 2
    pit.write(1, 1, 18);
    toTick(5);
    expect([pit.read(1, 1), pit.read(1, 1)]).toEqual([14, 14]);
    pit.write(CONTROL, 1, 0x64); // high byte
    pit.write(1, 1, 0x20);
    toTick(6);
    expect(pit.read(1, 1)).toBe(0x20);
    toTick(7);
    expect(pit.read(1, 1)).toBe(0x1f);
  });

  it('reads back status before count', () => {
    pit.setGate2(true);
    program(2, 3, 0x1234);
    pit.write(CONTROL, 1, 0xe8); // status only: not loaded yet
    expect(pit.read(2, 1)).toBe(0x80 | 0x40 | 0x30 | 0x06);
    toTick(1);
    pit.write(CONTROL, 1, 0xc8); // status and count
    expect(pit.read(2, 1)).toBe(0x80 | 0x30 | 0x06);
    expect(readCount(2)).toBe(0x1234);
  });

  it('has no readable control word', () => {
    expect(pit.read(CONTROL, 1)).toBe(0xff);
  });
});

describe('interrupt (counter 0)', () => {
  it('rises once a period without drifting', () => {
    program(0, 2, 11932); // 100 Hz as Linux asks for it
    const before = irq.rises;
    clock.advanceTo(1e9);
    expect(irq.rises - before).toBe(99);
    clock.advanceTo(3600e9);
    expect(irq.rises - before).toBe(Math.floor((3600 * HZ - 1) / 11932));
    expect(clock.armed).toBe(1);
  });

  it('merges the edges of a jump of the clock and stays in phase', () => {
    program(0, 3, 1000);
    const before = irq.rises;
    clock.jumpTo(timeOfTick(1 + 50_500, HZ));
    expect(irq.rises - before).toBe(1);
    expect(clock.nextDeadline).toBe(timeOfTick(1 + 51_000, HZ));
  });

  it('does not flood: the shortest periods are merged', () => {
    program(0, 2, 2);
    const before = irq.rises;
    clock.advance(1e6);
    expect(irq.rises - before).toBeLessThanOrEqual(50);
    expect(irq.rises - before).toBeGreaterThan(40);
  });

  it('interrupts once in mode 0 and in mode 4', () => {
    program(0, 0, 100);
    expect(irq.level).toBe(false);
    toTick(100);
    expect(irq.level).toBe(false);
    toTick(101);
    expect(irq.level).toBe(true);
    expect(clock.armed).toBe(0);
    const before = irq.rises;
    program(0, 4, 100);
    toTick(302);
    expect(irq.rises).toBe(before + 1);
    expect(clock.armed).toBe(0);
  });

  it('is not disturbed by latch commands', () => {
    program(0, 2, 100);
    toTick(100); // OUT is low in this clock
    pit.write(CONTROL, 1, 0x00);
    pit.write(CONTROL, 1, 0xc2);
    const before = irq.rises;
    toTick(101);
    expect(irq.rises).toBe(before + 1);
  });

  it('is silent after a reset', () => {
    program(0, 2, 100);
    pit.reset();
    expect(irq.level).toBe(false);
    expect(clock.armed).toBe(0);
  });
});

describe('state', () => {
  it('goes on from a snapshot', () => {
    program(0, 2, 100);
    pit.setGate2(true);
    program(2, 0, 50);
    toTick(20);
    const state = structuredClone(pit.save());
    irq = new ProbeLine();
    pit = new Pit({ clock, irq });
    pit.load(state);
    expect(readCount(2)).toBe(31);
    expect(pit.gate2).toBe(true);
    toTick(51);
    expect(pit.output2).toBe(true);
    const before = irq.rises;
    toTick(101);
    expect(irq.rises).toBe(before + 1);
  });
});

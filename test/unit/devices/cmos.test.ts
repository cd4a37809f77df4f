import { beforeEach, describe, expect, it } from 'vitest';
import { Cmos } from '../../../src/devices/cmos.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ProbeLine } from '../../support/probe-line.js';

const [A, B, C, D] = [0x0a, 0x0b, 0x0c, 0x0d] as const;
const CENTURY = 0x32;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const US = 1e3;
const MS = 1e6;
const S = 1e9;

let clock: ManualClock;
let irq: ProbeLine;
let cmos: Cmos;

beforeEach(() => {
  clock = new ManualClock(); // 2024-02-28 23:59:58
  irq = new ProbeLine();
  cmos = make();
});

function make(lowRam = 512 * MIB, highRam = 0): Cmos {
  return new Cmos({ clock, irq, lowRam, highRam });
}

const read = (index: number): number => {
  cmos.write(0, 1, index);
  return cmos.read(1, 1);
};
const write = (index: number, value: number): void => {
  cmos.write(0, 1, index);
  cmos.write(1, 1, value);
};
/** Year with century, month, day, day of week, hours, minutes, seconds: registers as they are. */
const time = (): number[] => [CENTURY, 9, 8, 7, 6, 4, 2, 0].map(read);

describe('time', () => {
  it('is BCD and 24 hours at first, and goes into a leap day', () => {
    expect(time()).toEqual([0x20, 0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x58]);
    clock.advance(2 * S);
    expect(time()).toEqual([0x20, 0x24, 0x02, 0x29, 5, 0, 0, 0]);
    clock.advance(86400 * S);
    expect(time()).toEqual([0x20, 0x24, 0x03, 0x01, 6, 0, 0, 0]);
  });

  it('can be binary and of 12 hours', () => {
    write(B, 0x04);
    expect(time()).toEqual([20, 24, 2, 28, 4, 0x8b, 59, 58]);
    clock.advance(2 * S);
    expect(read(4)).toBe(12); // midnight is 12 am
    clock.advance(12 * 3600 * S);
    expect(read(4)).toBe(0x8c); // noon is 12 pm
    write(B, 0x00);
    expect(read(4)).toBe(0x92);
  });

  it('shows UIP before an update only', () => {
    expect(read(A)).toBe(0x26);
    clock.advance(S - 2228 * US - US);
    expect(read(A) & 0x80).toBe(0);
    clock.advance(2 * US);
    expect(read(A) & 0x80).toBe(0x80);
    expect(read(0)).toBe(0x58);
    clock.advance(2228 * US);
    expect(read(A) & 0x80).toBe(0);
    expect(read(0)).toBe(0x59);
  });

  it('stands still while SET, and goes on from what was written', () => {
    clock.advance(300 * MS);
    write(B, 0x82);
    clock.advance(10 * S + 200 * MS);
    expect(time()).toEqual([0x20, 0x24, 0x02, 0x28, 4, 0x23, 0x59, 0x58]);
    expect(read(A) & 0x80).toBe(0);
    const set = [0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59];
    [CENTURY, 9, 8, 7, 6, 4, 2, 0].forEach((index, i) => write(index, set[i]!));
    write(B, 0x02);
    expect(read(0)).toBe(0x59);
    clock.advance(499 * MS); // the phase of the second is the divider's
    expect(read(0)).toBe(0x59);
    clock.advance(1 * MS);
    expect(time()).toEqual([0x20, 0x00, 0x01, 0x01, 7, 0, 0, 0]);
  });

  it('starts half a second before an update when the divider leaves reset', () => {
    clock.advance(900 * MS);
    write(A, 0x76);
    clock.advance(5 * S);
    expect(read(0)).toBe(0x58);
    write(A, 0x26);
    clock.advance(499 * MS);
    expect(read(0)).toBe(0x58);
    clock.advance(1 * MS);
    expect(read(0)).toBe(0x59);
  });

  it('takes a register written while it runs', () => {
    write(2, 0x10);
    expect(time().slice(4)).toEqual([4, 0x23, 0x10, 0x58]);
    clock.advance(2 * S);
    expect(time().slice(5)).toEqual([0x23, 0x11, 0]);
  });

  it('survives nonsense', () => {
    for (const index of [0, 2, 4, 7, 8, 9, CENTURY]) write(index, 0xff);
    for (const index of [8, 7, 9, CENTURY]) write(index, 0);
    write(1, 0x59);
    write(3, 0x59);
    write(5, 0x23);
    write(B, 0x32);
    clock.advance(2 * 86400 * S);
    expect(read(C) & 0x30).toBe(0x30);
  });
});

describe('interrupts', () => {
  it('sets flags without enables, and reading clears them', () => {
    clock.advance(S);
    expect(read(C)).toBe(0x40 | 0x10);
    expect(read(C)).toBe(0);
    expect(clock.armed).toBe(0);
    expect(irq.level).toBe(false);
  });

  it('interrupts when an update has ended, once until C is read', () => {
    write(B, 0x12);
    clock.advance(S - 1);
    expect(irq.level).toBe(false);
    clock.advance(1);
    expect(irq.level).toBe(true);
    expect(clock.armed).toBe(0);
    clock.advance(5 * S);
    expect(irq.rises).toBe(1);
    expect(read(C) & 0x90).toBe(0x90);
    expect(irq.level).toBe(false);
    clock.advance(S);
    expect(irq.rises).toBe(2);
  });

  it.each([
    [0x26, 1024],
    [0x2f, 2],
    [0x21, 256],
    [0x22, 128],
  ])('gives the periodic rate of register A %#x: %d Hz', (a, hertz) => {
    write(A, a);
    write(B, 0x42);
    for (let i = 0; i < hertz; i++) {
      clock.advanceTo(clock.nextDeadline);
      expect(irq.level).toBe(true);
      read(C);
    }
    expect(clock.now()).toBe(S);
    write(A, 0x20);
    expect(clock.armed).toBe(0);
  });

  it('interrupts at the alarm', () => {
    write(1, 0x30);
    write(3, 0x15);
    write(5, 0x06);
    write(B, 0x22);
    clock.advance(2 * S + (6 * 3600 + 15 * 60 + 30) * S - 1);
    expect(irq.level).toBe(false);
    clock.advance(1);
    expect(irq.level).toBe(true);
    expect(read(C) & 0xa0).toBe(0xa0);
  });

  it('matches every value of a register that does not care', () => {
    write(1, 0x05);
    write(3, 0xc0);
    write(5, 0xff);
    write(B, 0x22);
    const at: number[] = [];
    for (let i = 0; i < 3; i++) {
      clock.advanceTo(clock.nextDeadline);
      at.push(clock.now() / S);
      read(C);
    }
    expect(at).toEqual([7, 67, 127]);
  });

  it('never comes at an alarm that no time matches', () => {
    write(1, 0x75);
    write(B, 0x22);
    expect(clock.armed).toBe(0);
  });

  it('takes the alarm as 12 hours in that mode', () => {
    write(B, 0x20);
    write(1, 0);
    write(3, 0);
    write(5, 0x81); // 1 pm
    clock.advanceTo(clock.nextDeadline);
    expect(clock.now() / S).toBe(2 + 13 * 3600);
  });

  it('clears the update interrupt enable with SET', () => {
    write(B, 0x92);
    expect(read(B)).toBe(0x82);
  });
});

describe('RAM', () => {
  it('tells the memory size', () => {
    cmos = make(3 * GIB, 5 * GIB);
    const word = (index: number): number => read(index) | (read(index + 1) << 8);
    expect(word(0x15)).toBe(640);
    expect(word(0x17)).toBe(0xffff);
    expect(word(0x30)).toBe(0xffff);
    expect(word(0x34)).toBe((3 * GIB - 16 * MIB) / 65536);
    expect(word(0x5b) | (read(0x5d) << 16)).toBe((5 * GIB) / 65536);
    cmos = make(32 * MIB);
    expect(word(0x17)).toBe(31 * 1024);
    expect(word(0x34)).toBe((16 * MIB) / 65536);
    expect(read(0x14)).toBe(0x06);
    let sum = 0;
    for (let i = 0x10; i <= 0x2d; i++) sum += read(i);
    expect((read(0x2e) << 8) | read(0x2f)).toBe(sum);
  });

  it('keeps bytes, also by a 16-bit write of index and data; status registers are read-only', () => {
    cmos.write(0, 2, 0x5a80 | 0x40); // bit 7 is the NMI mask
    expect(read(0x40)).toBe(0x5a);
    expect(cmos.read(0, 1)).toBe(0xff);
    write(C, 0xff);
    write(D, 0);
    expect([read(C), read(D)]).toEqual([0, 0x80]);
  });

  it('outlives a reset with the time; the interrupts do not', () => {
    write(0x0f, 0x05);
    write(2, 0x10);
    write(B, 0x7e);
    cmos.reset();
    expect([read(0x0f), read(2), read(B)]).toEqual([0x05, 10, 0x06]);
    expect(clock.armed).toBe(0);
  });
});

describe('state', () => {
  it('goes on from a snapshot', () => {
    write(2, 0x10);
    write(B, 0x12);
    const state = structuredClone(cmos.save());
    cmos.reset();
    irq = new ProbeLine();
    cmos = make();
    cmos.load(state);
    expect(time().slice(5)).toEqual([0x23, 0x10, 0x58]);
    clock.advance(S);
    expect(irq.level).toBe(true);
    expect(() => cmos.load({ ...state, ram: new Uint8Array(64) })).toThrowError(/cmos\.ram/);
  });
});

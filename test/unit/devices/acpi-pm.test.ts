import { beforeEach, describe, expect, it } from 'vitest';
import { AcpiPm } from '../../../src/devices/acpi-pm.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ProbeLine } from '../../support/probe-line.js';

const [STATUS, ENABLE, CONTROL, TIMER, GPE_STATUS, GPE_ENABLE] = [0, 2, 4, 8, 0x20, 0x22] as const;

let clock: ManualClock;
let sci: ProbeLine;
let slept: number[];
let pm: AcpiPm;

beforeEach(() => {
  clock = new ManualClock();
  sci = new ProbeLine();
  slept = [];
  pm = make();
});

function make(): AcpiPm {
  return new AcpiPm({ clock, sci, onSleep: (type) => slept.push(type) });
}

describe('PM timer', () => {
  it('counts at 3.579545 MHz in 32 bits', () => {
    clock.advanceTo(1e9);
    expect(pm.read(TIMER, 4)).toBe(3579545);
    expect(pm.read(TIMER, 1)).toBe(3579545 & 0xff);
    clock.advanceTo(1300e9);
    expect(pm.read(TIMER, 4)).toBe((1300 * 3579545) % 2 ** 32);
    pm.write(TIMER, 4, 0);
    expect(pm.read(TIMER, 4)).toBe((1300 * 3579545) % 2 ** 32);
  });

  it('sets its status when the highest bit changes, and interrupts if enabled', () => {
    const half = (2 ** 31 / 3579545) * 1e9;
    clock.advanceTo(half + 1);
    expect(pm.read(STATUS, 2)).toBe(1);
    expect(sci.level).toBe(false);
    pm.write(STATUS, 2, 1);
    expect(pm.read(STATUS, 2)).toBe(0);
    pm.write(ENABLE, 2, 1);
    expect(clock.armed).toBe(1);
    clock.advanceTo(2 * half + 1);
    expect(sci.level).toBe(true);
    expect(clock.armed).toBe(0);
    pm.write(STATUS, 2, 1);
    expect(sci.level).toBe(false);
    pm.write(ENABLE, 2, 0);
    expect(clock.armed).toBe(0);
  });
});

describe('events', () => {
  it('reports the power button by SCI until its status is cleared', () => {
    pm.write(ENABLE, 2, 0xffff);
    expect(pm.read(ENABLE, 2)).toBe(0x0721);
    pm.pressPowerButton();
    expect(sci.level).toBe(true);
    expect(pm.read(STATUS, 2)).toBe(0x0100);
    expect(pm.read(STATUS, 4)).toBe(0x07210100);
    pm.write(STATUS, 1, 0xff); // the low byte only
    expect(sci.level).toBe(true);
    pm.write(STATUS + 1, 1, 0x01);
    expect(sci.level).toBe(false);
  });

  it('holds the button press until it is enabled', () => {
    pm.pressPowerButton();
    expect(sci.level).toBe(false);
    pm.write(ENABLE, 2, 0x0100);
    expect(sci.level).toBe(true);
  });

  it('has a GPE block without sources, and nothing elsewhere', () => {
    pm.write(GPE_STATUS, 2, 0xffff);
    pm.write(GPE_ENABLE, 2, 0xbeef);
    expect(pm.read(GPE_STATUS, 4)).toBe(0xbeef0000);
    expect(pm.read(0x10, 4)).toBe(0);
    expect(sci.level).toBe(false);
  });
});

describe('control', () => {
  it('is always in ACPI mode', () => {
    pm.write(CONTROL, 2, 0);
    expect(pm.read(CONTROL, 2)).toBe(1);
  });

  it('goes to sleep with SLP_EN, which does not read back', () => {
    pm.write(CONTROL, 2, 5 << 10);
    expect(slept).toEqual([]);
    pm.write(CONTROL, 2, (5 << 10) | 0x2000);
    expect(slept).toEqual([5]);
    expect(pm.read(CONTROL, 2)).toBe((5 << 10) | 1);
    pm.write(CONTROL + 1, 1, 0x20 | (3 << 2)); // as a byte
    expect(slept).toEqual([5, 3]);
  });
});

describe('state', () => {
  it('goes on from a snapshot', () => {
    pm.write(ENABLE, 2, 0x0101);
    pm.pressPowerButton();
    const state = structuredClone(pm.save());
    pm.reset();
    expect(sci.level).toBe(false);
    expect(clock.armed).toBe(0);
    pm = make();
    pm.load(state);
    expect(sci.level).toBe(true);
    expect(clock.armed).toBe(1);
  });
});

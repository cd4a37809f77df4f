import { describe, expect, it } from 'vitest';
import type { Device } from '../../../src/bus/device.js';
import { IsaDebugExit } from '../../../src/devices/debug-exit.js';
import { DelayPort, PostCode } from '../../../src/devices/debug-ports.js';
import { NumericErrorLatch } from '../../../src/devices/numeric-error.js';
import { Pit } from '../../../src/devices/pit.js';
import { SystemControlB } from '../../../src/devices/port61.js';
import { SystemControlA } from '../../../src/devices/port92.js';
import { ResetControl } from '../../../src/devices/reset-control.js';
import { unconnected } from '../../../src/bus/irq-line.js';
import { ManualClock } from '../../support/manual-clock.js';

describe('SystemControlB (0x61)', () => {
  const setUp = () => {
    const clock = new ManualClock();
    const pit = new Pit({ clock, irq: unconnected });
    return { clock, pit, port: new SystemControlB({ clock, pit }) };
  };

  it('drives the gate and shows OUT, as a TSC calibration uses them', () => {
    const { clock, pit, port } = setUp();
    port.write(0, 1, (port.read(0, 1) & ~0x02) | 0x01);
    expect(pit.gate2).toBe(true);
    pit.write(3, 1, 0xb0); // counter 2, mode 0
    const count = Math.floor(1193182 / 100);
    pit.write(2, 1, count & 0xff);
    pit.write(2, 1, count >> 8);
    expect(port.read(0, 1) & 0x20).toBe(0);
    clock.advance(9.999e6);
    expect(port.read(0, 1) & 0x20).toBe(0);
    clock.advance(0.002e6);
    expect(port.read(0, 1) & 0x20).toBe(0x20);
  });

  it('toggles the refresh bit each 15 us and keeps four writable bits', () => {
    const { clock, port } = setUp();
    port.write(0, 1, 0xff);
    expect(port.read(0, 1)).toBe(0x0f);
    const seen = [0, 1, 2, 3].map(() => {
      const bit = port.read(0, 1) & 0x10;
      clock.advance(15_090);
      return bit;
    });
    expect(seen).toEqual([0, 0x10, 0, 0x10]);
  });

  it('restores and resets', () => {
    const { port, pit } = setUp();
    port.write(0, 1, 0x03);
    const state = port.save();
    port.reset();
    expect(pit.gate2).toBe(false);
    port.load(state);
    expect(port.read(0, 1) & 0x0f).toBe(0x03);
  });
});

describe.each<[string, (onReset: () => void) => Device, number, number]>([
  [
    'SystemControlA (0x92)',
    (onReset) => new SystemControlA({ a20: unconnected, onReset }),
    0x01,
    0x02,
  ],
  ['ResetControl (0xcf9)', (onReset) => new ResetControl({ onReset }), 0x04, 0x02],
])('%s', (_name, make, resetBit, otherBit) => {
  it('resets when its bit goes from 0 to 1', () => {
    let resets = 0;
    const port = make(() => resets++);
    port.write(0, 1, otherBit);
    expect(resets).toBe(0);
    expect(port.read(0, 1)).toBe(otherBit);
    port.write(0, 1, otherBit | resetBit);
    port.write(0, 1, otherBit | resetBit);
    expect(resets).toBe(1);
    const state = port.save();
    port.reset();
    port.write(0, 1, resetBit);
    expect(resets).toBe(2);
    port.load(state);
    port.write(0, 1, resetBit);
    expect(resets).toBe(2);
  });
});

describe('SystemControlA (0x92)', () => {
  it('drives A20, open after reset', () => {
    const levels: boolean[] = [];
    const a20 = { set: (level: boolean) => void levels.push(level) };
    const port = new SystemControlA({ a20, onReset: () => undefined });
    port.write(0, 1, 0);
    const state = port.save();
    port.reset();
    port.load(state);
    expect(levels).toEqual([true, false, true, false]);
  });
});

describe('NumericErrorLatch (0xf0)', () => {
  it('holds IRQ 13 until it is written', () => {
    let level = false;
    const latch = new NumericErrorLatch({ irq: { set: (to) => (level = to) } });
    latch.set();
    expect(level).toBe(true);
    const state = latch.save();
    latch.write(0, 1, 0);
    expect([level, latch.read(0, 1)]).toEqual([false, 0xff]);
    latch.load(state);
    expect(level).toBe(true);
    latch.reset();
    expect(level).toBe(false);
  });
});

describe('debug ports', () => {
  it('keep the POST code', () => {
    const port = new PostCode();
    port.write(0, 1, 0xa5);
    expect([port.code, port.read(0, 1)]).toEqual([0xa5, 0xa5]);
    const state = port.save();
    port.reset();
    expect(port.code).toBe(0);
    port.load(state);
    expect(port.code).toBe(0xa5);
  });

  it('delay without doing anything', () => {
    const port = new DelayPort();
    port.write();
    expect(port.read(0, 1)).toBe(0xff);
    port.load(port.save());
  });

  it('exit with the value of any write, as wide as it is', () => {
    const values: number[] = [];
    const port = new IsaDebugExit({ onExit: (value) => values.push(value) });
    port.write(0, 4, 0x12345678);
    port.write(1, 1, 0);
    expect(values).toEqual([0x12345678, 0]);
    expect(port.read()).toBe(0);
    port.load(port.save());
  });
});

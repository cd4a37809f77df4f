import { beforeEach, describe, expect, it } from 'vitest';
import { IoApic, type InterruptMessage } from '../../../src/devices/io-apic.js';

const MASKED = 0x10000;
const LEVEL = 0x8000;
const LOW = 0x2000;
const REMOTE_IRR = 0x4000;

let messages: InterruptMessage[];
let ioApic: IoApic;

beforeEach(() => {
  messages = [];
  ioApic = make();
});

function make(): IoApic {
  return new IoApic({ deliver: (message) => messages.push(message) });
}

const readRegister = (index: number): number => {
  ioApic.write(0x00, 4, index);
  return ioApic.read(0x10, 4);
};
const writeRegister = (index: number, value: number): void => {
  ioApic.write(0x00, 4, index);
  ioApic.write(0x10, 4, value);
};
const setEntry = (pin: number, low: number, high = 0): void => {
  writeRegister(0x11 + 2 * pin, high);
  writeRegister(0x10 + 2 * pin, low);
};
const entry = (pin: number): number => readRegister(0x10 + 2 * pin);

describe('registers', () => {
  it('has identity, version 0x20 with 24 entries, all masked', () => {
    expect(readRegister(1)).toBe(0x00170020);
    writeRegister(0, 0xffffffff);
    expect([readRegister(0), readRegister(2)]).toEqual([0x0f000000, 0x0f000000]);
    for (let pin = 0; pin < 24; pin++) expect(entry(pin)).toBe(MASKED);
    expect(readRegister(0x40)).toBe(0);
    expect(ioApic.read(0x04, 4)).toBe(0xffffffff);
  });

  it('keeps the defined bits of an entry', () => {
    setEntry(5, 0xffffffff, 0xffffffff);
    expect(entry(5)).toBe(0x1afff);
    expect(readRegister(0x11 + 10)).toBe(0xff000000);
  });
});

describe('edge entries', () => {
  it('send a message for each rising edge', () => {
    setEntry(4, 0x0931, 0x03000000);
    ioApic.line(4).set(true);
    ioApic.line(4).set(true);
    expect(messages).toEqual([
      { destination: 3, logical: true, deliveryMode: 1, vector: 0x31, level: false },
    ]);
    ioApic.line(4).set(false);
    ioApic.line(4).set(true);
    expect(messages).toHaveLength(2);
    expect(entry(4) & REMOTE_IRR).toBe(0);
  });

  it('ignore edges while masked', () => {
    ioApic.line(4).set(true);
    setEntry(4, 0x31);
    expect(messages).toHaveLength(0);
  });

  it('take falling edges when active-low', () => {
    ioApic.line(4).set(true);
    setEntry(4, 0x31 | LOW);
    ioApic.line(4).set(false);
    expect(messages).toHaveLength(1);
  });

  it('pass NMI and ExtINT on', () => {
    setEntry(0, 0x700);
    ioApic.line(0).set(true);
    setEntry(1, 0x400 | LEVEL);
    ioApic.line(1).set(true);
    expect(messages.map((m) => [m.deliveryMode, m.level])).toEqual([
      [7, false],
      [4, false],
    ]);
  });
});

describe('level entries', () => {
  it('send once, set remote IRR, and send again on EOI while asserted', () => {
    setEntry(9, 0x59 | LEVEL);
    ioApic.line(9).set(true);
    expect(messages).toHaveLength(1);
    expect(messages[0]!.level).toBe(true);
    expect(entry(9)).toBe(0x59 | LEVEL | REMOTE_IRR);
    ioApic.line(9).set(false);
    ioApic.line(9).set(true);
    expect(messages).toHaveLength(1);
    ioApic.endOfInterrupt(0x58);
    expect(messages).toHaveLength(1);
    ioApic.endOfInterrupt(0x59);
    expect(messages).toHaveLength(2);
    ioApic.line(9).set(false);
    ioApic.write(0x40, 4, 0x59); // the EOI register
    expect(messages).toHaveLength(2);
    expect(entry(9) & REMOTE_IRR).toBe(0);
  });

  it('send when unmasked while asserted', () => {
    ioApic.line(9).set(true);
    setEntry(9, 0x59 | LEVEL | MASKED);
    expect(messages).toHaveLength(0);
    setEntry(9, 0x59 | LEVEL);
    expect(messages).toHaveLength(1);
  });

  it('are asserted by a low level when active-low', () => {
    setEntry(9, 0x59 | LEVEL | LOW);
    expect(messages).toHaveLength(1);
    ioApic.line(9).set(true);
    ioApic.endOfInterrupt(0x59);
    expect(messages).toHaveLength(1);
  });

  it('lose remote IRR when they become edge-triggered', () => {
    setEntry(9, 0x59 | LEVEL);
    ioApic.line(9).set(true);
    setEntry(9, 0x59 | MASKED);
    expect(entry(9) & REMOTE_IRR).toBe(0);
  });
});

describe('state', () => {
  it('goes on from a snapshot without sending anew', () => {
    setEntry(9, 0x59 | LEVEL);
    ioApic.line(9).set(true);
    const state = structuredClone(ioApic.save());
    messages = [];
    ioApic = make();
    ioApic.load(state);
    expect(messages).toHaveLength(0);
    ioApic.endOfInterrupt(0x59);
    expect(messages).toHaveLength(1);
  });

  it('masks everything on reset', () => {
    setEntry(4, 0x31);
    ioApic.reset();
    ioApic.line(4).set(true);
    expect(messages).toHaveLength(0);
  });

  it('has 24 pins', () => {
    expect(() => ioApic.line(24)).toThrowError(RangeError);
  });
});

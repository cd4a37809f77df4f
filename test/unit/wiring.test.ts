import { beforeEach, describe, expect, it } from 'vitest';

import { MachineClock } from '../../src/guest-clock.js';
import type { NativeCpu } from '../../src/native.js';
import { wire, type Board, type BoardOptions } from '../../src/wiring.js';

/** What the board said to the processor and to the machine, in order. */
let polled: [index: number, write: number | undefined][] = [];
let said: string[];
let now: number;
let clock: MachineClock;
let board: Board;

/** The pins of a processor that a board drives; nothing here executes. */
const pins = {
  setIntr: (level) => void said.push(`INTR ${level ? 1 : 0}`),
  setA20: (open) => void said.push(`A20 ${open ? 1 : 0}`),
  apicMessage: (destination, _logical, _mode, vector, _level) =>
    void said.push(`vector ${vector} to APIC ${destination}`),
  setPolledPorts: (index, ports) => void polled.push([index, ports?.write]),
} as Partial<NativeCpu> as NativeCpu;

function build(options: Partial<BoardOptions> = {}): Board {
  clock = new MachineClock({ now: () => now }, 0);
  return wire({
    cpu: pins,
    clock,
    lowRam: 64 << 20,
    highRam: 0,
    serialPorts: 4,
    debugExit: { iobase: 0xf4, iosize: 4 },
    events: {
      onReset: () => said.push('reset'),
      onSleep: (type) => said.push(`sleep ${type}`),
      onDebugExit: (value) => said.push(`exit ${value}`),
      onSerialOutput: (port, byte) => said.push(`serial${port} ${byte}`),
      onSerialInputWanted: () => undefined,
    },
    ...options,
  });
}

beforeEach(() => {
  said = [];
  now = 0;
  board = build();
  board.reset();
  said.length = 0;
  polled = [];
});

const out = (port: number, value: number): void => board.ports.write(port, 1, value);

/** Initialises the 8259 pair as a PC's firmware does: vectors 0x20 and 0x28, everything unmasked. */
function initialisePics(): void {
  const master = [0x11, 0x20, 0x04, 0x01];
  const slave = [0x11, 0x28, 0x02, 0x01];
  master.forEach((word, n) => out(n === 0 ? 0x20 : 0x21, word));
  slave.forEach((word, n) => out(n === 0 ? 0xa0 : 0xa1, word));
  out(0x21, 0);
  out(0xa1, 0);
}

/** Unmasks pin `pin` of the I/O APIC: edge, fixed, to APIC 0, this vector. */
function routePin(pin: number, vector: number): void {
  const ioApic = 0xfec0_0000;
  board.mmio.write(ioApic, 4, 0x10 + 2 * pin);
  board.mmio.write(ioApic + 0x10, 4, vector);
}

/** Starts PIT channel 0 as a one-shot (mode 0) of `count` ticks. */
function startPit(count: number): void {
  out(0x43, 0x30);
  out(0x40, count & 0xff);
  out(0x40, count >> 8);
}

/** Lets a millisecond of guest time pass. */
function passTime(): void {
  now += 1e6;
  clock.runDue(now);
}

describe('wire', () => {
  it('tells the processor which serial ports are polled', () => {
    out(0x2fb, 0x80);
    out(0x2fb, 0x03);
    expect(polled.slice(-2)).toEqual([
      [1, undefined],
      [1, 0x2f8],
    ]);
  });

  it('brings an ISA interrupt to the 8259 pair', () => {
    initialisePics();
    startPit(100);
    passTime();
    expect(said).toEqual(['INTR 1']);
    expect(board.acknowledge()).toBe(0x20);
  });

  it('brings the timer to pin 2 of the I/O APIC, and the UART to its own pin', () => {
    routePin(2, 0x50);
    routePin(4, 0x54);
    startPit(100);
    passTime();
    expect(said).toContain('vector 80 to APIC 0');
    out(0x3fc, 0x08);
    out(0x3f9, 0x02);
    expect(said).toContain('vector 84 to APIC 0');
  });

  it('keeps a shared interrupt asserted until the last device lets go', () => {
    initialisePics();
    out(0x4d0, 0x10); // IRQ 4 level-triggered: the 8259 sees the wire itself
    for (const base of [0x3f8, 0x3e8]) {
      out(base + 4, 0x08);
      out(base + 1, 0x02);
    }
    expect(said).toEqual(['INTR 1']);
    out(0x3f9, 0);
    expect(said).toEqual(['INTR 1']);
    out(0x3e9, 0);
    expect(said).toEqual(['INTR 1', 'INTR 0']);
  });

  it.each([
    ['the keyboard controller', 0x64, 0xfe],
    ['system control port A', 0x92, 0x01],
    ['the reset control register', 0xcf9, 0x06],
  ])('resets by %s', (_name, port, value) => {
    out(port, value);
    expect(said).toEqual(['reset']);
  });

  it('turns off by ACPI, and exits by isa-debug-exit', () => {
    board.ports.write(0x604, 2, 0x2000 | (5 << 10));
    out(0xf4, 3);
    expect(said).toEqual(['sleep 5', 'exit 3']);
  });

  it('opens gate 2 of the PIT by port 0x61 and shows its output there', () => {
    out(0x61, 0x01);
    out(0x43, 0xb0);
    out(0x42, 100);
    out(0x42, 0);
    expect(board.ports.read(0x61, 1) & 0x20).toBe(0);
    passTime();
    expect(board.ports.read(0x61, 1) & 0x20).toBe(0x20);
  });

  it('has as many serial ports as it was told', () => {
    for (const base of [0x3f8, 0x2f8, 0x3e8, 0x2e8]) out(base, 0x41);
    expect(said).toEqual(['serial0 65', 'serial1 65', 'serial2 65', 'serial3 65']);
    expect(build({ serialPorts: 1 }).ports.lookup(0x2f8)).toBeUndefined();
  });

  it('refuses two devices in one place', () => {
    expect(() => build({ debugExit: { iobase: 0x3fc, iosize: 4 } })).toThrow(
      /overlaps.*serial0|serial0.*overlaps/s,
    );
  });

  it('gives every device a name of its own', () => {
    const names = board.devices.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import { Serial } from '../../../src/devices/serial.js';
import { refusal } from '../../support/refusal.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ProbeLine } from '../../support/probe-line.js';

const [DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const FCR = IIR;
const CHARACTER = 1e10 / 115200;
const DRIVER_MCR = 0x0b; // DTR, RTS, OUT2

let clock: ManualClock;
let irq: ProbeLine;
let output: number[];
let wanted: number;
let polled: boolean[];
let uart: Serial;

beforeEach(() => {
  clock = new ManualClock();
  irq = new ProbeLine();
  output = [];
  wanted = 0;
  polled = [];
  uart = make();
});

function make(): Serial {
  return new Serial({
    name: 'serial0',
    clock,
    irq,
    onOutput: (byte) => output.push(byte),
    onInputWanted: () => wanted++,
    onPolled: (now) => polled.push(now),
  });
}

const read = (register: number): number => uart.read(register, 1);
const write = (register: number, value: number): void => uart.write(register, 1, value);

/** What a driver does at start: FIFO with trigger 8, interrupts on, modem lines up. */
function startDriver(ier = 0x01): void {
  write(FCR, 0x87);
  write(MCR, DRIVER_MCR);
  write(IER, ier);
  clock.advance(CHARACTER);
}

describe('what it promises to a guest that polls', () => {
  it.each([
    ['the divisor latch is open', LCR, 0x83, 0x03],
    ['it is in loopback', MCR, 0x1b, DRIVER_MCR],
    ['the empty transmitter interrupts', IER, 0x02, 0x00],
  ])('ends while %s', (_, register, on, off) => {
    uart.reset();
    expect(polled).toEqual([true]);
    write(register, on);
    expect(polled).toEqual([true, false]);
    write(register, off);
    expect(polled).toEqual([true, false, true]);
  });

  it('ends while there is input', () => {
    startDriver();
    polled = [];
    expect(uart.receive(0x41)).toBe(true);
    expect(polled).toEqual([false]);
    expect(read(LSR)).toBe(0x61);
    read(DATA);
    expect(polled).toEqual([false, true]);
  });

  it('is told again after a restart of the machine, if it has ended', () => {
    write(LCR, 0x83);
    polled = [];
    uart.reset();
    expect(polled).toEqual([true]);
  });
});

describe('registers', () => {
  it('has the power-on values of the data sheet', () => {
    expect([IER, IIR, LCR, MCR, LSR].map(read)).toEqual([0, 0x01, 0, 0, 0x60]);
    expect(read(MSR)).toBe(0xb0); // CTS, DSR and DCD
  });

  it('keeps divisor, scratch and masked registers apart', () => {
    write(LCR, 0x83);
    write(DATA, 0x12);
    write(IER, 0x34);
    expect([read(DATA), read(IER)]).toEqual([0x12, 0x34]);
    write(LCR, 0x03);
    write(IER, 0xff);
    write(MCR, 0xff);
    write(SCR, 0x5a);
    expect([read(IER), read(MCR), read(SCR), read(LCR)]).toEqual([0x0f, 0x1f, 0x5a, 0x03]);
    expect(output).toEqual([]);
  });

  it('carries out a 16-bit access as two of 8', () => {
    write(LCR, 0x80);
    uart.write(DATA, 2, 0x0c01);
    expect(uart.read(DATA, 2)).toBe(0x0c01);
  });

  it('is taken for a 16550A: FIFO bits without bit 5, no 16750, no EFR', () => {
    write(FCR, 0x01);
    expect(read(IIR) >> 5).toBe(6);
    write(LCR, 0x80);
    write(FCR, 0x21);
    write(LCR, 0);
    expect(read(IIR) >> 5).toBe(6);
    write(LCR, 0xbf);
    expect(read(IIR)).not.toBe(0);
    write(FCR, 0);
    expect(read(IIR) >> 6).toBe(0);
  });
});

describe('loopback', () => {
  it('connects the modem outputs to the inputs, with change bits', () => {
    write(MCR, 0x1a); // what the 8250 driver's probe writes
    expect(read(MSR) & 0xf0).toBe(0x90);
    write(MCR, 0x15);
    expect(read(MSR)).toBe(0x60 | 0x08 | 0x02 | 0x01); // RI rose: no change bit for that
    write(MCR, 0x10);
    expect(read(MSR)).toBe(0x04 | 0x02); // DSR changed, RI's trailing edge
    write(MCR, 0);
    expect(read(MSR) & 0xf0).toBe(0xb0);
  });

  it('returns what is sent, sixteen bytes deep, and reports the overrun', () => {
    write(FCR, 0x07);
    write(MCR, 0x10);
    for (let i = 0; i < 20; i++) write(DATA, i);
    expect(read(LSR)).toBe(0x63);
    expect(read(LSR)).toBe(0x61); // reading clears the error
    const received = [];
    while ((read(LSR) & 1) !== 0) received.push(read(DATA));
    expect(received).toEqual(Array.from({ length: 16 }, (_, i) => i));
    expect(output).toEqual([]);
  });

  it('overwrites the single receive buffer without the FIFO', () => {
    write(MCR, 0x10);
    write(DATA, 1);
    write(DATA, 2);
    expect(read(LSR) & 3).toBe(3);
    expect(read(DATA)).toBe(2);
    expect(read(LSR) & 1).toBe(0);
  });

  it('holds the interrupt line, and takes nothing from outside', () => {
    startDriver();
    write(MCR, DRIVER_MCR | 0x10);
    for (let i = 0; i < 8; i++) write(DATA, i);
    expect(read(IIR)).toBe(0xc4);
    expect(irq.level).toBe(false);
    expect(uart.receive(1)).toBe(false);
  });
});

describe('transmitter', () => {
  it('sends at once and is empty again at once', () => {
    for (const byte of [0x68, 0x69]) write(DATA, byte);
    expect(output).toEqual([0x68, 0x69]);
    expect(read(LSR)).toBe(0x60);
  });

  it('raises THRE when its interrupt is enabled, and IIR takes it back', () => {
    write(MCR, 0x08);
    write(IER, 0x02);
    expect(irq.level).toBe(true);
    expect(read(IIR)).toBe(0x02);
    expect(irq.level).toBe(false);
    expect(read(IIR)).toBe(0x01);
    write(IER, 0x02); // no change of the enable bit
    expect(irq.level).toBe(false);
    write(IER, 0);
    write(IER, 0x02);
    expect(read(IIR)).toBe(0x02);
  });

  it('makes an edge for each byte even if IIR is not read', () => {
    write(MCR, 0x08);
    write(IER, 0x02);
    const before = irq.rises;
    write(DATA, 1);
    write(DATA, 2);
    expect(irq.rises).toBe(before + 2);
  });

  it('does not interrupt without OUT2', () => {
    write(IER, 0x02);
    expect(irq.level).toBe(false);
    write(MCR, 0x08);
    expect(irq.level).toBe(true);
  });
});

describe('receiver interrupts', () => {
  it('interrupts at the trigger level and drops below it', () => {
    startDriver();
    for (let i = 0; i < 7; i++) expect(uart.receive(i)).toBe(true);
    expect(irq.level).toBe(false);
    uart.receive(7);
    expect(irq.level).toBe(true);
    expect(read(IIR)).toBe(0xc4);
    expect(read(DATA)).toBe(0);
    expect(irq.level).toBe(false);
  });

  it('interrupts four character times after the last byte, and a read ends that', () => {
    startDriver();
    uart.receive(0x61);
    clock.advance(2 * CHARACTER);
    uart.receive(0x62);
    clock.advance(3 * CHARACTER);
    expect(irq.level).toBe(false);
    clock.advance(CHARACTER);
    expect(irq.level).toBe(true);
    expect(read(IIR)).toBe(0xcc);
    expect(read(DATA)).toBe(0x61);
    expect(irq.level).toBe(false);
    clock.advance(4 * CHARACTER);
    expect(read(IIR)).toBe(0xcc);
    expect(read(DATA)).toBe(0x62);
    clock.advance(1e9);
    expect(read(IIR)).toBe(0xc1);
    expect(clock.armed).toBe(0);
  });

  it('tells of bytes that were there before the interrupt was enabled', () => {
    write(FCR, 0x07);
    for (let i = 0; i < 65; i++) read(LSR);
    expect(uart.receive(0x61)).toBe(true);
    write(MCR, DRIVER_MCR);
    write(IER, 0x01);
    clock.advance(4 * CHARACTER);
    expect(irq.level).toBe(true);
  });

  it('reports in the order of the priorities', () => {
    write(FCR, 0x01);
    write(MCR, 0x10);
    write(IER, 0x0f);
    for (let i = 0; i < 17; i++) write(DATA, i);
    expect(read(IIR)).toBe(0xc6);
    read(LSR);
    expect(read(IIR)).toBe(0xc4);
    for (let i = 0; i < 16; i++) read(DATA);
    expect(read(IIR)).toBe(0xc2);
    expect(read(IIR)).toBe(0xc0); // the change of the modem lines by loopback
    read(MSR);
    expect(read(IIR)).toBe(0xc1);
  });
});

describe('pacing', () => {
  it('takes nothing before a driver listens, also not in a short probe', () => {
    expect(uart.receive(1)).toBe(false);
    write(IER, 0x0f); // the 8250 driver's probe of IER
    write(IER, 0);
    write(MCR, DRIVER_MCR);
    write(IER, 0x01);
    expect(uart.receive(1)).toBe(false);
    expect(wanted).toBe(0);
    clock.advance(CHARACTER);
    expect(wanted).toBe(1);
    expect(uart.receive(1)).toBe(true);
  });

  it('takes nothing from software that only prints by polling', () => {
    for (let i = 0; i < 1000; i++) {
      read(LSR);
      read(LSR);
      write(DATA, 0x2e);
    }
    expect(wanted).toBe(0);
    expect(uart.inputWanted).toBe(false);
  });

  it('gives polled software one byte at a time', () => {
    for (let i = 0; i < 65; i++) read(LSR);
    expect(wanted).toBe(1);
    expect(uart.receive(0x61)).toBe(true);
    expect(uart.receive(0x62)).toBe(false);
    expect(read(LSR) & 1).toBe(1);
    expect(read(DATA)).toBe(0x61);
    expect(wanted).toBe(2);
    expect(uart.receive(0x62)).toBe(true);
  });

  it('takes sixteen bytes in sixteen character times', () => {
    startDriver();
    const input = Array.from({ length: 100 }, (_, i) => i);
    const received: number[] = [];
    const start = clock.now();
    while (received.length < 100) {
      while (input[0] !== undefined && uart.receive(input[0])) input.shift();
      while ((read(LSR) & 1) !== 0) received.push(read(DATA));
      expect(uart.inputWanted).toBe(input.length === 0);
      if (input.length > 0) clock.advanceTo(clock.nextDeadline);
    }
    expect(received).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(clock.now() - start).toBeGreaterThanOrEqual(6 * 16 * CHARACTER - 1);
  });

  it('comes in larger groups, and as quickly as told', () => {
    uart = new Serial({
      name: 'serial1',
      clock,
      irq,
      onOutput: () => undefined,
      onInputWanted: () => wanted++,
      baud: 1_000_000,
      groupSize: 40,
    });
    startDriver();
    let next = 0;
    const receiveAll = (): void => {
      while (uart.receive(next & 0xff)) next++;
    };
    const received: number[] = [];
    receiveAll();
    expect(next).toBe(16); // no more than the FIFO holds
    while ((read(LSR) & 1) !== 0) {
      received.push(read(DATA));
      receiveAll();
    }
    expect(received).toEqual(Array.from({ length: 40 }, (_, i) => i));
    wanted = 0;
    clock.advance(40 * 10_000);
    expect(wanted).toBe(1);
    receiveAll();
    expect(next).toBe(56);
  });

  it('holds the sender while the FIFO is full or RTS is down, and tells when that ends', () => {
    startDriver();
    for (let i = 0; i < 16; i++) uart.receive(i);
    clock.advance(1e9);
    expect(uart.receive(16)).toBe(false);
    const before = wanted;
    read(DATA);
    expect(wanted).toBe(before + 1);
    write(MCR, DRIVER_MCR & ~0x02);
    expect(uart.inputWanted).toBe(false);
    write(MCR, DRIVER_MCR);
    clock.advance(CHARACTER);
    expect(wanted).toBe(before + 2);
  });

  it('never loses a byte when it feeds itself from the callback', () => {
    const input = Array.from({ length: 500 }, (_, i) => i & 0xff);
    let next = 0;
    const feed = (): void => {
      while (next < input.length && uart.receive(input[next] ?? 0)) next++;
    };
    uart = new Serial({ name: 'serial0', clock, irq, onOutput: () => {}, onInputWanted: feed });
    startDriver();
    const received: number[] = [];
    while (received.length < input.length) {
      clock.advanceTo(clock.nextDeadline);
      while (irq.level) received.push(read(DATA));
    }
    expect(received).toEqual(input);
  });
});

describe('state', () => {
  it('goes on from a snapshot as the original does', () => {
    startDriver(0x03);
    read(IIR);
    for (let i = 0; i < 3; i++) uart.receive(0x61 + i);
    const state = structuredClone(uart.save());
    uart.reset();
    expect(irq.level).toBe(false);
    expect(clock.armed).toBe(0);
    uart = make();
    uart.load(state);
    expect(irq.level).toBe(false);
    clock.advance(4 * CHARACTER);
    expect(irq.level).toBe(true);
    expect([read(DATA), read(DATA), read(DATA)]).toEqual([0x61, 0x62, 0x63]);
    expect(uart.save()).not.toEqual(state);
  });

  it('refuses an unknown version and a wrong field', () => {
    const state = uart.save();
    expect(refusal(() => uart.load({ ...state, version: 2 }))).toMatch(/^E_STATE_VERSION:/);
    expect(() => uart.load({ ...state, mcr: 'high' })).toThrowError(/serial0\.mcr is not a number/);
    expect(() => uart.load({ ...state, rx: ['a'] })).toThrowError(/serial0\.rx\[0\]/);
  });
});

import { beforeEach, describe, expect, it } from 'vitest';

import { AddressSpace } from '../../src/bus/bus.js';
import type { AccessSize, Device, DeviceState } from '../../src/bus/device.js';
import { Cpu } from '../../src/cpu.js';
import { Exits } from '../../src/exits.js';
import { ExitReason, type ExitBlockLayout, type NativeCpu } from '../../src/native.js';

/** A layout that is not the addon's, so that no offset can be wired in. */
const layout: ExitBlockLayout = {
  apicDeadline: 0,
  now: 8,
  dataHigh: 16,
  data: 20,
  size: 24,
  port: 28,
  gpa: 32,
  instructions: 40,
  debugCause: 48,
  postingAllowed: 52,
  postedCount: 56,
  postedPort: 64,
  postedValue: 72,
  postedInstructions: 80,
  postedStride: 32,
  byteLength: 192,
};

/** A device that remembers what was written and answers with the offset in every byte. */
class Echo implements Device {
  readonly name = 'echo';
  readonly writes: [offset: number, size: number, value: number][] = [];

  read(offset: number, size: AccessSize): number {
    return Number.parseInt(offset.toString(16).padStart(2, '0').repeat(size), 16) >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.writes.push([offset, size, value]);
  }

  reset(): void {
    this.writes.length = 0;
  }

  save(): DeviceState {
    return { version: 1 };
  }

  load(): void {
    this.reset();
  }
}

const block = new DataView(new ArrayBuffer(layout.byteLength));
let portDevice: Echo;
let mmioDevice: Echo;
let ended: number[];
let numericErrors: number;
let exits: Exits;

beforeEach(() => {
  new Uint8Array(block.buffer).fill(0);
  portDevice = new Echo();
  mmioDevice = new Echo();
  ended = [];
  numericErrors = 0;
  const ports = new AddressSpace('port', 0x1_0000);
  const mmio = new AddressSpace('mmio', 2 ** 52);
  ports.insert(0x100, 16, portDevice);
  mmio.insert(0x2_fed0_0000, 0x400, mmioDevice);
  const cpu = new Cpu({ exitBlock: block.buffer } as NativeCpu, layout);
  exits = new Exits(cpu, {
    ports,
    mmio,
    acknowledge: () => 0x31,
    endOfInterrupt: (vector) => ended.push(vector),
    numericError: () => (numericErrors += 1),
  });
});

function setAccess(access: {
  port?: number;
  gpa?: number;
  size: number;
  data?: number;
  dataHigh?: number;
}): void {
  block.setUint32(layout.port, access.port ?? 0, true);
  block.setFloat64(layout.gpa, access.gpa ?? 0, true);
  block.setUint32(layout.size, access.size, true);
  block.setUint32(layout.data, access.data ?? 0, true);
  block.setUint32(layout.dataHigh, access.dataHigh ?? 0, true);
}

const data = (): number => block.getUint32(layout.data, true);
const dataHigh = (): number => block.getUint32(layout.dataHigh, true);

describe('Exits', () => {
  it('makes the writes that were posted before it serves the exit', () => {
    [7, 8].forEach((value, n) => {
      const at = n * layout.postedStride;
      block.setUint32(at + layout.postedPort, 0x102, true);
      block.setUint32(at + layout.postedValue, value, true);
    });
    block.setUint32(layout.postedCount, 2, true);
    setAccess({ port: 0x103, size: 2, data: 9 });
    expect(exits.serve(ExitReason.PortWrite)).toBe(true);
    expect(portDevice.writes).toEqual([
      [2, 1, 7],
      [2, 1, 8],
      [3, 2, 9],
    ]);
    expect(exits.serve(ExitReason.Budget)).toBe(true);
    expect(portDevice.writes).toHaveLength(3);
  });

  it.each([
    [1, 0x03],
    [2, 0x0303],
    [4, 0x03030303],
  ])('answers a port read of %i bytes', (size, value) => {
    setAccess({ port: 0x103, size, data: 0xdead });
    expect(exits.serve(ExitReason.PortRead)).toBe(true);
    expect(data()).toBe(value);
  });

  it.each([
    [1, 0xff],
    [2, 0xffff],
    [4, 0xffff_ffff],
  ])('answers all ones where nothing is, %i bytes wide', (size, ones) => {
    setAccess({ port: 0x5000, gpa: 0x9_0000_0000, size });
    expect(exits.serve(ExitReason.PortRead)).toBe(true);
    expect(data()).toBe(ones);
    expect(exits.serve(ExitReason.MmioRead)).toBe(true);
    expect(data()).toBe(ones);
    expect(exits.serve(ExitReason.PortWrite)).toBe(true);
    expect(exits.serve(ExitReason.MmioWrite)).toBe(true);
  });

  it('passes a port write on, unsigned', () => {
    setAccess({ port: 0x104, size: 4, data: 0xfffffffe });
    expect(exits.serve(ExitReason.PortWrite)).toBe(true);
    expect(portDevice.writes).toEqual([[4, 4, 0xfffffffe]]);
  });

  it('reads MMIO above 4 GiB', () => {
    setAccess({ gpa: 0x2_fed0_0010, size: 4, dataHigh: 0x55 });
    expect(exits.serve(ExitReason.MmioRead)).toBe(true);
    expect([data(), dataHigh()]).toEqual([0x10101010, 0]);
  });

  it('splits eight bytes of MMIO into two accesses, low half first', () => {
    setAccess({ gpa: 0x2_fed0_0020, size: 8 });
    exits.serve(ExitReason.MmioRead);
    expect([data(), dataHigh()]).toEqual([0x20202020, 0x24242424]);
    setAccess({ gpa: 0x2_fed0_0028, size: 8, data: 1, dataHigh: 0x8000_0000 });
    exits.serve(ExitReason.MmioWrite);
    expect(mmioDevice.writes).toEqual([
      [0x28, 4, 1],
      [0x2c, 4, 0x8000_0000],
    ]);
  });

  it("runs the interrupt controllers' cycles", () => {
    expect(exits.serve(ExitReason.InterruptAcknowledge)).toBe(true);
    expect(data()).toBe(0x31);
    setAccess({ size: 0, data: 0x41 });
    expect(exits.serve(ExitReason.EndOfInterrupt)).toBe(true);
    expect(ended).toEqual([0x41]);
  });

  it('tells the board of FERR#', () => {
    expect(exits.serve(ExitReason.NumericError)).toBe(true);
    expect(numericErrors).toBe(1);
  });

  it("leaves to the machine what is the machine's", () => {
    expect(exits.serve(ExitReason.Budget)).toBe(true);
    for (const reason of [
      ExitReason.Halt,
      ExitReason.Shutdown,
      ExitReason.Stopped,
      ExitReason.Debug,
    ]) {
      expect(exits.serve(reason)).toBe(false);
    }
  });

  it('shows every access to an observer', () => {
    const seen: unknown[] = [];
    exits.observer = (...access) => seen.push(access);
    setAccess({ port: 0x102, size: 2 });
    exits.serve(ExitReason.PortRead);
    setAccess({ port: 0x102, size: 1, data: 9 });
    exits.serve(ExitReason.PortWrite);
    setAccess({ gpa: 0x2_fed0_0008, size: 8 });
    exits.serve(ExitReason.MmioRead);
    setAccess({ gpa: 0x2_fed0_0008, size: 8, data: 1, dataHigh: 2 });
    exits.serve(ExitReason.MmioWrite);
    expect(seen).toEqual([
      ['in', 0x102, 2, 0x0202, 0],
      ['out', 0x102, 1, 9, 0],
      ['mmio-read', 0x2_fed0_0008, 8, 0x08080808, 0x0c0c0c0c],
      ['mmio-write', 0x2_fed0_0008, 8, 1, 2],
    ]);
  });
});

describe('Cpu', () => {
  it('reads counters and times from the block', () => {
    const cpu = new Cpu({ exitBlock: block.buffer } as NativeCpu, layout);
    block.setFloat64(layout.instructions, 2 ** 40 + 1, true);
    block.setFloat64(layout.now, 1.5, true);
    block.setFloat64(layout.apicDeadline, Infinity, true);
    expect([cpu.instructions, cpu.exitTime, cpu.apicDeadline]).toEqual([
      2 ** 40 + 1,
      1.5,
      Infinity,
    ]);
  });

  it('refuses a block that is too small for the layout', () => {
    const wrong = { ...layout, byteLength: 196 };
    expect(() => new Cpu({ exitBlock: block.buffer } as NativeCpu, wrong)).toThrow(
      /has 192 bytes, expected 196/,
    );
  });
});

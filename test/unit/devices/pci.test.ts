import { beforeEach, describe, expect, it } from 'vitest';
import { AddressSpace } from '../../../src/bus/bus.js';
import type { AccessSize } from '../../../src/bus/device.js';
import { PciHostBridge } from '../../../src/devices/pci-host-bridge.js';
import { PciBus, PciConfigAddress, PciConfigData } from '../../../src/devices/pci.js';
import { ResetControl } from '../../../src/devices/reset-control.js';

const CONFIG_ADDRESS = 0xcf8;
const RESET_CONTROL = 0xcf9;
const CONFIG_DATA = 0xcfc;
const ENABLE = 0x8000_0000;
const COMMAND = 0x04;

let resets: number;
let ports: AddressSpace;
let bus: PciBus;
let hostBridge: PciHostBridge;
let address: PciConfigAddress;

beforeEach(() => {
  resets = 0;
  bus = new PciBus();
  hostBridge = new PciHostBridge();
  bus.insert(0, 0, hostBridge);
  address = new PciConfigAddress({ resetControl: new ResetControl({ onReset: () => resets++ }) });
  ports = new AddressSpace('port', 0x1_0000);
  ports.insert(CONFIG_ADDRESS, 4, address);
  ports.insert(CONFIG_DATA, 4, new PciConfigData({ address, bus }));
});

/** Selects a dword and returns its data port for the register's byte. */
function select(register: number, { busNumber = 0, device = 0, fn = 0, enable = ENABLE } = {}) {
  const target = (busNumber << 16) | (device << 11) | (fn << 8) | (register & 0xfc);
  ports.write(CONFIG_ADDRESS, 4, enable + target);
  return CONFIG_DATA + (register & 3);
}

const read = (register: number, size: AccessSize): number => ports.read(select(register), size);
const write = (register: number, size: AccessSize, value: number): void =>
  ports.write(select(register), size, value);

describe('CONFIG_ADDRESS', () => {
  it('reads back what was written, with reserved bits zero', () => {
    ports.write(CONFIG_ADDRESS, 4, 0xffff_ffff);
    expect(ports.read(CONFIG_ADDRESS, 4)).toBe(0x80ff_fffc);
    ports.write(CONFIG_ADDRESS, 4, 0);
    expect(ports.read(CONFIG_ADDRESS, 4)).toBe(0);
  });

  it('passes a probe for mechanism #1', () => {
    ports.write(0xcfb, 1, 0x01);
    const before = ports.read(CONFIG_ADDRESS, 4);
    ports.write(CONFIG_ADDRESS, 4, ENABLE);
    expect(ports.read(CONFIG_ADDRESS, 4)).toBe(ENABLE);
    ports.write(CONFIG_ADDRESS, 4, before);
    expect(before).toBe(0);
  });

  it.each<[number, AccessSize]>([
    [0xcf8, 1],
    [0xcf8, 2],
    [0xcfa, 1],
    [0xcfa, 2],
    [0xcfb, 1],
  ])('takes no access at %i of %i bytes', (port, size) => {
    ports.write(CONFIG_ADDRESS, 4, 0x8012_3454);
    ports.write(port, size, 0);
    expect(ports.read(port, size)).toBe(2 ** (8 * size) - 1);
    expect(ports.read(CONFIG_ADDRESS, 4)).toBe(0x8012_3454);
  });

  it('passes bytes at 0xcf9 on to the reset control register, and nothing else', () => {
    ports.write(CONFIG_ADDRESS, 4, 0xffff_ffff);
    ports.write(CONFIG_ADDRESS, 2, 0xffff);
    expect(resets).toBe(0);
    ports.write(RESET_CONTROL, 1, 0x02);
    expect(ports.read(RESET_CONTROL, 1)).toBe(0x02);
    expect(ports.read(CONFIG_ADDRESS, 4)).toBe(0x80ff_fffc);
    ports.write(RESET_CONTROL, 1, 0x06);
    expect(resets).toBe(1);
  });

  it('restores and resets', () => {
    ports.write(CONFIG_ADDRESS, 4, 0x8000_0008);
    const state = structuredClone(address.save());
    address.reset();
    expect(ports.read(CONFIG_ADDRESS, 4)).toBe(0);
    expect(ports.read(CONFIG_DATA, 4)).toBe(0xffff_ffff);
    address.load(state);
    expect(ports.read(CONFIG_ADDRESS, 4)).toBe(0x8000_0008);
    expect(() => address.load({ ...state, version: 2 })).toThrow(/version 2/);
  });
});

describe('CONFIG_DATA', () => {
  it('reads bytes, words and dwords of the selected dword', () => {
    expect(read(0, 4)).toBe(0x1237_8086);
    expect([0, 2].map((register) => read(register, 2))).toEqual([0x8086, 0x1237]);
    expect([0, 1, 2, 3].map((register) => read(register, 1))).toEqual([0x86, 0x80, 0x37, 0x12]);
    expect(read(1, 2)).toBe(0x3780);
  });

  it('does not go on into the next dword', () => {
    ports.insert(0xd00, 1, new ResetControl({ onReset: () => resets++ }));
    expect(read(3, 2)).toBe(0x0012);
  });

  it('reads all ones and ignores writes while the address is not enabled', () => {
    const port = select(COMMAND, { enable: 0 });
    ports.write(port, 2, 0x0140);
    expect(ports.read(port, 4)).toBe(0xffff_ffff);
    expect(read(COMMAND, 2)).toBe(0x0006);
  });

  it.each([{ busNumber: 1 }, { busNumber: 255 }, { device: 1 }, { device: 31 }, { fn: 1 }])(
    'reads all ones and ignores writes where no function is: %o',
    (place) => {
      const port = select(COMMAND, place);
      ports.write(port, 2, 0x0140);
      expect(ports.read(port, 4)).toBe(0xffff_ffff);
      expect(ports.read(port, 2)).toBe(0xffff);
      expect(ports.read(port + 1, 1)).toBe(0xff);
      expect(read(COMMAND, 2)).toBe(0x0006);
    },
  );
});

describe('PciBus', () => {
  it('finds each function at its own place', () => {
    bus.insert(31, 7, new PciHostBridge());
    ports.write(select(COMMAND, { device: 31, fn: 7 }), 2, 0x0100);
    expect(ports.read(select(COMMAND, { device: 31, fn: 7 }), 2)).toBe(0x0106);
    expect(ports.read(select(COMMAND, { device: 31, fn: 6 }), 2)).toBe(0xffff);
    expect(read(COMMAND, 2)).toBe(0x0006);
  });

  it.each([
    [32, 0, /device number of pci-host-bridge is 32, expected 0 to 31/],
    [-1, 0, /device number .* is -1/],
    [0, 8, /function number of pci-host-bridge is 8, expected 0 to 7/],
    [1.5, 0, /device number .* is 1.5/],
  ])('refuses device %d function %d', (device, fn, message) => {
    expect(() => bus.insert(device, fn, new PciHostBridge())).toThrow(message);
  });

  it('refuses two functions in one place', () => {
    expect(() => bus.insert(0, 0, new PciHostBridge())).toThrow(/device 0 function 0/);
  });
});

describe('PciHostBridge', () => {
  it('is a host bridge of one function without resources', () => {
    expect(read(0x08, 4)).toBe(0x0600_0002);
    const rest = Array.from({ length: 0x40 - 3 }, (_, i) => read(0x0c + 4 * i, 4));
    // All shadow RAM is there: PAM0 to PAM6, from offset 0x59.
    expect(rest.filter((value) => value !== 0)).toEqual([0x3333_3000, 0x3333_3333]);
    expect(read(0x58, 4)).toBe(0x3333_3000);
  });

  it('is read-only but for error reporting in the command register', () => {
    for (let register = 0; register < 0x100; register += 4) write(register, 4, 0xffff_ffff);
    expect(read(0x00, 4)).toBe(0x1237_8086);
    expect(read(COMMAND, 4)).toBe(0x0280_0146);
    expect(read(0x08, 4)).toBe(0x0600_0002);
    expect(read(0x10, 4)).toBe(0);
    for (let register = 0; register < 0x100; register += 4) write(register, 4, 0);
    expect(read(COMMAND, 4)).toBe(0x0280_0006);
  });

  it('takes either byte of the command register alone', () => {
    write(COMMAND, 1, 0x40);
    expect(read(COMMAND, 2)).toBe(0x0046);
    write(COMMAND + 1, 1, 0x01);
    expect(read(COMMAND, 2)).toBe(0x0146);
    write(COMMAND, 1, 0);
    expect(read(COMMAND, 2)).toBe(0x0106);
  });

  it('restores and resets', () => {
    write(COMMAND, 2, 0x0140);
    const state = structuredClone(hostBridge.save());
    hostBridge.reset();
    expect(read(COMMAND, 2)).toBe(0x0006);
    hostBridge.load(state);
    expect(read(COMMAND, 2)).toBe(0x0146);
    expect(() => hostBridge.load({ ...state, version: 2 })).toThrow(/version 2/);
  });
});

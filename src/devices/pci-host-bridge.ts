import type { DeviceState } from '../bus/device.js';
import { ByteDevice } from './byte-device.js';
import { restore, snapshot } from './state.js';

/*
 * The host bridge's configuration header (PCI Local Bus Specification 3.0, "Configuration Space
 * Organization"), with the identity of Intel's 82441FX, the 440FX chipset's PCI and memory controller.
 */

const VENDOR_INTEL = 0x8086;
const DEVICE_82441FX = 0x1237;
const REVISION = 0x02;
const CLASS_BRIDGE = 0x06;
const SUBCLASS_HOST = 0x00;

const COMMAND = 0x04;
/** The bridge always reaches memory and is always a master. */
const COMMAND_FIXED = 0x0006;
/** Parity error response and SERR# enable: stored only, as nothing here has parity errors. */
const COMMAND_WRITABLE = 0x0140;

/** Fast back-to-back capable, medium DEVSEL timing; the error bits are never set. */
const STATUS = 0x0280;

const low = (value: number): number => value & 0xff;
const high = (value: number): number => value >> 8;

/** Bytes from offset 0; the rest is zero: header type 0 of one function, no BARs, no interrupt pin. */
const HEADER: readonly number[] = [
  ...[low(VENDOR_INTEL), high(VENDOR_INTEL), low(DEVICE_82441FX), high(DEVICE_82441FX)],
  ...[low(COMMAND_FIXED), high(COMMAND_FIXED), low(STATUS), high(STATUS)],
  ...[REVISION, 0, SUBCLASS_HOST, CLASS_BRIDGE],
];

/** PAM0 to PAM6 ("Programmable Attribute Map Registers"): all of 0xC0000 to 0xFFFFF is RAM, readable and writable. */
const PAM: readonly number[] = [0x30, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33];
const PAM0 = 0x59;

const VERSION = 1;

const powerOn = () => ({ command: 0 });

/**
 * The bridge between processor and PCI bus, as a function of that bus (00:00.0 on a PC). It has the
 * header, and says that shadow RAM is there; what a chipset sets up by further registers (memory timing) is
 * fixed here, and those read zero.
 */
export class PciHostBridge extends ByteDevice {
  readonly name = 'pci-host-bridge';
  private s = powerOn();

  reset(): void {
    this.s = powerOn();
  }

  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  load(state: DeviceState): void {
    const { command } = restore(this.name, VERSION, powerOn(), state);
    this.s = { command: command & COMMAND_WRITABLE };
  }

  protected readByte(offset: number): number {
    const fixed = HEADER[offset] ?? PAM[offset - PAM0] ?? 0;
    return isCommand(offset) ? fixed | low(this.s.command >> commandShift(offset)) : fixed;
  }

  protected writeByte(offset: number, value: number): void {
    if (!isCommand(offset)) return;
    const shift = commandShift(offset);
    const writable = COMMAND_WRITABLE & (0xff << shift);
    this.s.command = (this.s.command & ~writable) | ((value << shift) & writable);
  }
}

function isCommand(offset: number): boolean {
  return offset === COMMAND || offset === COMMAND + 1;
}

function commandShift(offset: number): number {
  return 8 * (offset - COMMAND);
}

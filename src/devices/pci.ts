import type { AccessSize, Device, DeviceState } from '../bus/device.js';
import { NodevmError } from '../errors.js';
import { restore, snapshot } from './state.js';

/*
 * The PCI bus and its configuration mechanism #1 (PCI Local Bus Specification 3.0, "Configuration
 * Mechanism" and "Software Generation of Configuration Transactions").
 */

const DEVICES = 32;
const FUNCTIONS = 8;
const REGISTER_BITS = 8;
const REGISTER_MASK = 0xff;

const ENABLE = 0x8000_0000;
/** Bus, device, function and register; the register's low two bits come from the data port's address. */
const TARGET_MASK = 0x00ff_fffc;

/** Where the reset control register lies within the four ports of CONFIG_ADDRESS (0xcf9 - 0xcf8). */
const RESET_CONTROL_OFFSET = 1;

const VERSION = 1;

const powerOn = () => ({ enabled: false, target: 0 });

/** What an access reads that nobody answers: the bus floats high ("Master-Abort"). */
const allOnes = (size: AccessSize): number => 2 ** (8 * size) - 1;

/**
 * A PCI function as its bus sees it: a device whose offsets are those of its 256 bytes of
 * configuration space. No access goes over the border of an aligned dword.
 */
export type PciFunction = Device;

/**
 * PCI bus 0, and with it all buses, since no function here is a bridge to another. Holds who is where;
 * functions are devices of the machine in their own right, which resets and saves them.
 */
export class PciBus {
  /** By bus, device and function: the upper bits of a configuration address. */
  private readonly functions = new Map<number, PciFunction>();

  /**
   * Places `target` at device number `device` (0 to 31) and function number `fn` (0 to 7).
   * @throws NodevmError `E_BUS_RANGE` for other numbers, `E_BUS_OVERLAP` where a function is already.
   */
  insert(device: number, fn: number, target: PciFunction): void {
    checkNumber(target, 'device', device, DEVICES);
    checkNumber(target, 'function', fn, FUNCTIONS);
    const slot = device * FUNCTIONS + fn;
    const other = this.functions.get(slot);
    if (other !== undefined) {
      throw new NodevmError(
        'E_BUS_OVERLAP',
        `PCI device ${device} function ${fn} is ${other.name}, so ${target.name} cannot be there`,
      );
    }
    this.functions.set(slot, target);
  }

  /**
   * Reads configuration space; all ones where there is no function.
   * @param address bus << 16 | device << 11 | function << 8 | register, as in CONFIG_ADDRESS
   */
  read(address: number, size: AccessSize): number {
    const target = this.functions.get(address >>> REGISTER_BITS);
    return target === undefined ? allOnes(size) : target.read(address & REGISTER_MASK, size);
  }

  /** Writes configuration space at an `address` as for {@link read}; ignored where there is nothing. */
  write(address: number, size: AccessSize, value: number): void {
    const target = this.functions.get(address >>> REGISTER_BITS);
    target?.write(address & REGISTER_MASK, size, value);
  }
}

function checkNumber(target: PciFunction, what: string, value: number, count: number): void {
  if (Number.isInteger(value) && value >= 0 && value < count) return;
  throw new NodevmError(
    'E_BUS_RANGE',
    `PCI ${what} number of ${target.name} is ${value}, expected 0 to ${count - 1}`,
  );
}

/** What a {@link PciConfigAddress} is connected to. */
export interface PciConfigAddressOptions {
  /** The reset control register, whose one port lies among these four. */
  readonly resetControl: Device;
}

/**
 * CONFIG_ADDRESS (four ports, 0xcf8 on a PC). Only a dword access is one of this register; narrower
 * ones are ordinary I/O, which the reset control register answers where its port is meant.
 */
export class PciConfigAddress implements Device {
  readonly name = 'pci-config-address';
  private s = powerOn();

  constructor(private readonly options: PciConfigAddressOptions) {}

  /** Configuration address of the selected dword, undefined while the register is not enabled. */
  get selected(): number | undefined {
    return this.s.enabled ? this.s.target : undefined;
  }

  read(offset: number, size: AccessSize): number {
    if (size === 4) return (this.s.enabled ? ENABLE : 0) + this.s.target;
    if (isResetControl(offset, size)) return this.options.resetControl.read(0, size);
    return allOnes(size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size === 4) this.s = { enabled: value >= ENABLE, target: value & TARGET_MASK };
    else if (isResetControl(offset, size)) this.options.resetControl.write(0, size, value);
  }

  reset(): void {
    this.s = powerOn();
  }

  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  load(state: DeviceState): void {
    const { enabled, target } = restore(this.name, VERSION, powerOn(), state);
    this.s = { enabled, target: target & TARGET_MASK };
  }
}

function isResetControl(offset: number, size: AccessSize): boolean {
  return offset === RESET_CONTROL_OFFSET && size === 1;
}

/** What a {@link PciConfigData} is connected to. */
export interface PciConfigDataOptions {
  readonly address: PciConfigAddress;
  readonly bus: PciBus;
}

/** CONFIG_DATA (four ports, 0xcfc on a PC): a window on the dword that CONFIG_ADDRESS selects. */
export class PciConfigData implements Device {
  readonly name = 'pci-config-data';

  constructor(private readonly options: PciConfigDataOptions) {}

  read(offset: number, size: AccessSize): number {
    const { address, bus } = this.options;
    const { selected } = address;
    return selected === undefined ? allOnes(size) : bus.read(selected + offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    const { address, bus } = this.options;
    const { selected } = address;
    if (selected !== undefined) bus.write(selected + offset, size, value);
  }

  reset(): void {
    // There is no state.
  }

  save(): DeviceState {
    return snapshot(VERSION, {});
  }

  load(state: DeviceState): void {
    restore(this.name, VERSION, {}, state);
  }
}

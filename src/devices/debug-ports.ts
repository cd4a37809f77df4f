import type { Device, DeviceState } from '../bus/device.js';
import { ByteDevice } from './byte-device.js';
import { restore, snapshot } from './state.js';

const VERSION = 1;

const powerOn = () => ({ code: 0 });

/**
 * The POST diagnostic port (0x80 on a PC): keeps the last code. Linux also writes it to wait about a
 * microsecond, which takes no guest time here.
 */
export class PostCode extends ByteDevice {
  readonly name = 'post-code';
  private s = powerOn();

  /** The last code written, 0 after a reset. */
  get code(): number {
    return this.s.code;
  }

  reset(): void {
    this.s = powerOn();
  }

  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  load(state: DeviceState): void {
    this.s = restore(this.name, VERSION, powerOn(), state);
  }

  protected readByte(): number {
    return this.s.code;
  }

  protected writeByte(_offset: number, value: number): void {
    this.s.code = value;
  }
}

/** Port 0xed, which some kernels write instead of 0x80 to wait: there, so that it is not unclaimed. */
export class DelayPort implements Device {
  readonly name = 'delay-port';

  read(_offset: number, size: number): number {
    return 2 ** (8 * size) - 1;
  }

  write(): void {
    // Waiting is all that it is for.
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

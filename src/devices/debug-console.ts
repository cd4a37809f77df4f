import type { AccessSize, Device, DeviceState } from '../bus/device.js';
import { restore, snapshot } from './state.js';

/** What a read gives, by which firmware finds the port. */
const READBACK = 0xe9;

const VERSION = 1;

/** What a {@link DebugConsole} is connected to. */
export interface DebugConsoleOptions {
  /** The guest wrote `byte`. */
  onOutput(byte: number): void;
}

/** The debug port of Bochs and QEMU (isa-debugcon): firmware writes its log there, a byte at a time. */
export class DebugConsole implements Device {
  readonly name = 'debug-console';

  constructor(private readonly options: DebugConsoleOptions) {}

  read(): number {
    return READBACK;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.options.onOutput(value & 0xff);
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

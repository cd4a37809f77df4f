import type { Device, DeviceState } from '../bus/device.js';
import { restore, snapshot } from './state.js';

const VERSION = 1;

/** What an {@link IsaDebugExit} is connected to. */
export interface IsaDebugExitOptions {
  /** The guest wrote `value` (as wide as the access) and wants the machine to end. */
  onExit(value: number): void;
}

/** QEMU's isa-debug-exit: any write ends the run. Reads give 0. */
export class IsaDebugExit implements Device {
  readonly name = 'isa-debug-exit';

  constructor(private readonly options: IsaDebugExitOptions) {}

  read(): number {
    return 0;
  }

  write(_offset: number, _size: number, value: number): void {
    this.options.onExit(value);
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

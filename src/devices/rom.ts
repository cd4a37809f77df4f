import type { AccessSize, Device, DeviceState } from '../bus/device.js';
import { restore, snapshot } from './state.js';

const VERSION = 1;

/** A read-only memory: writes have no effect. What it holds is no state. */
export class Rom implements Device {
  readonly name = 'rom';

  constructor(private readonly contents: Uint8Array) {}

  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 0x100 + (this.contents[offset + i] ?? 0xff);
    return value;
  }

  write(): void {
    // Not even flash: there is no command set.
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

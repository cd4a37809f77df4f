import type { DeviceState } from '../bus/device.js';
import { ByteDevice } from './byte-device.js';
import { restore, snapshot } from './state.js';

/* Port 0x92 of the PS/2 and the Intel chipsets, "Port 92 Register" (ICH data sheets). */

const FAST_RESET = 0x01;
const A20_ENABLE = 0x02;
const WRITABLE = FAST_RESET | A20_ENABLE;

const VERSION = 1;

/** Address line 20 is never masked in this machine, so its bit starts set, as firmware leaves it. */
const powerOn = () => ({ control: A20_ENABLE });

/** What a {@link SystemControlA} is connected to. */
export interface SystemControlAOptions {
  /** The guest asked for a processor reset (INIT). */
  onReset(): void;
}

/** System control port A (one port, 0x92 on a PC): fast reset, and a bit for A20 that is only stored. */
export class SystemControlA extends ByteDevice {
  readonly name = 'port92';
  private s = powerOn();

  constructor(private readonly options: SystemControlAOptions) {
    super();
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
    return this.s.control;
  }

  protected writeByte(_offset: number, value: number): void {
    const resets = (value & ~this.s.control & FAST_RESET) !== 0;
    this.s.control = value & WRITABLE;
    if (resets) this.options.onReset();
  }
}

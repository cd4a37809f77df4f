import type { DeviceState } from '../bus/device.js';
import { ByteDevice } from './byte-device.js';
import { restore, snapshot } from './state.js';

/* "Reset Control Register" at 0xcf9 of the Intel chipsets (PIIX3, ICH data sheets). */

const RST_CPU = 0x04;
/** SYS_RST (hard or soft), RST_CPU and FULL_RST. */
const WRITABLE = 0x0e;

const VERSION = 1;

const powerOn = () => ({ control: 0 });

/** What a {@link ResetControl} is connected to. */
export interface ResetControlOptions {
  /** The guest asked for a reset. Soft and hard ones end in the same machine reset here. */
  onReset(): void;
}

/** The reset control register (one port): resets when RST_CPU goes from 0 to 1. */
export class ResetControl extends ByteDevice {
  readonly name = 'reset-control';
  private s = powerOn();

  constructor(private readonly options: ResetControlOptions) {
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
    const resets = (value & ~this.s.control & RST_CPU) !== 0;
    this.s.control = value & WRITABLE;
    if (resets) this.options.onReset();
  }
}

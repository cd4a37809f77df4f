import type { DeviceState } from '../bus/device.js';
import type { IrqLine } from '../bus/irq-line.js';
import { ByteDevice } from './byte-device.js';
import { restore, snapshot } from './state.js';

/* Port 0x92 of the PS/2 and the Intel chipsets, "Port 92 Register" (ICH data sheets). */

const FAST_RESET = 0x01;
const A20_ENABLE = 0x02;
const WRITABLE = FAST_RESET | A20_ENABLE;

const VERSION = 1;

/** A20 is open, as firmware leaves it. */
const powerOn = () => ({ control: A20_ENABLE });

/** What a {@link SystemControlA} is connected to. */
export interface SystemControlAOptions {
  /** The gate of address line 20. */
  readonly a20: IrqLine;
  /** The guest asked for a processor reset (INIT). */
  onReset(): void;
}

/** System control port A (one port, 0x92 on a PC): fast reset, and a gate of A20. */
export class SystemControlA extends ByteDevice {
  readonly name = 'port92';
  private s = powerOn();

  constructor(private readonly options: SystemControlAOptions) {
    super();
    this.driveA20();
  }

  reset(): void {
    this.s = powerOn();
    this.driveA20();
  }

  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  load(state: DeviceState): void {
    this.s = restore(this.name, VERSION, powerOn(), state);
    this.driveA20();
  }

  protected readByte(): number {
    return this.s.control;
  }

  protected writeByte(_offset: number, value: number): void {
    const resets = (value & ~this.s.control & FAST_RESET) !== 0;
    this.s.control = value & WRITABLE;
    this.driveA20();
    if (resets) this.options.onReset();
  }

  private driveA20(): void {
    this.options.a20.set((this.s.control & A20_ENABLE) !== 0);
  }
}

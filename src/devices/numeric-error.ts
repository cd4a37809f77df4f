import type { DeviceState } from '../bus/device.js';
import type { IrqLine } from '../bus/irq-line.js';
import { ByteDevice } from './byte-device.js';
import { restore, snapshot } from './state.js';

/*
 * The PC's way to report x87 errors without CR0.NE: FERR# sets a latch, which drives IRQ 13; a write
 * to port 0xf0 clears it. "Coprocessor Error Register" in the ICH data sheets.
 */

const VERSION = 1;

const powerOn = () => ({ latched: false });

/** What a {@link NumericErrorLatch} is connected to. */
export interface NumericErrorLatchOptions {
  /** IRQ 13. */
  readonly irq: IrqLine;
}

/** The latch between FERR# and IRQ 13, and the port that clears it (0xf0 on a PC). */
export class NumericErrorLatch extends ByteDevice {
  readonly name = 'numeric-error';
  private s = powerOn();

  constructor(private readonly options: NumericErrorLatchOptions) {
    super();
  }

  /** FERR# is asserted. */
  set(): void {
    this.latch(true);
  }

  reset(): void {
    this.latch(false);
  }

  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  load(state: DeviceState): void {
    this.latch(restore(this.name, VERSION, powerOn(), state).latched);
  }

  protected readByte(): number {
    return 0xff; // write-only
  }

  protected writeByte(): void {
    this.latch(false);
  }

  private latch(level: boolean): void {
    this.s.latched = level;
    this.options.irq.set(level);
  }
}

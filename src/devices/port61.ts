import type { DeviceState } from '../bus/device.js';
import type { GuestClock } from '../clock.js';
import { ByteDevice } from './byte-device.js';
import { PIT_HZ } from './pit-counter.js';
import { restore, snapshot } from './state.js';
import { ticksAt } from './ticks.js';

/*
 * Port 0x61, "NMI Status and Control Register" of the Intel chipsets (PIIX, ICH data sheets), system
 * control port B of the PC/AT.
 */

const TIMER2_GATE = 0x01;
const REFRESH_TOGGLE = 0x10;
const TIMER2_OUT = 0x20;
/** Gate, speaker data, and the two NMI disable bits can be written. */
const WRITABLE = 0x0f;

/** Timer clocks between two refresh requests: counter 1 of the PC, 15.085 us. */
const REFRESH_TICKS = 18;

const VERSION = 1;

const powerOn = () => ({ control: 0 });

/** Counter 2 of the 8254 as this port sees it; a `Pit` is one. */
export interface SpeakerTimer {
  setGate2(level: boolean): void;
  readonly output2: boolean;
}

/** What a {@link SystemControlB} is connected to. */
export interface SystemControlBOptions {
  readonly clock: GuestClock;
  readonly pit: SpeakerTimer;
}

/** The NMI status, speaker and timer gate port (one port, 0x61 on a PC). */
export class SystemControlB extends ByteDevice {
  readonly name = 'port61';
  private s = powerOn();

  constructor(private readonly options: SystemControlBOptions) {
    super();
  }

  reset(): void {
    this.s = powerOn();
    this.options.pit.setGate2(false);
  }

  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  /** The gate itself is part of the timer's state. */
  load(state: DeviceState): void {
    this.s = restore(this.name, VERSION, powerOn(), state);
  }

  protected readByte(): number {
    const refreshes = Math.floor(ticksAt(this.options.clock.now(), PIT_HZ) / REFRESH_TICKS);
    return (
      this.s.control |
      (refreshes % 2 === 1 ? REFRESH_TOGGLE : 0) |
      (this.options.pit.output2 ? TIMER2_OUT : 0)
    );
  }

  protected writeByte(_offset: number, value: number): void {
    this.s.control = value & WRITABLE;
    this.options.pit.setGate2((value & TIMER2_GATE) !== 0);
  }
}

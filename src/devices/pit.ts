import type { DeviceState } from '../bus/device.js';
import type { IrqLine } from '../bus/irq-line.js';
import type { GuestClock, GuestTimer } from '../clock.js';
import { ByteDevice } from './byte-device.js';
import { PitCounter, PIT_HZ, powerOnCounter } from './pit-counter.js';
import { restore, snapshot } from './state.js';
import { ticksAt, timeOfTick } from './ticks.js';

/*
 * Intel 8254, "Programmable Interval Timer". The counters are computed from the guest clock when the
 * guest looks; a timer is armed only for the rising edges of counter 0, which is wired to IRQ 0.
 */

const CONTROL = 3;
/** Zero in this field is the counter latch command. */
const CONTROL_ACCESS = 0x30;
const CONTROL_READ_BACK = 0xc0;
const READ_BACK_NO_COUNT = 0x20;
const READ_BACK_NO_STATUS = 0x10;

/** Counter 0 edges closer than this (20 us) are merged: no guest could serve them. */
const MIN_EDGE_TICKS = 24;

const VERSION = 1;

/** What a {@link Pit} is connected to. */
export interface PitOptions {
  readonly clock: GuestClock;
  /** OUT of counter 0. */
  readonly irq: IrqLine;
}

/** The 8254: counters at offsets 0 to 2, the control word at 3. */
export class Pit extends ByteDevice {
  readonly name = 'pit';
  private readonly counters: readonly [PitCounter, PitCounter, PitCounter];
  private timer: GuestTimer | undefined;

  constructor(private readonly options: PitOptions) {
    super();
    // The gates of counters 0 and 1 are tied high; that of counter 2 is bit 0 of port 0x61.
    this.counters = [new PitCounter(true), new PitCounter(true), new PitCounter(false)];
  }

  /** Drives GATE of counter 2. */
  setGate2(level: boolean): void {
    this.counters[2].setGate(level, this.tick());
  }

  /** GATE of counter 2. */
  get gate2(): boolean {
    return this.counters[2].gate;
  }

  /** OUT of counter 2, exact to the tick. */
  get output2(): boolean {
    return this.counters[2].output(this.tick());
  }

  reset(): void {
    this.counters.forEach((counter, i) => counter.reset(i !== 2));
    this.disarm();
    this.options.irq.set(false);
  }

  save(): DeviceState {
    return snapshot(VERSION, { counters: this.counters.map((counter) => counter.state) });
  }

  load(state: DeviceState): void {
    const shape = { counters: this.counters.map(() => powerOnCounter(true)) };
    const { counters } = restore(this.name, VERSION, shape, state);
    this.counters.forEach((counter, i) => {
      const loaded = counters[i];
      if (loaded !== undefined) counter.state = loaded;
    });
    this.disarm();
    this.options.irq.set(this.counters[0].output(this.tick()));
    this.arm(this.tick());
  }

  protected readByte(offset: number): number {
    return this.counters[offset]?.readCount(this.tick()) ?? 0xff; // the control word is write-only
  }

  protected writeByte(offset: number, value: number): void {
    const tick = this.tick();
    if (offset === CONTROL) this.writeControl(value, tick);
    else this.counters[offset]?.writeCount(value, tick);
    const programs0 =
      offset === CONTROL ? value >> 6 === 0 && (value & CONTROL_ACCESS) !== 0 : offset === 0;
    if (programs0) this.updateIrq(tick);
  }

  private tick(): number {
    return ticksAt(this.options.clock.now(), PIT_HZ);
  }

  private writeControl(value: number, tick: number): void {
    if ((value & CONTROL_READ_BACK) !== CONTROL_READ_BACK) {
      this.counters[value >> 6]?.writeControl(value, tick);
      return;
    }
    this.counters.forEach((counter, i) => {
      if ((value & (2 << i)) === 0) return;
      if ((value & READ_BACK_NO_COUNT) === 0) counter.latchCount(tick);
      if ((value & READ_BACK_NO_STATUS) === 0) counter.latchStatus(tick);
    });
  }

  private updateIrq(tick: number): void {
    this.disarm();
    this.options.irq.set(this.counters[0].output(tick));
    this.arm(tick);
  }

  /** Arms the next rising edge after `tick`. The deadline comes from the counter, so nothing drifts. */
  private arm(tick: number): void {
    const edge = this.counters[0].nextRisingEdge(tick);
    if (edge === undefined) return;
    this.timer = this.options.clock.at(timeOfTick(edge, PIT_HZ), () => {
      this.timer = undefined;
      // OUT was low before the edge; where it fell was of no interest to anyone.
      this.options.irq.set(false);
      this.options.irq.set(true);
      // If the clock has jumped over several periods, their edges are merged into this one.
      this.arm(Math.max(this.tick(), edge + MIN_EDGE_TICKS));
    });
  }

  private disarm(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }
}

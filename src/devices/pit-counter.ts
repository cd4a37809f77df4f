/** The PC's timer frequency: 14.31818 MHz / 12, in hertz. */
export const PIT_HZ = 1193182;

/** Modes by their number in the control word; 6 and 7 are 2 and 3. */
const TERMINAL_COUNT = 0;
const ONE_SHOT = 1;
const RATE_GENERATOR = 2;
const SQUARE_WAVE = 3;
const SOFTWARE_STROBE = 4;
const HARDWARE_STROBE = 5;

/** Bits 5-4 of the control word. */
const ACCESS_LATCH = 0;
const ACCESS_LOW = 1;
const ACCESS_HIGH = 2;
const ACCESS_BOTH = 3;

const STATUS_OUT = 0x80;
const STATUS_NULL_COUNT = 0x40;

const NONE = -1;

/** State of a counter after power-on, where the data sheet leaves it undefined: not programmed. */
export function powerOnCounter(gate: boolean) {
  return {
    mode: TERMINAL_COUNT,
    access: ACCESS_BOTH,
    bcd: false,
    gate,
    /** The initial count N in use (0x10000 or 10000 for a written 0); -1 before the first. */
    count: NONE,
    /** Whether N counts, or will from the tick `start` on at which it is in the counting element. */
    started: false,
    start: 0,
    /** Ticks counted when the gate, or a half-written count, stopped counting; -1 while it runs. */
    stoppedAfter: NONE,
    /** The count that waits for the next trigger, or for `nextTick` in periodic modes; -1 for none. */
    nextCount: NONE,
    nextTick: 0,
    /** Whether the square wave is low after `nextTick`. */
    nextLow: false,
    /** Mode 1: the trigger came within a pulse, so OUT stays low until the count is loaded. */
    retriggered: false,
    /** Low byte written, high byte awaited; -1 otherwise. */
    lowByte: NONE,
    highByteNext: false,
    latchedCount: NONE,
    latchedStatus: NONE,
  };
}

/**
 * One counter of the 8254, as a function of the tick of its clock. A count written at tick t is loaded
 * by the next clock pulse, at t + 1, as the data sheet says ("Mode Definitions").
 */
export class PitCounter {
  state: ReturnType<typeof powerOnCounter>;

  constructor(gate: boolean) {
    this.state = powerOnCounter(gate);
  }

  /** Level of the GATE input. */
  get gate(): boolean {
    return this.state.gate;
  }

  reset(gate: boolean): void {
    this.state = powerOnCounter(gate);
  }

  /** A control word for this counter, which may be the counter latch command. */
  writeControl(value: number, tick: number): void {
    const access = (value >> 4) & 3;
    if (access === ACCESS_LATCH) {
      this.latchCount(tick);
      return;
    }
    const mode = (value >> 1) & 7;
    this.state = {
      ...powerOnCounter(this.state.gate),
      access,
      mode: mode > HARDWARE_STROBE ? mode & 3 : mode,
      bcd: (value & 1) !== 0,
    };
  }

  /** A byte of the count. */
  writeCount(value: number, tick: number): void {
    const s = this.state;
    if (s.access === ACCESS_LOW) {
      this.load(value, tick);
    } else if (s.access === ACCESS_HIGH) {
      this.load(value << 8, tick);
    } else if (s.lowByte === NONE) {
      s.lowByte = value;
      // Mode 0: the first byte stops counting and makes OUT low.
      if (s.mode === TERMINAL_COUNT) s.started = false;
    } else {
      const low = s.lowByte;
      s.lowByte = NONE;
      this.load((value << 8) | low, tick);
    }
  }

  /** Reads a byte: of the latched status, the latched count, or the count as it is. */
  readCount(tick: number): number {
    const s = this.state;
    if (s.latchedStatus !== NONE) {
      const status = s.latchedStatus;
      s.latchedStatus = NONE;
      return status;
    }
    const value = s.latchedCount === NONE ? this.current(tick) : s.latchedCount;
    const high = s.access === ACCESS_HIGH || (s.access === ACCESS_BOTH && s.highByteNext);
    if (s.access === ACCESS_BOTH) s.highByteNext = !s.highByteNext;
    if (!s.highByteNext) s.latchedCount = NONE;
    return high ? value >> 8 : value & 0xff;
  }

  /** Latches the count; a latched one stays until it is read. */
  latchCount(tick: number): void {
    if (this.state.latchedCount === NONE) this.state.latchedCount = this.current(tick);
  }

  /** Latches the status byte of the read-back command. */
  latchStatus(tick: number): void {
    const s = this.state;
    if (s.latchedStatus !== NONE) return;
    this.settle(tick);
    const pending = !s.started || s.start > tick || s.nextCount !== NONE;
    s.latchedStatus =
      (this.output(tick) ? STATUS_OUT : 0) |
      (pending ? STATUS_NULL_COUNT : 0) |
      (s.access << 4) |
      (s.mode << 1) |
      (s.bcd ? 1 : 0);
  }

  /** Drives GATE (data sheet, table "Gate Pin Operations Summary"). */
  setGate(level: boolean, tick: number): void {
    const s = this.state;
    if (level === s.gate) return;
    this.settle(tick);
    s.gate = level;
    if (s.count === NONE) return;
    if (!level) {
      if (this.gateTriggers()) return;
      if (s.started && s.stoppedAfter === NONE) s.stoppedAfter = Math.max(tick - s.start, 0);
    } else if (this.gateTriggers() || this.periodic()) {
      s.retriggered = !this.output(tick);
      this.begin(s.nextCount === NONE ? s.count : s.nextCount, tick + 1);
    } else if (s.started && s.stoppedAfter !== NONE) {
      s.start = tick - s.stoppedAfter;
      s.stoppedAfter = NONE;
    }
  }

  /** Level of OUT. */
  output(tick: number): boolean {
    this.settle(tick);
    const s = this.state;
    const elapsed = this.elapsed(tick);
    const counting = s.started && elapsed >= 0;
    switch (s.mode) {
      case TERMINAL_COUNT:
        return counting && elapsed >= s.count;
      case ONE_SHOT:
        return counting ? elapsed >= s.count : !s.retriggered;
      case RATE_GENERATOR:
        return !counting || !s.gate || elapsed % s.count !== s.count - 1;
      case SQUARE_WAVE:
        return !counting || !s.gate || elapsed % s.count < this.highTicks(s.count);
      default:
        return !counting || elapsed !== s.count;
    }
  }

  /** The first tick after `tick` at which OUT rises if nothing is written; undefined if none. */
  nextRisingEdge(tick: number): number | undefined {
    this.settle(tick);
    const s = this.state;
    if (!s.started || s.stoppedAfter !== NONE) return undefined;
    if (this.periodic()) {
      if (s.nextCount !== NONE) {
        return s.nextLow ? this.nextStart() + s.nextCount : s.nextTick;
      }
      const periods = Math.floor(Math.max(tick - s.start, 0) / s.count) + 1;
      return s.start + periods * s.count;
    }
    const strobe = s.mode === SOFTWARE_STROBE || s.mode === HARDWARE_STROBE;
    const edge = s.start + s.count + (strobe ? 1 : 0);
    return edge > tick ? edge : undefined;
  }

  private periodic(): boolean {
    return this.state.mode === RATE_GENERATOR || this.state.mode === SQUARE_WAVE;
  }

  private gateTriggers(): boolean {
    return this.state.mode === ONE_SHOT || this.state.mode === HARDWARE_STROBE;
  }

  private highTicks(count: number): number {
    return (count + 1) >> 1;
  }

  private modulus(): number {
    return this.state.bcd ? 10000 : 0x10000;
  }

  private elapsed(tick: number): number {
    const s = this.state;
    return s.stoppedAfter === NONE ? tick - s.start : s.stoppedAfter;
  }

  private begin(count: number, start: number): void {
    const s = this.state;
    s.count = count;
    s.started = true;
    s.start = start;
    s.stoppedAfter = s.gate || this.gateTriggers() ? NONE : 0;
    s.nextCount = NONE;
  }

  /** A complete count has been written. */
  private load(written: number, tick: number): void {
    const s = this.state;
    this.settle(tick);
    const count = (s.bcd ? fromBcd(written) : written) || this.modulus();
    if (this.gateTriggers()) {
      s.nextCount = count;
      if (s.count === NONE) s.count = count;
    } else if (this.periodic() && s.started && s.gate) {
      s.nextCount = count;
      this.scheduleTakeOver(tick);
    } else {
      this.begin(count, tick + 1);
    }
  }

  /** A new count takes over at the end of the period, in a square wave of the half period. */
  private scheduleTakeOver(tick: number): void {
    const s = this.state;
    const period = s.start + Math.floor(Math.max(tick - s.start, 0) / s.count) * s.count;
    const half = period + this.highTicks(s.count);
    s.nextLow = s.mode === SQUARE_WAVE && tick < half;
    s.nextTick = s.nextLow ? half : period + s.count;
  }

  /** Where the waiting count's first period starts: before `nextTick` if that begins its low half. */
  private nextStart(): number {
    const s = this.state;
    return s.nextLow ? s.nextTick - this.highTicks(s.nextCount) : s.nextTick;
  }

  /** Lets the waiting count of a periodic mode take over when its time has come. */
  private settle(tick: number): void {
    const s = this.state;
    if (this.periodic() && s.nextCount !== NONE && tick >= s.nextTick) {
      this.begin(s.nextCount, this.nextStart());
    }
  }

  /** The counting element as the guest reads it, in its number system. */
  private current(tick: number): number {
    this.settle(tick);
    const s = this.state;
    if (s.count === NONE) return 0;
    const modulus = this.modulus();
    const elapsed = Math.max(this.elapsed(tick), 0);
    let value: number;
    if (!s.started) {
      value = s.count;
    } else if (s.mode === SQUARE_WAVE) {
      const phase = elapsed % s.count;
      const high = this.highTicks(s.count);
      value = (s.count & ~1) - 2 * (phase < high ? phase : phase - high);
    } else if (s.mode === RATE_GENERATOR) {
      value = s.count - (elapsed % s.count);
    } else {
      value = (((s.count - elapsed) % modulus) + modulus) % modulus;
    }
    value %= modulus;
    return s.bcd ? toBcd(value) : value;
  }
}

function fromBcd(value: number): number {
  let result = 0;
  for (let shift = 12; shift >= 0; shift -= 4) result = result * 10 + ((value >> shift) & 0xf);
  return result;
}

function toBcd(value: number): number {
  let result = 0;
  for (let shift = 0; shift < 16; shift += 4) {
    result |= (value % 10) << shift;
    value = Math.floor(value / 10);
  }
  return result;
}

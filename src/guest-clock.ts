import type { GuestClock, GuestTimer } from './clock.js';
import type { ClockSource } from './native.js';

/**
 * Length of a slice under the host clock that is left for a device. One that is not goes on, and so does the
 * run(): the processor asks as often whether anybody waits, and comes back after five times as long.
 */
const HOST_SLICE_NS = 4e6;

/** Slice length under icount. It is fixed, so that what happens between slices is deterministic. */
const ICOUNT_SLICE = 250_000;

/** First guess at the speed of the CPU in instructions per nanosecond; measured from then on. */
const INITIAL_SPEED = 0.05;

/** More instructions than any slice under the host clock has time for. */
const ENDLESS_SLICE = 2 ** 40;

/** Slices under the host clock of fewer instructions say little about the speed of the CPU. */
const LEAST_MEASURED = 5_000;

/** Shortest run towards a timer under the host clock: below this, entering the CPU costs more. */
const MIN_RUN = 200;

/** Where the timer queue gets the time from (the CPU object, in a machine). */
export interface TimeSource {
  /** Guest time in nanoseconds since power-on. */
  now(): number;
}

/** One armed timer; a node of the heap that knows its place, so that it can be taken out at once. */
class Timer implements GuestTimer {
  /** Position in the heap, -1 when not in it. */
  index = -1;
  cancelled = false;

  constructor(
    private readonly queue: TimerQueue,
    readonly deadline: number,
    readonly order: number,
    readonly callback: () => void,
  ) {}

  cancel(): void {
    this.cancelled = true;
    this.queue.remove(this);
  }

  before(other: Timer): boolean {
    return this.deadline === other.deadline
      ? this.order < other.order
      : this.deadline < other.deadline;
  }
}

/**
 * A binary heap of timers. Cancelled timers leave it at once: a guest that reprograms a device in a
 * loop must not be able to fill the host's memory with them.
 */
class TimerQueue {
  private readonly heap: Timer[] = [];

  get first(): Timer | undefined {
    return this.heap[0];
  }

  get length(): number {
    return this.heap.length;
  }

  push(timer: Timer): void {
    this.heap.push(timer);
    this.moveUp(timer, this.heap.length - 1);
  }

  remove(timer: Timer): void {
    const { index } = timer;
    if (index < 0) return;
    timer.index = -1;
    const last = this.heap.pop();
    if (last === undefined || last === timer) return;
    this.moveUp(last, index);
    this.moveDown(last, last.index);
  }

  private place(timer: Timer, index: number): void {
    this.heap[index] = timer;
    timer.index = index;
  }

  private moveUp(timer: Timer, start: number): void {
    let index = start;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = this.heap[above];
      if (parent === undefined || !timer.before(parent)) break;
      this.place(parent, index);
      index = above;
    }
    this.place(timer, index);
  }

  private moveDown(timer: Timer, start: number): void {
    let index = start;
    for (;;) {
      const left = this.heap[2 * index + 1];
      const right = this.heap[2 * index + 2];
      const child = right !== undefined && left !== undefined && right.before(left) ? right : left;
      if (!child?.before(timer)) break;
      const below = child.index;
      this.place(child, index);
      index = below;
    }
    this.place(timer, index);
  }
}

/**
 * The guest clock of a machine: the CPU's time with a queue of timers on it. The machine runs what is
 * due between instructions; nothing here ever waits.
 */
export class MachineClock implements GuestClock {
  private readonly queue = new TimerQueue();
  private armed = 0;

  /**
   * @param source the CPU
   * @param epochMs wall-clock time at power-on, milliseconds since the Unix epoch (UTC)
   */
  constructor(
    private readonly source: TimeSource,
    readonly epochMs: number,
  ) {}

  now(): number {
    return this.source.now();
  }

  at(deadline: number, callback: () => void): GuestTimer {
    const timer = new Timer(this.queue, deadline, this.armed++, callback);
    // A deadline that is never reached (Infinity, or NaN from a hostile divisor) has no place in the queue.
    if (deadline < Infinity) this.queue.push(timer);
    return timer;
  }

  /** Guest time of the earliest timer in nanoseconds, Infinity when there is none. */
  get nextDeadline(): number {
    return this.queue.first?.deadline ?? Infinity;
  }

  /** Number of armed timers. */
  get pending(): number {
    return this.queue.length;
  }

  /**
   * Runs every timer whose deadline is not after `now`, in order. Timers armed meanwhile wait for the
   * next call even when they are due already, so that a period shorter than an instruction cannot
   * keep the guest from its next instruction.
   */
  runDue(now: number): void {
    const first = this.queue.first;
    if (first === undefined || first.deadline > now) return;
    const due: Timer[] = [];
    for (let timer = this.queue.first; timer && timer.deadline <= now; timer = this.queue.first) {
      this.queue.remove(timer);
      due.push(timer);
    }
    for (const timer of due) {
      if (!timer.cancelled) timer.callback();
    }
  }
}

/** How many instructions the CPU may run at a time; all times in nanoseconds of guest time. */
export interface Pace {
  /** Instructions in the slice that starts now. */
  slice(): number;
  /** Whether a slice that began at `start` has taken long enough, whatever is left of its instructions. */
  over(start: number, now: number): boolean;
  /** Instructions to run, at least 1 and at most `left`, so as not to miss `deadline`. */
  run(left: number, now: number, deadline: number): number;
  /** Tells what a slice came to. */
  measured(instructions: number, nanoseconds: number): void;
}

/**
 * Retired instructions: one is a nanosecond, so a timer is served at the exact instruction its
 * deadline falls on, and slices have a fixed length.
 */
export class IcountPace implements Pace {
  slice(): number {
    return ICOUNT_SLICE;
  }

  over(): boolean {
    return false;
  }

  run(left: number, now: number, deadline: number): number {
    return Math.max(1, Math.min(left, Math.ceil(deadline - now)));
  }

  measured(): void {
    // The length of a slice must not depend on the host.
  }
}

/** Host time: slices of some milliseconds, and runs towards timers by the speed measured in the slices before. */
export class HostPace implements Pace {
  /** Instructions per nanosecond. */
  private speed = INITIAL_SPEED;

  slice(): number {
    return ENDLESS_SLICE;
  }

  over(start: number, now: number): boolean {
    return now - start >= HOST_SLICE_NS;
  }

  run(left: number, now: number, deadline: number): number {
    const toDeadline = Math.max(MIN_RUN, Math.ceil((deadline - now) * this.speed));
    return Math.max(1, Math.min(left, toDeadline));
  }

  measured(instructions: number, nanoseconds: number): void {
    // Those of an idle guest: entering and leaving outweighs the instructions.
    if (instructions < LEAST_MEASURED || nanoseconds <= 0) return;
    this.speed += (instructions / nanoseconds - this.speed) / 8;
  }
}

/** The pace that belongs to a clock source. */
export function paceOf(source: ClockSource): Pace {
  return source === 'icount' ? new IcountPace() : new HostPace();
}

import type { GuestClock, GuestTimer } from '../../src/clock.js';

interface Entry {
  readonly deadline: number;
  readonly callback: () => void;
}

/** A guest clock that a test moves by hand. Timers run in order, each at its own deadline. */
export class ManualClock implements GuestClock {
  private time = 0;
  private entries: Entry[] = [];

  constructor(readonly epochMs = Date.UTC(2024, 1, 28, 23, 59, 58)) {}

  now(): number {
    return this.time;
  }

  at(deadline: number, callback: () => void): GuestTimer {
    const entry: Entry = { deadline, callback };
    this.entries.push(entry);
    return {
      cancel: () => {
        this.entries = this.entries.filter((other) => other !== entry);
      },
    };
  }

  /** Number of armed timers. */
  get armed(): number {
    return this.entries.length;
  }

  /** The earliest deadline, Infinity when nothing is armed. */
  get nextDeadline(): number {
    return Math.min(Infinity, ...this.entries.map((entry) => entry.deadline));
  }

  /** Moves on by `ns`, running timers at their deadlines. */
  advance(ns: number): void {
    this.advanceTo(this.time + ns);
  }

  /** Moves on to `time`, running timers at their deadlines. */
  advanceTo(time: number): void {
    while (this.nextDeadline <= time) {
      this.time = Math.max(this.time, this.nextDeadline);
      this.runFirst();
    }
    this.time = time;
  }

  /** Jumps to `time` first and runs then what has become due, as after a pause of the host. */
  jumpTo(time: number): void {
    this.time = time;
    while (this.nextDeadline <= time) this.runFirst();
  }

  private runFirst(): void {
    const deadline = this.nextDeadline;
    const index = this.entries.findIndex((entry) => entry.deadline === deadline);
    const [entry] = this.entries.splice(index, 1);
    entry?.callback();
  }
}

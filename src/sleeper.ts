/** How a machine spends the time between two slices. */
import type { Cpu } from './cpu.js';
import type { MachineClock } from './guest-clock.js';
import type { IdleWatch } from './idle-watch.js';
import type { ClockSource } from './native.js';

/** setTimeout() takes no more than this: about 24 days. */
const LONGEST_SLEEP_MS = 2 ** 31 - 1;

/** A sleep shorter than this many milliseconds is a turn of the event loop: timers are coarser. */
const SHORTEST_SLEEP_MS = 0.5;

/** Whose time a {@link Sleeper} spends. */
export interface SleeperOptions {
  readonly cpu: Cpu;
  readonly timers: MachineClock;
  /** What guest time is made of: under `icount` it jumps over what an idle guest waits for. */
  readonly source: ClockSource;
  /** Told how long the guest was idle. */
  readonly idleWatch: IdleWatch;
}

/** Lets the event loop turn between slices, and an idle guest sleep until there is something to do. */
export class Sleeper {
  /** How often something came from outside that an idle guest may wait for. */
  wakeUps = 0;

  private endSleep: (() => void) | undefined;

  constructor(private readonly options: SleeperOptions) {}

  /** Something came from outside: ends the sleep that is under way, if any. */
  wake(): void {
    this.wakeUps++;
    this.endSleep?.();
  }

  /** Sleeps until {@link wake}, whatever the guest's timers say; may end earlier by itself. */
  untilWoken(): Promise<void> {
    return this.sleep(LONGEST_SLEEP_MS);
  }

  /**
   * Lets the event loop turn, and an idle guest sleep until its next timer or input.
   * @param wakeUps their number when the slice began
   * @param latest guest time at which the machine itself has something to do, in nanoseconds
   */
  async rest(idle: boolean, wakeUps: number, latest: number): Promise<void> {
    if (!idle || this.wakeUps !== wakeUps) return turn();
    const { cpu, timers, idleWatch } = this.options;
    const deadline = Math.min(timers.nextDeadline, cpu.apicDeadline, latest);
    const halted = timers.now();
    await this.restUntil(deadline, wakeUps);
    // A host that was busy with something else came late: that time is not the guest's.
    const woken = Math.min(timers.now(), deadline);
    idleWatch.rested(woken - halted, cpu.instructions);
  }

  private async restUntil(deadline: number, wakeUps: number): Promise<void> {
    const { cpu, timers, source } = this.options;
    if (deadline === Infinity) return this.untilWoken();
    if (source === 'host') return this.sleep((deadline - timers.now()) / 1e6);
    await turn();
    // Input that has just come is served at this instruction; only a guest left alone jumps ahead.
    const leftAlone = this.wakeUps === wakeUps;
    // Icount time is whole nanoseconds; rounding up makes the timer due.
    if (leftAlone && deadline > timers.now()) cpu.native.advanceTo(Math.ceil(deadline));
  }

  private sleep(milliseconds: number): Promise<void> {
    if (milliseconds < SHORTEST_SLEEP_MS) return turn();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.endSleep = undefined;
        resolve();
      };
      const timer = setTimeout(done, Math.min(Math.round(milliseconds), LONGEST_SLEEP_MS));
      this.endSleep = done;
    });
  }
}

/** One turn of the event loop: pending promises, timers and input of the process are served. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => {
      // Node lets its loop wait for immediates until all of this turn have run. To take back another one tells it
      // that there is none, so that the processor (isWaitedFor) sees what others wait for.
      clearImmediate(setImmediate(resolve));
      resolve();
    });
  });
}

/** What may end the waiting for a guest: host time, guest time, an AbortSignal. */

/** Starts to count and calls `expired` at most once, with words such as "within 500 ms". Returns how to stop. */
export type Limit = (expired: (when: string, aborted: boolean) => void) => () => void;

/** setTimeout() takes no more than this: about 24 days. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** So many milliseconds of host time. */
export function hostLimit(milliseconds: number): Limit {
  return (expired) => {
    const timer = setTimeout(
      () => expired(`within ${milliseconds} ms`, false),
      Math.min(milliseconds, LONGEST_TIMEOUT_MS),
    );
    return () => clearTimeout(timer);
  };
}

/** Until somebody aborts, which may be the case already. */
export function signalLimit(signal: AbortSignal): Limit {
  return (expired) => {
    const abort = (): void => expired('before it was aborted', true);
    if (signal.aborted) {
      abort();
      return () => undefined;
    }
    signal.addEventListener('abort', abort, { once: true });
    return () => signal.removeEventListener('abort', abort);
  };
}

/** Whatever comes first. */
export function firstOf(limits: readonly Limit[]): Limit {
  return (expired) => {
    const race = new Race(expired);
    for (const limit of limits) race.enter(limit);
    return () => race.stop();
  };
}

/** Limits that run until one of them has expired. */
class Race {
  private readonly stops: (() => void)[] = [];
  private over = false;

  constructor(private readonly expired: (when: string, aborted: boolean) => void) {}

  enter(limit: Limit): void {
    if (this.over) return;
    const stop = limit((when, aborted) => {
      if (this.over) return;
      this.stop();
      this.expired(when, aborted);
    });
    this.stops.push(stop);
    // It may have expired at once.
    if (this.hasEnded()) this.stop();
  }

  private hasEnded(): boolean {
    return this.over;
  }

  stop(): void {
    this.over = true;
    for (const stop of this.stops.splice(0)) stop();
  }
}

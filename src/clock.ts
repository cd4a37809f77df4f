/** Handle of a scheduled guest-time callback. */
export interface GuestTimer {
  /** Disarms the timer; safe to call at any time, also from its own callback. */
  cancel(): void;
}

/**
 * The one guest clock (design rule 1). Everything that tells time in the guest derives from it, so a
 * device never asks the host what time it is.
 */
export interface GuestClock {
  /** Guest time since power-on in nanoseconds, monotonic; fractions are possible. */
  now(): number;
  /**
   * Calls `callback` once guest time has reached `deadline` (nanoseconds since power-on). It runs
   * between instructions, at or a little after the deadline; never from inside this call. Timers with
   * equal deadlines run in the order in which they were armed.
   */
  at(deadline: number, callback: () => void): GuestTimer;
  /** Wall-clock time at power-on, milliseconds since the Unix epoch (UTC); fixed under icount. */
  readonly epochMs: number;
}

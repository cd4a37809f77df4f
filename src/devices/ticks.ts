/**
 * Guest time as ticks of an oscillator that has run since power-on. Counters keep the integer tick at
 * which they were started, so nothing accumulates and periodic events do not drift.
 */

const NS_PER_SECOND = 1e9;

/** Part of a tick that rounding may cost: below a nanosecond for every oscillator here. */
const ROUNDING = 1e-3;

/** Whole ticks of an oscillator of `hz` (an integer) from power-on to guest time `ns`. */
export function ticksAt(ns: number, hz: number): number {
  const seconds = Math.floor(ns / NS_PER_SECOND);
  const rest = ns - seconds * NS_PER_SECOND;
  return seconds * hz + Math.floor((rest * hz) / NS_PER_SECOND + ROUNDING);
}

/** The earliest whole nanosecond, or the next, at which {@link ticksAt} gives `tick`. */
export function timeOfTick(tick: number, hz: number): number {
  const seconds = Math.floor(tick / hz);
  return seconds * NS_PER_SECOND + Math.ceil(((tick - seconds * hz) * NS_PER_SECOND) / hz);
}

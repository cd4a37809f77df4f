import type { Machine } from '../machine.js';
import { backtraceOf } from './backtrace.js';
import { BootProfile } from './boot-profile.js';
import { CpuProfile } from './cpu-profile.js';
import { lookAtPhase } from './phase-watch.js';

/** A profile that is being made. */
export interface Profile {
  /** Ends it: the contents of the file, and a few lines for people. */
  finish(): { readonly file: string; readonly summary: readonly string[] };
}

/**
 * Follows the boot of a machine that is not running, or between two of its slices: phases, initcalls, interrupts and
 * devices on the guest's time. The file is of the trace-event format (Perfetto, chrome://tracing).
 */
export function startBootProfile(machine: Machine): Profile {
  const { phases, view, board } = machine;
  const { ports, mmio } = board;
  const look = (): void => void lookAtPhase(phases, view);
  const stack = (): readonly string[] => stackOf(machine);
  return follow(machine, new BootProfile({ ports, mmio, phases, stack, look }));
}

/**
 * Samples the functions that the guest runs, with their callers, once in a million instructions. The file is a
 * .cpuprofile (Chrome DevTools, speedscope).
 */
export function startCpuProfile(machine: Machine): Profile {
  return follow(machine, new CpuProfile(() => stackOf(machine)));
}

function follow(machine: Machine, profile: BootProfile | CpuProfile): Profile {
  const remove = machine.hub.add(profile);
  return {
    finish: () => {
      remove();
      return { file: profile.finish(), summary: profile.summary() };
    },
  };
}

/** Names of the functions that run, innermost first; user space has none. */
function stackOf({ view, symbols }: Machine): readonly string[] {
  if (view.cpl === 3) return ['(user space)'];
  const { addresses } = backtraceOf(view, symbols);
  return addresses.map((address) => symbols.resolve(address)?.name ?? `0x${address.toString(16)}`);
}

/** How far a guest has come, as seen from outside. */
import type { Backtrace } from './backtrace.js';
import type { GuestView } from './guest-view.js';
import type { Symbols } from './symbols.js';

/** Phases of a Linux boot in their order; `guest code` for what is no Linux. */
export type BootPhaseName =
  | 'guest code'
  | 'setup code'
  | 'decompressor'
  | 'startup_64'
  | 'start_kernel'
  | 'initcalls'
  | 'init'
  | 'user space';

/** A phase, and what it was about. */
export interface BootPhase {
  readonly name: BootPhaseName;
  /** The initcall that runs, where one does. */
  readonly detail?: string | undefined;
}

/** Values of enum system_states before SYSTEM_RUNNING: include/linux/kernel.h. */
const SYSTEM_BOOTING = 0n;
const SYSTEM_SCHEDULING = 1n;
const SYSTEM_FREEING_INITMEM = 2n;

/**
 * The phase that a guest is in.
 * @param isLinux whether a Linux kernel was loaded
 */
export function bootPhaseOf(
  view: GuestView,
  symbols: Symbols,
  backtrace: Backtrace,
  isLinux: boolean,
): BootPhase {
  const image = symbols.kernel();
  if (image === undefined) {
    if (!isLinux) return { name: 'guest code' };
    return { name: view.protectedMode ? 'decompressor' : 'setup code' };
  }
  if (!image.mapped) return { name: 'startup_64' };
  const names = backtrace.addresses.map((address) => symbols.resolve(address)?.name);
  const stateAt = symbols.address('system_state');
  const state = stateAt === undefined ? undefined : view.readUint(stateAt, 4);
  if (names.includes('do_one_initcall')) {
    return { name: 'initcalls', detail: names[names.indexOf('do_one_initcall') - 1] };
  }
  if (names.includes('kernel_init_freeable')) return { name: 'init' };
  if (view.cpl === 3) return { name: 'user space' };
  if (state === SYSTEM_BOOTING) {
    const early = names.some((name) => /^(secondary_)?startup_64|^x86_64_start_/.test(name ?? ''));
    return { name: early && !names.includes('start_kernel') ? 'startup_64' : 'start_kernel' };
  }
  if (state === SYSTEM_SCHEDULING) return { name: 'initcalls' };
  return { name: state === SYSTEM_FREEING_INITMEM ? 'init' : 'user space' };
}

/** A phase in words. */
export function describePhase({ name, detail }: BootPhase): string {
  return detail === undefined ? name : `${name}: ${detail}`;
}

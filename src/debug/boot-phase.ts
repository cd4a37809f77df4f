/** The phases of a boot, and what they are told by. */
import type { Backtrace } from './backtrace.js';
import type { ExecutionMode } from './events.js';
import type { GuestView } from './guest-view.js';
import type { Symbols } from './symbols.js';

/**
 * The phases of a Linux boot in their order; a boot may begin with a later one. Setup code in real mode, the
 * decompressor, the kernel up to its initcalls, these, the start of process 1, user space.
 */
export const BOOT_PHASES = [
  'setup',
  'decompressor',
  'kernel',
  'initcalls',
  'init',
  'user',
] as const;

/** See {@link BOOT_PHASES}. */
export type BootPhase = (typeof BOOT_PHASES)[number];

/** A phase, and what it was about. */
export interface FoundPhase {
  /** `guest code` for what is no Linux. */
  readonly name: BootPhase | 'guest code';
  /** The function that says more: the initcall that runs, or what of the kernel's start. */
  readonly detail?: string | undefined;
}

/** Where the kernel's half of the address space begins: 64 bits, and 32 bits with the usual 3:1 split. */
const KERNEL_64 = 0xffff_8000_0000_0000n;
const KERNEL_32 = 0xc000_0000n;

/** Values of enum system_states before SYSTEM_RUNNING: include/linux/kernel.h. */
const SYSTEM_BOOTING = 0n;
const SYSTEM_SCHEDULING = 1n;
const SYSTEM_FREEING_INITMEM = 2n;

/** What process 1 does between the initcalls and its program: init/main.c, init/do_mounts.c. */
const STARTS_INIT = ['prepare_namespace', 'console_on_rootfs'];

/** The phase by where the processor is; `kernel` for all of the kernel proper. */
export function phaseAt(address: bigint, cpl: number, mode: ExecutionMode): BootPhase {
  if (mode === 'real' || mode === 'v86') return 'setup';
  if (cpl === 3) return 'user';
  if (mode === '16') return 'setup';
  return address >= (mode === '64' ? KERNEL_64 : KERNEL_32) ? 'kernel' : 'decompressor';
}

/** Likewise for a guest that stands still. */
export function phaseAtCode(view: GuestView): BootPhase {
  const mode = view.protectedMode ? (`${view.codeBits}` as const) : 'real';
  return phaseAt(view.codeAddress, view.cpl, mode);
}

/**
 * The phase by the functions that run, as far as they tell.
 * @param names innermost first
 */
export function phaseOfStack(
  names: readonly (string | undefined)[],
): (FoundPhase & { readonly name: BootPhase }) | undefined {
  const initcall = names.lastIndexOf('do_one_initcall');
  if (initcall >= 0) return { name: 'initcalls', detail: names[initcall - 1] };
  const ofProcess1 = names.includes('kernel_init') && !names.includes('kernel_init_freeable');
  const startsInit = ofProcess1 || STARTS_INIT.some((name) => names.includes(name));
  return startsInit ? { name: 'init' } : undefined;
}

/**
 * The phase that a guest is in, by all that is known of it.
 * @param isLinux whether a Linux kernel was loaded
 */
export function bootPhaseOf(
  view: GuestView,
  symbols: Symbols,
  backtrace: Backtrace,
  isLinux: boolean,
): FoundPhase {
  const image = symbols.kernel();
  if (image === undefined) return { name: isLinux ? phaseAtCode(view) : 'guest code' };
  if (!image.mapped) {
    const isKernel = symbols.resolve(view.codeAddress) !== undefined;
    return isKernel ? { name: 'kernel', detail: 'startup_64' } : { name: phaseAtCode(view) };
  }
  const names = backtrace.addresses.map((address) => symbols.resolve(address)?.name);
  return phaseOfStack(names) ?? phaseOfState(view, symbols, names);
}

function phaseOfState(
  view: GuestView,
  symbols: Symbols,
  names: readonly (string | undefined)[],
): FoundPhase {
  if (view.cpl === 3) return { name: 'user' };
  const stateAt = symbols.address('system_state');
  const state = stateAt === undefined ? undefined : view.readUint(stateAt, 4);
  if (state === SYSTEM_BOOTING) {
    const early = names.some((name) => /^(secondary_)?startup_64|^x86_64_start_/.test(name ?? ''));
    const isStartup = early && !names.includes('start_kernel');
    return { name: 'kernel', detail: isStartup ? 'startup_64' : 'start_kernel' };
  }
  if (state === SYSTEM_SCHEDULING) return { name: 'initcalls' };
  return { name: state === SYSTEM_FREEING_INITMEM ? 'init' : 'user' };
}

/** A phase in words. */
export function describePhase({ name, detail }: FoundPhase): string {
  return detail === undefined ? name : `${name}: ${detail}`;
}

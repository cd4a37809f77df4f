import type { BootProtocol } from '../loader/protocol.js';
import type { ExecutionMode } from './events.js';
import type { GuestView } from './guest-view.js';

/** The phases of a boot in their order; a boot may begin with a later one. */
export const BOOT_PHASES = ['setup', 'decompressor', 'kernel', 'initcalls', 'user'] as const;

/** How far a boot is: setup code in real mode, the decompressor, the kernel, its initcalls, user space. */
export type BootPhase = (typeof BOOT_PHASES)[number];

/** Where the kernel's half of the address space begins: 64 bits, and 32 bits with the usual 3:1 split. */
const KERNEL_64 = 0xffff_8000_0000_0000n;
const KERNEL_32 = 0xc000_0000n;

/**
 * The phase that a boot begins with.
 * @param protocol how the kernel is entered; `16` for firmware too
 * @param unpacked whether the file is the kernel itself
 */
export function firstPhase(protocol: BootProtocol, unpacked: boolean): BootPhase {
  if (protocol === '16') return 'setup';
  return unpacked || (protocol !== '32' && protocol !== '64') ? 'kernel' : 'decompressor';
}

/** Follows a boot by where the processor is. */
export class PhaseWatch {
  /** @param phase that it begins with */
  constructor(public phase: BootPhase) {}

  /**
   * The processor is at `address`.
   * @returns whether this is the beginning of another phase
   */
  see(address: bigint, cpl: number, mode: ExecutionMode): boolean {
    return this.reach(phaseAt(address, cpl, mode));
  }

  /** The boot has reached `phase`, whatever was seen; returns whether that is new. */
  reach(phase: BootPhase): boolean {
    if (BOOT_PHASES.indexOf(phase) <= BOOT_PHASES.indexOf(this.phase)) return false;
    this.phase = phase;
    return true;
  }
}

/** The same for a guest that stands still; returns whether this is the beginning of another phase. */
export function lookAtPhase(watch: PhaseWatch, view: GuestView): boolean {
  const mode = view.protectedMode ? (`${view.codeBits}` as const) : 'real';
  return watch.see(view.codeAddress, view.cpl, mode);
}

function phaseAt(address: bigint, cpl: number, mode: ExecutionMode): BootPhase {
  if (mode === 'real' || mode === 'v86') return 'setup';
  if (cpl === 3) return 'user';
  if (mode === '16') return 'setup';
  return address >= (mode === '64' ? KERNEL_64 : KERNEL_32) ? 'kernel' : 'decompressor';
}

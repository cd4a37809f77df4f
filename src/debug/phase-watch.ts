import type { BootProtocol } from '../loader/protocol.js';
import { BOOT_PHASES, phaseAt, phaseAtCode, type BootPhase } from './boot-phase.js';
import type { ExecutionMode } from './events.js';
import type { GuestView } from './guest-view.js';

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
  return watch.reach(phaseAtCode(view));
}

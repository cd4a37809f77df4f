/** setup_data, the list behind boot_params (Documentation/arch/x86/boot.rst, field setup_data). */
import { BOOT_SETUP_DATA } from '../layout.js';
import type { Entropy } from '../entropy.js';
import type { GuestMemory } from '../memory.js';

/** Types of setup_data (include/uapi/asm/setup_data.h). */
export const SETUP_DATA_TYPE = { SETUP_RNG_SEED: 9 } as const;

/** What the kernel's random number generator takes in one go. */
const SEED_WORDS = 4;
const HEADER_SIZE = 16;

/**
 * Writes the list with its one entry, a seed for the kernel's random numbers.
 * @returns its address, for the setup_data field
 */
export function writeSetupData(memory: GuestMemory, entropy: Entropy): number {
  const entry = new Uint8Array(HEADER_SIZE + SEED_WORDS * 8);
  const view = new DataView(entry.buffer);
  view.setBigUint64(0, 0n, true); // next: none
  view.setUint32(8, SETUP_DATA_TYPE.SETUP_RNG_SEED, true);
  view.setUint32(12, SEED_WORDS * 8, true);
  for (let word = 0; word < SEED_WORDS; word++) {
    view.setBigUint64(HEADER_SIZE + word * 8, entropy.u64(), true);
  }
  memory.write(BOOT_SETUP_DATA.base, entry);
  return BOOT_SETUP_DATA.base;
}

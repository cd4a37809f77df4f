/** The memory map that the firmware would report (ACPI 6.4, "System Address Map Interfaces"). */
import { EBDA, FIRMWARE_WINDOW, HIGH_MEMORY, HIGH_RAM_BASE, type RamSplit } from '../layout.js';

/** Types of address ranges. */
export const E820_TYPE = { RAM: 1, RESERVED: 2 } as const;

/** One address range; bytes. */
export interface E820Entry {
  readonly base: number;
  readonly length: number;
  readonly type: (typeof E820_TYPE)[keyof typeof E820_TYPE];
}

/** End of conventional memory. */
const CONVENTIONAL_END = 0xa_0000;

/**
 * The map of a machine with this RAM, in ascending order and without overlaps. The video range is left
 * out, as PC firmware does; the firmware range, where the ACPI tables lie, is reserved.
 */
export function buildE820({ lowRam, highRam }: RamSplit): readonly E820Entry[] {
  const entries: E820Entry[] = [
    { base: 0, length: EBDA.base, type: E820_TYPE.RAM },
    { base: EBDA.base, length: CONVENTIONAL_END - EBDA.base, type: E820_TYPE.RESERVED },
    { base: FIRMWARE_WINDOW.base, length: FIRMWARE_WINDOW.length, type: E820_TYPE.RESERVED },
    { base: HIGH_MEMORY, length: lowRam - HIGH_MEMORY, type: E820_TYPE.RAM },
    { base: HIGH_RAM_BASE, length: highRam, type: E820_TYPE.RAM },
  ];
  return entries.filter((entry) => entry.length > 0);
}

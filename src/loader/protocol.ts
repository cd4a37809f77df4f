/** The doors through which a kernel is entered, and what each of them is given. */
import type { GuestMemory } from '../memory.js';
import type { Entropy } from '../entropy.js';
import type { EntryState } from './entry-state.js';
import type { FirmwareDrives } from './rom.js';

/**
 * How a kernel is loaded and entered. `direct`: the host unpacks a bzImage's payload and enters the
 * kernel proper, as the kernel's own decompressor would; `64` and `32`: the entry points of the Linux boot
 * protocol; `16`: its setup code, in real mode and with a ROM; `pvh`: the Xen PVH note of an ELF file;
 * `multiboot`: version 1 or 2 of that specification.
 */
export const BOOT_PROTOCOLS = ['direct', '64', '32', '16', 'pvh', 'multiboot'] as const;

/** See {@link BOOT_PROTOCOLS}. */
export type BootProtocol = (typeof BOOT_PROTOCOLS)[number];

/** What is loaded, and into what. */
export interface LoadOptions {
  readonly memory: GuestMemory;
  /** The kernel file. */
  readonly kernel: Uint8Array;
  /** initramfs archives; the kernel sees them one after the other. Modules, for multiboot. */
  readonly initrds: readonly Uint8Array[];
  /** Kernel command line, without NUL. */
  readonly cmdline: string;
  /** Guest physical address of the ACPI root pointer, see buildAcpi. */
  readonly rsdp: number;
  /** For SETUP_RNG_SEED and the kernel's own address. */
  readonly entropy: Entropy;
  /** What INT 13h finds, where the door is one with a ROM. */
  readonly drives?: FirmwareDrives;
}

/** One way into a kernel file. */
export interface Door {
  readonly protocol: BootProtocol;
  /** A few words on what is entered and where, for `--verbose`. */
  readonly description: string;
  /**
   * Puts everything into guest memory.
   * @throws NodevmError `E_BAD_KERNEL`, `E_MEMORY_SIZE` (too little RAM for the kernel), `E_BAD_INITRD`
   *   (no room for the initramfs), `E_CMDLINE_TOO_LONG`, `E_USAGE` (NUL in the command line).
   */
  readonly load: (options: LoadOptions) => EntryState;
}

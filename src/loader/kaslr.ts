/**
 * Where the kernel goes when it randomizes its own address, by the rules of its decompressor
 * (arch/x86/boot/compressed/kaslr.c): physically any aligned slot in RAM that nothing else uses, virtually
 * any aligned slot in the 1 GiB of the kernel mapping.
 */
import { pick, type Entropy } from '../entropy.js';
import type { AddressRange } from '../layout.js';
import { alignUp } from './binary.js';
import type { Placement } from './boot-params.js';

/** What is to be placed. */
export interface KaslrRequest {
  readonly bits: 32 | 64;
  /** LOAD_PHYSICAL_ADDR: where the kernel was linked to run, and its lowest virtual place. */
  readonly linked: number;
  /** CONFIG_PHYSICAL_ALIGN. */
  readonly alignment: number;
  /** Bytes of memory that it needs there. */
  readonly length: number;
  readonly cmdline: string;
  readonly ram: readonly AddressRange[];
  /** What it must not overwrite; all below 1 MiB is left alone anyway. */
  readonly avoid: Placement | undefined;
  readonly entropy: Entropy;
}

/** Places chosen for the kernel: offsets from where it was linked are `physical - linked` and so on. */
export interface KaslrPlaces {
  readonly physical: number;
  /** Virtual place, counted like a physical one. */
  readonly virtual: number;
}

/** KERNEL_IMAGE_SIZE: the room of the kernel mapping with CONFIG_RANDOMIZE_BASE. */
const KERNEL_IMAGE_SIZE = { 32: 512 * 2 ** 20, 64: 2 ** 30 } as const;
/** The lowest physical place is here at most, however high the kernel was linked. */
const HIGHEST_MINIMUM = 512 * 2 ** 20;

/** Whether the command line turns randomization off. */
export function wantsNoKaslr(cmdline: string): boolean {
  return hasWord(cmdline, /^nokaslr$/);
}

/** Chooses both places; a 32-bit kernel's are one. */
export function choosePlaces(request: KaslrRequest): KaslrPlaces {
  const physical = choosePhysical(request);
  if (request.bits === 32) return { physical, virtual: physical };
  const { linked, alignment, length, entropy } = request;
  const slots = 1 + Math.floor((KERNEL_IMAGE_SIZE[64] - linked - length) / alignment);
  return {
    physical,
    virtual: slots < 1 ? linked : linked + alignment * pick(entropy, slots),
  };
}

function choosePhysical(request: KaslrRequest): number {
  const { linked, alignment, length, entropy } = request;
  // These change what RAM the kernel may use. The place it was linked for is one of those allowed.
  if (hasWord(request.cmdline, /^(mem|memmap|hugepages|hugepagesz|movable_node|efi_fake_mem)\b/)) {
    return linked;
  }
  const slots = freeRanges(request).map(({ base, end }) => {
    const first = alignUp(base, alignment);
    return { first, count: Math.max(0, 1 + Math.floor((end - length - first) / alignment)) };
  });
  const total = slots.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return linked;
  let chosen = pick(entropy, total);
  for (const { first, count } of slots) {
    if (chosen < count) return first + chosen * alignment;
    chosen -= count;
  }
  return linked;
}

function freeRanges({ bits, linked, ram, avoid }: KaslrRequest) {
  const lowest = Math.min(linked, HIGHEST_MINIMUM);
  const highest = bits === 32 ? KERNEL_IMAGE_SIZE[32] : Infinity;
  return ram
    .flatMap(({ base, length }) => {
      const end = base + length;
      if (avoid === undefined) return [{ base, end }];
      return [
        { base, end: Math.min(end, avoid.base) },
        { base: Math.max(base, avoid.base + avoid.length), end },
      ];
    })
    .map(({ base, end }) => ({ base: Math.max(base, lowest), end: Math.min(end, highest) }));
}

function hasWord(cmdline: string, pattern: RegExp): boolean {
  return cmdline.split(/\s+/).some((word) => pattern.test(word));
}

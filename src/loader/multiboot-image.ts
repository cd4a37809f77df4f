/** Where the parts of a multiboot kernel go, of either version. */
import { HIGH_MEMORY } from '../layout.js';
import type { GuestMemory } from '../memory.js';
import { badKernel, hex } from './binary.js';
import type { Placement } from './boot-params.js';
import { entryAddress, isElf, parseElf, segmentRange, writeSegments, type ElfFile } from './elf.js';

/** The name that both versions pass to the kernel. */
export const LOADER_NAME = 'nodevm';

/** Where a file without a format of its own goes; by the fields of the header, or tags of version 2. */
export interface MultibootAddresses {
  readonly header_addr: number;
  readonly load_addr: number;
  /** 0: up to the end of the file. */
  readonly load_end_addr: number;
  /** 0: no bss. */
  readonly bss_end_addr: number;
  readonly entry_addr: number;
}

/** A program ready to be written: parts of a file, its memory, its entry. */
export interface MultibootImage {
  readonly range: Placement;
  readonly entry: number;
  write(memory: GuestMemory): void;
}

/**
 * Where the file's parts go: by the addresses of the header where it has them, else as its ELF headers say.
 * @param headerOffset where the multiboot header is in the file
 * @throws NodevmError `E_BAD_KERNEL`
 */
export function placeImage(
  file: Uint8Array,
  headerOffset: number,
  addresses: MultibootAddresses | undefined,
): MultibootImage {
  if (addresses !== undefined) return placeByAddresses(file, headerOffset, addresses);
  if (!isElf(file)) throw badKernel('multiboot header has no addresses in a file that is not ELF');
  return placeElf(parseElf(file));
}

function placeElf(elf: ElfFile): MultibootImage {
  return {
    range: segmentRange(elf),
    entry: entryAddress(elf),
    write: (memory) => writeSegments(memory, elf),
  };
}

function placeByAddresses(
  file: Uint8Array,
  headerOffset: number,
  { header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr }: MultibootAddresses,
): MultibootImage {
  const start = headerOffset - (header_addr - load_addr);
  if (load_addr < HIGH_MEMORY || load_addr > header_addr || start < 0) {
    throw badKernel(
      `load_addr of the multiboot header is ${hex(load_addr)}, expected 0x100000 or more, at most header_addr (${hex(header_addr)}), and within the file`,
    );
  }
  const length = load_end_addr === 0 ? file.length - start : load_end_addr - load_addr;
  if (length < 0 || start + length > file.length) {
    throw badKernel(
      `load_end_addr of the multiboot header is ${hex(load_end_addr)}, expected at most ${hex(load_addr + file.length - start)}, the end of the file`,
    );
  }
  const end = Math.max(bss_end_addr, load_addr + length);
  if (entry_addr < load_addr || entry_addr >= end) {
    throw badKernel(
      `entry_addr of the multiboot header is ${hex(entry_addr)}, expected ${hex(load_addr)} to ${hex(end)}`,
    );
  }
  return {
    range: { base: load_addr, length: end - load_addr },
    entry: entry_addr,
    write: (memory) => {
      memory.write(load_addr, file.subarray(start, start + length));
      memory.fill(load_addr + length, end - load_addr - length, 0);
    },
  };
}

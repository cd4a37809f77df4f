/** Kernels of the Multiboot Specification, version 0.6.96 ("multiboot 1"). */
import { NodevmError } from '../errors.js';
import { BOOT_COMMAND_LINE, BOOT_PARAMS, EBDA, HIGH_MEMORY, PAGE_SIZE } from '../layout.js';
import { badKernel, hex, readNumber } from './binary.js';
import type { Placement } from './boot-params.js';
import { buildE820, type E820Entry } from './e820.js';
import { protectedModeEntry, type EntryState } from './entry-state.js';
import { LOADER_NAME, placeImage, type MultibootAddresses } from './multiboot-image.js';
import { findMultiboot2, multiboot2Door } from './multiboot2.js';
import {
  checkKernelFits,
  ramSizes,
  writeBiosData,
  writeCommandLine,
  writeModules,
} from './placement.js';
import type { Door, LoadOptions } from './protocol.js';

/** "3.1.1 The layout of Multiboot header" and "3.1.3 The address fields of Multiboot header". */
export interface MultibootHeader {
  /** Offset in the file. */
  readonly offset: number;
  readonly flags: number;
  /** Fields of the a.out kludge; undefined where the file is ELF. */
  readonly addresses: MultibootAddresses | undefined;
}

const HEADER_MAGIC = 0x1bad_b002;
const HEADER_SEARCH = 8192;
const HEADER_SIZE = 48;
const BOOTLOADER_MAGIC = 0x2bad_b002;
const FLAG_ADDRESSES = 1 << 16;
/** Bits 0 to 2 are understood: pages, memory information, and a video mode, which we do not have. */
const UNKNOWN_REQUIREMENTS = 0xfff8;

/** Bits of the information structure's flags. */
const INFO_FLAGS = {
  MEMORY: 1,
  CMDLINE: 1 << 2,
  MODS: 1 << 3,
  MMAP: 1 << 6,
  LOADER: 1 << 9,
} as const;
const INFO = {
  flags: 0,
  mem_lower: 4,
  mem_upper: 8,
  cmdline: 16,
  mods_count: 20,
  mods_addr: 24,
  mmap_length: 44,
  mmap_addr: 48,
  boot_loader_name: 64,
  size: 116,
} as const;
const MODULE_SIZE = 16;
/** Its size field counts what follows it. */
const MMAP_ENTRY_SIZE = 24;

/** The header in the first 8 KiB; undefined where there is none. */
export function findMultiboot(file: Uint8Array): MultibootHeader | undefined {
  const end = Math.min(file.length - 12, HEADER_SEARCH - 12);
  for (let offset = 0; offset <= end; offset += 4) {
    if (readNumber(file, offset, 4) !== HEADER_MAGIC) continue;
    const flags = readNumber(file, offset + 4, 4);
    const checksum = readNumber(file, offset + 8, 4);
    if ((HEADER_MAGIC + flags + checksum) >>> 0 !== 0) continue;
    return { offset, flags, addresses: readAddresses(file, offset, flags) };
  }
  return undefined;
}

function readAddresses(file: Uint8Array, offset: number, flags: number) {
  if ((flags & FLAG_ADDRESSES) === 0 || offset + HEADER_SIZE > file.length) return undefined;
  const field = (index: number): number => readNumber(file, offset + 12 + index * 4, 4);
  return {
    header_addr: field(0),
    load_addr: field(1),
    load_end_addr: field(2),
    bss_end_addr: field(3),
    entry_addr: field(4),
  };
}

/** The multiboot door of a file, by the newer version where it has both; empty where it has none. */
export function multibootDoors(file: Uint8Array): readonly Door[] {
  const second = findMultiboot2(file);
  if (second !== undefined) return [multiboot2Door(file, second)];
  const header = findMultiboot(file);
  if (header === undefined) return [];
  return [
    {
      protocol: 'multiboot',
      description: `multiboot 1 kernel${header.addresses === undefined ? ' (ELF)' : ''}`,
      load: (options) => loadMultiboot(file, header, options),
    },
  ];
}

function loadMultiboot(
  file: Uint8Array,
  header: MultibootHeader,
  options: LoadOptions,
): EntryState {
  const { memory, initrds } = options;
  if ((header.flags & UNKNOWN_REQUIREMENTS) !== 0) {
    throw badKernel(
      `flags of the multiboot header are ${hex(header.flags)}, expected no requirements but bits 0 to 2`,
    );
  }
  const image = placeImage(file, header.offset, header.addresses);
  const { lowRam } = ramSizes(memory);
  checkKernelFits(image.range, lowRam, 'segments of');
  const modules = writeModules(memory, initrds, image.range.base + image.range.length, lowRam);
  writeCommandLine(memory, options.cmdline);
  image.write(memory);
  writeBiosData(memory);
  memory.write(BOOT_PARAMS, buildInformation(modules, buildE820(ramSizes(memory)), lowRam));
  const rax = BigInt(BOOTLOADER_MAGIC);
  return protectedModeEntry(memory, image.entry, { rax, rbx: BigInt(BOOT_PARAMS) });
}

/** "3.3 Boot information format", with modules, memory map and name behind it. */
function buildInformation(
  modules: readonly Placement[],
  e820: readonly E820Entry[],
  lowRam: number,
): Uint8Array {
  const modulesAt = INFO.size;
  const mapAt = modulesAt + modules.length * MODULE_SIZE;
  const nameAt = mapAt + e820.length * MMAP_ENTRY_SIZE;
  const size = nameAt + LOADER_NAME.length + 1;
  if (size > PAGE_SIZE) {
    throw new NodevmError(
      'E_BAD_INITRD',
      `number of modules is ${modules.length}, expected at most ${Math.floor((PAGE_SIZE - size) / MODULE_SIZE) + modules.length}`,
    );
  }
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const set = (offset: number, value: number): void => view.setUint32(offset, value, true);
  const { MEMORY, CMDLINE, MODS, MMAP, LOADER } = INFO_FLAGS;
  set(INFO.flags, MEMORY | CMDLINE | MODS | MMAP | LOADER);
  set(INFO.mem_lower, EBDA.base / 1024);
  set(INFO.mem_upper, (lowRam - HIGH_MEMORY) / 1024);
  set(INFO.cmdline, BOOT_COMMAND_LINE.base);
  set(INFO.mods_count, modules.length);
  set(INFO.mods_addr, BOOT_PARAMS + modulesAt);
  set(INFO.mmap_length, e820.length * MMAP_ENTRY_SIZE);
  set(INFO.mmap_addr, BOOT_PARAMS + mapAt);
  set(INFO.boot_loader_name, BOOT_PARAMS + nameAt);
  modules.forEach(({ base, length }, index) => {
    set(modulesAt + index * MODULE_SIZE, base);
    set(modulesAt + index * MODULE_SIZE + 4, base + length);
    set(modulesAt + index * MODULE_SIZE + 8, BOOT_PARAMS + nameAt + LOADER_NAME.length);
  });
  e820.forEach((entry, index) => {
    const at = mapAt + index * MMAP_ENTRY_SIZE;
    set(at, MMAP_ENTRY_SIZE - 4);
    view.setBigUint64(at + 4, BigInt(entry.base), true);
    view.setBigUint64(at + 12, BigInt(entry.length), true);
    set(at + 20, entry.type);
  });
  bytes.set(Buffer.from(LOADER_NAME), nameAt);
  return bytes;
}

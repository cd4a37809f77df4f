/** Kernels of the Multiboot2 Specification, version 2.0. */
import { NodevmError } from '../errors.js';
import { BOOT_COMMAND_LINE, EBDA, HIGH_MEMORY } from '../layout.js';
import { concat, littleEndian } from './aml.js';
import { badKernel, hex, readNumber } from './binary.js';
import type { Placement } from './boot-params.js';
import { buildE820, type E820Entry } from './e820.js';
import { protectedModeEntry, type EntryState } from './entry-state.js';
import { LOADER_NAME, placeImage, type MultibootAddresses } from './multiboot-image.js';
import { checkKernelFits, ramSizes, writeBiosData, writeModules } from './placement.js';
import type { Door, LoadOptions } from './protocol.js';

/** "3.1 Multiboot2 header" and its tags. */
export interface Multiboot2Header {
  /** Offset in the file. */
  readonly offset: number;
  readonly tags: readonly HeaderTag[];
}

/** One tag of the header. */
export interface HeaderTag {
  readonly type: number;
  /** Whether a loader that does not know it may go on. */
  readonly optional: boolean;
  /** What follows type, flags and size. */
  readonly content: Uint8Array;
}

const HEADER_MAGIC = 0xe852_50d6;
const HEADER_SEARCH = 32768;
const HEADER_SIZE = 16;
const ARCHITECTURE_I386 = 0;
const BOOTLOADER_MAGIC = 0x36d7_6289;

/** "3.1.3 General tag structure" and following. */
const HEADER_TAG = {
  END: 0,
  INFORMATION_REQUEST: 1,
  ADDRESS: 2,
  ENTRY_ADDRESS: 3,
  CONSOLE_FLAGS: 4,
  FRAMEBUFFER: 5,
  MODULE_ALIGNMENT: 6,
  RELOCATABLE: 10,
} as const;

/** "3.6 Boot information". */
const INFO_TAG = {
  END: 0,
  COMMAND_LINE: 1,
  LOADER_NAME: 2,
  MODULE: 3,
  BASIC_MEMORY: 4,
  MEMORY_MAP: 6,
  ACPI_NEW: 15,
} as const;

const RSDP_LENGTH = 36;
const MEMORY_MAP_ENTRY_SIZE = 24;

/** The header in the first 32 KiB; undefined where there is none. @throws NodevmError for a damaged one */
export function findMultiboot2(file: Uint8Array): Multiboot2Header | undefined {
  const end = Math.min(file.length, HEADER_SEARCH) - HEADER_SIZE;
  for (let offset = 0; offset <= end; offset += 8) {
    if (readNumber(file, offset, 4) !== HEADER_MAGIC) continue;
    const [architecture, length, checksum] = [4, 8, 12].map((at) =>
      readNumber(file, offset + at, 4),
    ) as [number, number, number];
    if ((HEADER_MAGIC + architecture + length + checksum) >>> 0 !== 0) continue;
    if (architecture !== ARCHITECTURE_I386) continue;
    return { offset, tags: readTags(file.subarray(offset, offset + length), length) };
  }
  return undefined;
}

function readTags(header: Uint8Array, length: number): readonly HeaderTag[] {
  const tags: HeaderTag[] = [];
  let at = HEADER_SIZE;
  for (;;) {
    const type = readNumber(header, at, 2);
    const size = readNumber(header, at + 4, 4);
    if (size < 8 || at + size > header.length) {
      throw badKernel(
        `size of a multiboot2 header tag at ${hex(at)} is ${size}, expected 8 or more within header_length, ${length}`,
      );
    }
    if (type === HEADER_TAG.END) return tags;
    const optional = (readNumber(header, at + 2, 2) & 1) !== 0;
    tags.push({ type, optional, content: header.subarray(at + 8, at + size) });
    at += size + (-size & 7);
  }
}

/** The door of a file with that header. */
export function multiboot2Door(file: Uint8Array, header: Multiboot2Header): Door {
  return {
    protocol: 'multiboot',
    description: 'multiboot 2 kernel',
    load: (options) => loadMultiboot2(file, header, options),
  };
}

function loadMultiboot2(
  file: Uint8Array,
  header: Multiboot2Header,
  options: LoadOptions,
): EntryState {
  const { memory, initrds } = options;
  checkTags(header.tags);
  const image = placeImage(file, header.offset, addressesOf(header.tags));
  const entryTag = header.tags.find(({ type }) => type === HEADER_TAG.ENTRY_ADDRESS);
  const { lowRam } = ramSizes(memory);
  checkKernelFits(image.range, lowRam, 'segments of');
  const modules = writeModules(memory, initrds, image.range.base + image.range.length, lowRam);
  image.write(memory);
  writeBiosData(memory);
  const rsdp = memory.read(options.rsdp, RSDP_LENGTH);
  const map = buildE820(ramSizes(memory));
  const information = buildInformation(options.cmdline, modules, map, lowRam, rsdp);
  if (information.length > BOOT_COMMAND_LINE.length) {
    throw new NodevmError(
      'E_CMDLINE_TOO_LONG',
      `kernel command line makes multiboot2 information of ${information.length} bytes, expected at most ${BOOT_COMMAND_LINE.length}`,
    );
  }
  memory.write(BOOT_COMMAND_LINE.base, information);
  const entry = entryTag === undefined ? image.entry : readNumber(entryTag.content, 0, 4);
  return protectedModeEntry(memory, entry, {
    rax: BigInt(BOOTLOADER_MAGIC),
    rbx: BigInt(BOOT_COMMAND_LINE.base),
  });
}

/** Refuses what the kernel needs and we cannot do. */
function checkTags(tags: readonly HeaderTag[]): void {
  const known: readonly number[] = Object.values(HEADER_TAG);
  const given: readonly number[] = Object.values(INFO_TAG);
  for (const { type, optional, content } of tags) {
    if (optional) continue;
    if (!known.includes(type) || type === HEADER_TAG.FRAMEBUFFER) {
      throw badKernel(`multiboot2 header has the tag ${type}, expected only those we can serve`);
    }
    if (type !== HEADER_TAG.INFORMATION_REQUEST) continue;
    for (let at = 0; at + 4 <= content.length; at += 4) {
      const wanted = readNumber(content, at, 4);
      if (given.includes(wanted)) continue;
      throw badKernel(
        `multiboot2 header requests information ${wanted}, expected one of ${given.join(', ')}`,
      );
    }
  }
}

function addressesOf(tags: readonly HeaderTag[]): MultibootAddresses | undefined {
  const tag = tags.find(({ type }) => type === HEADER_TAG.ADDRESS);
  if (tag === undefined) return undefined;
  const entry = tags.find(({ type }) => type === HEADER_TAG.ENTRY_ADDRESS);
  const field = (index: number): number => readNumber(tag.content, index * 4, 4);
  if (entry === undefined) {
    throw badKernel('multiboot2 header has addresses and no entry address, expected both');
  }
  return {
    header_addr: field(0),
    load_addr: field(1),
    load_end_addr: field(2),
    bss_end_addr: field(3),
    entry_addr: readNumber(entry.content, 0, 4),
  };
}

function buildInformation(
  cmdline: string,
  modules: readonly Placement[],
  e820: readonly E820Entry[],
  lowRam: number,
  rsdp: Uint8Array,
): Uint8Array {
  const body = concat(
    tag(INFO_TAG.COMMAND_LINE, Buffer.from(`${cmdline}\0`, 'utf8')),
    tag(INFO_TAG.LOADER_NAME, Buffer.from(`${LOADER_NAME}\0`)),
    ...modules.map(({ base, length }) =>
      tag(INFO_TAG.MODULE, concat(littleEndian(base, 4), littleEndian(base + length, 4), [0])),
    ),
    tag(
      INFO_TAG.BASIC_MEMORY,
      concat(littleEndian(EBDA.base / 1024, 4), littleEndian((lowRam - HIGH_MEMORY) / 1024, 4)),
    ),
    tag(INFO_TAG.MEMORY_MAP, memoryMap(e820)),
    tag(INFO_TAG.ACPI_NEW, rsdp),
    tag(INFO_TAG.END, new Uint8Array()),
  );
  return concat(littleEndian(body.length + 8, 4), littleEndian(0, 4), body);
}

function memoryMap(e820: readonly E820Entry[]): Uint8Array {
  return concat(
    littleEndian(MEMORY_MAP_ENTRY_SIZE, 4),
    littleEndian(0, 4), // entry_version
    ...e820.map(({ base, length, type }) =>
      concat(
        littleEndian(base, 8),
        littleEndian(length, 8),
        littleEndian(type, 4),
        littleEndian(0, 4),
      ),
    ),
  );
}

/** Type, size, content, and padding up to a multiple of eight. */
function tag(type: number, content: Uint8Array): Uint8Array {
  const size = content.length + 8;
  return concat(littleEndian(type, 4), littleEndian(size, 4), content, new Uint8Array(-size & 7));
}

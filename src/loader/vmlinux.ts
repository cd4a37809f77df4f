/**
 * The doors of an ELF kernel: with the PVH note, PVH; without it, Linux's own entry with boot_params, as
 * the decompressor, kexec-tools and other loaders of vmlinux enter it.
 */
import { BOOT_COMMAND_LINE, BOOT_PARAMS } from '../layout.js';
import { alignUp, badKernel, hex, readNumber } from './binary.js';
import { buildBootParams } from './boot-params.js';
import { buildE820 } from './e820.js';
import {
  entryAddress,
  isLoaded,
  readNotes,
  segmentRange,
  writeSegments,
  type ElfFile,
} from './elf.js';
import { linux32Entry, longModeEntry, protectedModeEntry, type EntryState } from './entry-state.js';
import {
  checkKernelFits,
  placeRamdisk,
  ramSizes,
  writeBiosData,
  writeCommandLine,
  writeRamdisk,
} from './placement.js';
import type { Door, LoadOptions } from './protocol.js';
import { buildStartInfo } from './pvh.js';
import { writeSetupData } from './setup-data.js';
import { HEADER_MAGIC, LOADFLAGS, SETUP_HEADER_FIELDS } from './setup-header.js';

/** XEN_ELFNOTE_PHYS32_ENTRY (xen/include/public/elfnote.h). */
const PHYS32_ENTRY = 18;

/** cmdline_size of Linux on x86, which an ELF file does not say (COMMAND_LINE_SIZE, less the NUL). */
const COMMAND_LINE_SIZE = 2047;
/** The protocol version that boot_params of an ELF file claims: the newest. */
const PROTOCOL_VERSION = 0x020f;
/** Linux maps the brk area and its first page tables behind itself before it reads the memory map. */
const ROOM_BEHIND = 0x20_0000;

/** The entry point of the PVH note; undefined where there is none. */
export function pvhEntry(elf: ElfFile): number | undefined {
  const note = readNotes(elf).find(({ name, type }) => name === 'Xen' && type === PHYS32_ENTRY);
  return note && readNumber(note.descriptor, 0, 4);
}

/** The doors of an ELF kernel, the best one first. */
export function elfDoors(elf: ElfFile): readonly Door[] {
  const kind = `ELF${elf.bits} kernel`;
  const pvh = pvhEntry(elf);
  const doors: Door[] = [
    {
      protocol: elf.bits === 64 ? '64' : '32',
      description: `${kind}, entered at e_entry with boot_params`,
      load: (options) => loadElf(elf, options),
    },
  ];
  if (pvh !== undefined) {
    doors.unshift({
      protocol: 'pvh',
      description: `${kind}, entered at ${hex(pvh)} by its PVH note`,
      load: (options) => loadPvh(elf, pvh, options),
    });
  }
  return doors;
}

function loadElf(elf: ElfFile, options: LoadOptions): EntryState {
  const { memory } = options;
  const ramdisk = writeImage(elf, options, COMMAND_LINE_SIZE);
  const entry = entryAddress(elf);
  writeBiosData(memory);
  const bootParams = buildBootParams({
    headerBytes: headerOfElf(),
    loadflags: LOADFLAGS.LOADED_HIGH,
    loadAddress: entry,
    commandLine: BOOT_COMMAND_LINE.base,
    ramdisk,
    e820: buildE820(ramSizes(memory)),
    rsdp: options.rsdp,
    setupData: writeSetupData(memory, options.entropy),
  });
  memory.write(BOOT_PARAMS, bootParams);
  return elf.bits === 64
    ? longModeEntry(memory, entry, BOOT_PARAMS)
    : linux32Entry(memory, entry, BOOT_PARAMS);
}

/** The setup_header that a vmlinux does not have: what identifies it, from offset 0x1f1 on. */
function headerOfElf(): Uint8Array {
  const start = SETUP_HEADER_FIELDS.setup_sects[0];
  const bytes = new Uint8Array(SETUP_HEADER_FIELDS.kernel_info_offset[0] + 4 - start);
  const view = new DataView(bytes.buffer);
  view.setUint16(SETUP_HEADER_FIELDS.boot_flag[0] - start, 0xaa55, true);
  view.setUint32(SETUP_HEADER_FIELDS.header[0] - start, HEADER_MAGIC, true);
  view.setUint16(SETUP_HEADER_FIELDS.version[0] - start, PROTOCOL_VERSION, true);
  view.setUint32(SETUP_HEADER_FIELDS.cmdline_size[0] - start, COMMAND_LINE_SIZE, true);
  return bytes;
}

/** The x86/HVM direct boot ABI (xen/docs/misc/pvh.pandoc): start info in EBX. */
function loadPvh(elf: ElfFile, entry: number, options: LoadOptions): EntryState {
  const { memory } = options;
  const isInside = elf.segments.some(
    (segment) =>
      isLoaded(segment) && entry >= segment.paddr && entry < segment.paddr + segment.memsz,
  );
  if (!isInside) {
    throw badKernel(`PVH note's entry is ${hex(entry)}, expected an address in a segment`);
  }
  const ramdisk = writeImage(elf, options);
  writeBiosData(memory);
  const startInfo = buildStartInfo({
    base: BOOT_PARAMS,
    commandLine: BOOT_COMMAND_LINE.base,
    module: ramdisk,
    e820: buildE820(ramSizes(memory)),
    rsdp: options.rsdp,
  });
  memory.write(BOOT_PARAMS, startInfo);
  return protectedModeEntry(memory, entry, { rbx: BigInt(BOOT_PARAMS) });
}

/** Writes segments, command line and initramfs. @returns where the initramfs is */
function writeImage(elf: ElfFile, options: LoadOptions, cmdlineLimit?: number) {
  const { memory, initrds } = options;
  const ram = ramSizes(memory);
  const range = segmentRange(elf);
  checkKernelFits(range, ram.lowRam, 'segments of');
  const floor = alignUp(range.base + range.length, ROOM_BEHIND) + ROOM_BEHIND;
  const ramdisk = placeRamdisk(initrds, { floor, addressMax: Infinity, above4G: false }, ram);
  writeCommandLine(memory, options.cmdline, cmdlineLimit);
  writeSegments(memory, elf);
  writeRamdisk(memory, initrds, ramdisk);
  return ramdisk;
}

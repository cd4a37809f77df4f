/**
 * Loads a Linux bzImage by the 64-bit boot protocol (Documentation/arch/x86/boot.rst). Parsing is
 * setup-header.ts, what the kernel is told is boot-params.ts; here is where things are put.
 */
import { NodevmError } from '../errors.js';
import {
  BDA_BASE_MEMORY_KIB,
  BDA_EBDA_SEGMENT,
  BOOT_COMMAND_LINE,
  BOOT_PARAMS,
  EBDA,
  HIGH_MEMORY,
  HIGH_RAM_BASE,
  PAGE_SIZE,
} from '../layout.js';
import type { GuestMemory } from '../memory.js';
import { buildBootParams, type Placement } from './boot-params.js';
import { buildE820 } from './e820.js';
import { writeEntryState, type EntryState } from './entry-state.js';
import { ENTRY_64_OFFSET, parseKernel, type SetupHeader } from './setup-header.js';

/** What {@link loadLinux} loads, and into what. */
export interface LinuxOptions {
  readonly memory: GuestMemory;
  /** The bzImage file. */
  readonly kernel: Uint8Array;
  /** initramfs archives; the kernel sees them one after the other. */
  readonly initrds: readonly Uint8Array[];
  /** Kernel command line, without NUL. */
  readonly cmdline: string;
  /** Guest physical address of the ACPI root pointer, see buildAcpi. */
  readonly rsdp: number;
}

/** The kernel unpacks cpio archives that start at multiples of this. */
const INITRD_ALIGNMENT = 4;

/**
 * Puts kernel, initramfs, command line, boot_params, GDT and page tables into guest memory.
 * @returns the registers for {@link enterLongMode}.
 * @throws NodevmError `E_BAD_KERNEL`, `E_MEMORY_SIZE` (too little RAM for the kernel), `E_BAD_INITRD`
 *   (no room for the initramfs), `E_CMDLINE_TOO_LONG`, `E_USAGE` (NUL in the command line).
 */
export function loadLinux(options: LinuxOptions): EntryState {
  const { memory } = options;
  const kernel = parseKernel(options.kernel);
  const commandLine = encodeCommandLine(options.cmdline, kernel.header);
  const ram = ramSizes(memory);
  const image = placeKernel(kernel.header, ram.lowRam);
  const ramdisk = placeRamdisk(options.initrds, kernel.header, image, ram.lowRam);

  memory.write(image.base, kernel.payload);
  writeRamdisk(memory, options.initrds, ramdisk);
  memory.write(BOOT_COMMAND_LINE.base, commandLine);
  writeBiosData(memory);
  const bootParams = buildBootParams({
    kernel,
    loadAddress: image.base,
    commandLine: BOOT_COMMAND_LINE.base,
    ramdisk,
    e820: buildE820(ram),
    rsdp: options.rsdp,
  });
  memory.write(BOOT_PARAMS, bootParams);
  return writeEntryState(memory, image.base + ENTRY_64_OFFSET, BOOT_PARAMS);
}

function ramSizes(memory: GuestMemory): { lowRam: number; highRam: number } {
  const lengthAt = (base: number): number =>
    memory.ranges.find((range) => range.base === base)?.length ?? 0;
  return { lowRam: lengthAt(0), highRam: lengthAt(HIGH_RAM_BASE) };
}

/** The command line's bytes with the terminating NUL. */
function encodeCommandLine(cmdline: string, header: SetupHeader): Uint8Array {
  if (cmdline.includes('\0')) {
    throw new NodevmError('E_USAGE', 'kernel command line contains a NUL, expected none');
  }
  const bytes = Buffer.from(`${cmdline}\0`, 'utf8');
  const longest = Math.min(header.cmdline_size, BOOT_COMMAND_LINE.length - 1);
  if (bytes.length - 1 > longest) {
    throw new NodevmError(
      'E_CMDLINE_TOO_LONG',
      `kernel command line is ${bytes.length - 1} bytes, expected at most ${longest} (cmdline_size of this kernel)`,
    );
  }
  return bytes;
}

/**
 * The memory that the kernel needs until it has read the memory map: init_size bytes from where it will
 * run. A relocatable kernel that is loaded below pref_address moves itself up to it, so it is put there
 * at once (boot.rst, init_size).
 */
function placeKernel(header: SetupHeader, lowRam: number): Placement {
  const preferred = Number(header.pref_address);
  const base =
    header.relocatable_kernel === 0
      ? preferred
      : alignUp(Math.max(preferred, HIGH_MEMORY), header.kernel_alignment);
  if (base < HIGH_MEMORY) {
    throw new NodevmError(
      'E_BAD_KERNEL',
      `bad kernel: pref_address is 0x${base.toString(16)} in a kernel that is not relocatable, expected 0x100000 or more`,
    );
  }
  if (base + header.init_size > lowRam) {
    throw new NodevmError(
      'E_MEMORY_SIZE',
      `memory size is too small: the kernel needs ${mebibytes(base + header.init_size)} (init_size ${header.init_size} bytes from 0x${base.toString(16)}), but there are ${mebibytes(lowRam)} below 4 GiB`,
    );
  }
  return { base, length: header.init_size };
}

/** As high as the kernel allows, so that it is out of the way of everything placed upwards. */
function placeRamdisk(
  initrds: readonly Uint8Array[],
  header: SetupHeader,
  kernel: Placement,
  lowRam: number,
): Placement | undefined {
  const length = initrds.reduce((sum, initrd) => sum + alignUp(initrd.length, INITRD_ALIGNMENT), 0);
  if (length === 0) return undefined;
  const floor = alignUp(kernel.base + kernel.length, PAGE_SIZE);
  const ceiling = Math.min(header.initrd_addr_max + 1, lowRam);
  const base = alignDown(ceiling - length, PAGE_SIZE);
  if (base < floor) {
    const room = Math.max(0, ceiling - floor);
    throw new NodevmError(
      'E_BAD_INITRD',
      `initrd is ${length} bytes, expected at most ${room}: that is the room between the kernel's end (0x${floor.toString(16)}) and the end of low RAM or initrd_addr_max (0x${ceiling.toString(16)})`,
    );
  }
  return { base, length };
}

function writeRamdisk(
  memory: GuestMemory,
  initrds: readonly Uint8Array[],
  ramdisk: Placement | undefined,
): void {
  if (ramdisk === undefined) return;
  let gpa = ramdisk.base;
  for (const initrd of initrds) {
    memory.write(gpa, initrd);
    const end = gpa + alignUp(initrd.length, INITRD_ALIGNMENT);
    memory.fill(gpa + initrd.length, end - gpa - initrd.length, 0);
    gpa = end;
  }
}

/** The few words of the BIOS data area that tell the kernel where conventional memory ends. */
function writeBiosData(memory: GuestMemory): void {
  memory.writeU16(BDA_EBDA_SEGMENT, EBDA.base / 16);
  memory.writeU16(BDA_BASE_MEMORY_KIB, EBDA.base / 1024);
  memory.fill(EBDA.base, EBDA.length, 0);
  memory.writeU8(EBDA.base, EBDA.length / 1024);
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

function alignDown(value: number, alignment: number): number {
  return Math.floor(value / alignment) * alignment;
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 0x10_0000)} MiB`;
}

/** What all doors put into guest memory besides the kernel: command line, initramfs, BIOS data. */
import { NodevmError } from '../errors.js';
import {
  BDA_BASE_MEMORY_KIB,
  BDA_EBDA_SEGMENT,
  BOOT_COMMAND_LINE,
  EBDA,
  HIGH_RAM_BASE,
  PAGE_SIZE,
  type RamSplit,
} from '../layout.js';
import type { GuestMemory } from '../memory.js';
import { alignDown, alignUp, hex, mebibytes } from './binary.js';
import type { Placement } from './boot-params.js';

/** The kernel unpacks cpio archives that start at multiples of this. */
const INITRD_ALIGNMENT = 4;

/** Bytes of RAM below and above the MMIO hole. */
export function ramSizes(memory: GuestMemory): RamSplit {
  const lengthAt = (base: number): number =>
    memory.ranges.find((range) => range.base === base)?.length ?? 0;
  return { lowRam: lengthAt(0), highRam: lengthAt(HIGH_RAM_BASE) };
}

/**
 * Writes the command line with its terminating NUL to its place in guest memory.
 * @param limit most bytes without the NUL that the kernel takes
 * @throws NodevmError `E_CMDLINE_TOO_LONG`, or `E_USAGE` for a NUL in it
 */
export function writeCommandLine(memory: GuestMemory, cmdline: string, limit = Infinity): void {
  if (cmdline.includes('\0')) {
    throw new NodevmError('E_USAGE', 'kernel command line contains a NUL, expected none');
  }
  const bytes = Buffer.from(`${cmdline}\0`, 'utf8');
  const longest = Math.min(limit, BOOT_COMMAND_LINE.length - 1);
  if (bytes.length - 1 > longest) {
    throw new NodevmError(
      'E_CMDLINE_TOO_LONG',
      `kernel command line is ${bytes.length - 1} bytes, expected at most ${longest} (${longest === limit ? 'cmdline_size of this kernel' : 'the room for it'})`,
    );
  }
  memory.write(BOOT_COMMAND_LINE.base, bytes);
}

/** Refuses a kernel that needs memory that is not there. `why` names the field that says so. */
export function checkKernelFits({ base, length }: Placement, lowRam: number, why: string): void {
  if (base + length <= lowRam) return;
  throw new NodevmError(
    'E_MEMORY_SIZE',
    `memory size is too small: the kernel needs ${mebibytes(base + length)} (${why} ${length} bytes from ${hex(base)}), but there are ${mebibytes(lowRam)} below 4 GiB`,
  );
}

/** Where an initramfs may lie. */
export interface RamdiskRoom {
  /** End of the kernel. */
  readonly floor: number;
  /** Highest address of its last byte, if it lies below 4 GiB. */
  readonly addressMax: number;
  /** Whether the kernel takes it above 4 GiB. */
  readonly above4G: boolean;
}

/**
 * As high as the kernel allows, so that it is out of the way of everything placed upwards.
 * @returns undefined where there is no initramfs
 * @throws NodevmError `E_BAD_INITRD` where there is no room
 */
export function placeRamdisk(
  initrds: readonly Uint8Array[],
  room: RamdiskRoom,
  { lowRam, highRam }: RamSplit,
): Placement | undefined {
  const length = initrds.reduce((sum, initrd) => sum + alignUp(initrd.length, INITRD_ALIGNMENT), 0);
  if (length === 0) return undefined;
  if (room.above4G && alignUp(length, PAGE_SIZE) <= highRam) {
    return { base: alignDown(HIGH_RAM_BASE + highRam - length, PAGE_SIZE), length };
  }
  const floor = alignUp(room.floor, PAGE_SIZE);
  const ceiling = Math.min(room.addressMax + 1, lowRam);
  const base = alignDown(ceiling - length, PAGE_SIZE);
  if (base < floor) {
    const left = Math.max(0, ceiling - floor);
    throw new NodevmError(
      'E_BAD_INITRD',
      `initrd is ${length} bytes, expected at most ${left}: that is the room between the kernel's end (${hex(floor)}) and the end of low RAM or initrd_addr_max (${hex(ceiling)})`,
    );
  }
  return { base, length };
}

/** Writes the archives one after the other, with zeros in between. */
export function writeRamdisk(
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

/**
 * Writes modules of multiboot, each at a page of its own, from `floor` on.
 * @throws NodevmError `E_BAD_INITRD` where there is no room below `lowRam`
 */
export function writeModules(
  memory: GuestMemory,
  modules: readonly Uint8Array[],
  floor: number,
  lowRam: number,
): readonly Placement[] {
  let base = alignUp(floor, PAGE_SIZE);
  return modules.map((module) => {
    const placed = { base, length: module.length };
    if (base + module.length > lowRam) {
      throw new NodevmError(
        'E_BAD_INITRD',
        `initrd is ${module.length} bytes, expected at most the ${Math.max(0, lowRam - base)} from ${hex(base)} to the end of low RAM`,
      );
    }
    memory.write(base, module);
    base = alignUp(base + module.length, PAGE_SIZE);
    return placed;
  });
}

/** The few words of the BIOS data area that tell the kernel where conventional memory ends. */
export function writeBiosData(memory: GuestMemory): void {
  memory.writeU16(BDA_EBDA_SEGMENT, EBDA.base / 16);
  memory.writeU16(BDA_BASE_MEMORY_KIB, EBDA.base / 1024);
  memory.fill(EBDA.base, EBDA.length, 0);
  memory.writeU8(EBDA.base, EBDA.length / 1024);
}

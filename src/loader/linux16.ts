/**
 * The 16-bit door: setup code that runs in real mode and calls the ROM (Documentation/arch/x86/boot.rst,
 * "The Real-Mode Kernel Header", "Memory Layout", "Running the Kernel"). It is the only door of zImages, of
 * kernels before protocol 2.02, and of other programs that come in the shape of a kernel.
 */
import { NodevmError } from '../errors.js';
import { EBDA, HIGH_MEMORY, REAL_MODE_CODE, REAL_MODE_KERNEL } from '../layout.js';
import { badKernel, hex, readBigint, readNumber } from './binary.js';
import type { Placement } from './boot-params.js';
import type { EntryState } from './entry-state.js';
import { checkKernelFits, placeRamdisk, ramSizes, writeRamdisk } from './placement.js';
import type { Door, LoadOptions } from './protocol.js';
import { loadRom, type RealModeProgram } from './rom.js';
import { LOADFLAGS, SETUP_HEADER_FIELDS, hasSetupHeader, versionName } from './setup-header.js';

const F = SETUP_HEADER_FIELDS;

const BOOT_FLAG = 0xaa55;
const SECTOR_SIZE = 512;
const PARAGRAPH_SIZE = 16;
/** setup_sects holds 0 in very old kernels and then means this. */
const DEFAULT_SETUP_SECTS = 4;
/** boot.rst, "Memory Layout": boot sector and setup together. */
const MAX_REAL_MODE_CODE = 0x8000;

/** Where heap and stack end in the segment, and the command line begins: boot.rst, "The Kernel Command Line". */
const HEAP_END = 0xe000;
const OLD_HEAP_END = 0x9800;
/** What heap_end_ptr leaves out. */
const HEAP_END_MARGIN = 0x200;

/** The command line of protocols before 2.02: a magic number and an offset in the segment. */
const CL_MAGIC = { offset: 0x20, value: 0xa33f } as const;
const CL_OFFSET = 0x22;

const LOADER_UNDEFINED = 0xff;
const OLD_INITRD_ADDR_MAX = 0x37ff_ffff;
const OLD_CMDLINE_SIZE = 255;

/** boot.rst, "Special Command Line Options": names for vid_mode. */
const VIDEO_MODES: Readonly<Record<string, number>> = {
  normal: 0xffff,
  ext: 0xfffe,
  ask: 0xfffd,
};

/** What of the header is of concern before the kernel runs. */
interface RealModeKernel {
  /** 0 before 2.00. */
  readonly version: number;
  readonly loadflags: number;
  /** Boot sector and setup code. */
  readonly realMode: Uint8Array;
  /** What goes to 0x100000, or to 0x10000. */
  readonly payload: Uint8Array;
  readonly file: Uint8Array;
}

/**
 * Whether only the 16-bit door can be right: a zImage, an old kernel, or a program dressed as a kernel,
 * whose header leaves fields empty that a kernel of its version has.
 */
export function isRealModeOnly(file: Uint8Array): boolean {
  if (!hasSetupHeader(file)) return isAncientKernel(file);
  const version = readNumber(file, ...F.version);
  return (
    version < 0x0202 ||
    (readNumber(file, ...F.loadflags) & LOADFLAGS.LOADED_HIGH) === 0 ||
    readNumber(file, ...F.syssize) === 0 ||
    (version >= 0x0205 && readNumber(file, ...F.kernel_alignment) === 0)
  );
}

/** The door of a file that {@link hasSetupHeader} or {@link isRealModeOnly}. */
export function realModeDoor(file: Uint8Array): Door {
  const version = hasSetupHeader(file) ? readNumber(file, ...F.version) : 0;
  return {
    protocol: '16',
    description: `boot protocol ${versionName(version)}, entered at its 16-bit setup code`,
    load: (options) => loadLinux16(file, options),
  };
}

/**
 * Kernels before 2.00 have no signature but that of their boot sector; their size tells them from disks.
 */
function isAncientKernel(file: Uint8Array): boolean {
  if (file.length < 2 * SECTOR_SIZE || readNumber(file, ...F.boot_flag) !== BOOT_FLAG) return false;
  const setup = (readNumber(file, ...F.setup_sects) || DEFAULT_SETUP_SECTS) * SECTOR_SIZE;
  const system = readNumber(file, F.syssize[0], 2) * PARAGRAPH_SIZE;
  const size = SECTOR_SIZE + setup + system;
  return system > 0 && file.length >= size && file.length < size + SECTOR_SIZE;
}

function loadLinux16(file: Uint8Array, options: LoadOptions): EntryState {
  const { memory } = options;
  const kernel = parseRealMode(file);
  const { lowRam } = ramSizes(memory);
  const place = placePayload(kernel, lowRam);
  const realMode = new Uint8Array(kernel.realMode);
  const header = new DataView(realMode.buffer);
  const heapEnd = isHigh(kernel) && kernel.version >= 0x0202 ? HEAP_END : OLD_HEAP_END;
  const commandLine = encodeCommandLine(kernel, options.cmdline, heapEnd);
  const ramdisk = placeInitrds(kernel, options, place);
  fillHeader(header, kernel, { heapEnd, ramdisk, commandLine, cmdline: options.cmdline });
  memory.write(place.base, kernel.payload);
  memory.write(REAL_MODE_CODE, realMode);
  memory.write(REAL_MODE_CODE + heapEnd, commandLine);
  writeRamdisk(memory, options.initrds, ramdisk);
  return loadRom({ memory, drives: options.drives ?? {}, program: programAt(heapEnd) });
}

/** Setup code is one sector behind the segment's start, of which the boot sector is not run. */
function programAt(stack: number): RealModeProgram {
  const segment = REAL_MODE_CODE / 16;
  return { segment, stack, code: segment + SECTOR_SIZE / 16 };
}

function parseRealMode(file: Uint8Array): RealModeKernel {
  const bootFlag = readNumber(file, ...F.boot_flag);
  if (bootFlag !== BOOT_FLAG) {
    throw badKernel(`boot_flag is ${hex(bootFlag)}, expected ${hex(BOOT_FLAG)}`);
  }
  const version = hasSetupHeader(file) ? readNumber(file, ...F.version) : 0;
  const sectors = readNumber(file, ...F.setup_sects) || DEFAULT_SETUP_SECTS;
  const length = (sectors + 1) * SECTOR_SIZE;
  if (length > MAX_REAL_MODE_CODE || length > file.length) {
    throw badKernel(
      `setup_sects is ${sectors}, expected at most ${MAX_REAL_MODE_CODE / SECTOR_SIZE - 1}, and a file of at least ${length} bytes (it has ${file.length})`,
    );
  }
  return {
    version,
    loadflags: version >= 0x0200 ? readNumber(file, ...F.loadflags) : 0,
    realMode: file.subarray(0, length),
    payload: file.subarray(length),
    file,
  };
}

function isHigh({ loadflags }: RealModeKernel): boolean {
  return (loadflags & LOADFLAGS.LOADED_HIGH) !== 0;
}

function placePayload(kernel: RealModeKernel, lowRam: number): Placement {
  const { length } = kernel.payload;
  if (isHigh(kernel)) {
    checkKernelFits({ base: HIGH_MEMORY, length }, lowRam, 'protected-mode code of');
    return { base: HIGH_MEMORY, length };
  }
  if (length > REAL_MODE_KERNEL.length) {
    throw badKernel(
      `loadflags is ${hex(kernel.loadflags)} without LOADED_HIGH and the code behind setup ${length} bytes, expected at most the ${REAL_MODE_KERNEL.length} from ${hex(REAL_MODE_KERNEL.base)}`,
    );
  }
  return { base: REAL_MODE_KERNEL.base, length };
}

function encodeCommandLine({ version, file }: RealModeKernel, cmdline: string, heapEnd: number) {
  if (cmdline.includes('\0')) {
    throw new NodevmError('E_USAGE', 'kernel command line contains a NUL, expected none');
  }
  const bytes = Buffer.from(`${cmdline}\0`, 'utf8');
  const size = version >= 0x0206 ? readNumber(file, ...F.cmdline_size) : OLD_CMDLINE_SIZE;
  const room = EBDA.base - REAL_MODE_CODE - heapEnd - 1;
  const limit = Math.min(size, room);
  if (bytes.length - 1 > limit) {
    throw new NodevmError(
      'E_CMDLINE_TOO_LONG',
      `kernel command line is ${bytes.length - 1} bytes, expected at most ${limit} (boot protocol ${versionName(version)})`,
    );
  }
  return bytes;
}

function placeInitrds(
  { version, file }: RealModeKernel,
  { initrds, memory }: LoadOptions,
  code: Placement,
): Placement | undefined {
  if (initrds.length > 0 && version < 0x0200) {
    throw new NodevmError(
      'E_BAD_INITRD',
      'boot protocol is older than 2.00, which has no initramfs; expected none',
    );
  }
  const room = {
    floor: Math.max(HIGH_MEMORY, code.base + code.length, unpackedEnd(version, file)),
    addressMax: version >= 0x0203 ? readNumber(file, ...F.initrd_addr_max) : OLD_INITRD_ADDR_MAX,
    above4G: false,
  };
  return placeRamdisk(initrds, room, ramSizes(memory));
}

/** Where the memory ends that a kernel unpacks itself into, as far as its header says. */
function unpackedEnd(version: number, file: Uint8Array): number {
  if (version < 0x020a) return 0;
  return Number(readBigint(file, F.pref_address[0])) + readNumber(file, ...F.init_size);
}

interface Filling {
  readonly heapEnd: number;
  readonly ramdisk: Placement | undefined;
  readonly commandLine: Uint8Array;
  readonly cmdline: string;
}

/** The fields that boot.rst has a loader write, each where the version has it. */
function fillHeader(
  view: DataView,
  { version, loadflags }: RealModeKernel,
  filling: Filling,
): void {
  const { heapEnd, ramdisk, commandLine } = filling;
  const videoMode = videoModeOf(filling.cmdline);
  if (videoMode !== undefined) view.setUint16(F.vid_mode[0], videoMode, true);
  if (version >= 0x0200) {
    view.setUint8(F.type_of_loader[0], LOADER_UNDEFINED);
    view.setUint32(F.ramdisk_image[0], ramdisk?.base ?? 0, true);
    view.setUint32(F.ramdisk_size[0], ramdisk?.length ?? 0, true);
  }
  if (version >= 0x0201) {
    view.setUint8(F.loadflags[0], loadflags | LOADFLAGS.CAN_USE_HEAP);
    view.setUint16(F.heap_end_ptr[0], heapEnd - HEAP_END_MARGIN, true);
  }
  if (version >= 0x0202) {
    view.setUint32(F.cmd_line_ptr[0], REAL_MODE_CODE + heapEnd, true);
    return;
  }
  view.setUint16(CL_MAGIC.offset, CL_MAGIC.value, true);
  view.setUint16(CL_OFFSET, heapEnd, true);
  // What setup code moves to 0x90000 if it is elsewhere; it is not, and the field says how much there is.
  if (version >= 0x0200) {
    view.setUint16(F.setup_move_size[0], heapEnd + commandLine.length, true);
  }
}

/** `vga=` of the command line, which is the loader's to obey. */
function videoModeOf(cmdline: string): number | undefined {
  const value = /(?:^|\s)vga=(\S+)/.exec(cmdline)?.[1];
  if (value === undefined) return undefined;
  const mode = VIDEO_MODES[value] ?? Number(value);
  if (Number.isInteger(mode) && mode >= 0 && mode <= 0xffff) return mode;
  throw new NodevmError(
    'E_USAGE',
    `vga= on the kernel command line is ${value}, expected normal, ext, ask or a number up to 0xffff`,
  );
}

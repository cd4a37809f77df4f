/**
 * The setup_header of an x86 Linux kernel, by the Linux/x86 boot protocol
 * (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"). A kernel file is hostile input:
 * nothing here trusts a length or an offset before it is compared with the file.
 */
import { badKernel, hex, readBigint, readNumber, readText } from './binary.js';
import { describeFormat } from './kernel-format.js';

/**
 * Offset and width of each field, under the kernel's own name. The offsets hold in the file and,
 * unchanged, in boot_params.
 */
export const SETUP_HEADER_FIELDS = {
  setup_sects: [0x1f1, 1],
  root_flags: [0x1f2, 2],
  syssize: [0x1f4, 4],
  ram_size: [0x1f8, 2],
  vid_mode: [0x1fa, 2],
  root_dev: [0x1fc, 2],
  boot_flag: [0x1fe, 2],
  jump: [0x200, 2],
  header: [0x202, 4],
  version: [0x206, 2],
  realmode_swtch: [0x208, 4],
  start_sys_seg: [0x20c, 2],
  kernel_version: [0x20e, 2],
  type_of_loader: [0x210, 1],
  loadflags: [0x211, 1],
  setup_move_size: [0x212, 2],
  code32_start: [0x214, 4],
  ramdisk_image: [0x218, 4],
  ramdisk_size: [0x21c, 4],
  bootsect_kludge: [0x220, 4],
  heap_end_ptr: [0x224, 2],
  ext_loader_ver: [0x226, 1],
  ext_loader_type: [0x227, 1],
  cmd_line_ptr: [0x228, 4],
  initrd_addr_max: [0x22c, 4],
  kernel_alignment: [0x230, 4],
  relocatable_kernel: [0x234, 1],
  min_alignment: [0x235, 1],
  xloadflags: [0x236, 2],
  cmdline_size: [0x238, 4],
  hardware_subarch: [0x23c, 4],
  hardware_subarch_data: [0x240, 8],
  payload_offset: [0x248, 4],
  payload_length: [0x24c, 4],
  setup_data: [0x250, 8],
  pref_address: [0x258, 8],
  init_size: [0x260, 4],
  handover_offset: [0x264, 4],
  kernel_info_offset: [0x268, 4],
} as const;

/** Name of a setup_header field. */
export type SetupHeaderField = keyof typeof SETUP_HEADER_FIELDS;

/** The fields' values; numbers are unsigned, 64-bit fields are bigint. */
export type SetupHeader = {
  readonly [F in SetupHeaderField]: (typeof SETUP_HEADER_FIELDS)[F][1] extends 8 ? bigint : number;
};

/** Bits of loadflags. */
export const LOADFLAGS = {
  LOADED_HIGH: 0x01,
  KASLR_FLAG: 0x02,
  QUIET_FLAG: 0x20,
  KEEP_SEGMENTS: 0x40,
  CAN_USE_HEAP: 0x80,
} as const;

/** Bits of xloadflags. */
export const XLOADFLAGS = {
  XLF_KERNEL_64: 0x01,
  XLF_CAN_BE_LOADED_ABOVE_4G: 0x02,
  XLF_EFI_HANDOVER_32: 0x04,
  XLF_EFI_HANDOVER_64: 0x08,
  XLF_EFI_KEXEC: 0x10,
  XLF_5LEVEL: 0x20,
  XLF_5LEVEL_ENABLED: 0x40,
} as const;

/** Distance of the 64-bit entry point from the start of the protected-mode code. */
export const ENTRY_64_OFFSET = 0x200;

/** "HdrS" */
export const HEADER_MAGIC = 0x5372_6448;

const BOOT_FLAG = 0xaa55;
const SECTOR_SIZE = 512;
/** setup_sects holds 0 in very old kernels and then means this. */
const DEFAULT_SETUP_SECTS = 4;
/** syssize counts in these. */
const PARAGRAPH_SIZE = 16;
/** First version whose 32-bit entry takes boot_params with a command line pointer. */
const MIN_VERSION = 0x0202;
/** Where the header's length byte counts from: the offset behind the jump. */
const HEADER_LENGTH_BASE = 0x202;
/** boot_params has room for a header up to here (edd_mbr_sig_buffer follows). */
const MAX_HEADER_END = 0x290;
/** Longest version string that is looked at. */
const MAX_VERSION_STRING = 256;

/** Version that introduced each field of later headers: boot.rst, "The Real-Mode Kernel Header". */
const INTRODUCED: Partial<Record<SetupHeaderField, number>> = {
  ext_loader_ver: 0x0202,
  ext_loader_type: 0x0202,
  initrd_addr_max: 0x0203,
  kernel_alignment: 0x0205,
  relocatable_kernel: 0x0205,
  min_alignment: 0x020a,
  xloadflags: 0x020c,
  cmdline_size: 0x0206,
  hardware_subarch: 0x0207,
  hardware_subarch_data: 0x0207,
  payload_offset: 0x0208,
  payload_length: 0x0208,
  setup_data: 0x0209,
  pref_address: 0x020a,
  init_size: 0x020a,
  handover_offset: 0x020b,
  kernel_info_offset: 0x020f,
};

/** initrd_addr_max and cmdline_size of the versions that do not say, as boot.rst has them. */
const OLD_INITRD_ADDR_MAX = 0x37ff_ffff;
const OLD_CMDLINE_SIZE = 255;
/** Where a bzImage of those versions runs, and the most by which its code has ever shrunk in packing. */
const OLD_LOAD_ADDRESS = 0x10_0000;
const OLD_UNPACKED_RATIO = 8;

/** A kernel file taken apart and found sound. */
export interface LinuxKernel {
  readonly header: SetupHeader;
  /** The setup_header's bytes from offset 0x1f1 on, as boot_params takes them. */
  readonly headerBytes: Uint8Array;
  /** The version string ("6.1.0-…"), '' where the kernel gives none. */
  readonly version: string;
  /** The protected-mode code, that is what goes to the load address. */
  readonly payload: Uint8Array;
}

/** Whether a file begins as an x86 Linux kernel does. */
export function hasSetupHeader(image: Uint8Array): boolean {
  return readNumber(image, ...SETUP_HEADER_FIELDS.header) === HEADER_MAGIC;
}

/** Whether the header's version of the protocol has a field. */
export function hasField({ version }: SetupHeader, field: SetupHeaderField): boolean {
  return version >= (INTRODUCED[field] ?? 0);
}

/**
 * Takes a bzImage apart and checks every field of its setup_header that a loader relies on.
 * @throws NodevmError `E_BAD_KERNEL` naming field, value and what was expected.
 */
export function parseKernel(image: Uint8Array): LinuxKernel {
  checkMagic(image);
  const headerEnd = findHeaderEnd(image);
  const header = readHeader(image, headerEnd);
  const setupSize = (header.setup_sects || DEFAULT_SETUP_SECTS) * SECTOR_SIZE + SECTOR_SIZE;
  const payloadSize = payloadSizeOf(header, image.length - setupSize);
  checkSizes(image, header, setupSize, payloadSize);
  checkMachine(header);
  checkPlacement(header, payloadSize);
  checkOffsets(header, payloadSize);
  return {
    header,
    headerBytes: image.subarray(SETUP_HEADER_FIELDS.setup_sects[0], headerEnd),
    version: readVersionString(image, header, setupSize),
    payload: image.subarray(setupSize, setupSize + payloadSize),
  };
}

function checkMagic(image: Uint8Array): void {
  const bootFlag = readNumber(image, ...SETUP_HEADER_FIELDS.boot_flag);
  const isX86 = hasSetupHeader(image);
  if (bootFlag !== BOOT_FLAG || !isX86) {
    const wrong = isX86
      ? `boot_flag is ${hex(bootFlag)}, expected ${hex(BOOT_FLAG)}`
      : 'header "HdrS" is missing at offset 0x202';
    throw badKernel(`${wrong}: this is not an x86 bzImage but looks like ${describeFormat(image)}`);
  }
  const version = readNumber(image, ...SETUP_HEADER_FIELDS.version);
  if (version < MIN_VERSION) {
    throw badKernel(
      `version of the boot protocol is ${versionName(version)}, expected ${versionName(MIN_VERSION)} or later: older kernels are entered by 16-bit code only`,
    );
  }
}

/** The header's end depends on the kernel; the length byte is the operand of its first jump. */
function findHeaderEnd(image: Uint8Array): number {
  const headerEnd = HEADER_LENGTH_BASE + readNumber(image, HEADER_LENGTH_BASE - 1, 1);
  const least = leastHeaderEnd(readNumber(image, ...SETUP_HEADER_FIELDS.version));
  if (headerEnd < least || headerEnd > MAX_HEADER_END) {
    throw badKernel(
      `end of setup_header is ${hex(headerEnd)}, expected ${hex(least)} to ${hex(MAX_HEADER_END)}`,
    );
  }
  if (headerEnd > image.length) {
    throw badKernel(
      `file is ${image.length} bytes, expected at least ${headerEnd} for the setup_header: it is truncated`,
    );
  }
  return headerEnd;
}

/** kernel_info_offset is left out: kernels claim 2.15 and do without it (memtest86+ does so too). */
function leastHeaderEnd(version: number): number {
  const ends = Object.entries(SETUP_HEADER_FIELDS)
    .filter(([name]) => name !== 'kernel_info_offset')
    .filter(([name]) => version >= (INTRODUCED[name as SetupHeaderField] ?? 0))
    .map(([, [offset, size]]) => offset + size);
  return Math.max(...ends);
}

function readHeader(image: Uint8Array, headerEnd: number): SetupHeader {
  const known = image.subarray(0, headerEnd); // what lies behind is code, not header
  const version = readNumber(known, ...SETUP_HEADER_FIELDS.version);
  const entries = Object.entries(SETUP_HEADER_FIELDS).map(([name, [offset, size]]) => {
    const isThere = version >= (INTRODUCED[name as SetupHeaderField] ?? 0);
    const from = isThere ? offset : headerEnd; // where it reads as zero
    return [name, size === 8 ? readBigint(known, from) : readNumber(known, from, size)];
  });
  return withDefaults(Object.fromEntries(entries) as SetupHeader);
}

/** What boot.rst has a loader assume where the version is too old to say. */
function withDefaults(header: SetupHeader): SetupHeader {
  const isOld = !hasField(header, 'init_size');
  return {
    ...header,
    ...(hasField(header, 'initrd_addr_max') ? {} : { initrd_addr_max: OLD_INITRD_ADDR_MAX }),
    ...(hasField(header, 'cmdline_size') ? {} : { cmdline_size: OLD_CMDLINE_SIZE }),
    ...(hasField(header, 'kernel_alignment') ? {} : { kernel_alignment: OLD_LOAD_ADDRESS }),
    ...(isOld ? { pref_address: BigInt(OLD_LOAD_ADDRESS), init_size: oldInitSize(header) } : {}),
  };
}

function oldInitSize({ syssize }: SetupHeader): number {
  return syssize * PARAGRAPH_SIZE * OLD_UNPACKED_RATIO;
}

/** syssize is rounded up to paragraphs; a file may end within the last one (memtest86+'s does). */
function payloadSizeOf({ syssize }: SetupHeader, left: number): number {
  const size = syssize * PARAGRAPH_SIZE;
  return left < size && left > size - PARAGRAPH_SIZE ? left : size;
}

function checkSizes(
  image: Uint8Array,
  header: SetupHeader,
  setupSize: number,
  payloadSize: number,
): void {
  if (setupSize > image.length) {
    throw badKernel(
      `setup_sects is ${header.setup_sects}, so the file should have at least ${setupSize} bytes, but it has ${image.length}: it is truncated`,
    );
  }
  if (payloadSize <= ENTRY_64_OFFSET) {
    throw badKernel(
      `syssize is ${header.syssize} paragraphs of 16 bytes, expected more than ${ENTRY_64_OFFSET / PARAGRAPH_SIZE}`,
    );
  }
  if (setupSize + payloadSize > image.length) {
    throw badKernel(
      `syssize is ${header.syssize} paragraphs of 16 bytes, so the file should have at least ${setupSize + payloadSize} bytes, but it has ${image.length}: it is truncated`,
    );
  }
}

function checkMachine(header: SetupHeader): void {
  if ((header.loadflags & LOADFLAGS.LOADED_HIGH) === 0) {
    throw badKernel(
      `loadflags is ${hex(header.loadflags)} without LOADED_HIGH: this is a zImage, which is entered by 16-bit code only; expected a bzImage`,
    );
  }
  if (header.hardware_subarch !== 0) {
    throw badKernel(`hardware_subarch is ${header.hardware_subarch}, expected 0 (the standard PC)`);
  }
}

function checkPlacement(header: SetupHeader, payloadSize: number): void {
  const alignment = header.kernel_alignment;
  const isPowerOfTwo = (alignment & (alignment - 1)) === 0;
  if (alignment < 0x1000 || !isPowerOfTwo) {
    throw badKernel(
      `kernel_alignment is ${hex(alignment)}, expected a power of two from 0x1000 on`,
    );
  }
  if (header.init_size < payloadSize) {
    throw badKernel(
      `init_size is ${hex(header.init_size)}, expected at least the ${hex(payloadSize)} bytes that syssize gives`,
    );
  }
  if (header.cmdline_size === 0) {
    throw badKernel('cmdline_size is 0, expected room for a command line');
  }
}

/** Fields that point into the protected-mode code. */
function checkOffsets(header: SetupHeader, payloadSize: number): void {
  const ends = {
    payload_offset: header.payload_offset + header.payload_length,
    handover_offset: header.handover_offset,
    kernel_info_offset: header.kernel_info_offset,
  };
  for (const [field, end] of Object.entries(ends)) {
    if (end > payloadSize) {
      throw badKernel(
        `${field} points to ${hex(end)}, expected at most the ${hex(payloadSize)} bytes that syssize gives`,
      );
    }
  }
}

/** kernel_version holds the string's offset, counted from the end of the boot sector. */
function readVersionString(image: Uint8Array, header: SetupHeader, setupSize: number): string {
  if (header.kernel_version === 0) return '';
  const start = header.kernel_version + SECTOR_SIZE;
  if (start >= setupSize) {
    throw badKernel(
      `kernel_version is ${hex(header.kernel_version)}, expected less than ${hex(setupSize - SECTOR_SIZE)}, the size of the setup code`,
    );
  }
  return readText(image.subarray(0, setupSize), start, MAX_VERSION_STRING);
}

/** The version of the boot protocol as the kernel's documents write it ("2.15"). */
export function versionName(version: number): string {
  return `${version >> 8}.${String(version & 0xff).padStart(2, '0')}`;
}

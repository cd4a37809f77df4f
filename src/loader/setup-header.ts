/**
 * The setup_header of an x86 Linux kernel, by the Linux/x86 boot protocol
 * (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"). A kernel file is hostile input:
 * nothing here trusts a length or an offset before it is compared with the file.
 */
import { NodevmError } from '../errors.js';
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
export const LOADFLAGS = { LOADED_HIGH: 0x01, CAN_USE_HEAP: 0x80 } as const;

/** Bits of xloadflags. */
export const XLOADFLAGS = { XLF_KERNEL_64: 0x01 } as const;

/** Distance of the 64-bit entry point from the start of the protected-mode code. */
export const ENTRY_64_OFFSET = 0x200;

const BOOT_FLAG = 0xaa55;
const HEADER_MAGIC = 0x5372_6448; // "HdrS"
const SECTOR_SIZE = 512;
/** setup_sects holds 0 in very old kernels and then means this. */
const DEFAULT_SETUP_SECTS = 4;
/** syssize counts in these. */
const PARAGRAPH_SIZE = 16;
/** First version with xloadflags, which tells of the 64-bit entry. */
const MIN_VERSION = 0x020c;
/** First version with kernel_info_offset. */
const KERNEL_INFO_VERSION = 0x020f;
/** Where the header's length byte counts from: the offset behind the jump. */
const HEADER_LENGTH_BASE = 0x202;
/** boot_params has room for a header up to here (edd_mbr_sig_buffer follows). */
const MAX_HEADER_END = 0x290;
/** Longest version string that is looked at. */
const MAX_VERSION_STRING = 256;

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

/**
 * Takes a bzImage apart and checks every field of its setup_header that a loader relies on.
 * @throws NodevmError `E_BAD_KERNEL` naming field, value and what was expected.
 */
export function parseKernel(image: Uint8Array): LinuxKernel {
  checkMagic(image);
  const headerEnd = findHeaderEnd(image);
  const header = readHeader(image, headerEnd);
  const setupSize = (header.setup_sects || DEFAULT_SETUP_SECTS) * SECTOR_SIZE + SECTOR_SIZE;
  const payloadSize = header.syssize * PARAGRAPH_SIZE;
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
  const magic = readNumber(image, ...SETUP_HEADER_FIELDS.header);
  if (bootFlag !== BOOT_FLAG || magic !== HEADER_MAGIC) {
    const isX86 = magic === HEADER_MAGIC;
    const wrong = isX86
      ? `boot_flag is ${hex(bootFlag)}, expected ${hex(BOOT_FLAG)}`
      : 'header "HdrS" is missing at offset 0x202';
    throw badKernel(`${wrong}: this is not an x86 bzImage but looks like ${describeFormat(image)}`);
  }
  const version = readNumber(image, ...SETUP_HEADER_FIELDS.version);
  if (version < MIN_VERSION) {
    throw badKernel(
      `version of the boot protocol is ${versionName(version)}, expected ${versionName(MIN_VERSION)} or later (Linux 3.8), which has a 64-bit entry`,
    );
  }
}

/** The header's end depends on the kernel; the length byte is the operand of its first jump. */
function findHeaderEnd(image: Uint8Array): number {
  const headerEnd = HEADER_LENGTH_BASE + readNumber(image, HEADER_LENGTH_BASE - 1, 1);
  const [lastOffset, lastSize] = SETUP_HEADER_FIELDS.handover_offset;
  if (headerEnd < lastOffset + lastSize || headerEnd > MAX_HEADER_END) {
    throw badKernel(
      `end of setup_header is ${hex(headerEnd)}, expected ${hex(lastOffset + lastSize)} to ${hex(MAX_HEADER_END)}`,
    );
  }
  if (headerEnd > image.length) {
    throw badKernel(
      `file is ${image.length} bytes, expected at least ${headerEnd} for the setup_header: it is truncated`,
    );
  }
  return headerEnd;
}

function readHeader(image: Uint8Array, headerEnd: number): SetupHeader {
  const known = image.subarray(0, headerEnd); // what lies behind is code, not header
  const entries = Object.entries(SETUP_HEADER_FIELDS).map(([name, [offset, size]]) => {
    return [name, size === 8 ? readBigint(known, offset) : readNumber(known, offset, size)];
  });
  return Object.fromEntries(entries) as SetupHeader;
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
  if ((header.xloadflags & XLOADFLAGS.XLF_KERNEL_64) === 0) {
    throw badKernel(
      `xloadflags is ${hex(header.xloadflags)} without XLF_KERNEL_64: this is a kernel for 32-bit x86, expected one for x86-64`,
    );
  }
  if ((header.loadflags & LOADFLAGS.LOADED_HIGH) === 0) {
    throw badKernel(
      `loadflags is ${hex(header.loadflags)} without LOADED_HIGH: this is a zImage, expected a bzImage`,
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
    kernel_info_offset: header.version >= KERNEL_INFO_VERSION ? header.kernel_info_offset : 0,
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
  const bytes = image.subarray(start, Math.min(start + MAX_VERSION_STRING, setupSize));
  const text = Buffer.from(bytes).toString('latin1').split('\0', 1)[0] ?? '';
  return text.replace(/[^ -~]/g, '?');
}

/** Unsigned little-endian value; what lies beyond the end reads as zero. */
function readNumber(bytes: Uint8Array, offset: number, size: number): number {
  let value = 0;
  for (let index = size - 1; index >= 0; index--) {
    value = value * 256 + (bytes[offset + index] ?? 0);
  }
  return value;
}

function readBigint(bytes: Uint8Array, offset: number): bigint {
  return (BigInt(readNumber(bytes, offset + 4, 4)) << 32n) | BigInt(readNumber(bytes, offset, 4));
}

function badKernel(what: string): NodevmError {
  return new NodevmError('E_BAD_KERNEL', `bad kernel: ${what}`);
}

function versionName(version: number): string {
  return `${version >> 8}.${String(version & 0xff).padStart(2, '0')}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

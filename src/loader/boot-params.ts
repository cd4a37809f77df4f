/**
 * boot_params, the "zero page" (Documentation/arch/x86/zero-page.rst): what the loader tells the kernel
 * besides the registers.
 */
import type { E820Entry } from './e820.js';
import { LOADFLAGS, SETUP_HEADER_FIELDS } from './setup-header.js';

/** Size of boot_params in bytes. */
export const BOOT_PARAMS_SIZE = 0x1000;

/** Offset and width of the fields outside the setup_header that are written here. */
export const BOOT_PARAMS_FIELDS = {
  acpi_rsdp_addr: [0x070, 8],
  ext_ramdisk_image: [0x0c0, 4],
  ext_ramdisk_size: [0x0c4, 4],
  ext_cmd_line_ptr: [0x0c8, 4],
  e820_entries: [0x1e8, 1],
  e820_table: [0x2d0, 128 * 20],
} as const;

/** Bytes of one entry of e820_table: base, length, type. */
const E820_ENTRY_SIZE = 20;

/** type_of_loader for a loader without an assigned number. */
const LOADER_UNDEFINED = 0xff;

/** vid_mode "normal": leave the video mode alone. */
const VIDEO_MODE_NORMAL = 0xffff;

/** Heap end of a setup code that has a whole segment, less the 0x200 that the field leaves out. */
const HEAP_END = 0x1_0000 - 0x200;

/** A placed object; bytes. */
export interface Placement {
  readonly base: number;
  readonly length: number;
}

/** What goes into boot_params; addresses are guest physical. */
export interface BootParamsOptions {
  /** The kernel's own setup_header from offset 0x1f1 on. */
  readonly headerBytes: Uint8Array;
  /** loadflags, without those that every loader sets. */
  readonly loadflags: number;
  /** Where the protected-mode code lies. */
  readonly loadAddress: number;
  /** Where the NUL-terminated command line lies. */
  readonly commandLine: number;
  /** The initramfs; undefined where there is none. */
  readonly ramdisk: Placement | undefined;
  readonly e820: readonly E820Entry[];
  /** The ACPI root pointer. */
  readonly rsdp: number;
  /** The first entry of setup_data; 0 where there is none. */
  readonly setupData: number;
}

/**
 * Builds the page. Everything not named stays zero, as the protocol wants; that includes screen_info,
 * whose zero columns and lines tell the kernel that there is no text screen.
 */
export function buildBootParams(options: BootParamsOptions): Uint8Array {
  const page = new Uint8Array(BOOT_PARAMS_SIZE);
  const view = new DataView(page.buffer);
  const { ramdisk } = options;
  page.set(options.headerBytes, SETUP_HEADER_FIELDS.setup_sects[0]);

  const set = (field: readonly [number, number], value: number): void => {
    setUnsigned(view, field, value);
  };
  set(SETUP_HEADER_FIELDS.vid_mode, VIDEO_MODE_NORMAL);
  set(SETUP_HEADER_FIELDS.type_of_loader, LOADER_UNDEFINED);
  set(SETUP_HEADER_FIELDS.loadflags, options.loadflags | LOADFLAGS.CAN_USE_HEAP);
  set(SETUP_HEADER_FIELDS.heap_end_ptr, HEAP_END);
  set(SETUP_HEADER_FIELDS.code32_start, options.loadAddress);
  set(SETUP_HEADER_FIELDS.cmd_line_ptr, low32(options.commandLine));
  set(BOOT_PARAMS_FIELDS.ext_cmd_line_ptr, high32(options.commandLine));
  set(SETUP_HEADER_FIELDS.ramdisk_image, low32(ramdisk?.base ?? 0));
  set(BOOT_PARAMS_FIELDS.ext_ramdisk_image, high32(ramdisk?.base ?? 0));
  set(SETUP_HEADER_FIELDS.ramdisk_size, low32(ramdisk?.length ?? 0));
  set(BOOT_PARAMS_FIELDS.ext_ramdisk_size, high32(ramdisk?.length ?? 0));
  set(SETUP_HEADER_FIELDS.setup_data, options.setupData);
  set(BOOT_PARAMS_FIELDS.acpi_rsdp_addr, options.rsdp);
  setE820(view, options.e820);
  return page;
}

function setE820(view: DataView, entries: readonly E820Entry[]): void {
  setUnsigned(view, BOOT_PARAMS_FIELDS.e820_entries, entries.length);
  entries.forEach((entry, index) => {
    const offset = BOOT_PARAMS_FIELDS.e820_table[0] + index * E820_ENTRY_SIZE;
    setUnsigned(view, [offset, 8], entry.base);
    setUnsigned(view, [offset + 8, 8], entry.length);
    setUnsigned(view, [offset + 16, 4], entry.type);
  });
}

function setUnsigned(view: DataView, [offset, size]: readonly [number, number], value: number) {
  if (size === 1) view.setUint8(offset, value);
  else if (size === 2) view.setUint16(offset, value, true);
  else if (size === 4) view.setUint32(offset, value, true);
  else view.setBigUint64(offset, BigInt(value), true);
}

function low32(value: number): number {
  return value >>> 0;
}

function high32(value: number): number {
  return Math.floor(value / 0x1_0000_0000);
}

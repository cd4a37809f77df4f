/**
 * The doors of a Linux bzImage: its 64-bit and 32-bit entry points (Documentation/arch/x86/boot.rst), and
 * `direct`, which leaves its decompressor out. Parsing is setup-header.ts, what the kernel is told is
 * boot-params.ts; here is where things are put.
 */
import { BOOT_COMMAND_LINE, BOOT_PARAMS, HIGH_MEMORY, type RamSplit } from '../layout.js';
import { alignUp, badKernel, hex } from './binary.js';
import { buildBootParams, type Placement } from './boot-params.js';
import { buildE820 } from './e820.js';
import { entryAddress } from './elf.js';
import { linux32Entry, longModeEntry, type EntryState } from './entry-state.js';
import { choosePlaces, wantsNoKaslr, type KaslrPlaces } from './kaslr.js';
import {
  layOut,
  parsePayload,
  release,
  relocate,
  unpackPayload,
  type UnpackedKernel,
} from './payload.js';
import {
  checkKernelFits,
  placeRamdisk,
  ramSizes,
  writeBiosData,
  writeCommandLine,
  writeRamdisk,
} from './placement.js';
import type { Door, LoadOptions } from './protocol.js';
import { writeSetupData } from './setup-data.js';
import {
  ENTRY_64_OFFSET,
  LOADFLAGS,
  XLOADFLAGS,
  hasField,
  type LinuxKernel,
  type SetupHeader,
} from './setup-header.js';

/** The doors that the header promises, the best one first; whether `direct` can be had is seen later. */
export function linuxDoors(kernel: LinuxKernel): readonly Door[] {
  const { header, version } = kernel;
  const name = `Linux ${version === '' ? 'bzImage' : version}`;
  const doors: Door[] = [];
  if (header.payload_length > 0) {
    doors.push({
      protocol: 'direct',
      description: `${name}, unpacked by the host`,
      load: (options) => loadDirect(kernel, options),
    });
  }
  if ((header.xloadflags & XLOADFLAGS.XLF_KERNEL_64) !== 0) {
    doors.push({
      protocol: '64',
      description: `${name}, entered at its 64-bit entry point`,
      load: (options) => loadPacked(kernel, options, 64),
    });
  }
  doors.push({
    protocol: '32',
    description: `${name}, entered at its 32-bit entry point`,
    load: (options) => loadPacked(kernel, options, 32),
  });
  return doors;
}

/** Loads the protected-mode code as it is: the kernel unpacks itself. */
function loadPacked(kernel: LinuxKernel, options: LoadOptions, bits: 32 | 64): EntryState {
  const { memory } = options;
  const ram = ramSizes(memory);
  const image = placeKernel(kernel.header, ram);
  writeCommandLine(memory, options.cmdline, kernel.header.cmdline_size);
  const ramdisk = placeRamdisk(options.initrds, ramdiskRoom(kernel.header, image), ram);
  memory.write(image.base, kernel.payload);
  writeRamdisk(memory, options.initrds, ramdisk);
  writeBootParams(kernel, options, ramdisk, image.base, kernel.header.loadflags);
  return bits === 64
    ? longModeEntry(memory, image.base + ENTRY_64_OFFSET, BOOT_PARAMS)
    : linux32Entry(memory, image.base, BOOT_PARAMS);
}

/** Does the decompressor's work: unpacks, chooses a place, relocates, and goes where it would jump to. */
function loadDirect(kernel: LinuxKernel, options: LoadOptions): EntryState {
  const { memory, cmdline } = options;
  const { header } = kernel;
  const ram = ramSizes(memory);
  const linked = { base: Number(header.pref_address), length: header.init_size };
  checkKernelFits(linked, ram.lowRam, 'init_size');
  const unpacked = parsePayload(unpackPayload(kernel));
  const image = layOut(unpacked.elf, header.init_size);
  if (image.base !== linked.base) {
    throw badKernel(
      `p_paddr of the payload is ${hex(image.base)}, expected pref_address, ${hex(header.pref_address)}`,
    );
  }
  const entryOffset = entryAddress(unpacked.elf) - image.base;
  writeCommandLine(memory, cmdline, header.cmdline_size);
  const ramdisk = placeRamdisk(options.initrds, ramdiskRoom(header, linked), ram);
  const places = placeUnpacked(kernel, unpacked, ramdisk, options);
  relocate(image, unpacked, places.virtual - image.base);
  memory.write(places.physical, image.bytes);
  memory.fill(places.physical + image.bytes.length, image.length - image.bytes.length, 0);
  writeRamdisk(memory, options.initrds, ramdisk);
  const kaslr = places.isRandom ? LOADFLAGS.KASLR_FLAG : 0;
  writeBootParams(kernel, options, ramdisk, places.physical, header.loadflags | kaslr);
  const entry = places.physical + entryOffset;
  release(unpacked);
  return unpacked.elf.bits === 64
    ? longModeEntry(memory, entry, BOOT_PARAMS)
    : linux32Entry(memory, entry, BOOT_PARAMS);
}

/** Where an unpacked kernel goes: where it was linked to run, or anywhere if it can be moved. */
function placeUnpacked(
  { header }: LinuxKernel,
  { elf, relocations }: UnpackedKernel,
  ramdisk: Placement | undefined,
  { memory, cmdline, entropy }: LoadOptions,
): KaslrPlaces & { readonly isRandom: boolean } {
  const linked = Number(header.pref_address);
  if (relocations === undefined || wantsNoKaslr(cmdline)) {
    return { physical: linked, virtual: linked, isRandom: false };
  }
  const places = choosePlaces({
    bits: elf.bits,
    linked,
    alignment: header.kernel_alignment,
    length: header.init_size,
    cmdline,
    ram: memory.ranges,
    avoid: ramdisk,
    entropy,
  });
  return { ...places, isRandom: true };
}

function writeBootParams(
  { header, headerBytes }: LinuxKernel,
  options: LoadOptions,
  ramdisk: Placement | undefined,
  loadAddress: number,
  loadflags: number,
): void {
  const { memory } = options;
  writeBiosData(memory);
  const bootParams = buildBootParams({
    headerBytes,
    loadflags,
    loadAddress,
    commandLine: BOOT_COMMAND_LINE.base,
    ramdisk,
    e820: buildE820(ramSizes(memory)),
    rsdp: options.rsdp,
    setupData: hasField(header, 'setup_data') ? writeSetupData(memory, options.entropy) : 0,
  });
  memory.write(BOOT_PARAMS, bootParams);
}

/** What the header says of the initramfs's place. */
function ramdiskRoom(header: SetupHeader, { base, length }: Placement) {
  return {
    floor: base + length,
    addressMax: header.initrd_addr_max,
    above4G: (header.xloadflags & XLOADFLAGS.XLF_CAN_BE_LOADED_ABOVE_4G) !== 0,
  };
}

/**
 * The memory that the kernel needs until it has read the memory map: init_size bytes from where it will
 * run. A relocatable kernel that is loaded below pref_address moves itself up to it, so it is put there
 * at once (boot.rst, init_size).
 */
function placeKernel(header: SetupHeader, { lowRam }: RamSplit): Placement {
  const preferred = Number(header.pref_address);
  const base =
    header.relocatable_kernel === 0
      ? preferred
      : alignUp(Math.max(preferred, HIGH_MEMORY), header.kernel_alignment);
  if (base < HIGH_MEMORY) {
    throw badKernel(
      `pref_address is ${hex(base)} in a kernel that is not relocatable, expected 0x100000 or more`,
    );
  }
  const placed = { base, length: header.init_size };
  checkKernelFits(placed, lowRam, 'init_size');
  return placed;
}

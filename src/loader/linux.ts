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
import { layOut, parsePayload, relocate, unpackPayload } from './payload.js';
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

/** Does the decompressor's work, and goes where it would jump to. */
function loadDirect(kernel: LinuxKernel, options: LoadOptions): EntryState {
  const { memory, cmdline } = options;
  const { header } = kernel;
  const ram = ramSizes(memory);
  const linked = { base: Number(header.pref_address), length: header.init_size };
  checkKernelFits(linked, ram.lowRam, 'init_size');
  writeCommandLine(memory, cmdline, header.cmdline_size);
  const ramdisk = placeRamdisk(options.initrds, ramdiskRoom(header, linked), ram);
  const { places, bits, entry } = unpackKernel(kernel, ramdisk, options);
  writeRamdisk(memory, options.initrds, ramdisk);
  const kaslr = places.isRandom ? LOADFLAGS.KASLR_FLAG : 0;
  writeBootParams(kernel, options, ramdisk, places.physical, header.loadflags | kaslr);
  return bits === 64
    ? longModeEntry(memory, entry, BOOT_PARAMS)
    : linux32Entry(memory, entry, BOOT_PARAMS);
}

/** What decides where a kernel can be. */
interface KernelKind {
  readonly bits: 32 | 64;
  /** Whether it has relocations. */
  readonly isMovable: boolean;
}

/** Where a kernel is to be. */
interface KernelPlaces extends KaslrPlaces {
  readonly isRandom: boolean;
}

/** A kernel proper in guest memory. */
interface PlacedKernel {
  readonly places: KernelPlaces;
  readonly bits: 32 | 64;
  /** Physical address of its entry point. */
  readonly entry: number;
}

/**
 * Unpacks the kernel where it is to run, and lays it out and relocates it there. Where it turns out not to be what its
 * header promises, it goes to another place.
 */
function unpackKernel(
  kernel: LinuxKernel,
  ramdisk: Placement | undefined,
  options: LoadOptions,
): PlacedKernel {
  const { memory } = options;
  const { init_size, pref_address, xloadflags, relocatable_kernel } = kernel.header;
  const placeFor = (kind: KernelKind): KernelPlaces =>
    placeUnpacked(kernel.header, kind, ramdisk, options);
  const promised: KernelKind = {
    bits: (xloadflags & XLOADFLAGS.XLF_KERNEL_64) === 0 ? 32 : 64,
    isMovable: relocatable_kernel !== 0,
  };
  const expected = placeFor(promised);
  const room = memory.room(expected.physical, init_size);
  const unpacked = parsePayload(unpackPayload(kernel, room));
  const image = layOut(unpacked.elf, init_size);
  if (image.base !== Number(pref_address)) {
    throw badKernel(
      `p_paddr of the payload is ${hex(image.base)}, expected pref_address, ${hex(pref_address)}`,
    );
  }
  const { bits } = unpacked.elf;
  const isMovable = unpacked.relocations !== undefined;
  const isAsPromised = bits === promised.bits && isMovable === promised.isMovable;
  const places = isAsPromised ? expected : placeFor({ bits, isMovable });
  relocate(image, unpacked, places.virtual - image.base);
  if (!isAsPromised || image.bytes.buffer !== room?.buffer) {
    const bytes = image.bytes.slice();
    room?.fill(0);
    memory.write(places.physical, bytes);
  }
  memory.fill(places.physical + image.bytes.length, init_size - image.bytes.length, 0);
  return { places, bits, entry: places.physical + entryAddress(unpacked.elf) - image.base };
}

/** Where an unpacked kernel goes: where it was linked to run, or anywhere if it can be moved. */
function placeUnpacked(
  header: SetupHeader,
  { bits, isMovable }: KernelKind,
  ramdisk: Placement | undefined,
  { memory, cmdline, entropy }: LoadOptions,
): KernelPlaces {
  const linked = Number(header.pref_address);
  if (!isMovable || wantsNoKaslr(cmdline)) {
    return { physical: linked, virtual: linked, isRandom: false };
  }
  const places = choosePlaces({
    bits,
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

/** The machine's firmware: our own 16-bit ROM (bios/) with what the host tells it, or another one. */
import { readFileSync } from 'node:fs';

import { NodevmError } from '../errors.js';
import { BIOS_ROM, RESET_VECTOR, SHADOW_RAM } from '../layout.js';
import type { GuestMemory } from '../memory.js';
import { packageFile } from '../package-file.js';
import type { DriveGeometry } from './drive-geometry.js';
import { buildE820 } from './e820.js';
import type { EntryState } from './entry-state.js';
import { ramSizes } from './placement.js';

/** The image that bios/build.sh makes. */
const IMAGE = packageFile('bios/nodevm.rom');

/** Offsets and sizes of bios/hand-off.s, whose layout the signature names. */
const HAND_OFF = {
  SIGNATURE: 'NODEVM-1',
  start_kind: 0x08,
  start_segment: 0x0a,
  start_stack: 0x0c,
  start_code: 0x0e,
  memory_entries: 0x10,
  drives: 0x14,
  memory_map: 0x34,
  DRIVE_SIZE: 16,
  MEMORY_ENTRY_SIZE: 20,
} as const;

const START_FROM_DISK = 0;
const START_PROGRAM = 1;

const KIB = 1024;

/** The drives that INT 13h serves. */
export interface FirmwareDrives {
  /** Drive 00h. */
  readonly floppy?: DriveGeometry | undefined;
  /** Drive 80h. */
  readonly disk?: DriveGeometry | undefined;
}

/** A program that is in memory, which the ROM starts once its services are there. */
export interface RealModeProgram {
  /** Segment for DS, ES, FS, GS and SS. */
  readonly segment: number;
  /** SP. */
  readonly stack: number;
  /** CS; it starts at offset 0. */
  readonly code: number;
}

/** What {@link loadRom} puts into memory. */
export interface RomOptions {
  readonly memory: GuestMemory;
  readonly drives: FirmwareDrives;
  /** What to start; a boot sector of the drives where undefined. */
  readonly program?: RealModeProgram | undefined;
}

/** Our own ROM as it is in its chip. */
export function romImage(): Uint8Array {
  return readFileSync(IMAGE);
}

/** Puts our ROM and what it needs to know into guest memory. */
export function loadRom({ memory, drives, program }: RomOptions): EntryState {
  const rom = new Uint8Array(romImage());
  const view = new DataView(rom.buffer);
  const signature = Buffer.from(rom.subarray(0, HAND_OFF.start_kind)).toString('latin1');
  if (rom.length !== BIOS_ROM.length || signature !== HAND_OFF.SIGNATURE) {
    throw new NodevmError(
      'E_FILE',
      `ROM image bios/nodevm.rom begins with ${JSON.stringify(signature)} and has ${rom.length} bytes, expected "${HAND_OFF.SIGNATURE}" and ${BIOS_ROM.length}: make it anew with npm run bios`,
    );
  }
  const set16 = (offset: number, value: number): void => view.setUint16(offset, value, true);
  set16(HAND_OFF.start_kind, program === undefined ? START_FROM_DISK : START_PROGRAM);
  set16(HAND_OFF.start_segment, program?.segment ?? 0);
  set16(HAND_OFF.start_stack, program?.stack ?? 0);
  set16(HAND_OFF.start_code, program?.code ?? 0);
  writeMemoryMap(view, memory);
  writeDrive(view, HAND_OFF.drives, drives.floppy);
  writeDrive(view, HAND_OFF.drives + HAND_OFF.DRIVE_SIZE, drives.disk);
  memory.write(BIOS_ROM.base, rom);
  return atResetVector();
}

/** What {@link startFirmware} starts. */
export interface FirmwareStart {
  readonly memory: GuestMemory;
  readonly drives: FirmwareDrives;
  /** Another ROM than ours. */
  readonly bios: Uint8Array | undefined;
}

/** Loads the ROM that looks for something to start, ours or another: there is no kernel from the host. */
export function startFirmware({ memory, drives, bios }: FirmwareStart): {
  readonly description: string;
  readonly entry: EntryState;
} {
  if (bios !== undefined) {
    const description = `ROM of ${bios.length / KIB} KiB, started at its reset vector`;
    return { description, entry: loadOtherRom(memory, bios) };
  }
  return { description: 'boot sector, through the ROM', entry: loadRom({ memory, drives }) };
}

/**
 * Puts another ROM where a PC has it: its last 256 KiB below 1 MiB, as a chipset does
 * that copies it to shadow RAM (all of it is below 4 GiB, see wiring.ts).
 * @throws NodevmError `E_FILE` for what cannot be a PC's ROM
 */
export function loadOtherRom(memory: GuestMemory, rom: Uint8Array): EntryState {
  checkRom(rom);
  const shadow = rom.subarray(Math.max(0, rom.length - SHADOW_RAM.length));
  memory.write(SHADOW_RAM.base + SHADOW_RAM.length - shadow.length, shadow);
  return atResetVector();
}

/**
 * Checks the size of a ROM, before there is memory to load it into.
 * @throws NodevmError `E_FILE` for a size that no PC's ROM has
 */
export function checkRom({ length }: Uint8Array): void {
  if (length >= 64 * KIB && length <= 16384 * KIB && length % (64 * KIB) === 0) return;
  throw new NodevmError(
    'E_FILE',
    `bios is ${length} bytes, expected a multiple of 65536 up to 16 MiB: a raw PC BIOS image`,
  );
}

/**
 * SDM volume 3, "First Instruction Executed": F000:FFF0. The processor fetches it below 4 GiB; here it
 * does so from the shadow of the same bytes below 1 MiB, where the far jump that is there leads anyway.
 */
function atResetVector(): EntryState {
  return {
    registers: { rip: BigInt(RESET_VECTOR - BIOS_ROM.base) },
    segments: {
      cs: {
        selector: BIOS_ROM.base / 16,
        base: BigInt(BIOS_ROM.base),
        limit: 0xffff,
        access: 0x9b,
      },
    },
  };
}

function writeMemoryMap(view: DataView, memory: GuestMemory): void {
  const entries = buildE820(ramSizes(memory));
  view.setUint16(HAND_OFF.memory_entries, entries.length, true);
  entries.forEach(({ base, length, type }, index) => {
    const offset = HAND_OFF.memory_map + index * HAND_OFF.MEMORY_ENTRY_SIZE;
    view.setBigUint64(offset, BigInt(base), true);
    view.setBigUint64(offset + 8, BigInt(length), true);
    view.setUint32(offset + 16, type, true);
  });
}

function writeDrive(view: DataView, offset: number, drive: DriveGeometry | undefined): void {
  if (drive === undefined) return;
  view.setBigUint64(offset, BigInt(drive.sectors), true);
  view.setUint16(offset + 8, drive.cylinders, true);
  view.setUint16(offset + 10, drive.heads, true);
  view.setUint16(offset + 12, drive.sectorsPerTrack, true);
  view.setUint16(offset + 14, drive.type, true);
}

import type { AccessSize, Device, DeviceState } from '../bus/device.js';
import { restore, snapshot } from './state.js';

/*
 * The port through which the ROM's INT 13h moves sectors (bios/disk.s). It is private to the two: a floppy
 * controller would need a DMA controller beside it and a disk an ATA interface, the ROM both drivers, and
 * each sector hundreds of exits; here a request is one. Operating systems do not know it.
 *
 *   0x0  LBA, bits 0 to 31        (write)
 *   0x4  LBA, bits 32 to 63       (write)
 *   0x8  guest physical address of the buffer (write)
 *   0xc  write: bits 0 to 15 sectors, 16 to 23 operation, 24 to 31 drive; the request is carried out
 *        read: its status, as INT 13h returns it in AH
 */

const LBA = 0x0;
const LBA_HIGH = 0x4;
const BUFFER = 0x8;
const COMMAND = 0xc;

const OPERATION = { READ: 0, WRITE: 1, VERIFY: 2 } as const;

/** Status codes of INT 13h. */
export const DISK_STATUS = {
  OK: 0x00,
  BAD_COMMAND: 0x01,
  WRITE_PROTECTED: 0x03,
  SECTOR_NOT_FOUND: 0x04,
  DMA_BOUNDARY: 0x09,
  CONTROLLER_FAILURE: 0x20,
  NOT_READY: 0x80,
} as const;

const SECTOR_SIZE = 512;
const FOUR_GI = 2 ** 32;
const VERSION = 1;

const powerOn = () => ({ lba: 0, lbaHigh: 0, buffer: 0, status: 0 });

/** A drive's contents; see DiskImage. */
export interface DriveMedium {
  readonly sectors: number;
  readonly writable: boolean;
  read(sector: number, count: number): Uint8Array;
  write(sector: number, bytes: Uint8Array): void;
}

/** The guest memory that requests name; see GuestMemory. */
export interface DiskMemory {
  readonly ranges: readonly { readonly base: number; readonly length: number }[];
  read(gpa: number, length: number): Uint8Array;
  write(gpa: number, bytes: Uint8Array): void;
}

/** What a {@link FirmwareDisk} is connected to. */
export interface FirmwareDiskOptions {
  readonly memory: DiskMemory;
  /** By their number in INT 13h: 0x00 is the first floppy, 0x80 the first disk. */
  readonly drives: ReadonlyMap<number, DriveMedium>;
}

/** Sixteen ports; registers are 32 bits wide and aligned, of the status the low byte may be read alone. */
export class FirmwareDisk implements Device {
  readonly name = 'firmware-disk';
  private s = powerOn();

  constructor(private readonly options: FirmwareDiskOptions) {}

  read(offset: number, size: AccessSize): number {
    return offset === COMMAND ? this.s.status : 2 ** (8 * size) - 1;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    if (offset === LBA) this.s.lba = value;
    else if (offset === LBA_HIGH) this.s.lbaHigh = value;
    else if (offset === BUFFER) this.s.buffer = value;
    else if (offset === COMMAND) this.s.status = this.request(value);
  }

  reset(): void {
    this.s = powerOn();
  }

  /** What is on the drives is no part of it. */
  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  load(state: DeviceState): void {
    this.s = restore(this.name, VERSION, powerOn(), state);
  }

  private request(command: number): number {
    const count = command & 0xffff;
    const operation = (command >>> 16) & 0xff;
    const drive = this.options.drives.get(command >>> 24);
    if (drive === undefined) return DISK_STATUS.NOT_READY;
    const sector = this.s.lbaHigh * FOUR_GI + this.s.lba;
    if (sector + count > drive.sectors) return DISK_STATUS.SECTOR_NOT_FOUND;
    if (operation === OPERATION.VERIFY) return DISK_STATUS.OK;
    if (!this.isRam(count * SECTOR_SIZE)) return DISK_STATUS.DMA_BOUNDARY;
    try {
      return this.transfer(drive, operation, sector, count);
    } catch {
      return DISK_STATUS.CONTROLLER_FAILURE; // the host's file could not be read or written
    }
  }

  private transfer(drive: DriveMedium, operation: number, sector: number, count: number): number {
    const { memory } = this.options;
    if (operation === OPERATION.READ) {
      memory.write(this.s.buffer, drive.read(sector, count));
      return DISK_STATUS.OK;
    }
    if (operation !== OPERATION.WRITE) return DISK_STATUS.BAD_COMMAND;
    if (!drive.writable) return DISK_STATUS.WRITE_PROTECTED;
    drive.write(sector, memory.read(this.s.buffer, count * SECTOR_SIZE));
    return DISK_STATUS.OK;
  }

  private isRam(length: number): boolean {
    const { buffer } = this.s;
    return this.options.memory.ranges.some(
      (range) => buffer >= range.base && buffer + length <= range.base + range.length,
    );
  }
}

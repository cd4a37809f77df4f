/** Raw images of disks and floppies, in a file or in memory, as sectors of 512 bytes. */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

import { NodevmError } from './errors.js';

/** Bytes of a sector. */
export const SECTOR_SIZE = 512;

/** What a drive of the machine holds. Sectors are counted from 0; errors of the host are thrown. */
export interface DiskImage {
  /** Number of sectors; a last one that is not whole counts, and ends in zeros. */
  readonly sectors: number;
  readonly writable: boolean;
  /** A copy of `count` sectors from `sector` on; what lies behind the end reads as zeros. */
  read(sector: number, count: number): Uint8Array;
  /** Writes whole sectors from `sector` on; what lies behind the end is cut off. */
  write(sector: number, bytes: Uint8Array): void;
  /** Gives the file back. The image cannot be used afterwards; may be repeated. */
  close(): void;
}

/** An image that is in memory and forgotten with the machine: the caller's bytes are copied. */
export class MemoryImage implements DiskImage {
  readonly writable = true;
  readonly sectors: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.sectors = Math.ceil(bytes.length / SECTOR_SIZE);
    this.bytes = new Uint8Array(this.sectors * SECTOR_SIZE);
    this.bytes.set(bytes);
  }

  read(sector: number, count: number): Uint8Array {
    const result = new Uint8Array(count * SECTOR_SIZE);
    result.set(this.bytes.subarray(sector * SECTOR_SIZE, (sector + count) * SECTOR_SIZE));
    return result;
  }

  write(sector: number, bytes: Uint8Array): void {
    const start = Math.min(sector * SECTOR_SIZE, this.bytes.length);
    this.bytes.set(bytes.subarray(0, this.bytes.length - start), start);
  }

  close(): void {
    // There is nothing to give back.
  }
}

/** An image in a file, which the guest's writes change; one that cannot be written is read-only. */
export class FileImage implements DiskImage {
  readonly sectors: number;
  readonly writable: boolean;
  private file: number | undefined;

  /**
   * @param field what the image is for, for errors
   * @throws NodevmError `E_FILE` where the file cannot be opened or is empty or no regular file
   */
  constructor(
    field: string,
    private readonly path: string,
  ) {
    const { file, writable } = openImage(field, path);
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size === 0) {
      closeSync(file);
      const found = stat.isFile() ? 'is empty' : 'is not a regular file';
      throw new NodevmError('E_FILE', `${field} ${path}: ${found}, expected a raw disk image`);
    }
    this.file = file;
    this.writable = writable;
    this.sectors = Math.ceil(stat.size / SECTOR_SIZE);
  }

  read(sector: number, count: number): Uint8Array {
    const result = new Uint8Array(count * SECTOR_SIZE);
    let done = 0;
    while (done < result.length) {
      const position = sector * SECTOR_SIZE + done;
      const length = readSync(this.open(), result, done, result.length - done, position);
      if (length === 0) break;
      done += length;
    }
    return result;
  }

  write(sector: number, bytes: Uint8Array): void {
    const room = Math.max(0, (this.sectors - sector) * SECTOR_SIZE);
    const length = Math.min(bytes.length, room);
    let done = 0;
    while (done < length) {
      done += writeSync(this.open(), bytes, done, length - done, sector * SECTOR_SIZE + done);
    }
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }

  private open(): number {
    if (this.file !== undefined) return this.file;
    throw new NodevmError('E_STATE', `disk image ${this.path} is closed, expected an open one`);
  }
}

function openImage(field: string, path: string): { file: number; writable: boolean } {
  try {
    return { file: openSync(path, 'r+'), writable: true };
  } catch (cause) {
    if (!isReadOnly(cause)) throw badFile(field, path, cause);
  }
  try {
    return { file: openSync(path, 'r'), writable: false };
  } catch (cause) {
    throw badFile(field, path, cause);
  }
}

function isReadOnly(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && ['EACCES', 'EROFS'].includes(String(error.code))
  );
}

function badFile(field: string, path: string, cause: unknown): NodevmError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new NodevmError('E_FILE', `${field} ${path}: cannot be opened: ${why}`, { cause });
}

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { FileImage, MemoryImage } from '../../src/disk-image.js';
import { Drives } from '../../src/drives.js';
import { DISK_STATUS, FirmwareDisk } from '../../src/devices/firmware-disk.js';
import { diskGeometry, floppyGeometry } from '../../src/loader/drive-geometry.js';
import { makeMemory } from '../support/kernel-fixture.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nodevm-drives-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function file(bytes: Uint8Array): string {
  const path = join(directory, 'image');
  writeFileSync(path, bytes);
  return path;
}

describe('an image in a file', () => {
  it('reads sectors, with zeros behind the end', () => {
    const image = new FileImage('hda', file(new Uint8Array(700).fill(7)));
    expect(image.sectors).toBe(2);
    const bytes = image.read(1, 2);
    expect(bytes.length).toBe(1024);
    expect(bytes.findIndex((byte) => byte === 0)).toBe(188);
    expect(bytes.subarray(188).every((byte) => byte === 0)).toBe(true);
    image.close();
  });

  it('is changed by writes, but does not grow by them', () => {
    const path = file(new Uint8Array(1024));
    const image = new FileImage('hda', path);
    expect(image.writable).toBe(true);
    image.write(1, new Uint8Array(1024).fill(9));
    image.close();
    image.close();
    const bytes = readFileSync(path);
    expect(bytes.length).toBe(1024);
    expect(bytes.indexOf(9)).toBe(512);
    expect(() => image.read(0, 1)).toThrow(/closed/);
  });

  it.skipIf(process.getuid?.() === 0)('is read-only where the file is', () => {
    const path = file(new Uint8Array(512));
    chmodSync(path, 0o444);
    const image = new FileImage('hda', path);
    expect(image.writable).toBe(false);
    image.close();
  });

  it.each([
    ['nothing there', 'missing', /fda .*missing: cannot be opened/],
    ['a directory', '', /cannot be opened|regular file/],
  ])('refuses %s', (_what, name, message) => {
    expect(() => new FileImage('fda', join(directory, name))).toThrow(message);
  });

  it('refuses an empty one', () => {
    expect(() => new FileImage('hda', file(new Uint8Array(0)))).toThrow(/is empty/);
  });
});

describe('an image in memory', () => {
  it("leaves the caller's bytes alone", () => {
    const bytes = new Uint8Array(512);
    const image = new MemoryImage(bytes);
    image.write(0, new Uint8Array(1024).fill(1));
    expect(image.read(0, 1).every((byte) => byte === 1)).toBe(true);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    image.write(5, new Uint8Array(512));
  });
});

describe('geometry', () => {
  it.each([
    [2880, 80, 2, 18],
    [720, 40, 2, 9],
    [5760, 80, 2, 36],
    [300, 80, 2, 18],
    [2881, 80, 2, 36],
  ])('of a floppy of %d sectors', (sectors, cylinders, heads, sectorsPerTrack) => {
    expect(floppyGeometry(sectors)).toMatchObject({ cylinders, heads, sectorsPerTrack });
  });

  it('refuses what is larger than any floppy', () => {
    expect(() => floppyGeometry(5761)).toThrow(/5761 sectors.*--hda/);
  });

  it.each([
    [1, 1, 16],
    [63 * 16 * 1024, 1024, 16],
    [63 * 16 * 1024 + 1, 513, 32],
    [2 ** 33, 1024, 255],
  ])('of a disk of %d sectors', (sectors, cylinders, heads) => {
    expect(diskGeometry(sectors)).toMatchObject({ sectors, cylinders, heads, sectorsPerTrack: 63 });
  });
});

describe('the firmware disk port', () => {
  const READ = 0;
  const WRITE = 1;
  const VERIFY = 2;

  function start(medium: { writable?: boolean; fails?: boolean } = {}) {
    const { memory } = makeMemory(0x10_0000);
    const image = new MemoryImage(new Uint8Array(8 * 512).fill(5, 512));
    const device = new FirmwareDisk({
      memory,
      drives: new Map([
        [
          0x80,
          {
            sectors: image.sectors,
            writable: medium.writable ?? true,
            read: (sector: number, count: number) => {
              if (medium.fails === true) throw new Error('EIO');
              return image.read(sector, count);
            },
            write: (sector: number, bytes: Uint8Array) => image.write(sector, bytes),
          },
        ],
      ]),
    });
    const request = (operation: number, lba: number, count: number, gpa: number, drive = 0x80) => {
      device.write(0, 4, lba % 2 ** 32);
      device.write(4, 4, Math.floor(lba / 2 ** 32));
      device.write(8, 4, gpa);
      device.write(12, 4, ((drive << 24) | (operation << 16) | count) >>> 0);
      return device.read(12, 1);
    };
    return { memory, device, request };
  }

  it('reads and writes by memory', () => {
    const { memory, request } = start();
    expect(request(READ, 0, 2, 0x1000)).toBe(DISK_STATUS.OK);
    expect(memory.read(0x11ff, 2)).toEqual(Uint8Array.of(0, 5));
    memory.fill(0x2000, 512, 6);
    expect(request(WRITE, 7, 1, 0x2000)).toBe(DISK_STATUS.OK);
    expect(request(READ, 6, 2, 0x1000)).toBe(DISK_STATUS.OK);
    expect(memory.read(0x11ff, 2)).toEqual(Uint8Array.of(5, 6));
    expect(request(VERIFY, 0, 8, 0)).toBe(DISK_STATUS.OK);
  });

  it('says what is wrong with a request', () => {
    const { request } = start();
    expect(request(READ, 7, 2, 0)).toBe(DISK_STATUS.SECTOR_NOT_FOUND);
    expect(request(READ, 2 ** 40, 1, 0)).toBe(DISK_STATUS.SECTOR_NOT_FOUND);
    expect(request(READ, 0, 1, 0, 0)).toBe(DISK_STATUS.NOT_READY);
    expect(request(READ, 0, 1, 0xf_fe01)).toBe(DISK_STATUS.DMA_BOUNDARY);
    expect(request(READ, 0, 1, 0xffff_ffff)).toBe(DISK_STATUS.DMA_BOUNDARY);
    expect(request(9, 0, 1, 0)).toBe(DISK_STATUS.BAD_COMMAND);
    expect(start({ writable: false }).request(WRITE, 0, 1, 0)).toBe(DISK_STATUS.WRITE_PROTECTED);
    expect(start({ fails: true }).request(READ, 0, 1, 0)).toBe(DISK_STATUS.CONTROLLER_FAILURE);
  });

  it('keeps its registers in a snapshot', () => {
    const { device, request } = start();
    request(READ, 99, 1, 0);
    const { device: other } = start();
    other.load(device.save());
    expect(other.read(12, 1)).toBe(DISK_STATUS.SECTOR_NOT_FOUND);
    other.reset();
    expect(other.read(12, 1)).toBe(DISK_STATUS.OK);
    expect(other.read(0, 4)).toBe(0xffff_ffff);
  });
});

describe('drives', () => {
  it('numbers them as INT 13h does, and pads a floppy to its format', () => {
    const drives = Drives.open({ fda: new Uint8Array(512), hda: new Uint8Array(1024) });
    expect([...drives.media.keys()]).toEqual([0x00, 0x80]);
    expect(drives.media.get(0)?.sectors).toBe(2880);
    expect(drives.media.get(0)?.read(2879, 1)).toEqual(new Uint8Array(512));
    expect(drives.geometry.disk?.sectors).toBe(2);
    drives.close();
  });

  it('opens nothing where nothing is given', () => {
    expect(Drives.open({}).media.size).toBe(0);
  });
});

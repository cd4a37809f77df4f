import { describe, expect, it } from 'vitest';

import { seededEntropy } from '../../src/entropy.js';
import { isRealModeOnly, realModeDoor } from '../../src/loader/linux16.js';
import { findDoors } from '../../src/loader/load-kernel.js';
import { checkRom, loadOtherRom } from '../../src/loader/rom.js';
import { SETUP_HEADER_FIELDS as F } from '../../src/loader/setup-header.js';
import { makeKernel, makeMemory, PAYLOAD_SIZE, SETUP_SIZE } from '../support/kernel-fixture.js';

const LOW_RAM = 64 * 2 ** 20;
const SEGMENT = 0x9_0000;
const ROM = 0xf_0000;

function load(
  kernel: Uint8Array,
  { cmdline = 'console=ttyS0', initrds = [] as Uint8Array[] } = {},
) {
  const { memory } = makeMemory(LOW_RAM);
  const entropy = seededEntropy(1n);
  const entry = realModeDoor(kernel).load({ memory, kernel, initrds, cmdline, rsdp: 0, entropy });
  return { memory, entry };
}

function text(memory: ReturnType<typeof load>['memory'], gpa: number, length: number): string {
  return Buffer.from(memory.read(gpa, length)).toString('latin1');
}

describe('the 16-bit door', () => {
  it('enters at the reset vector and tells the ROM where setup is', () => {
    const { memory, entry } = load(makeKernel());
    expect(entry.registers.rip).toBe(0xfff0n);
    expect(entry.segments.cs).toMatchObject({ selector: 0xf000, base: 0xf_0000n });
    expect(memory.readU16(ROM + 0x08)).toBe(1); // a program
    expect(memory.readU16(ROM + 0x0a)).toBe(0x9000);
    expect(memory.readU16(ROM + 0x0c)).toBe(0xe000);
    expect(memory.readU16(ROM + 0x0e)).toBe(0x9020);
    expect(memory.readU16(ROM + 0x10)).toBe(4);
    // The last range of the memory map: RAM from 1 MiB.
    expect(memory.readU32(ROM + 0x34 + 3 * 20)).toBe(0x10_0000);
    expect(memory.readU32(ROM + 0x34 + 3 * 20 + 8)).toBe(LOW_RAM - 0x10_0000);
  });

  it('fills the header of a bzImage', () => {
    const { memory } = load(makeKernel(), { initrds: [new Uint8Array(5).fill(1)] });
    expect(memory.readU8(SEGMENT + F.type_of_loader[0])).toBe(0xff);
    expect(memory.readU8(SEGMENT + F.loadflags[0])).toBe(0x81);
    expect(memory.readU16(SEGMENT + F.heap_end_ptr[0])).toBe(0xde00);
    expect(memory.readU32(SEGMENT + F.code32_start[0])).toBe(0x10_0000);
    const cmdline = memory.readU32(SEGMENT + F.cmd_line_ptr[0]);
    expect(text(memory, cmdline, 14)).toBe('console=ttyS0\0');
    const ramdisk = memory.readU32(SEGMENT + F.ramdisk_image[0]);
    expect(ramdisk).toBe(LOW_RAM - 0x1000);
    expect(memory.readU32(SEGMENT + F.ramdisk_size[0])).toBe(8);
    expect(memory.readU8(ramdisk + 4)).toBe(1);
    expect(memory.readU8(0x10_0000)).toBe(0x90);
    expect(memory.readU8(0x10_0000 + PAYLOAD_SIZE - 1)).toBe(0x90);
  });

  it('puts a zImage low, with an old command line', () => {
    const { memory } = load(makeKernel({ loadflags: 0, version: 0x0201 }), { cmdline: 'root=fd0' });
    expect(memory.readU8(0x1_0000)).toBe(0x90);
    expect(memory.readU8(0x10_0000)).toBe(0);
    expect(memory.readU16(SEGMENT + 0x20)).toBe(0xa33f);
    expect(memory.readU16(SEGMENT + 0x22)).toBe(0x9800);
    expect(text(memory, SEGMENT + 0x9800, 9)).toBe('root=fd0\0');
    expect(memory.readU16(SEGMENT + F.setup_move_size[0])).toBe(0x9809);
    expect(memory.readU16(SEGMENT + F.heap_end_ptr[0])).toBe(0x9600);
    expect(memory.readU16(ROM + 0x0c)).toBe(0x9800);
  });

  it('writes into a header before 2.00 only what is there', () => {
    const kernel = makeKernel({ header: 0, loadflags: 0x55, syssize: PAYLOAD_SIZE / 16 });
    expect(isRealModeOnly(kernel)).toBe(true);
    const { memory } = load(kernel);
    expect(memory.readU8(SEGMENT + F.type_of_loader[0])).toBe(0);
    expect(memory.readU8(SEGMENT + F.loadflags[0])).toBe(0x55);
    expect(memory.readU16(SEGMENT + 0x20)).toBe(0xa33f);
    expect(memory.readU8(0x1_0000)).toBe(0x90);
    expect(() => load(kernel, { initrds: [new Uint8Array(1)] })).toThrow(/older than 2\.00/);
  });

  it.each([
    ['vga=ask', 0xfffd],
    ['quiet vga=0x305', 0x305],
    ['vga=normal', 0xffff],
  ])('obeys %s', (cmdline, mode) => {
    const { memory } = load(makeKernel(), { cmdline });
    expect(memory.readU16(SEGMENT + F.vid_mode[0])).toBe(mode);
  });

  it.each<[string, Parameters<typeof makeKernel>[0], string, RegExp]>([
    ['setup that is too long', { setup_sects: 64 }, '', /setup_sects is 64/],
    ['a boot sector without signature', { boot_flag: 0 }, '', /boot_flag is 0x0/],
    ['a long command line', {}, 'x'.repeat(2048), /2048 bytes, expected at most 2047/],
    ['one that is long for its version', { version: 0x0205 }, 'x'.repeat(256), /at most 255/],
    ['a NUL in it', {}, 'a\0b', /NUL/],
    ['a wrong video mode', {}, 'vga=best', /vga= .* is best/],
    ['memory that is too small', { init_size: 0x4000_0000 }, '', /initrd is 4 bytes/],
  ])('refuses %s', (_what, fields, cmdline, message) => {
    const initrds = [new Uint8Array(4)];
    expect(() => load(makeKernel(fields), { cmdline, initrds })).toThrow(message);
  });

  it('refuses a zImage that does not fit below setup', () => {
    const small = makeKernel({ loadflags: 0 });
    const kernel = new Uint8Array(SETUP_SIZE + 0x8_0001);
    kernel.set(small);
    expect(() => load(kernel)).toThrow(/at most the 524288/);
  });
});

describe('which doors there are', () => {
  const protocols = (kernel: Uint8Array) => findDoors(kernel).map(({ protocol }) => protocol);

  it('a kernel has this one besides the others', () => {
    expect(protocols(makeKernel())).toEqual(expect.arrayContaining(['64', '32', '16']));
    expect(protocols(makeKernel())[0]).not.toBe('16');
  });

  it.each([
    ['a zImage', { loadflags: 0 }],
    ['an old kernel', { version: 0x0201 }],
    ['a program without size', { syssize: 0 }],
    ['a program without alignment', { kernel_alignment: 0 }],
  ])('%s has only this one', (_what, fields) => {
    expect(protocols(makeKernel(fields))).toEqual(['16']);
  });

  it('takes no disk image for an old kernel', () => {
    const image = new Uint8Array(1_474_560);
    image.set([0x55, 0xaa], 510);
    expect(isRealModeOnly(image)).toBe(false);
  });
});

describe('another ROM', () => {
  it('has its last 256 KiB below 1 MiB', () => {
    const { memory } = makeMemory(LOW_RAM);
    const rom = new Uint8Array(512 * 1024).fill(1, 256 * 1024);
    loadOtherRom(memory, rom);
    expect(memory.readU8(0xb_ffff)).toBe(0);
    expect(memory.readU8(0xc_0000)).toBe(1);
    expect(memory.readU8(0xf_ffff)).toBe(1);
    loadOtherRom(memory, new Uint8Array(64 * 1024));
    expect(memory.readU8(0xe_ffff)).toBe(1);
    expect(memory.readU8(0xf_0000)).toBe(0);
  });

  it.each([0, 1000, 65537, 2 ** 25])('refuses one of %d bytes', (length) => {
    expect(() => checkRom(new Uint8Array(length))).toThrow(new RegExp(`bios is ${length} bytes`));
  });
});

import { describe, expect, it } from 'vitest';
import { NodevmError } from '../../../src/errors.js';
import { describeFormat } from '../../../src/loader/kernel-format.js';
import { parseKernel } from '../../../src/loader/setup-header.js';
import {
  KERNEL_VERSION,
  PAYLOAD_SIZE,
  SETUP_SIZE,
  makeKernel,
} from '../../support/kernel-fixture.js';
import { refusal } from '../../support/refusal.js';

function expectRefused(image: Uint8Array, message: RegExp): void {
  const said = refusal(() => parseKernel(image));
  expect(said).toMatch(/^E_BAD_KERNEL: bad kernel: /);
  expect(said).toMatch(message);
}

describe('parseKernel', () => {
  it('reads every field by its name', () => {
    const kernel = parseKernel(makeKernel());
    expect(kernel.header).toMatchObject({
      setup_sects: 4,
      syssize: PAYLOAD_SIZE / 16,
      version: 0x20f,
      initrd_addr_max: 0x7fff_ffff,
      kernel_alignment: 0x20_0000,
      xloadflags: 0x7f,
      cmdline_size: 2047,
      pref_address: 0x100_0000n,
      setup_data: 0n,
      init_size: 0x40_0000,
      handover_offset: 0x190,
      kernel_info_offset: 0x1f00,
    });
    expect(kernel.version).toBe(KERNEL_VERSION);
    expect(kernel.payload).toEqual(new Uint8Array(PAYLOAD_SIZE).fill(0x90));
    expect(kernel.headerBytes).toEqual(makeKernel().subarray(0x1f1, 0x26c));
  });

  it('leaves what follows the payload, such as a signature, alone', () => {
    const signed = Buffer.concat([makeKernel(), new Uint8Array(1000)]);
    expect(parseKernel(signed).payload).toHaveLength(PAYLOAD_SIZE);
  });

  it('takes setup_sects of 0 for 4', () => {
    expect(parseKernel(makeKernel({ setup_sects: 0 })).payload[0]).toBe(0x90);
  });

  it('takes a file that ends within the last paragraph of syssize', () => {
    const image = makeKernel();
    expect(parseKernel(image.subarray(0, -15)).payload).toHaveLength(PAYLOAD_SIZE - 15);
    expectRefused(image.subarray(0, -16), /truncated/);
  });

  it('reads fields behind the end of an older header as zero', () => {
    const kernel = parseKernel(makeKernel({ version: 0x20c, jump: 0x66eb }));
    expect(kernel.header.kernel_info_offset).toBe(0);
    expect(kernel.headerBytes).toHaveLength(0x268 - 0x1f1);
  });

  it.each([
    [{ boot_flag: 0x55aa }, /boot_flag is 0x55aa, expected 0xaa55/],
    [{ header: 0 }, /header "HdrS" is missing .* boot sector/],
    [{ version: 0x201 }, /version .* is 2\.01, expected 2\.02/],
    [{ jump: 0x65eb }, /end of setup_header is 0x267, expected 0x268 to 0x290/],
    [{ jump: 0x8feb }, /end of setup_header is 0x291/],
    [{ setup_sects: 255 }, /setup_sects is 255, .* at least 131072 bytes, but it has 10752/],
    [{ syssize: 0 }, /syssize is 0 /],
    [{ syssize: 0x20 }, /syssize is 32 .* expected more than 32/],
    [{ syssize: 0x201 }, /syssize is 513 .* at least 10768 bytes, but it has 10752/],
    [{ syssize: 0xffff_ffff }, /syssize is 4294967295/],
    [{ loadflags: 0 }, /loadflags is 0x0 without LOADED_HIGH/],
    [{ hardware_subarch: 2 }, /hardware_subarch is 2, expected 0/],
    [{ kernel_alignment: 0 }, /kernel_alignment is 0x0/],
    [{ kernel_alignment: 0x30_0000 }, /kernel_alignment is 0x300000, expected a power of two/],
    [{ init_size: PAYLOAD_SIZE - 1 }, /init_size is 0x1fff, expected at least the 0x2000/],
    [{ cmdline_size: 0 }, /cmdline_size is 0/],
    [{ payload_length: 0x1d01 }, /payload_offset points to 0x2001/],
    [{ payload_offset: 0xffff_ffff }, /payload_offset points to 0x100000fff/],
    [{ handover_offset: 0x2001 }, /handover_offset points to 0x2001/],
    [{ kernel_info_offset: 0x2001 }, /kernel_info_offset points to 0x2001/],
    [{ kernel_version: 0x800 }, /kernel_version is 0x800, expected less than 0x800/],
  ])('refuses %j', (fields, message) => {
    expectRefused(makeKernel(fields), message);
  });

  it('refuses a file cut off anywhere, and says so once it is known to be a kernel', () => {
    const image = makeKernel();
    for (let length = 0; length <= image.length - 16; length += 7) {
      expectRefused(image.subarray(0, length), length < 0x208 ? /bad kernel: / : /truncated/);
    }
    expect(SETUP_SIZE + PAYLOAD_SIZE).toBe(image.length);
  });

  it('keeps control characters out of the version string', () => {
    const image = makeKernel();
    image.set(Buffer.from('6.1\x1b[2J\0'), 0x600);
    expect(parseKernel(image).version).toBe('6.1?[2J');
  });

  it('survives any value in any byte of the header', () => {
    for (let offset = 0x1f1; offset < 0x26c; offset++) {
      for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
        const image = makeKernel();
        image[offset] = value;
        try {
          const { payload } = parseKernel(image);
          expect(payload.length).toBeLessThanOrEqual(image.length);
        } catch (error) {
          expect(error).toBeInstanceOf(NodevmError);
        }
      }
    }
  });
});

/** An EFI application for x86-64 with one section. */
function efiProgram(section: string): Uint8Array {
  const bytes = Buffer.alloc(0x400);
  bytes.write('MZ', 0, 'latin1');
  bytes.writeUInt32LE(0x80, 0x3c);
  bytes.write('PE\0\0', 0x80, 'latin1');
  bytes.writeUInt16LE(0x8664, 0x84);
  bytes.writeUInt16LE(1, 0x86);
  bytes.writeUInt16LE(0xf0, 0x94);
  bytes.writeUInt16LE(10, 0xdc);
  bytes.write(section, 0x80 + 24 + 0xf0, 'latin1');
  return bytes;
}

describe('describeFormat', () => {
  const at = (offset: number, text: string, prefix = ''): Uint8Array => {
    const bytes = Buffer.alloc(0x9000);
    bytes.write(prefix, 0, 'latin1');
    bytes.write(text, offset, 'latin1');
    return bytes;
  };

  it.each([
    [new Uint8Array(), /empty/],
    [new Uint8Array(100), /unknown/],
    [Buffer.from('#!/bin/sh\necho not a kernel\n'), /^text$/],
    [at(0, '\x7fELF'), /ELF/],
    [at(0, '\x1f\x8b\x08'), /gzip/],
    [at(0, '070701'), /cpio/],
    [at(0x38, 'ARMd', 'MZ'), /another machine \(arm64/],
    [at(0x38, 'RSC\x05', 'MZ'), /another machine \(RISC-V/],
    [at(4, 'zimg', 'MZ'), /EFI zboot/],
    [at(0, 'MZ'), /DOS or EFI program/],
    [efiProgram('.text'), /EFI program, which needs EFI firmware/],
    [efiProgram('.linux'), /unified kernel image/],
    [at(0x1fe, '\x55\xaa'), /boot sector/],
    [at(0x8001, 'CD001'), /ISO 9660/],
  ])('case %#', (bytes, description) => {
    expect(describeFormat(bytes)).toMatch(description);
    expectRefused(bytes, description.source === '^text$' ? /looks like text$/ : description);
  });
});

import { gzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';

import { formatInspection } from '../../../src/cli/inspect.js';
import { packInitramfs } from '../../../src/initramfs/cpio.js';
import { inspectFile } from '../../../src/loader/inspect.js';
import {
  LINKED,
  makeElf,
  makePackedKernel,
  makePvhNote,
  makeRelocations,
} from '../../support/elf-fixture.js';
import { KERNEL_VERSION, makeKernel } from '../../support/kernel-fixture.js';

const banner = Buffer.from('Linux version %s\0Linux version 6.1.0-fixture (nodevm)\n\0');

describe('inspectFile', () => {
  it('says what a bzImage is and has', () => {
    const text = { paddr: LINKED, data: banner };
    const elf = makeElf({ segments: [text, makePvhNote(LINKED)] });
    const found = inspectFile(
      makePackedKernel(Buffer.concat([elf, makeRelocations([], [], [1, 2, 3])])),
    );
    expect(found).toMatchObject({
      kind: 'linux',
      version: KERNEL_VERSION,
      loadflags: ['LOADED_HIGH'],
      efi_stub: false,
      payload: {
        compression: 'gzip',
        unpacked: elf.length + 24,
        relocations: 3,
        elf: { bits: 64, pvh: LINKED, banner: 'Linux version 6.1.0-fixture (nodevm)' },
      },
    });
    expect(found.problem).toBeUndefined();
    expect(found.setup_header).toMatchObject({ version: 0x20f, pref_address: LINKED });
    expect(found.xloadflags).toContain('XLF_CAN_BE_LOADED_ABOVE_4G');
    expect(found.protocols.slice(0, 3)).toEqual(['direct', '64', '32']);
    expect(found.protocols).toContain('pvh');
  });

  it('offers no door that is not there, and shows no field that the version has not', () => {
    const found = inspectFile(makeKernel({ version: 0x0206, xloadflags: 0 }));
    expect(found.protocols).not.toContain('direct');
    expect(found.protocols).not.toContain('pvh');
    expect(found.protocols).not.toContain('64');
    expect(found.setup_header).toHaveProperty('cmdline_size');
    expect(found.setup_header).not.toHaveProperty('init_size');
  });

  it('reads kernel_info', () => {
    const kernel = makeKernel();
    const view = new DataView(kernel.buffer);
    [0x506f_544c, 16, 24, 9].forEach((value, index) =>
      view.setUint32(5 * 512 + 0x1f00 + index * 4, value, true),
    );
    const { kernel_info, payload } = inspectFile(kernel);
    expect(kernel_info).toEqual({ size: 16, size_total: 24, setup_type_max: 9 });
    expect(payload?.problem).toMatch(/begins with 909090909090/);
  });

  it('says what an ELF kernel has', () => {
    const text = { paddr: LINKED, data: banner };
    const found = inspectFile(makeElf({ bits: 32, segments: [text] }));
    expect(found).toMatchObject({ kind: 'elf', protocols: ['32'], elf: { bits: 32 } });
    expect(found.version).toBe('Linux version 6.1.0-fixture (nodevm)');
  });

  it('lists an initramfs by its segments', () => {
    const archive = packInitramfs([{ path: 'early', type: 'dir' }]);
    const packed = gzipSync(packInitramfs([{ path: 'init\x1b', type: 'dir' }]));
    const found = inspectFile(Buffer.concat([archive, packed]));
    expect(found.segments).toMatchObject([
      { offset: 0, compression: 'none', entries: ['early'] },
      { offset: archive.length, compression: 'gzip', entries: ['init\x1b'] },
    ]);
    expect(formatInspection('file', found)).toContain('  init\\u001b\n');
  });

  it.each([
    [Buffer.from('#!/bin/sh\n'), 'unknown', /^text$/, /looks like text/],
    [makeKernel().subarray(0, 0x300), 'linux', /./, /truncated/],
    [makeElf().subarray(0, 70), 'elf', /ELF/, /truncated/],
    [Buffer.from('070701'), 'initramfs', /cpio/, /truncated/],
    [new Uint8Array(), 'unknown', /empty/, /empty/],
  ])('says what is wrong: case %#', (file, kind, description, problem) => {
    const found = inspectFile(file);
    expect(found).toMatchObject({ kind, protocols: [] });
    expect(found.description).toMatch(description);
    expect(found.problem).toMatch(problem);
  });
});

describe('formatInspection', () => {
  it('names the facts of a kernel, a line each', () => {
    const lines = formatInspection('bzImage', inspectFile(makePackedKernel(makeElf()))).split('\n');
    expect(lines[0]).toMatch(/^bzImage: Linux kernel \(bzImage, boot protocol 2\.15\), \d+ bytes$/);
    expect(lines).toContain('setup_header.pref_address: 0x1000000');
    expect(lines).toContain('setup_header.cmdline_size: 2047');
    expect(lines.some((line) => line.startsWith('payload: gzip, '))).toBe(true);
  });
});

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { romImage } from '../../src/loader/rom.js';
import { haveAssembler } from '../support/bios-guest.js';

describe("the ROM's image", () => {
  it.skipIf(!haveAssembler())('is what its sources give: npm run bios makes it anew', () => {
    const directory = mkdtempSync(join(tmpdir(), 'nodevm-rom-'));
    const built = join(directory, 'rom');
    try {
      execFileSync('bios/build.sh', [built]);
      expect(readFileSync(built).equals(romImage())).toBe(true);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('has the model, the reset vector and the tables where a PC has them', () => {
    const rom = Buffer.from(romImage());
    expect(rom.length).toBe(0x1_0000);
    expect(rom.subarray(0, 8).toString('latin1')).toBe('NODEVM-1');
    expect([...rom.subarray(0xfff0, 0xfff5)]).toEqual([0xea, 0x5b, 0xe0, 0x00, 0xf0]);
    expect(rom[0xfffe]).toBe(0xfc);
    expect(rom[0xefc7 + 4]).toBe(18);
    expect(rom.readUInt16LE(0xe6f5)).toBe(8);
  });
});

import { describe, expect, it } from 'vitest';

import { seededEntropy } from '../../../src/entropy.js';
import * as layout from '../../../src/layout.js';
import { choosePlaces, type KaslrRequest } from '../../../src/loader/kaslr.js';
import { loadKernel } from '../../../src/loader/load-kernel.js';
import type { BootProtocol, LoadOptions } from '../../../src/loader/protocol.js';
import {
  KERNEL_MAP,
  LINKED,
  makeElf,
  makePackedKernel,
  makePvhNote,
  makeRelocations,
} from '../../support/elf-fixture.js';
import { makeKernel, makeMemory } from '../../support/kernel-fixture.js';
import { refusal } from '../../support/refusal.js';

const MiB = 1024 * 1024;
const PARAMS = layout.BOOT_PARAMS;

function load(kernel: Uint8Array, options: Partial<LoadOptions> = {}, protocol?: BootProtocol) {
  const { memory } = makeMemory(128 * MiB);
  const request = {
    memory,
    kernel,
    initrds: [],
    cmdline: 'nokaslr',
    rsdp: 0xe_0000,
    entropy: seededEntropy(1n),
    ...options,
  };
  return { memory, ...loadKernel(request, protocol) };
}

/** A kernel with a word of each kind that relocations change, and its table. */
function relocatable(bits: 32 | 64, lists: (low: number) => readonly (readonly number[])[]) {
  const text = Buffer.alloc(4096);
  const map = KERNEL_MAP[bits];
  text.writeUInt32LE(0x8100_1000, 0x100);
  text.writeUInt32LE(0x8100_2000, 0x200);
  text.writeBigUInt64LE(0xffff_ffff_8100_3000n, 0x300);
  const elf = makeElf({
    bits,
    segments: [{ paddr: LINKED, vaddr: map + BigInt(LINKED), data: text }],
  });
  const low = Number(BigInt.asUintN(32, map)) + LINKED;
  const fields = bits === 32 ? { xloadflags: 0 } : {};
  return makePackedKernel(Buffer.concat([elf, makeRelocations(...lists(low))]), fields);
}

const relocatable64 = relocatable(64, (low) => [[low + 0x300], [low + 0x200], [low + 0x100]]);
const relocatable32 = relocatable(32, (low) => [[low + 0x100]]);

describe('the direct door', () => {
  it('is the best one, and enters the unpacked kernel where it was linked', () => {
    const { memory, protocol, entry } = load(makePackedKernel(makeElf()));
    expect(protocol).toBe('direct');
    expect(entry.registers).toMatchObject({ rip: BigInt(LINKED), rsi: BigInt(PARAMS) });
    expect(entry.registers.efer).toBe(0x500n);
    expect(memory.readU8(LINKED + 4095)).toBe(0x90);
    expect(memory.readU8(LINKED + 4096)).toBe(0);
    expect(memory.readU32(PARAMS + 0x214)).toBe(LINKED);
    expect(memory.readU8(PARAMS + 0x211)).toBe(0x81);
  });

  it('enters a 32-bit kernel in protected mode', () => {
    const { entry } = load(makePackedKernel(makeElf({ bits: 32 })));
    expect(entry.registers).toMatchObject({ rip: BigInt(LINKED), cr0: 0x11n });
  });

  it('moves a 64-bit kernel in both address spaces', () => {
    const { memory, entry } = load(relocatable64, { cmdline: '' });
    const physical = Number(entry.registers.rip);
    const delta = memory.readU32(physical + 0x100) - 0x8100_1000;
    expect(physical % 0x20_0000).toBe(0);
    expect(delta % 0x20_0000).toBe(0);
    expect(delta).not.toBe(0);
    expect(delta).not.toBe(physical - LINKED);
    expect(memory.readU32(physical + 0x200)).toBe(0x8100_2000 - delta);
    expect(memory.readU32(physical + 0x300)).toBe(0x8100_3000 + delta);
    expect(memory.readU32(physical + 0x304)).toBe(0xffff_ffff);
    expect(memory.readU8(PARAMS + 0x211) & 0x02).toBe(0x02); // KASLR_FLAG
    expect(memory.readU32(PARAMS + 0x214)).toBe(physical);
  });

  it('moves a 32-bit kernel as far virtually as physically', () => {
    const { memory, entry } = load(relocatable32, { cmdline: '' });
    const physical = Number(entry.registers.rip);
    expect(physical).not.toBe(LINKED);
    expect(memory.readU32(physical + 0x100)).toBe(0x8100_1000 + physical - LINKED);
  });

  it('knows the table without inverse relocations (Linux 6.15)', () => {
    const kernel = relocatable(64, (low) => [[low + 0x300], [low + 0x100]]);
    const { memory, entry } = load(kernel, { cmdline: '' });
    const physical = Number(entry.registers.rip);
    const delta = memory.readU32(physical + 0x100) - 0x8100_1000;
    expect(memory.readU32(physical + 0x300)).toBe(0x8100_3000 + delta);
    expect(memory.readU32(physical + 0x200)).toBe(0x8100_2000);
  });

  it.each([
    ['a relocatable one without relocations', makePackedKernel(makeElf())],
    ['a 64-bit one of 32 bits', makePackedKernel(makeElf({ bits: 32 }))],
  ])('finds a place that suits the kernel where the header promises another: %s', (_, kernel) => {
    const entropy = seededEntropy(3n);
    const { memory, protocol, entry } = load(kernel, { cmdline: '', entropy });
    expect(protocol).toBe('direct');
    expect(entry.registers.rip).toBe(BigInt(LINKED));
    expect(memory.readU8(LINKED + 4095)).toBe(0x90);
    const { base, length } = memory.ranges[0] ?? { base: 0, length: 0 };
    const elsewhere = memory.find(Buffer.from('\x7fELF'), base, base + length);
    expect(elsewhere).toBeUndefined();
    expect(memory.find(Buffer.alloc(16, 0x90), LINKED + 4096, base + length)).toBeUndefined();
  });

  it('leaves the kernel where it was linked for nokaslr', () => {
    const { memory, entry } = load(relocatable64);
    expect(entry.registers.rip).toBe(BigInt(LINKED));
    expect(memory.readU32(LINKED + 0x100)).toBe(0x8100_1000);
    expect(memory.readU8(PARAMS + 0x211) & 0x02).toBe(0);
  });

  it.each([
    ['no payload', makePackedKernel(makeElf(), {}, new Uint8Array(64)), /begins with 0000/],
    ['damaged data', makePackedKernel(makeElf(), {}, Buffer.from('1f8b0800', 'hex')), /gzip/],
    ['no ELF', makePackedKernel(new Uint8Array(100)), /e_ident is 000000000000/],
    ['too much', makePackedKernel(new Uint8Array(5 * MiB)), /more than 4194304 bytes/],
    ['odd table', makePackedKernel(Buffer.concat([makeElf(), Buffer.alloc(5)])), /are 5 bytes/],
    [
      'four lists',
      makePackedKernel(Buffer.concat([makeElf(), makeRelocations([], [], [], [])])),
      /4 lists/,
    ],
    [
      'no list in front',
      makePackedKernel(Buffer.concat([makeElf(), makeRelocations([1], [2]).subarray(4)])),
      /1 lists with 1 words in front/,
    ],
    ['another place', makePackedKernel(makeElf(), { pref_address: 0x200_0000n }), /p_paddr/],
  ])('is refused for %s, and left out by default', (_, kernel, message) => {
    expect(refusal(() => load(kernel, {}, 'direct'))).toMatch(message);
    const { protocol, description } = load(kernel);
    expect(protocol).toBe('64');
    expect(description).toMatch(/not unpacked: bad kernel/);
  });

  it('refuses relocations outside the kernel', () => {
    const kernel = relocatable(64, (low) => [[low + 4096 - 4], [], []]);
    const message = /^E_BAD_KERNEL: .* relocation is at 0x81000ffc, expected within the kernel/;
    expect(refusal(() => load(kernel, { cmdline: '' }, 'direct'))).toMatch(message);
    expect(load(kernel, { cmdline: '' }).protocol).toBe('64');
  });

  it('enters a packed kernel by its PVH note where asked to', () => {
    const text = { paddr: LINKED, data: new Uint8Array(64) };
    const elf = makeElf({ segments: [text, makePvhNote(LINKED + 16)] });
    const { entry } = load(makePackedKernel(elf), {}, 'pvh');
    expect(entry.registers).toMatchObject({ rip: BigInt(LINKED + 16), rbx: BigInt(PARAMS) });
    expect(refusal(() => load(makePackedKernel(makeElf()), {}, 'pvh'))).toMatch(/no PVH note/);
    expect(refusal(() => load(makeKernel({ payload_length: 0 }), {}, 'pvh'))).toMatch(
      /protocol is pvh, expected one that this file has: 64, 32\b/,
    );
  });
});

describe('choosePlaces', () => {
  const request: KaslrRequest = {
    bits: 64,
    linked: LINKED,
    alignment: 2 * MiB,
    length: 64 * MiB,
    cmdline: '',
    ram: [{ base: 0, length: 512 * MiB }],
    avoid: { base: 200 * MiB, length: 100 * MiB },
    entropy: seededEntropy(7n),
  };
  const places = (changes: Partial<KaslrRequest> = {}) =>
    Array.from({ length: 500 }, () => choosePlaces({ ...request, ...changes }));

  it('uses every slot in RAM that is free, and no other', () => {
    const physical = new Set(places().map((place) => place.physical));
    const below = (200 - 64 - 16) / 2 + 1;
    const above = (512 - 64 - 300) / 2 + 1;
    expect(physical.size).toBeGreaterThan((below + above) * 0.9);
    for (const base of physical) {
      expect(base % (2 * MiB)).toBe(0);
      expect(base).toBeGreaterThanOrEqual(16 * MiB);
      expect(base + 64 * MiB <= 200 * MiB || base >= 300 * MiB).toBe(true);
      expect(base + 64 * MiB).toBeLessThanOrEqual(512 * MiB);
    }
  });

  it('goes above 4 GiB too, but not with a 32-bit kernel', () => {
    const ram = [...request.ram, { base: 0x1_0000_0000, length: 2048 * MiB }];
    expect(places({ ram }).some(({ physical }) => physical >= 0x1_0000_0000)).toBe(true);
    const narrow = places({ ram, bits: 32 });
    expect(narrow.every(({ physical, virtual }) => physical === virtual)).toBe(true);
    expect(narrow.every(({ physical }) => physical + 64 * MiB <= 512 * MiB)).toBe(true);
  });

  it('stays within the kernel mapping virtually', () => {
    for (const { virtual } of places()) {
      expect(virtual).toBeGreaterThanOrEqual(LINKED);
      expect(virtual + 64 * MiB).toBeLessThanOrEqual(1024 * MiB);
    }
  });

  it('stays physically where the command line says what RAM there is, or none is free', () => {
    expect(places({ cmdline: 'quiet mem=256M' })[0]?.physical).toBe(LINKED);
    expect(places({ cmdline: 'memory=1' }).some(({ physical }) => physical !== LINKED)).toBe(true);
    expect(places({ length: 600 * MiB })[0]).toMatchObject({ physical: LINKED });
  });
});

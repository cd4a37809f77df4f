import { describe, expect, it } from 'vitest';

import { seededEntropy } from '../../../src/entropy.js';
import * as layout from '../../../src/layout.js';
import { findDoors, loadKernel } from '../../../src/loader/load-kernel.js';
import type { LoadOptions } from '../../../src/loader/protocol.js';
import {
  KERNEL_MAP,
  LINKED,
  makeElf,
  makePvhNote,
  type ElfFixture,
} from '../../support/elf-fixture.js';
import { makeMemory } from '../../support/kernel-fixture.js';
import { refusal } from '../../support/refusal.js';

const MiB = 1024 * 1024;
const INFO = layout.BOOT_PARAMS;

function load(kernel: Uint8Array, options: Partial<LoadOptions> = {}) {
  const { memory } = makeMemory(64 * MiB);
  memory.fill(LINKED, MiB, 0xcc); // as a guest left it
  memory.fill(layout.BOOT_SETUP_DATA.base, 0x8000, 0xcc);
  const loaded = loadKernel({
    memory,
    kernel,
    initrds: [],
    cmdline: 'console=ttyS0',
    rsdp: 0xe_0000,
    entropy: seededEntropy(1n),
    ...options,
  });
  return { memory, ...loaded };
}

describe('an ELF kernel', () => {
  it('is entered at its entry with boot_params and cleared bss', () => {
    const { memory, protocol, entry } = load(makeElf(), { initrds: [new Uint8Array(100)] });
    expect(protocol).toBe('64');
    expect(entry.registers).toMatchObject({ rip: BigInt(LINKED), rsi: BigInt(INFO), cr4: 0x20n });
    expect(memory.readU8(LINKED + 4095)).toBe(0x90);
    expect(memory.readU32(LINKED + 4096)).toBe(0);
    expect(memory.readU8(LINKED + 8192)).toBe(0xcc);
    expect(memory.readU16(INFO + 0x1fe)).toBe(0xaa55);
    expect(memory.readU32(INFO + 0x202)).toBe(0x5372_6448);
    expect(memory.readU32(INFO + 0x218)).toBe(64 * MiB - 4096);
    expect(memory.readU32(INFO + 0x21c)).toBe(100);
    expect(memory.readU32(INFO + 0x228)).toBe(layout.BOOT_COMMAND_LINE.base);
    expect(memory.readU32(INFO + 0x250)).toBe(layout.BOOT_SETUP_DATA.base);
  });

  it('may give its entry as a virtual address', () => {
    const entry = KERNEL_MAP[64] + BigInt(LINKED) + 0x10n;
    expect(load(makeElf({ entry })).entry.registers.rip).toBe(BigInt(LINKED) + 0x10n);
  });

  it('of 32 bits is entered in protected mode', () => {
    const { protocol, entry } = load(makeElf({ bits: 32 }));
    expect(protocol).toBe('32');
    expect(entry.registers).toMatchObject({ cr0: 0x11n, rsi: BigInt(INFO) });
  });

  it('with a PVH note gets a start info', () => {
    const text = { paddr: LINKED, data: new Uint8Array(64) };
    const kernel = makeElf({ segments: [text, makePvhNote(LINKED + 0x20)] });
    const { memory, protocol, entry } = load(kernel, { initrds: [Uint8Array.of(1, 2, 3)] });
    expect(protocol).toBe('pvh');
    expect(entry.registers).toMatchObject({ rip: BigInt(LINKED + 0x20), rbx: BigInt(INFO) });
    expect(entry.registers).toMatchObject({ cr0: 0x11n, cr4: 0n, rflags: 2n });
    expect(entry.segments.tr).toMatchObject({ limit: 0x67, access: 0x8b });
    const word = (offset: number): number => memory.readU32(INFO + offset);
    expect([word(0), word(4), word(8), word(12)]).toEqual([0x336e_c578, 1, 0, 1]);
    const [modules, cmdline, rsdp, map, entries] = [16, 24, 32, 40, 48].map(word);
    expect([cmdline, rsdp, entries]).toEqual([layout.BOOT_COMMAND_LINE.base, 0xe_0000, 4]);
    expect(memory.readU32(modules ?? 0)).toBe(64 * MiB - 4096);
    expect(memory.readU32((modules ?? 0) + 8)).toBe(4); // padded
    expect(memory.readU32((map ?? 0) + 3 * 24)).toBe(layout.HIGH_MEMORY);
    expect(memory.readU32((map ?? 0) + 3 * 24 + 16)).toBe(1);
  });

  const data = new Uint8Array(64);
  const many = Array.from({ length: 65 }, () => ({ paddr: LINKED, data }));
  it.each<[ElfFixture, RegExp]>([
    [{ entry: 0x10n }, /e_entry .* is 0x10, expected an address in a segment/],
    [{ segments: [{ type: 2, paddr: 0, data }] }, /no PT_LOAD segment/],
    [{ segments: many }, /e_phnum .* is 65, expected 1 to 64/],
    [{ segments: [{ paddr: 0x1000, data }] }, /p_paddr .* is 0x1000, expected 0x100000 or more/],
    [{ segments: many.slice(0, 2) }, /p_paddr .* is 0x1000000, expected 0x1000040/],
    [{ segments: [{ paddr: LINKED, data, memsz: 63 }] }, /p_filesz .* is 64, expected at most/],
    [{ segments: [{ paddr: LINKED, data, memsz: 2 ** 40 }] }, /^E_MEMORY_SIZE: /],
    [{ segments: [{ paddr: 2 ** 54, data }] }, /p_paddr .* is 0x40000000000000, expected less/],
    [
      { segments: [{ paddr: LINKED, data }, makePvhNote(5)] },
      /PVH note's entry is 0x5, expected an address in a segment/,
    ],
  ])('is refused: case %#', (fixture, message) => {
    expect(refusal(() => load(makeElf(fixture)))).toMatch(message);
  });

  it('is refused for another machine, byte order, type or class', () => {
    const changed = (offset: number, value: number): Uint8Array => {
      const bytes = makeElf();
      bytes[offset] = value;
      return bytes;
    };
    expect(refusal(() => load(changed(0x12, 183)))).toMatch(/e_machine .* is 183, expected 62/);
    expect(refusal(() => load(changed(5, 2)))).toMatch(/expected a little-endian ELF file/);
    expect(refusal(() => load(changed(4, 3)))).toMatch(/e_ident is 7f454c460301/);
    expect(refusal(() => load(changed(0x10, 1)))).toMatch(/e_type .* is 1, expected 2 or 3/);
  });

  it('is refused when it is cut off anywhere', () => {
    const whole = makeElf();
    for (let length = 4; length < whole.length; length += 11) {
      expect(refusal(() => findDoors(whole.subarray(0, length)))).toMatch(/^E_BAD_KERNEL: /);
    }
  });
});

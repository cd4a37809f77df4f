import { describe, expect, it } from 'vitest';

import { seededEntropy } from '../../../src/entropy.js';
import { loadKernel } from '../../../src/loader/load-kernel.js';
import { LINKED, makeElf } from '../../support/elf-fixture.js';
import { makeMemory } from '../../support/kernel-fixture.js';
import { refusal } from '../../support/refusal.js';

const MiB = 1024 * 1024;

function load(kernel: Uint8Array, options: { cmdline?: string; initrds?: Uint8Array[] } = {}) {
  const { memory } = makeMemory(64 * MiB);
  const request = {
    memory,
    kernel,
    initrds: [],
    cmdline: '',
    rsdp: 0xe_0000,
    entropy: seededEntropy(1n),
    ...options,
  };
  return { memory, ...loadKernel(request) };
}

function words(...values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(256);
  values.forEach((value, index) => bytes.writeUInt32LE(value >>> 0, index * 4));
  return bytes;
}

/** A multiboot 1 kernel without a format; `addresses` are header, load, load end, bss end, entry. */
function first(flags: number, ...addresses: readonly number[]): Uint8Array {
  return words(0x1bad_b002, flags, -(0x1bad_b002 + flags), ...addresses);
}

/** A multiboot 2 kernel with these tags. */
function second(...tags: readonly number[]): Uint8Array {
  const length = 16 + tags.length * 4;
  return words(0xe852_50d6, 0, length, -(0xe852_50d6 + length), ...tags);
}

const KLUDGE = 1 << 16;
const SOUND = [LINKED, LINKED, 0, LINKED + 0x1000, LINKED + 0x40] as const;
const ADDRESSES = [2, 24, LINKED, LINKED, 0, LINKED + 0x1000] as const;
const ENTRY = [3, 12, LINKED + 0x40, 0] as const;
const END = [0, 8] as const;

describe('multiboot 1', () => {
  it('loads by the addresses of the header and clears bss', () => {
    const { memory, protocol, entry } = load(first(KLUDGE, ...SOUND), {
      initrds: [Uint8Array.of(7)],
    });
    expect(protocol).toBe('multiboot');
    expect(entry.registers).toMatchObject({ rip: BigInt(LINKED + 0x40), rax: 0x2bad_b002n });
    expect(memory.readU32(LINKED)).toBe(0x1bad_b002);
    expect(memory.readU8(LINKED + 0x1000)).toBe(7); // the module, at the next page
    const info = Number(entry.registers.rbx);
    expect(memory.readU32(info)).toBe(0x24d);
    expect(memory.readU32(info + 8)).toBe(63 * 1024);
    const map = memory.readU32(info + 48);
    expect(memory.readU32(map)).toBe(20);
  });

  it('is a door of an ELF file, before its own entry', () => {
    const kernel = makeElf({ bits: 32, segments: [{ paddr: LINKED, data: first(3) }] });
    expect(load(kernel).protocol).toBe('multiboot');
  });

  it.each([
    [first(8), /flags of the multiboot header are 0x8, expected no requirements/],
    [first(0), /no addresses in a file that is not ELF/],
    [first(KLUDGE, LINKED, LINKED + 4, 0, 0, LINKED), /load_addr .* is 0x1000004/],
    [first(KLUDGE, LINKED, 0x1000, 0, 0, LINKED), /load_addr .* is 0x1000, expected 0x100000/],
    [first(KLUDGE, LINKED, LINKED - 4, 0, 0, LINKED), /within the file/],
    [first(KLUDGE, LINKED, LINKED, LINKED + 257, 0, LINKED), /load_end_addr .* is 0x1000101/],
    [first(KLUDGE, LINKED, LINKED, LINKED - 1, 0, LINKED), /load_end_addr .* is 0xffffff/],
    [first(KLUDGE, LINKED, LINKED, 0, 0, LINKED + 256), /entry_addr .* is 0x1000100/],
    [first(KLUDGE, LINKED, LINKED, 0, 0xffff_ffff, LINKED), /^E_MEMORY_SIZE: /],
  ])('is refused: case %#', (kernel, message) => {
    expect(refusal(() => load(kernel))).toMatch(message);
  });

  it('is refused with more modules than fit', () => {
    const kernel = first(KLUDGE, ...SOUND);
    const modules = (count: number) => Array.from({ length: count }, () => Uint8Array.of(1));
    const message = refusal(() => load(kernel, { initrds: modules(300) }));
    const most = Number(/^E_BAD_INITRD: .* is 300, expected at most (\d+)$/.exec(message)?.[1]);
    expect(load(kernel, { initrds: modules(most) }).protocol).toBe('multiboot');
    expect(refusal(() => load(kernel, { initrds: modules(most + 1) }))).toMatch(/^E_BAD_INITRD/);
    expect(refusal(() => load(kernel, { initrds: [new Uint8Array(64 * MiB)] }))).toMatch(
      /^E_BAD_INITRD: initrd is 67108864 bytes, expected at most the 50327552 from 0x1001000/,
    );
  });
});

describe('multiboot 2', () => {
  it('gets its information as tags', () => {
    const kernel = second(...ADDRESSES, ...ENTRY, ...END);
    const { memory, entry } = load(kernel, { cmdline: 'abc' });
    expect(entry.registers).toMatchObject({ rip: BigInt(LINKED + 0x40), rax: 0x36d7_6289n });
    let at = Number(entry.registers.rbx) + 8;
    const types: number[] = [];
    for (; memory.readU32(at) !== 0; at += (memory.readU32(at + 4) + 7) & ~7) {
      types.push(memory.readU32(at));
      if (memory.readU32(at) === 1) expect(memory.readU32(at + 8)).toBe(0x0063_6261);
    }
    expect(types).toEqual([1, 2, 4, 6, 15]);
    expect(memory.readU32(Number(entry.registers.rbx))).toBe(at + 8 - Number(entry.registers.rbx));
  });

  it.each([
    [second(...ADDRESSES, ...END), /addresses and no entry address/],
    [second(...ENTRY, ...END), /no addresses in a file that is not ELF/],
    [second(5, 20, 0, 0, 0, 0, ...END), /has the tag 5, expected only those/],
    [second(99, 8, ...END), /has the tag 99/],
    [second(1, 12, 8, 0, ...END), /requests information 8, expected one of/],
    [second(0, 7), /size of a multiboot2 header tag at 0x10 is 7/],
    [second(1, 0xffff_ffff), /size .* is 4294967295/],
  ])('is refused: case %#', (kernel, message) => {
    expect(refusal(() => load(kernel))).toMatch(message);
  });

  it('goes on without what is optional', () => {
    const optional = 1 << 16;
    const kernel = second(5 + optional, 8, ...ADDRESSES, ...ENTRY, ...END);
    expect(load(kernel).protocol).toBe('multiboot');
    expect(refusal(() => load(kernel, { cmdline: 'x'.repeat(0x1_0000) }))).toMatch(
      /^E_CMDLINE_TOO_LONG: /,
    );
  });
});

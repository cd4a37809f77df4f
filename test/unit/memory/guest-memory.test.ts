import { describe, expect, it } from 'vitest';
import { HIGH_RAM_BASE, splitRam } from '../../../src/layout.js';
import { GuestMemory } from '../../../src/memory.js';
import { makeMemory } from '../../support/kernel-fixture.js';
import { refusal } from '../../support/refusal.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

describe('GuestMemory', () => {
  it('is little-endian in every width', () => {
    const { memory } = makeMemory(MiB);
    memory.writeU32(0x100, 0x8765_4321);
    expect([...memory.read(0x100, 4)]).toEqual([0x21, 0x43, 0x65, 0x87]);
    expect(memory.readU32(0x100)).toBe(0x8765_4321);
    expect(memory.readU16(0x102)).toBe(0x8765);
    expect(memory.readU8(0x103)).toBe(0x87);
    memory.writeU64(0x200, 0xfedc_ba98_7654_3210n);
    expect(memory.readU32(0x204)).toBe(0xfedc_ba98);
    memory.writeU16(0x200, 0x1_ffff);
    memory.writeU8(0x202, 0x1ab);
    expect(memory.readU32(0x200)).toBe(0x76ab_ffff);
  });

  it('crosses the edges of views', () => {
    const { memory } = makeMemory(4 * KiB, 0, KiB);
    const bytes = Uint8Array.from({ length: 3 * KiB }, (_, index) => index % 251);
    memory.write(512, bytes);
    expect(memory.read(512, bytes.length)).toEqual(bytes);
    memory.writeU32(KiB - 1, 0x0102_0304);
    expect(memory.readU32(KiB - 1)).toBe(0x0102_0304);
    memory.fill(KiB - 2, KiB + 4, 0xee);
    expect(new Set(memory.read(KiB - 2, KiB + 4))).toEqual(new Set([0xee]));
    expect(memory.readU8(2 * KiB + 2)).toBe(bytes[2 * KiB + 2 - 512]);
  });

  it('has its high range at 4 GiB, in views of its own', () => {
    const { memory } = makeMemory(3 * KiB, 2 * KiB, 2 * KiB);
    expect(memory.ranges).toEqual([
      { base: 0, length: 3 * KiB },
      { base: HIGH_RAM_BASE, length: 2 * KiB },
    ]);
    memory.writeU32(HIGH_RAM_BASE, 0xcafe);
    memory.writeU32(3 * KiB - 4, 0xbeef);
    expect(memory.readU32(HIGH_RAM_BASE)).toBe(0xcafe);
    expect(memory.readU32(3 * KiB - 4)).toBe(0xbeef);
  });

  it('lends its bytes where they are of one view, and drops the code there', () => {
    const { memory, invalidated } = makeMemory(4 * KiB, 0, 2 * KiB);
    const room = memory.room(KiB, KiB);
    room?.fill(0x11);
    expect(memory.readU32(KiB)).toBe(0x1111_1111);
    expect(memory.readU8(KiB - 1)).toBe(0);
    expect(invalidated).toContainEqual({ gpa: KiB, length: KiB });
    expect(memory.room(KiB, KiB + 1)).toBeUndefined();
    expect(refusal(() => memory.room(3 * KiB, KiB + 1))).toMatch(/^E_GUEST_ADDRESS/);
  });

  it('finds bytes within bounds, in any of its views', () => {
    const { memory } = makeMemory(3 * KiB, 2 * KiB, KiB);
    const text = Buffer.from('here');
    memory.write(KiB + 8, text);
    memory.write(HIGH_RAM_BASE + KiB, text);
    expect(memory.find(text, 0, Infinity)).toBe(KiB + 8);
    expect(memory.find(text, 0, KiB + 11)).toBeUndefined();
    expect(memory.find(text, KiB + 9, Infinity)).toBe(HIGH_RAM_BASE + KiB);
    expect(memory.find(text, HIGH_RAM_BASE + KiB + 1, Infinity)).toBeUndefined();
  });

  it('reads copies', () => {
    const { memory } = makeMemory(MiB);
    memory.read(0, 4).fill(0xff);
    expect(memory.readU32(0)).toBe(0);
  });

  it('reports every write, and only what was written', () => {
    const { memory, invalidated } = makeMemory(MiB);
    memory.write(1, new Uint8Array(5));
    memory.fill(2, 6, 0);
    memory.writeU8(3, 0);
    memory.writeU16(4, 0);
    memory.writeU32(5, 0);
    memory.writeU64(6, 0n);
    memory.write(7, new Uint8Array());
    memory.read(0, 100);
    expect(invalidated.map(({ gpa, length }) => [gpa, length])).toEqual([
      [1, 5],
      [2, 6],
      [3, 1],
      [4, 2],
      [5, 4],
      [6, 8],
    ]);
  });

  it.each([
    ['behind low RAM', 4 * KiB, 1],
    ['across the end of low RAM', 4 * KiB - 2, 4],
    ['in the hole', HIGH_RAM_BASE - 1, 2],
    ['behind high RAM', HIGH_RAM_BASE + KiB, 1],
    ['negative', -1, 2],
    ['not an integer', 0.5, 1],
    ['NaN', NaN, 1],
    ['beyond what a number holds', 2 ** 60, 1],
    ['of negative length', 16, -4],
  ])('refuses an access %s and does nothing', (_, gpa, length) => {
    const { memory, invalidated } = makeMemory(4 * KiB, KiB);
    const bytes = new Uint8Array(Math.abs(length));
    expect(refusal(() => memory.read(gpa, length))).toMatch(/^E_GUEST_ADDRESS: /);
    expect(refusal(() => memory.fill(gpa, length, 1))).toMatch(/^E_GUEST_ADDRESS: /);
    if (length >= 0) expect(refusal(() => memory.write(gpa, bytes))).toMatch(/^E_GUEST_ADDRESS: /);
    expect(invalidated).toEqual([]);
    expect(memory.readU16(4 * KiB - 2)).toBe(0);
  });

  it('refuses views that do not fill its ranges', () => {
    const make = (...sizes: number[]) =>
      new GuestMemory({
        lowRam: 4 * KiB,
        highRam: KiB,
        views: sizes.map((size) => new ArrayBuffer(size)),
        invalidate: () => undefined,
      });
    expect(make(4 * KiB, KiB).ranges).toHaveLength(2);
    for (const sizes of [[4 * KiB], [5 * KiB], [2 * KiB, 3 * KiB], [0, 4 * KiB, KiB]]) {
      expect(refusal(() => make(...sizes))).toMatch(/^E_NATIVE: /);
    }
  });
});

describe('splitRam', () => {
  it.each([
    [32 * MiB, 32 * MiB, 0],
    [3 * GiB, 3 * GiB, 0],
    [3 * GiB + 4 * KiB, 3 * GiB, 4 * KiB],
    [16 * GiB, 3 * GiB, 13 * GiB],
  ])('%i bytes', (bytes, lowRam, highRam) => {
    expect(splitRam(bytes)).toEqual({ lowRam, highRam });
  });

  it.each([0, 32 * MiB - 4 * KiB, 16 * GiB + 4 * KiB, 64 * MiB + 1, NaN, -1])(
    'refuses %d bytes',
    (bytes) => {
      expect(refusal(() => splitRam(bytes))).toMatch(/^E_MEMORY_SIZE: /);
    },
  );
});

import { describe, expect, it, vi } from 'vitest';

import { GuestView } from '../../../src/debug/guest-view.js';
import { findKernelImage } from '../../../src/debug/kernel-image.js';
import { readKallsyms } from '../../../src/debug/kallsyms.js';
import { readSymbolFile } from '../../../src/debug/symbol-files.js';
import { SymbolTable } from '../../../src/debug/symbol-table.js';
import { makeMemory } from '../../support/kernel-fixture.js';

const BASE = 0xffff_ffff_8100_0000n;

/** Forms of the tables in scripts/kallsyms.c over the years. */
type Form = 'absolute' | 'relative' | 'percpu' | 'behind' | 'self-relative';

/** Symbols as the kernel's build writes them down: names of single-byte tokens, each its own text. */
function kallsymsOf(symbols: readonly [string, bigint][], form: Form, at = 0x100): Uint8Array {
  const parts: number[] = [...new Uint8Array(at).fill(0xaa)];
  const align = (): void => {
    while (parts.length % 8 !== 0) parts.push(0);
  };
  const put = (value: bigint | number, size: number): void => {
    for (let n = 0; n < size; n++) parts.push(Number((BigInt(value) >> BigInt(8 * n)) & 0xffn));
  };
  const addresses = (): void => {
    align();
    for (const [, address] of symbols) {
      if (form === 'absolute') put(BigInt.asUintN(64, address), 8);
      else if (form === 'self-relative')
        put(BigInt.asUintN(32, address - BASE - BigInt(parts.length)), 4);
      else if (form === 'percpu')
        put(BigInt.asUintN(32, address < BASE ? address : BASE - 1n - address), 4);
      else put(address - BASE, 4);
    }
    align();
    if (form !== 'absolute' && form !== 'self-relative') put(BASE, 8);
  };
  const isBehind = form === 'behind' || form === 'self-relative';
  if (!isBehind) addresses();
  put(symbols.length, 4);
  align();
  const names = parts.length;
  const markers: number[] = [];
  symbols.forEach(([name], n) => {
    if (n % 256 === 0) markers.push(parts.length - names);
    const length = name.length + 1;
    if (length < 0x80) put(length, 1);
    else put((length & 0x7f) | 0x80 | ((length >> 7) << 8), 2);
    parts.push('T'.charCodeAt(0), ...Buffer.from(name));
  });
  align();
  for (const marker of markers) put(marker, 4);
  align();
  const offsets: number[] = [];
  let offset = 0;
  for (let token = 0; token < 256; token++) {
    offsets.push(offset);
    const text = Buffer.from(token > 32 && token < 127 ? String.fromCharCode(token) : `t${token}`);
    parts.push(...text, 0);
    offset += text.length + 1;
  }
  align();
  for (const token of offsets) put(token, 2);
  if (isBehind) addresses();
  align();
  return Uint8Array.from(parts);
}

const symbols = Array.from({ length: 1500 }, (_, n): [string, bigint] => [
  n === 7 ? 'long_'.repeat(40) : `function_${n}`,
  BASE + BigInt(n * 16),
]);

describe('readKallsyms', () => {
  it.each<Form>(['absolute', 'relative', 'behind', 'self-relative'])(
    'reads the form "%s"',
    (form) => {
      const table = readKallsyms(kallsymsOf(symbols, form), 64, BASE);
      expect(table?.names).toEqual(symbols.map(([name]) => name));
      expect([...(table?.addresses ?? [])]).toEqual(symbols.map(([, address]) => address));
    },
  );

  it('leaves per-CPU symbols where they are', () => {
    const all: [string, bigint][] = [['per_cpu_thing', 0x40n], ...symbols];
    const table = readKallsyms(kallsymsOf(all, 'percpu'), 64);
    expect(table?.address('per_cpu_thing')).toBe(0x40n);
    expect(table?.address('function_9')).toBe(BASE + 144n);
  });

  it('finds nothing where there is nothing, or half of it', () => {
    const whole = kallsymsOf(symbols, 'relative');
    expect(readKallsyms(new Uint8Array(0x1_0000), 64)).toBeUndefined();
    expect(readKallsyms(whole.subarray(0x2000), 64)).toBeUndefined();
    expect(readKallsyms(whole.subarray(0, whole.length - 256), 64)).toBeUndefined();
  });

  it('survives any damage', () => {
    const whole = kallsymsOf(symbols, 'percpu');
    for (let at = 0x100; at < whole.length; at += 97) {
      const damaged = whole.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      expect(() => readKallsyms(damaged, 64)).not.toThrow();
    }
  });
});

describe('findKernelImage', () => {
  const MiB = 2 ** 20;
  const BANNER = 'Linux version 6.1.0 (me@here) (gcc 12) #1 SMP\n\0';
  const RAM = 128 * MiB;
  const GPA = 96 * MiB;
  const DISTANCE = 0x1_0000;
  const named: [string, bigint][] = [['_text', BASE], ...symbols.slice(1)];
  named.push(['linux_banner', BASE + 0x1_0000n]);
  const kernel = kallsymsOf(named, 'relative', 0x2000);

  /** A processor at `rip` in 32-bit code, with paging by one table of 4 MiB pages or without. */
  const guestAt = (rip: number, paging: boolean) => {
    const { memory } = makeMemory(RAM);
    memory.writeU32(0x1000 + 4 * (rip >>> 22), ((rip & 0xffc0_0000) | 0x83) >>> 0);
    const registers: Record<string, bigint> = {
      rip: BigInt(rip),
      cr0: paging ? 0x8000_0001n : 1n,
      cr3: 0x1000n,
      cr4: 0x10n,
    };
    const getSegment = () => ({ selector: 8, base: 0n, limit: 0xffff_ffff, access: 0xc09b });
    const view = new GuestView(
      { getRegister: (name) => registers[name] ?? 0n, getSegment },
      memory,
    );
    return { memory, view };
  };

  it.each([
    ['behind the code, without paging', GPA + 0x100, false],
    ['anywhere else, with paging', 0x10_0000, true],
  ])('finds a kernel %s', (_where, rip, paging) => {
    const { memory, view } = guestAt(rip, paging);
    memory.write(GPA, kernel);
    expect(findKernelImage(view)).toBeUndefined();
    memory.write(GPA + DISTANCE, Buffer.from(BANNER));
    const image = findKernelImage(view);
    expect(image?.symbols.address('function_9')).toBe(BASE + 144n);
    expect(image?.physicalOffset).toBe(BigInt(GPA) - BASE);
  });

  it('reads next to nothing where there is none: noise, and banners that are pieces', () => {
    const { memory, view } = guestAt(0x10_0000, true);
    memory.write(4 * MiB, Buffer.from('Linux version 6.1\x04 (compressed)'));
    memory.write(8 * MiB, Buffer.from('Linux version 6.1 in a log\n<6>'));
    memory.write(RAM - 20, Buffer.from('Linux version 6.1 ()'));
    const read = vi.spyOn(memory, 'read');
    expect(findKernelImage(view)).toBeUndefined();
    const bytes = read.mock.calls.reduce((sum, [, length]) => sum + length, 0);
    expect(bytes).toBeLessThan(0x1_0000);
  });
});

describe('readSymbolFile', () => {
  it('reads System.map', () => {
    const map = 'ffffffff81000000 T _text\nffffffff81000100 t inner\n0000000000000000 A nothing\n';
    const table = readSymbolFile(Buffer.from(map), 'System.map');
    expect(table.address('inner')).toBe(0xffff_ffff_8100_0100n);
    expect(table.resolve(0xffff_ffff_8100_0010n)).toEqual({
      name: '_text',
      offset: 16n,
      size: 256n,
    });
  });

  it('says what is wrong with others', () => {
    expect(() => readSymbolFile(Buffer.from('hello'), 'notes.txt')).toThrow(/notes\.txt.*nm/);
    const stripped = new Uint8Array(64);
    stripped.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    expect(() => readSymbolFile(stripped, 'vmlinux')).toThrow(/vmlinux.*stripped/);
  });
});

describe('SymbolTable', () => {
  it('names an address by the first of several symbols there', () => {
    const table = SymbolTable.of([
      ['b', 20n],
      ['first', 10n],
      ['alias', 10n],
    ]);
    expect(table.resolve(9n)).toBeUndefined();
    expect(table.resolve(12n)).toEqual({ name: 'first', offset: 2n, size: 10n });
    expect(table.resolve(25n)).toEqual({ name: 'b', offset: 5n, size: 0n });
    expect(table.moved(5n).address('b')).toBe(25n);
  });
});

import { describe, expect, it } from 'vitest';

import {
  describeWalk,
  explainRefusal,
  pagingModeOf,
  walkPages,
  type PageAccess,
} from '../../../src/debug/page-tables.js';
import { makeMemory } from '../../support/kernel-fixture.js';

const PAE = 1n << 5n;
const PSE = 1n << 4n;
const LA57 = 1n << 12n;
const SMEP = 1n << 20n;
const PAGING = (1n << 31n) | 1n;
const LONG = (1n << 10n) | (1n << 11n);
const READ: PageAccess = { write: false, user: false, fetch: false };

/** Guest memory with these 64-bit words, and a way to walk it. */
function tables(words: Record<number, bigint>, registers: Partial<Record<string, bigint>> = {}) {
  const { memory } = makeMemory(0x100_0000);
  for (const [gpa, word] of Object.entries(words)) memory.writeU64(Number(gpa), word);
  const values: Record<string, bigint | undefined> = {
    cr0: PAGING,
    cr3: 0x1000n,
    cr4: PAE,
    efer: LONG,
    ...registers,
  };
  const mode = pagingModeOf((name) => values[name] ?? 0n);
  return (linear: bigint) => walkPages(memory, mode, linear);
}

describe('a page walk', () => {
  it('ends at a page of 4 KiB, 2 MiB or 1 GiB', () => {
    const walk = tables({
      0x1000: 0x2003n,
      0x2000: 0x3003n,
      0x2008: 0x4000_0083n,
      0x3000: 0x4003n,
      0x3008: 0x20_0083n,
      0x4008: 0x7003n,
    });
    expect(walk(0x1234n)).toMatchObject({ end: 'mapped', gpa: 0x7234, pageShift: 12 });
    expect(walk(0x20_1234n)).toMatchObject({ gpa: 0x20_1234, pageShift: 21 });
    expect(walk(0x4012_3456n)).toMatchObject({ gpa: 0x4012_3456, pageShift: 30 });
  });

  it('names the entry that is missing', () => {
    const walk = tables({ 0x1000: 0x2003n, 0x2000: 0x3003n });
    expect(explainRefusal(walk(0x40_0000n), READ)).toBe(
      'its PDE, which stands for 2 MiB, is not present',
    );
    expect(describeWalk(walk(0x40_0000n))).toEqual([
      'CR3 -> 0x1000 (4-level paging)',
      'PML4E 0 at 0x1000 = 0x2003 (P RW)',
      'PDPTE 0 at 0x2000 = 0x3003 (P RW)',
      'PDE 2 at 0x3010 = 0',
      'its PDE, which stands for 2 MiB, is not present',
    ]);
    expect(walk(0x8000_0000_0000n).end).toBe('not-canonical');
    expect(walk(0xffff_8000_0000_0000n)).toMatchObject({ end: 'not-present' });
  });

  it('stops at tables outside of memory and at reserved bits', () => {
    const walk = tables({ 0x1000: 0xffff_f003n, 0x1008: 0x2083n, 0x1010: (1n << 50n) | 1n });
    expect(walk(0n).end).toBe('no-table');
    expect(walk(1n << 39n).end).toBe('reserved-bit');
    expect(walk(2n << 39n).end).toBe('reserved-bit');
  });

  it('says which entry withholds a right', () => {
    const walk = tables(
      { 0x1000: 0x2007n, 0x2000: 0x3005n, 0x3000: 0x83n | (1n << 63n), 0x3008: 0x20_0087n },
      { cr4: PAE | SMEP },
    );
    const refusal = (linear: bigint, access: Partial<PageAccess>) =>
      explainRefusal(walk(linear), { ...READ, ...access });
    expect(refusal(0n, {})).toBeUndefined();
    expect(refusal(0n, { write: true })).toBe(
      'is mapped read-only (R/W of PDPTE 0 at 0x2000 = 0x3005 (P US))',
    );
    expect(refusal(0n, { user: true })).toMatch(/supervisor.*U\/S of PDE 0/);
    expect(refusal(0n, { fetch: true })).toMatch(/no-execute \(XD of PDE 0 at 0x3000/);
    expect(refusal(0x20_0000n, { fetch: true })).toBe('is a user page, and CR4.SMEP is set');
  });

  it('knows 32-bit paging, PAE and five levels', () => {
    const narrow = tables(
      { 0x1000: (0x40_0083n << 32n) | 0x2003n, 0x2000: 0x5003_0000_0000n },
      {
        cr4: PSE,
        efer: 0n,
      },
    );
    expect(narrow(0x1234n)).toMatchObject({ gpa: 0x5234, pageShift: 12 });
    expect(narrow(0x40_1234n)).toMatchObject({ gpa: 0x40_1234, pageShift: 22 });
    const pae = tables({ 0x1020: 0x2001n, 0x2000: 0x83n }, { cr3: 0x1020n, efer: 0n });
    expect(pae(0x1234n)).toMatchObject({ gpa: 0x1234, writable: true });
    const five = tables({ 0x1008: 0x2003n, 0x2000: 0x3003n, 0x3000: 0x83n }, { cr4: PAE | LA57 });
    expect(five(1n << 48n)).toMatchObject({ gpa: 0, pageShift: 30 });
    expect(five(1n << 48n).steps.map(({ name }) => name)).toEqual(['PML5E', 'PML4E', 'PDPTE']);
  });

  it('is the identity without paging', () => {
    expect(tables({}, { cr0: 1n })(0x12_3456n)).toMatchObject({ end: 'mapped', gpa: 0x12_3456 });
  });
});

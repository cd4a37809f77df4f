/**
 * Walks the guest's page tables as the processor does, without side effects, and says what it saw on the way.
 * SDM volume 3, "Paging".
 */
import type { GuestMemory } from '../memory.js';
import type { RegisterName } from '../native.js';

/** The paging modes of the SDM. */
export type PagingFormat = 'none' | '32-bit' | 'PAE' | '4-level' | '5-level';

/** What a walk depends on, out of the control registers. */
export interface PagingMode {
  readonly format: PagingFormat;
  /** Guest physical address of the first table. */
  readonly root: number;
  /** CR4.PSE: 32-bit paging has pages of 4 MiB. */
  readonly pse: boolean;
  readonly nxe: boolean;
  readonly smep: boolean;
  readonly smap: boolean;
}

/** What an entry is, as the SDM abbreviates it. */
export type EntryName = 'PML5E' | 'PML4E' | 'PDPTE' | 'PDE' | 'PTE';

/** One entry on the way. */
export interface WalkStep {
  readonly name: EntryName;
  /** Its number within its table. */
  readonly index: number;
  /** Where it lies; guest physical. */
  readonly gpa: number;
  /** Undefined where there is no RAM at that place: the processor reads zeros there. */
  readonly entry: bigint | undefined;
  /** log2 of the bytes that one entry of this table maps. */
  readonly shift: number;
}

/** Why a walk found no page; `mapped` where it did. */
export type WalkEnd = 'mapped' | 'not-canonical' | 'no-table' | 'not-present' | 'reserved-bit';

/** A linear address followed through the tables. */
export interface PageWalk {
  readonly linear: bigint;
  readonly mode: PagingMode;
  /** From the root on; empty without paging. */
  readonly steps: readonly WalkStep[];
  readonly end: WalkEnd;
  /** Guest physical address, where mapped. */
  readonly gpa: number | undefined;
  /** log2 of the page's size. */
  readonly pageShift: number;
  /** What all entries together allow. */
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
}

/** What was tried at an address, by the bits of a #PF's error code: SDM volume 3, "Page-Fault Exception (#PF)". */
export interface PageAccess {
  readonly write: boolean;
  readonly user: boolean;
  readonly fetch: boolean;
}

const CR0_PG = 1n << 31n;
const CR0_PE = 1n;
const CR4 = { PSE: 1n << 4n, PAE: 1n << 5n, LA57: 1n << 12n, SMEP: 1n << 20n, SMAP: 1n << 21n };
const EFER = { LMA: 1n << 10n, NXE: 1n << 11n };

/** Bits of an entry: SDM volume 3, table "Format of a Page-Table Entry" and its relatives. */
export const ENTRY = {
  P: 1n,
  RW: 1n << 1n,
  US: 1n << 2n,
  PWT: 1n << 3n,
  PCD: 1n << 4n,
  A: 1n << 5n,
  D: 1n << 6n,
  PS: 1n << 7n,
  G: 1n << 8n,
  XD: 1n << 63n,
} as const;

/** MAXPHYADDR, as CPUID 80000008H of our processor reports it. */
const PHYSICAL_BITS = 46n;
const ADDRESS_64 = ((1n << PHYSICAL_BITS) - 1n) & ~0xfffn;
const RESERVED_64 = ((1n << 52n) - 1n) & ~((1n << PHYSICAL_BITS) - 1n);

/** The paging mode that the control registers select. */
export function pagingModeOf(register: (name: RegisterName) => bigint): PagingMode {
  const [cr0, cr3, cr4, efer] = (['cr0', 'cr3', 'cr4', 'efer'] as const).map(register) as [
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  const paging = (cr0 & CR0_PG) !== 0n && (cr0 & CR0_PE) !== 0n;
  const format = paging ? formatOf(cr4, efer) : 'none';
  return {
    format,
    root: rootOf(format, cr3),
    pse: (cr4 & CR4.PSE) !== 0n,
    nxe: (efer & EFER.NXE) !== 0n,
    smep: (cr4 & CR4.SMEP) !== 0n,
    smap: (cr4 & CR4.SMAP) !== 0n,
  };
}

function formatOf(cr4: bigint, efer: bigint): PagingFormat {
  if ((cr4 & CR4.PAE) === 0n) return '32-bit';
  if ((efer & EFER.LMA) === 0n) return 'PAE';
  return (cr4 & CR4.LA57) === 0n ? '4-level' : '5-level';
}

function rootOf(format: PagingFormat, cr3: bigint): number {
  if (format === '32-bit') return Number(cr3 & 0xffff_f000n);
  if (format === 'PAE') return Number(cr3 & 0xffff_ffe0n);
  return Number(cr3 & ADDRESS_64);
}

/** A level of a format: the entry's name, and log2 of what one maps. */
type Level = readonly [EntryName, number];

const LONG_LEVELS: readonly Level[] = [
  ['PML4E', 39],
  ['PDPTE', 30],
  ['PDE', 21],
  ['PTE', 12],
];

const LEVELS: Record<Exclude<PagingFormat, 'none'>, readonly Level[]> = {
  '32-bit': [
    ['PDE', 22],
    ['PTE', 12],
  ],
  PAE: LONG_LEVELS.slice(1),
  '4-level': LONG_LEVELS,
  '5-level': [['PML5E', 48], ...LONG_LEVELS],
};

/** Follows a linear address through the tables in guest memory. */
export function walkPages(memory: GuestMemory, mode: PagingMode, linear: bigint): PageWalk {
  const nothing = { linear, mode, steps: [], gpa: undefined, pageShift: 0 };
  const allowed = { writable: true, user: true, executable: true };
  if (mode.format === 'none') {
    return { ...nothing, ...allowed, end: 'mapped', gpa: Number(linear & 0xffff_ffffn) };
  }
  if (!isCanonical(mode, linear)) return { ...nothing, ...allowed, end: 'not-canonical' };
  return walkTables(memory, mode, linear);
}

function isCanonical({ format }: PagingMode, linear: bigint): boolean {
  if (format !== '4-level' && format !== '5-level') return true;
  const bits = format === '4-level' ? 48 : 57;
  return BigInt.asUintN(64, BigInt.asIntN(bits, linear)) === linear;
}

function walkTables(memory: GuestMemory, mode: PagingMode, linear: bigint): PageWalk {
  const { format } = mode;
  if (format === 'none') throw new RangeError('format is none, expected one with tables');
  const entrySize = format === '32-bit' ? 4 : 8;
  const steps: WalkStep[] = [];
  const allowed = { writable: true, user: true, executable: true };
  let table = mode.root;
  for (const [name, shift] of LEVELS[format]) {
    const first = steps.length === 0;
    const index = indexOf(format, linear, shift);
    const gpa = table + index * entrySize;
    const entry = readEntry(memory, gpa, entrySize);
    steps.push({ name, index, gpa, entry, shift });
    const stop = (end: WalkEnd): PageWalk => {
      return { linear, mode, steps, ...allowed, end, gpa: undefined, pageShift: shift };
    };
    if (entry === undefined) return stop('no-table');
    if ((entry & ENTRY.P) === 0n) return stop('not-present');
    const leaf = name === 'PTE' || isLarge(mode, name, entry, first);
    if ((entry & reservedBits(mode, name, leaf)) !== 0n) return stop('reserved-bit');
    // The four entries of PAE's first table have no rights.
    if (!(format === 'PAE' && name === 'PDPTE')) {
      allowed.writable &&= (entry & ENTRY.RW) !== 0n;
      allowed.user &&= (entry & ENTRY.US) !== 0n;
      allowed.executable &&= !(mode.nxe && (entry & ENTRY.XD) !== 0n);
    }
    if (leaf) {
      const page = leafAddress(mode, entry, shift);
      const offset = Number(linear & ((1n << BigInt(shift)) - 1n));
      return { ...stop('mapped'), gpa: page + offset };
    }
    table = Number(entry & (entrySize === 4 ? 0xffff_f000n : ADDRESS_64));
  }
  throw new RangeError('a walk ends with a PTE');
}

function indexOf(format: PagingFormat, linear: bigint, shift: number): number {
  const index = Number((linear >> BigInt(shift)) & (format === '32-bit' ? 0x3ffn : 0x1ffn));
  return format === 'PAE' && shift === 30 ? index & 3 : index;
}

function readEntry(memory: GuestMemory, gpa: number, size: 4 | 8): bigint | undefined {
  if (!memory.contains(gpa, size)) return undefined;
  const low = BigInt(memory.readU32(gpa));
  return size === 4 ? low : low | (BigInt(memory.readU32(gpa + 4)) << 32n);
}

function isLarge({ format, pse }: PagingMode, name: EntryName, entry: bigint, first: boolean) {
  if ((entry & ENTRY.PS) === 0n || name === 'PML4E' || name === 'PML5E') return false;
  return format === '32-bit' ? pse : !(first && format === 'PAE');
}

function reservedBits({ format, nxe }: PagingMode, name: EntryName, leaf: boolean): bigint {
  if (format === '32-bit') return leaf && name === 'PDE' ? 1n << 21n : 0n;
  let bits = RESERVED_64 | (nxe ? 0n : ENTRY.XD);
  if (format === 'PAE') bits |= 0x7ffn << 52n;
  if (leaf && name === 'PDE') bits |= 0x1f_e000n;
  if (leaf && name === 'PDPTE') bits |= 0x3fff_e000n;
  if (name === 'PML4E' || name === 'PML5E') bits |= ENTRY.PS;
  return bits;
}

function leafAddress({ format }: PagingMode, entry: bigint, shift: number): number {
  const page = ~((1n << BigInt(shift)) - 1n);
  if (format !== '32-bit') return Number(entry & ADDRESS_64 & page);
  // PSE-36: bits 13 to 20 are address bits 32 to 39.
  const high = shift === 22 ? ((entry >> 13n) & 0xffn) << 32n : 0n;
  return Number((entry & 0xffff_ffffn & page) | high);
}

/** One entry in words: `PDE 12 at 0x2060 = 0x83 (P RW PS)`. */
export function describeStep({ name, index, gpa, entry }: WalkStep): string {
  const place = `${name} ${index} at 0x${gpa.toString(16)}`;
  if (entry === undefined) return `${place}, where there is no RAM`;
  if (entry === 0n) return `${place} = 0`;
  return `${place} = 0x${entry.toString(16)} (${describeBits(entry)})`;
}

function describeBits(entry: bigint): string {
  const names = Object.entries(ENTRY).flatMap(([name, bit]) => ((entry & bit) === 0n ? [] : name));
  return names.includes('P') ? names.join(' ') : ['not present', ...names].join(' ');
}

/** The way from CR3 on, an entry a line. */
export function describeWalk(walk: PageWalk): string[] {
  if (walk.steps.length === 0) return [summaryOf(walk)];
  const root = `CR3 -> 0x${walk.mode.root.toString(16)} (${walk.mode.format} paging)`;
  return [root, ...walk.steps.map(describeStep), summaryOf(walk)];
}

/** What the walk came to, in a sentence without a subject. */
function summaryOf(walk: PageWalk): string {
  const { end, gpa, pageShift } = walk;
  if (end !== 'mapped') return whyNotMapped(walk);
  const rights = [
    walk.writable ? 'writable' : 'read-only',
    walk.executable ? 'executable' : 'no-execute',
    walk.user ? 'user' : 'supervisor',
  ];
  const size = pageShift === 0 ? 'paging is off' : `page of ${sizeOf(pageShift)}`;
  return `mapped to 0x${(gpa ?? 0).toString(16)} (${[size, ...rights].join(', ')})`;
}

function whyNotMapped({ end, steps }: PageWalk): string {
  const last = steps.at(-1);
  const name = last === undefined ? '' : `its ${last.name}`;
  const range = last === undefined ? '' : `, which stands for ${sizeOf(last.shift)},`;
  switch (end) {
    case 'mapped':
      return 'is mapped';
    case 'not-canonical':
      return 'is not canonical';
    case 'no-table':
      return `${name} lies where there is no RAM`;
    case 'not-present':
      return `${name}${range} is not present`;
    case 'reserved-bit':
      return `${name} has a reserved bit set`;
  }
}

/**
 * Why the processor would refuse an access, in a sentence without a subject.
 * @returns undefined where it would not
 */
export function explainRefusal(walk: PageWalk, access: PageAccess): string | undefined {
  if (walk.end !== 'mapped') return whyNotMapped(walk);
  if (access.user && !walk.user) return `belongs to the supervisor (${denied(walk, ENTRY.US)})`;
  if (access.fetch) {
    if (!walk.executable) return `is mapped no-execute (${denied(walk, ENTRY.XD)})`;
    if (walk.mode.smep && walk.user && !access.user) return 'is a user page, and CR4.SMEP is set';
    return undefined;
  }
  if (access.write && !walk.writable) return `is mapped read-only (${denied(walk, ENTRY.RW)})`;
  if (walk.mode.smap && walk.user && !access.user) return 'is a user page, and CR4.SMAP is set';
  return undefined;
}

/** The first entry that withholds a right. */
function denied({ steps }: PageWalk, bit: bigint): string {
  const withholds = (entry: bigint): boolean =>
    bit === ENTRY.XD ? (entry & bit) !== 0n : (entry & bit) === 0n;
  const step = steps.find(({ entry }) => entry !== undefined && withholds(entry));
  const name = bit === ENTRY.XD ? 'XD' : bit === ENTRY.RW ? 'R/W' : 'U/S';
  return step === undefined ? name : `${name} of ${describeStep(step)}`;
}

function sizeOf(shift: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  return `${2 ** (shift % 10)} ${units[Math.floor(shift / 10)] ?? 'PiB'}`;
}

/**
 * The state in which a kernel's 64-bit entry is reached (Documentation/arch/x86/boot.rst, "64-bit Boot
 * Protocol"): long mode, paging with the needed memory mapped one to one, flat segments __BOOT_CS and
 * __BOOT_DS, interrupts off, RSI pointing at boot_params.
 */
import { BOOT_GDT, BOOT_PAGE_TABLES, BOOT_STACK_TOP, PAGE_SIZE } from '../layout.js';
import type { GuestMemory } from '../memory.js';
import type { NativeCpu, SegmentName, SegmentValue } from '../native.js';

/** Registers at the entry; addresses are guest physical, which are the linear ones as well. */
export interface EntryState {
  readonly rip: number;
  /** Address of boot_params. */
  readonly rsi: number;
  readonly rsp: number;
  readonly cr3: number;
  readonly gdt: { readonly base: number; readonly limit: number };
  readonly codeSegment: SegmentValue;
  readonly dataSegment: SegmentValue;
}

// SDM volume 3, "Control Registers" and "Extended Feature Enable Register".
const CR0_PE = 1n << 0n;
const CR0_MP = 1n << 1n;
const CR0_ET = 1n << 4n;
const CR0_NE = 1n << 5n;
const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const EFER_LME = 1n << 8n;
const EFER_LMA = 1n << 10n;
/** Only bit 1, which is always one: interrupts are off. */
const RFLAGS_ENTRY = 1n << 1n;

// SDM volume 3, "Segment Descriptors": G, L or D/B, present, S, and a type with its accessed bit.
const CODE_SEGMENT: SegmentValue = { selector: 0x10, base: 0n, limit: 0xffff_ffff, access: 0xa09b };
const DATA_SEGMENT: SegmentValue = { selector: 0x18, base: 0n, limit: 0xffff_ffff, access: 0xc093 };

// SDM volume 3, "4-Level Paging and 5-Level Paging".
const PTE_PRESENT = 1n << 0n;
const PTE_WRITE = 1n << 1n;
const PDE_PAGE_SIZE = 1n << 7n;
const LARGE_PAGE = 0x20_0000n;
const ENTRIES_PER_TABLE = 512;

/** Page directories, of 1 GiB each: together the first 4 GiB. */
const PAGE_DIRECTORIES = 4;

/**
 * Writes the GDT and the page tables of the entry state to their places in guest memory.
 * @param rip where to go; @param rsi address of boot_params.
 */
export function writeEntryState(memory: GuestMemory, rip: number, rsi: number): EntryState {
  const gdt = [0n, 0n, descriptor(CODE_SEGMENT), descriptor(DATA_SEGMENT)];
  gdt.forEach((entry, index) => {
    memory.writeU64(BOOT_GDT + index * 8, entry);
  });
  writePageTables(memory);
  return {
    rip,
    rsi,
    rsp: BOOT_STACK_TOP,
    cr3: BOOT_PAGE_TABLES.base,
    gdt: { base: BOOT_GDT, limit: gdt.length * 8 - 1 },
    codeSegment: CODE_SEGMENT,
    dataSegment: DATA_SEGMENT,
  };
}

/** Puts a CPU that comes out of reset() into `state`. */
export function enterLongMode(
  cpu: Pick<NativeCpu, 'setRegister' | 'setSegment'>,
  state: EntryState,
): void {
  cpu.setRegister('cr3', BigInt(state.cr3));
  cpu.setRegister('cr4', CR4_PAE);
  cpu.setRegister('efer', EFER_LME | EFER_LMA);
  cpu.setRegister('cr0', CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_PG);
  cpu.setRegister('gdtrBase', BigInt(state.gdt.base));
  cpu.setRegister('gdtrLimit', BigInt(state.gdt.limit));
  cpu.setRegister('idtrBase', 0n);
  cpu.setRegister('idtrLimit', 0n);
  cpu.setSegment('cs', state.codeSegment);
  const dataSegments: readonly SegmentName[] = ['ds', 'es', 'ss', 'fs', 'gs'];
  for (const name of dataSegments) cpu.setSegment(name, state.dataSegment);
  cpu.setRegister('rflags', RFLAGS_ENTRY);
  cpu.setRegister('rip', BigInt(state.rip));
  cpu.setRegister('rsi', BigInt(state.rsi));
  cpu.setRegister('rsp', BigInt(state.rsp));
}

/** The descriptor in memory of a flat segment: base 0, limit all ones. */
function descriptor({ access }: SegmentValue): bigint {
  const limitLow = 0xffffn;
  const limitHigh = 0xfn << 48n;
  return (BigInt(access) << 40n) | limitHigh | limitLow;
}

function writePageTables(memory: GuestMemory): void {
  const pml4 = BOOT_PAGE_TABLES.base;
  const pdpt = pml4 + PAGE_SIZE;
  const firstDirectory = pdpt + PAGE_SIZE;
  memory.fill(BOOT_PAGE_TABLES.base, BOOT_PAGE_TABLES.length, 0);
  memory.writeU64(pml4, tableEntry(pdpt));
  for (let index = 0; index < PAGE_DIRECTORIES; index++) {
    memory.writeU64(pdpt + index * 8, tableEntry(firstDirectory + index * PAGE_SIZE));
  }
  const largePages = new BigUint64Array(PAGE_DIRECTORIES * ENTRIES_PER_TABLE);
  for (let index = 0; index < largePages.length; index++) {
    largePages[index] = (BigInt(index) * LARGE_PAGE) | PTE_PRESENT | PTE_WRITE | PDE_PAGE_SIZE;
  }
  memory.write(firstDirectory, new Uint8Array(largePages.buffer));
}

function tableEntry(address: number): bigint {
  return BigInt(address) | PTE_PRESENT | PTE_WRITE;
}

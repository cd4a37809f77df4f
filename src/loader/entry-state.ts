/**
 * The states in which kernels are entered, interrupts off and segments flat in each: the 32-bit and 64-bit
 * entries of Linux (Documentation/arch/x86/boot.rst, "32-bit Boot Protocol" and "64-bit Boot Protocol"),
 * and the protected mode that PVH and multiboot ask for.
 */
import { BOOT_GDT, BOOT_PAGE_TABLES, BOOT_STACK_TOP, HIGH_RAM_BASE, PAGE_SIZE } from '../layout.js';
import type { GuestMemory } from '../memory.js';
import type { NativeCpu, RegisterName, SegmentName, SegmentValue } from '../native.js';
import { alignUp } from './binary.js';

/** Registers at the entry, in the order in which they are set; addresses are guest physical and linear. */
export interface EntryState {
  readonly registers: Readonly<Partial<Record<RegisterName, bigint>>>;
  readonly segments: Readonly<Partial<Record<SegmentName, SegmentValue>>>;
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
const FLAT = { base: 0n, limit: 0xffff_ffff } as const;
/** __BOOT_CS; the 64-bit protocol has the same selector with L instead of D. */
const CODE_64: SegmentValue = { ...FLAT, selector: 0x10, access: 0xa09b };
const CODE_32: SegmentValue = { ...FLAT, selector: 0x10, access: 0xc09b };
/** __BOOT_DS. */
const DATA: SegmentValue = { ...FLAT, selector: 0x18, access: 0xc093 };
/** The task register that PVH asks for: a busy 32-bit TSS at 0, which nothing reads. */
const TASK: SegmentValue = { selector: 0, base: 0n, limit: 0x67, access: 0x008b };

// SDM volume 3, "4-Level Paging and 5-Level Paging".
const PTE_PRESENT = 1n << 0n;
const PTE_WRITE = 1n << 1n;
const PDE_PAGE_SIZE = 1n << 7n;
const LARGE_PAGE = 0x20_0000;
const ENTRIES_PER_TABLE = 512;
/** What one page directory maps. */
const DIRECTORY_REACH = ENTRIES_PER_TABLE * LARGE_PAGE;

/**
 * Writes GDT and page tables for an entry in long mode, with all of RAM and the first 4 GiB mapped one to
 * one.
 * @param rip where to go
 * @param rsi address of boot_params
 */
export function longModeEntry(memory: GuestMemory, rip: number, rsi: number): EntryState {
  writePageTables(memory);
  return {
    registers: {
      cr3: BigInt(BOOT_PAGE_TABLES.base),
      cr4: CR4_PAE,
      efer: EFER_LME | EFER_LMA,
      cr0: CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_PG,
      ...writeGdt(memory, CODE_64),
      rflags: RFLAGS_ENTRY,
      rip: BigInt(rip),
      rsi: BigInt(rsi),
      rsp: BigInt(BOOT_STACK_TOP),
    },
    segments: flatSegments(CODE_64),
  };
}

/**
 * Writes the GDT for an entry in protected mode without paging.
 * @param rip where to go
 * @param registers what the protocol wants in general registers
 */
export function protectedModeEntry(
  memory: GuestMemory,
  rip: number,
  registers: EntryState['registers'],
): EntryState {
  return {
    registers: {
      cr4: 0n,
      cr0: CR0_PE | CR0_ET,
      ...writeGdt(memory, CODE_32),
      rflags: RFLAGS_ENTRY,
      rip: BigInt(rip),
      rsp: BigInt(BOOT_STACK_TOP),
      ...registers,
    },
    segments: { ...flatSegments(CODE_32), tr: TASK },
  };
}

/**
 * Writes the GDT for Linux's entry in protected mode: boot_params in ESI; EBP, EDI and EBX are zero.
 * @param rip where to go
 * @param rsi address of boot_params
 */
export function linux32Entry(memory: GuestMemory, rip: number, rsi: number): EntryState {
  return protectedModeEntry(memory, rip, { rsi: BigInt(rsi), rbp: 0n, rdi: 0n, rbx: 0n });
}

/** Puts a CPU that comes out of reset() into `state`. */
export function enterKernel(
  cpu: Pick<NativeCpu, 'setRegister' | 'setSegment'>,
  { registers, segments }: EntryState,
): void {
  for (const [name, value] of Object.entries(registers)) {
    cpu.setRegister(name as RegisterName, value);
  }
  for (const [name, value] of Object.entries(segments)) {
    cpu.setSegment(name as SegmentName, value);
  }
}

function flatSegments(code: SegmentValue): EntryState['segments'] {
  return { cs: code, ds: DATA, es: DATA, ss: DATA, fs: DATA, gs: DATA };
}

/** @returns the registers that point at it; the IDT is empty. */
function writeGdt(memory: GuestMemory, code: SegmentValue): EntryState['registers'] {
  const gdt = [0n, 0n, descriptor(code), descriptor(DATA)];
  gdt.forEach((entry, index) => {
    memory.writeU64(BOOT_GDT + index * 8, entry);
  });
  const gdtrLimit = BigInt(gdt.length * 8 - 1);
  return { gdtrBase: BigInt(BOOT_GDT), gdtrLimit, idtrBase: 0n, idtrLimit: 0n };
}

/** The descriptor in memory of a flat segment: base 0, limit all ones. */
function descriptor({ access }: SegmentValue): bigint {
  const limitLow = 0xffffn;
  const limitHigh = 0xfn << 48n;
  return (BigInt(access) << 40n) | limitHigh | limitLow;
}

function writePageTables(memory: GuestMemory): void {
  const ramEnd = Math.max(...memory.ranges.map(({ base, length }) => base + length));
  const directories = alignUp(Math.max(ramEnd, HIGH_RAM_BASE), DIRECTORY_REACH) / DIRECTORY_REACH;
  const pml4 = BOOT_PAGE_TABLES.base;
  const pdpt = pml4 + PAGE_SIZE;
  const firstDirectory = pdpt + PAGE_SIZE;
  memory.fill(BOOT_PAGE_TABLES.base, BOOT_PAGE_TABLES.length, 0);
  memory.writeU64(pml4, tableEntry(pdpt));
  for (let index = 0; index < directories; index++) {
    memory.writeU64(pdpt + index * 8, tableEntry(firstDirectory + index * PAGE_SIZE));
  }
  const largePages = new BigUint64Array(directories * ENTRIES_PER_TABLE);
  for (let index = 0; index < largePages.length; index++) {
    largePages[index] = BigInt(index * LARGE_PAGE) | PTE_PRESENT | PTE_WRITE | PDE_PAGE_SIZE;
  }
  memory.write(firstDirectory, new Uint8Array(largePages.buffer));
}

function tableEntry(address: number): bigint {
  return BigInt(address) | PTE_PRESENT | PTE_WRITE;
}

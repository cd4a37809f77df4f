/**
 * Finds a running Linux kernel in guest memory with its symbols, wherever it was placed: nothing has to be
 * told, and randomized addresses come out as they are, since the kernel's own tables have been relocated.
 */
import { alignDown } from '../loader/binary.js';
import { readKallsyms } from './kallsyms.js';
import type { GuestView } from './guest-view.js';
import type { SymbolTable } from './symbol-table.js';

const MiB = 2 ** 20;
/** The mapping of the kernel's image: Documentation/arch/x86/x86_64/mm.rst. */
const KERNEL_MAP = 0xffff_ffff_8000_0000n;
const KERNEL_MAP_LENGTH = 1024 * MiB;
const LARGE_PAGE = 2 * MiB;
/** Kernels are smaller, with all that they have built in. */
const MOST_IMAGE = 512 * MiB;
/** How far behind the running instruction the data of a kernel that is not mapped yet is looked for. */
const BEHIND = 128 * MiB;
/** What linux_banner begins with, in all versions. */
const BANNER = Buffer.from('Linux version ');
/** All of it (init/version.c): a compressed kernel may have the beginning, and the log a copy without the end. */
const WHOLE_BANNER = /^Linux version \d[ -~]+\n\0/;
const LONGEST_BANNER = 1024;
/** How far from the banner kallsyms may lie: both are in .rodata, kallsyms linked last. */
const TABLES_BEFORE = 32 * MiB;
const TABLES_BEHIND = 64 * MiB;
/** A kernel of which nothing is known is looked for up to here. */
const SEARCHED = 1024 * MiB;
/** A table of page-table isolation for user mode lies a page behind the kernel's. */
const PTI_USER_TABLE = 0x1000;

/** A kernel in memory. */
export interface KernelImage {
  /** Symbols at the addresses where they are now. */
  readonly symbols: SymbolTable;
  /** Guest physical address less linear address, within the image; undefined where it is not known. */
  readonly physicalOffset: bigint | undefined;
  /** Whether the kernel is mapped where its symbols say, by the page tables in force. */
  readonly mapped: boolean;
}

/** A piece of RAM that may have a kernel in it. */
interface Region {
  readonly gpa: number;
  readonly length: number;
  /** Where it is mapped, as far as known. */
  readonly linear: bigint | undefined;
}

/** Looks for a kernel; undefined where there is none (yet). */
export function findKernelImage(view: GuestView): KernelImage | undefined {
  for (const region of candidates(view)) {
    const bytes = view.memory.read(region.gpa, region.length);
    for (const bits of [64, 32] as const) {
      if (bits === 32 && view.longMode) continue;
      const found = readKallsyms(bytes, bits, region.linear);
      if (found !== undefined) return imageOf(view, region, found);
    }
  }
  return undefined;
}

function imageOf(view: GuestView, region: Region, symbols: SymbolTable): KernelImage {
  const text = symbols.address('_text');
  const physicalOffset =
    region.linear === undefined
      ? findBanner(view, region, symbols)
      : BigInt(region.gpa) - region.linear;
  const gpa = (text ?? 0n) + (physicalOffset ?? 0n);
  return {
    symbols,
    physicalOffset,
    mapped: text !== undefined && view.translate(text, kernelTables(view)) === Number(gpa),
  };
}

/** The kernel lies at a multiple of 2 MiB, and its banner shows at which. */
function findBanner(view: GuestView, region: Region, symbols: SymbolTable): bigint | undefined {
  const text = symbols.address('_text');
  const banner = symbols.address('linux_banner');
  if (text === undefined || banner === undefined) return undefined;
  const distance = Number(banner - text);
  const last = region.gpa + region.length;
  const first = Math.max(0, region.gpa - MOST_IMAGE);
  for (let gpa = alignDown(first, LARGE_PAGE); gpa < last; gpa += LARGE_PAGE) {
    if (!view.memory.contains(gpa + distance, BANNER.length)) continue;
    if (BANNER.equals(view.memory.read(gpa + distance, BANNER.length))) return BigInt(gpa) - text;
  }
  return undefined;
}

function* candidates(view: GuestView): Generator<Region> {
  const mapped = view.longMode ? mappedImage(view) : undefined;
  if (mapped !== undefined) yield mapped;
  const code = view.translate(view.codeAddress);
  const [first, last] = code === undefined ? [0, 0] : [code, code + BEHIND];
  yield* aroundBanners(view, first, last);
  // Without paging, a kernel can but run at its physical address.
  if (view.paging.format === 'none') return;
  yield* aroundBanners(view, MiB, Math.min(first, SEARCHED));
  yield* aroundBanners(view, Math.max(MiB, last), SEARCHED);
}

/** The tables with all of the kernel in them. */
function kernelTables(view: GuestView) {
  const mode = view.paging;
  const text = view.walk(KERNEL_MAP, mode).steps;
  const isUserTable = view.longMode && text.length < 2 && (mode.root & PTI_USER_TABLE) !== 0;
  return isUserTable ? { ...mode, root: mode.root - PTI_USER_TABLE } : mode;
}

/** What is mapped where a 64-bit kernel is, if that is one piece of memory. */
function mappedImage(view: GuestView): Region | undefined {
  const mode = kernelTables(view);
  let start: { linear: bigint; gpa: number } | undefined;
  let length = 0;
  for (let offset = 0; offset < KERNEL_MAP_LENGTH; offset += LARGE_PAGE) {
    const linear = KERNEL_MAP + BigInt(offset);
    const gpa = view.translate(linear, mode);
    if (gpa === undefined) continue;
    start ??= { linear, gpa };
    const end = Number(linear - start.linear) + LARGE_PAGE;
    // Memory that the kernel freed after its start is not mapped any more, so there may be gaps.
    if (gpa - start.gpa !== end - LARGE_PAGE || end > MOST_IMAGE) break;
    if (!view.memory.contains(start.gpa, end)) break;
    length = end;
  }
  return start === undefined || length === 0 ? undefined : { ...start, length };
}

/**
 * The memory around what may be the kernel's banner. Searching for that is quick, searching for the tables is not.
 * The pieces do not overlap, whatever the guest has written.
 */
function* aroundBanners(view: GuestView, from: number, to: number): Generator<Region> {
  for (const { base, length } of view.memory.ranges) {
    const start = alignDown(Math.max(base, from), LARGE_PAGE);
    const end = Math.min(base + length, to);
    let region: { readonly gpa: number; length: number } | undefined;
    for (const page of bannerPages(view, start, end)) {
      const gpa = Math.max(start, page - TABLES_BEFORE);
      if (region !== undefined && gpa > region.gpa + region.length) {
        yield { ...region, linear: undefined };
        region = undefined;
      }
      region ??= { gpa, length: 0 };
      region.length = Math.min(end, page + TABLES_BEHIND) - region.gpa;
    }
    if (region !== undefined) yield { ...region, linear: undefined };
  }
}

/** The pages of 2 MiB that have a banner in them, in ascending order. */
function* bannerPages({ memory }: GuestView, from: number, to: number): Generator<number> {
  let at = memory.find(BANNER, from, to);
  while (at !== undefined) {
    const text = memory.read(at, Math.min(LONGEST_BANNER, to - at));
    const isWhole = WHOLE_BANNER.test(Buffer.from(text.buffer).toString('latin1'));
    const page = alignDown(at, LARGE_PAGE);
    if (isWhole) yield page;
    at = memory.find(BANNER, isWhole ? page + LARGE_PAGE : at + LONGEST_BANNER, to);
  }
}

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
/** How far behind the running instruction, in a kernel that is not mapped yet, its data is looked for. */
const BEHIND = 128 * MiB;
/** What linux_banner begins with, in all versions. */
const BANNER = Buffer.from('Linux version ');
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
  if (code !== undefined) yield* pieces(view, code, code + BEHIND);
  yield* pieces(view, MiB, 1024 * MiB);
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

function* pieces(view: GuestView, from: number, to: number): Generator<Region> {
  for (const { base, length } of view.memory.ranges) {
    const gpa = alignDown(Math.max(base, from), LARGE_PAGE);
    const end = Math.min(base + length, to);
    if (gpa < end) yield { gpa, length: end - gpa, linear: undefined };
  }
}

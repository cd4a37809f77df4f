/** Who called whom, as far as a stack tells. */
import { readBigint } from '../loader/binary.js';
import type { GuestView } from './guest-view.js';
import { OrcTables } from './orc.js';
import type { Symbols } from './symbols.js';

/**
 * How frames were found: by the kernel's own unwind tables, by the chain of frame pointers, or as everything on the
 * stack that a CALL may have left there, of which some may be old.
 */
export type UnwindMethod = 'ORC' | 'frame pointers' | 'scan';

/** The callers, innermost first. */
export interface Backtrace {
  readonly method: UnwindMethod;
  /** The running instruction, then return addresses; linear. */
  readonly addresses: readonly bigint[];
}

/** Where to start from. */
export interface UnwindStart {
  readonly ip: bigint;
  readonly sp: bigint;
  readonly bp: bigint;
}

const MOST_FRAMES = 32;
/** How much of the stack a scan looks at, in bytes. */
const SCANNED = 4096;
/** A frame is smaller. */
const MOST_FRAME_BYTES = 0x1_0000n;

/** The backtrace of what runs now. */
export function backtraceOf(view: GuestView, symbols: Symbols): Backtrace {
  const start = {
    ip: view.codeAddress,
    sp: view.stackAddress,
    bp: view.register('rbp'),
  };
  if (view.cpl === 3) return { method: 'frame pointers', addresses: byFramePointers(view, start) };
  return backtraceFrom(view, symbols, start);
}

/** The backtrace from a place within the kernel on. */
export function backtraceFrom(view: GuestView, symbols: Symbols, start: UnwindStart): Backtrace {
  const orc = view.longMode ? OrcTables.find(view, symbols) : undefined;
  const unwound = orc?.unwind(start, MOST_FRAMES) ?? [];
  if (unwound.length > 1) return { method: 'ORC', addresses: unwound };
  const chained = byFramePointers(view, start);
  if (chained.length > 2) return { method: 'frame pointers', addresses: chained };
  return { method: 'scan', addresses: byScan(view, symbols, start) };
}

/** The lines of a backtrace, named. */
export function describeBacktrace({ method, addresses }: Backtrace, symbols: Symbols): string[] {
  const unsure = method === 'scan' ? '? ' : '';
  return addresses.map((address, n) => `${n === 0 ? '' : unsure}${symbols.format(address)}`);
}

function wordSize(view: GuestView): 2 | 4 | 8 {
  const bits = view.codeBits;
  return bits === 64 ? 8 : bits === 32 ? 4 : 2;
}

function byFramePointers(view: GuestView, { ip, bp }: UnwindStart): bigint[] {
  const addresses = [ip];
  const size = wordSize(view);
  let frame = bp;
  while (addresses.length < MOST_FRAMES) {
    const next = view.readUint(frame, size);
    const caller = view.readUint(frame + BigInt(size), size);
    if (next === undefined || caller === undefined || !isAfterCall(view, caller)) break;
    addresses.push(caller);
    if (next <= frame || next - frame > MOST_FRAME_BYTES) break;
    frame = next;
  }
  return addresses;
}

function byScan(view: GuestView, symbols: Symbols, { ip, sp }: UnwindStart): bigint[] {
  const addresses = [ip];
  const size = wordSize(view);
  const stack = view.read(sp, SCANNED);
  const isKernel = symbols.resolve(ip) !== undefined;
  for (let at = 0; at + size <= stack.length && addresses.length < MOST_FRAMES; at += size) {
    const value = size === 8 ? readBigint(stack, at) : readSmall(stack, at, size);
    if (isKernel && symbols.resolve(value) === undefined) continue;
    if (isAfterCall(view, value)) addresses.push(value);
  }
  return addresses;
}

function readSmall(bytes: Uint8Array, at: number, size: number): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return BigInt(size === 4 ? view.getUint32(at, true) : view.getUint16(at, true));
}

/** Whether a CALL ends at an address: SDM volume 2, "CALL - Call Procedure". */
export function isAfterCall(view: GuestView, address: bigint): boolean {
  const before = 7;
  if (address < BigInt(before) || !view.walk(address).executable) return false;
  const bytes = view.read(address - BigInt(before), before);
  if (bytes.length < before) return false;
  const relative = view.codeBits === 16 ? bytes[before - 3] : bytes[before - 5];
  if (relative === 0xe8) return true;
  // CALL r/m: FF /2, of two to seven bytes.
  for (let length = 2; length <= before; length++) {
    const opcode = bytes[before - length];
    const modrm = bytes[before - length + 1] ?? 0;
    if (opcode === 0xff && ((modrm >> 3) & 7) === 2 && modrmLength(modrm, view) === length - 1) {
      return true;
    }
  }
  return false;
}

/** Bytes of ModR/M, SIB and displacement; 16-bit addressing has no SIB. */
function modrmLength(modrm: number, view: GuestView): number {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (mod === 3) return 1;
  if (view.codeBits === 16) return mod === 0 ? (rm === 6 ? 3 : 1) : 1 + mod;
  const sib = rm === 4 ? 1 : 0;
  if (mod === 0) return rm === 5 ? 5 : 1 + sib;
  return 1 + sib + (mod === 1 ? 1 : 4);
}

import type { GuestMemory } from '../memory.js';
import type { RegisterName, SegmentName, SegmentValue } from '../native.js';
import { pagingModeOf, walkPages, type PageWalk, type PagingMode } from './page-tables.js';

/** Where the registers come from: the CPU, or what was kept of one. */
export interface RegisterSource {
  getRegister(name: RegisterName): bigint;
  getSegment(name: SegmentName): SegmentValue;
}

/** Bits of a segment's access word that say how code in it is decoded: SDM volume 3, "Segment Descriptors". */
const ACCESS_L = 1 << 13;
const ACCESS_DB = 1 << 14;
const CR0_PE = 1n;
const EFER_LMA = 1n << 10n;
const RFLAGS_VM = 1n << 17n;
const PAGE = 4096;

/**
 * A guest that stands still, as a debugger sees it: registers, and memory by linear address. Nothing here
 * changes the guest.
 */
export class GuestView {
  constructor(
    private readonly registers: RegisterSource,
    readonly memory: GuestMemory,
  ) {}

  /** The value of a register. */
  readonly register = (name: RegisterName): bigint => this.registers.getRegister(name);

  /** The hidden part of a segment register. */
  segment(name: SegmentName): SegmentValue {
    return this.registers.getSegment(name);
  }

  /** How linear addresses are translated now. */
  get paging(): PagingMode {
    return pagingModeOf(this.register);
  }

  /** Whether the processor is in protected mode (any of its submodes, and long mode). */
  get protectedMode(): boolean {
    return (this.register('cr0') & CR0_PE) !== 0n;
  }

  /** Whether the processor is in long mode, compatibility mode included. */
  get longMode(): boolean {
    return (this.register('efer') & EFER_LMA) !== 0n;
  }

  /** Size of the current code's operands and addresses in bits. */
  get codeBits(): 16 | 32 | 64 {
    if (!this.protectedMode || (this.register('rflags') & RFLAGS_VM) !== 0n) return 16;
    const { access } = this.segment('cs');
    if (this.longMode && (access & ACCESS_L) !== 0) return 64;
    return (access & ACCESS_DB) !== 0 ? 32 : 16;
  }

  /** Current privilege level. */
  get cpl(): number {
    return this.protectedMode ? this.segment('ss').selector & 3 : 0;
  }

  /** Linear address of the next instruction. */
  get codeAddress(): bigint {
    const rip = this.register('rip');
    if (this.codeBits === 64) return rip;
    return BigInt.asUintN(32, this.segment('cs').base + rip);
  }

  /** Linear address of the top of the stack. */
  get stackAddress(): bigint {
    const rsp = this.register('rsp');
    if (this.codeBits === 64) return rsp;
    const { base, access } = this.segment('ss');
    return BigInt.asUintN(32, base + BigInt.asUintN((access & ACCESS_DB) !== 0 ? 32 : 16, rsp));
  }

  /** Follows a linear address through the page tables. */
  walk(linear: bigint, mode: PagingMode = this.paging): PageWalk {
    return walkPages(this.memory, mode, linear);
  }

  /** Guest physical address of a linear one; undefined where it is not mapped, or not to RAM. */
  translate(linear: bigint, mode?: PagingMode): number | undefined {
    const { gpa } = this.walk(linear, mode);
    return gpa !== undefined && this.memory.contains(gpa, 1) ? gpa : undefined;
  }

  /** The bytes from a linear address on, up to `length` of them: as many as are mapped in one go. */
  read(linear: bigint, length: number): Uint8Array {
    const mode = this.paging;
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const at = BigInt.asUintN(64, linear + BigInt(done));
      const gpa = this.translate(at, mode);
      if (gpa === undefined) break;
      const part = Math.min(length - done, PAGE - (gpa % PAGE));
      bytes.set(this.memory.read(gpa, part), done);
      done += part;
    }
    return done === length ? bytes : bytes.slice(0, done);
  }

  /** The unsigned number of `size` bytes at a linear address; undefined where that is not mapped. */
  readUint(linear: bigint, size: 1 | 2 | 4 | 8): bigint | undefined {
    const bytes = this.read(linear, size);
    if (bytes.length < size) return undefined;
    const view = new DataView(bytes.buffer);
    if (size === 8) return view.getBigUint64(0, true);
    if (size === 4) return BigInt(view.getUint32(0, true));
    return BigInt(size === 2 ? view.getUint16(0, true) : view.getUint8(0));
  }

  /** The text up to a NUL at a linear address, at most `limit` bytes of it. */
  readText(linear: bigint, limit = 256): string {
    const bytes = this.read(linear, limit);
    const end = bytes.indexOf(0);
    return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1');
  }
}

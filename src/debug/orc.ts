/**
 * The kernel's tables for unwinding without frame pointers: arch/x86/include/asm/orc_types.h, and
 * Documentation/arch/x86/orc-unwinder.rst.
 */
import type { GuestView } from './guest-view.js';
import type { Symbols } from './symbols.js';

const ENTRY_BYTES = 6;
const IP_BYTES = 4;
/** More than any kernel has. */
const MOST_ENTRIES = 4_000_000;

/** ORC_REG_*: what an offset is added to. */
const REG = { UNDEFINED: 0, PREV_SP: 1, BP: 4, SP: 5, BP_INDIRECT: 8, SP_INDIRECT: 9 } as const;

type FrameType = 'call' | 'regs' | 'regs-partial' | 'end';

/** Values of the field `type`; up to Linux 6.3, an end has a bit of its own behind it. */
const TYPES: readonly FrameType[] = ['end', 'end', 'call', 'regs', 'regs-partial'];
const OLD_TYPES: readonly FrameType[] = ['call', 'regs', 'regs-partial'];

/** Offsets in struct pt_regs: arch/x86/include/asm/ptrace.h. */
const PT_REGS = { bp: 0x20n, ip: 0x80n, cs: 0x88n, sp: 0x98n } as const;

interface OrcEntry {
  readonly spOffset: number;
  readonly bpOffset: number;
  readonly spReg: number;
  readonly bpReg: number;
  readonly type: FrameType;
}

interface Frame {
  ip: bigint;
  sp: bigint;
  bp: bigint;
  /** Whether `ip` is a return address: its call lies before it. */
  isReturn: boolean;
}

/** The tables of a kernel in memory. They are read entry by entry, as a walk needs them. */
export class OrcTables {
  private constructor(
    private readonly view: GuestView,
    private readonly ips: bigint,
    private readonly entries: bigint,
    private readonly count: number,
    /** The bit that is an end; undefined where that is a type. */
    private readonly end: number | undefined,
  ) {}

  /** The tables of the kernel's image; undefined where it has none. */
  static find(view: GuestView, symbols: Symbols): OrcTables | undefined {
    const entries = symbols.address('__start_orc_unwind');
    const end = symbols.address('__stop_orc_unwind');
    const ips = symbols.address('__start_orc_unwind_ip');
    if (entries === undefined || end === undefined || ips === undefined) return undefined;
    const count = Number(end - entries) / ENTRY_BYTES;
    if (!(count > 0 && count < MOST_ENTRIES)) return undefined;
    const fields = symbols.btf()?.struct('orc_entry')?.offsets;
    // Linux 6.3 alone has `signal` in between.
    const endBit = fields?.has('end') === true ? (fields.has('signal') ? 11 : 10) : undefined;
    return new OrcTables(view, ips, entries, Math.floor(count), endBit);
  }

  /** Unwinds as far as the tables lead, at most `limit` frames. */
  unwind(start: { ip: bigint; sp: bigint; bp: bigint }, limit: number): bigint[] {
    const addresses = [start.ip];
    let frame: Frame | undefined = { ...start, isReturn: false };
    while (addresses.length < limit) {
      frame = this.step(frame);
      if (frame === undefined) break;
      addresses.push(frame.ip);
    }
    return addresses;
  }

  /** The caller's frame; undefined at the end, or where the stack makes no sense. */
  private step(frame: Frame): Frame | undefined {
    const entry = this.lookUp(frame.isReturn ? frame.ip - 1n : frame.ip);
    if (entry === undefined || entry.type === 'end') return undefined;
    const sp = this.stackOf(entry, frame);
    if (sp === undefined) return undefined;
    const next = this.registersAt(entry, frame, sp);
    // A stack grows down, and a caller's frame lies above.
    return next === undefined || next.sp <= frame.sp ? undefined : next;
  }

  private stackOf({ spReg, spOffset }: OrcEntry, { sp, bp }: Frame): bigint | undefined {
    const offset = BigInt(spOffset);
    switch (spReg) {
      case REG.SP:
        return sp + offset;
      case REG.BP:
        return bp + offset;
      case REG.BP_INDIRECT:
        return this.view.readUint(bp + offset, 8);
      case REG.SP_INDIRECT: {
        const value = this.view.readUint(sp, 8);
        return value === undefined ? undefined : value + offset;
      }
      default:
        return undefined;
    }
  }

  private registersAt(entry: OrcEntry, frame: Frame, sp: bigint): Frame | undefined {
    const word = (linear: bigint): bigint | undefined => this.view.readUint(linear, 8);
    if (entry.type === 'call') {
      const ip = word(sp - 8n);
      const bp = this.framePointer(entry, frame, sp);
      if (ip === undefined || ip === 0n || bp === undefined) return undefined;
      return { ip, sp, bp, isReturn: true };
    }
    const regs = entry.type === 'regs' ? sp : sp - PT_REGS.ip;
    const [ip, cs, stack] = [PT_REGS.ip, PT_REGS.cs, PT_REGS.sp].map((at) => word(regs + at));
    if (ip === undefined || cs === undefined || stack === undefined) return undefined;
    // Out of user space: that stack is another's.
    if ((cs & 3n) !== 0n) return undefined;
    const bp = entry.type === 'regs' ? word(regs + PT_REGS.bp) : frame.bp;
    return bp === undefined ? undefined : { ip, sp: stack, bp, isReturn: false };
  }

  private framePointer({ bpReg, bpOffset }: OrcEntry, { bp }: Frame, sp: bigint) {
    if (bpReg === REG.PREV_SP) return this.view.readUint(sp + BigInt(bpOffset), 8);
    if (bpReg === REG.BP) return this.view.readUint(bp + BigInt(bpOffset), 8);
    return bp;
  }

  /** The last entry at or below an address. */
  private lookUp(ip: bigint): OrcEntry | undefined {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const place = this.ips + BigInt(middle * IP_BYTES);
      const distance = this.view.readUint(place, IP_BYTES);
      if (distance === undefined) return undefined;
      if (BigInt.asUintN(64, place + BigInt.asIntN(32, distance)) <= ip) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.entryAt(low - 1);
  }

  private entryAt(index: number): OrcEntry | undefined {
    const bytes = this.view.read(this.entries + BigInt(index * ENTRY_BYTES), ENTRY_BYTES);
    if (bytes.length < ENTRY_BYTES) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const bits = view.getUint16(4, true);
    const { end } = this;
    const type = end === undefined ? TYPES[(bits >> 8) & 7] : OLD_TYPES[(bits >> 8) & 3];
    return {
      spOffset: view.getInt16(0, true),
      bpOffset: view.getInt16(2, true),
      spReg: bits & 15,
      bpReg: (bits >> 4) & 15,
      type: end !== undefined && ((bits >> end) & 1) === 1 ? 'end' : (type ?? 'end'),
    };
  }
}

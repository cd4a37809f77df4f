/**
 * The native surface: everything TypeScript may ask of the C++ addon. One CPU object owns guest RAM,
 * one virtual CPU, its local APIC and the guest clock. Decoders of compressed data work without one.
 */

/** Why {@link NativeCpu.run} came back; details are in the exit block. */
export const enum ExitReason {
  /** The instruction budget is used up, or a timer deadline of the local APIC was served. */
  Budget = 0,
  /** HLT with nothing to wake it; `now` and `apicDeadline` in the exit block say for how long. */
  Halt = 1,
  /** A port read: put the value into `data` and call run() again, which completes the instruction. */
  PortRead = 2,
  /** A port write; the instruction is complete. */
  PortWrite = 3,
  /** An MMIO read: put the value into `data`/`dataHigh` and call run(): the instruction restarts. */
  MmioRead = 4,
  /** An MMIO write: perform it and call run(): the instruction restarts and skips it. */
  MmioWrite = 5,
  /** Triple fault (shutdown); run() stays here until reset(). */
  Shutdown = 6,
  /** requestStop() was called. */
  Stopped = 7,
  /** The processor acknowledges the 8259 (ExtINT): put the vector into `data` and call run(). */
  InterruptAcknowledge = 8,
  /** The local APIC broadcasts an EOI for a level-triggered vector (`data`) to the I/O APIC. */
  EndOfInterrupt = 9,
  /** A breakpoint, a watchpoint or a single step of the host's: `debugCause`, address in `data`/`dataHigh`. */
  Debug = 10,
  /** The trace buffer wants to be read: it is full, or a block is about to run that was asked for. */
  Trace = 11,
  /** An x87 error with CR0.NE clear: FERR# is asserted. */
  NumericError = 12,
}

/** What an {@link ExitReason.Debug} exit is about. */
export const enum DebugCause {
  /** RIP (linear) is at an execution breakpoint, whose instruction has not run. */
  Breakpoint = 0,
  /** A single step is done. */
  Step = 1,
  /** The instruction before RIP met a watchpoint, whose address is given. */
  WriteWatch = 2,
  ReadWatch = 3,
  AccessWatch = 4,
}

/** Kinds of breakpoints and watchpoints. */
export const enum BreakpointKind {
  /** Execution at a linear address. */
  Linear = 0,
  /** Execution at a guest physical address. */
  Physical = 1,
  /** Writes to a range of linear addresses. */
  Write = 2,
  /** Reads of it. */
  Read = 3,
  /** Both. */
  Access = 4,
}

/** A breakpoint or watchpoint of the host's: the guest's memory and debug registers know nothing of it. */
export interface NativeBreakpoint {
  readonly kind: BreakpointKind;
  readonly address: bigint;
  /** Bytes that are watched, at least 1; of no meaning for execution. */
  readonly length: number;
}

/**
 * What a device that is being polled promises until it says otherwise: single bytes written to `write` have no
 * effect that the guest could notice, so that they may come late, and a byte read from `read` is `value` and has none.
 */
export interface PolledPorts {
  readonly write: number;
  readonly read: number;
  readonly value: number;
}

/** Byte offsets into the shared exit block (exported by C++, never written down twice). */
export interface ExitBlockLayout {
  /** uint32: port number. */
  readonly port: number;
  /** uint32: access width in bytes (1, 2, 4; 8 for MMIO). */
  readonly size: number;
  /** uint32: low half of the value written, or to be read. */
  readonly data: number;
  /** uint32: high half (8-byte MMIO). */
  readonly dataHigh: number;
  /** uint32: a {@link DebugCause}. */
  readonly debugCause: number;
  /** float64: guest physical address of an MMIO access (below 2^52, so exact). */
  readonly gpa: number;
  /** float64: instructions retired since power-on. */
  readonly instructions: number;
  /** float64: guest time in nanoseconds since power-on. */
  readonly now: number;
  /** float64: guest time of the local APIC's next timer event, Infinity when none. */
  readonly apicDeadline: number;
  /** uint32: whether accesses to polled ports may be posted. */
  readonly postingAllowed: number;
  /** uint32: number of posted writes; TypeScript sets it back to 0. */
  readonly postedCount: number;
  /** uint32: port of the first posted write. */
  readonly postedPort: number;
  /** uint32: its value. */
  readonly postedValue: number;
  /** float64: instructions retired by then. */
  readonly postedInstructions: number;
  /** Bytes from one posted write to the next. */
  readonly postedStride: number;
  /** Total size of the block in bytes. */
  readonly byteLength: number;
}

/**
 * What a record of the flight recorder or of a trace tells. `linear` is the linear address of the instruction
 * where nothing else is said, `value`, `info`, `vector` and `detail` as noted.
 */
export const enum RecordKind {
  /** The processor was reset. */
  Reset = 0,
  /** Exception `vector`; `value` CR2 of a page fault, else RSP; `info` the error code, where flags say so. */
  Exception = 1,
  /** Interrupt `vector`; `detail` its source: 0 local APIC, 1 the 8259 pair, 2 NMI; `value` RSP. */
  Interrupt = 2,
  /** A fault while the event before was delivered; fields as in Exception. */
  NestedFault = 3,
  /** Triple fault; `vector` of the event that could not be delivered. */
  Shutdown = 4,
  /** INT n, INT3, INTO, INT1 `vector`; `value` the handler, `info` its CS, `detail` the flags there. */
  SoftwareInterrupt = 5,
  /** `value` where it goes, `info` CS and `detail` the flags there; the same for far transfers. */
  InterruptReturn = 6,
  FarJump = 7,
  FarCall = 8,
  FarReturn = 9,
  /** CR`vector` was set to `value`; `info` the low half of the old value. */
  ControlRegister = 10,
  /** MSR `info` was set to `value`. */
  MsrWrite = 11,
  /** MSR `info` does not exist or does not take `value`; `detail` 1 for WRMSR. */
  MsrRefused = 12,
  /** Traces only, from here on: MSR `info` read as `value`. */
  MsrRead = 13,
  /** A block is about to run: `value` its physical address, `info` bytes, `detail` instructions. */
  Block = 14,
  /** A block was decoded; the same fields. */
  Decode = 15,
  /** Data access at `linear`: `detail` bytes, the first eight in `value`, `info` the physical page number. */
  Load = 16,
  Store = 17,
  /** `linear` was looked up in the page tables: `value` the physical address, `detail` 1 for a write. */
  TlbFill = 18,
  /** INVLPG of `linear`, or (0) a flush, `detail` 1 where global pages are included. */
  TlbFlush = 19,
}

/** Byte offsets into records, the flight recorder and the trace buffer (exported by C++). */
export interface RecordLayout {
  /** uint64: instructions retired since power-on. */
  readonly instructions: number;
  /** uint64, uint64, uint32: see {@link RecordKind}. */
  readonly linear: number;
  readonly value: number;
  readonly info: number;
  /** uint8: a {@link RecordKind}. */
  readonly kind: number;
  readonly vector: number;
  /** uint8: CPL in bits 0 and 1; mode in bits 2 to 4 (real, virtual-8086, 16, 32, 64 bits); bit 7: `info` is an error code. */
  readonly flags: number;
  readonly detail: number;
  /** Size of a record. */
  readonly byteLength: number;
  /** Flight recorder, uint64: events and block entries ever written; the newest is at (count - 1) % capacity. */
  readonly eventCount: number;
  readonly entryCount: number;
  readonly events: number;
  readonly eventCapacity: number;
  /** uint64 each: RIPs of the blocks that the dispatcher entered last. */
  readonly entries: number;
  readonly entryCapacity: number;
  /** Trace buffer, uint32: records in it, to be set to 0 by the reader; records that found no room. */
  readonly traceCount: number;
  readonly traceLost: number;
  readonly traceRecords: number;
}

/** What the guest clock is made from. */
export type ClockSource = 'host' | 'icount';

/** What executes the guest: every instruction by the interpreter, or hot code translated to host code. */
export type Engine = 'interpreter' | 'jit';

/** How the `jit` engine works; the defaults are for everything but tests and measurements. */
export interface JitOptions {
  /** Bytes of the code buffer, which is emptied when full; default 64 MiB, at least some 100 KiB. */
  readonly bufferBytes?: number;
  /** Visits after which a block is translated, 0 for at once; default 12. */
  readonly threshold?: number;
  /** Whether jumps within a page go from block to block directly; default true. */
  readonly link?: boolean;
  /** Further visits after which the blocks that follow one another are translated as one, 0 for never; default 8000. */
  readonly pathThreshold?: number;
  /** Most instructions of a block, at least 1; default 48. */
  readonly mostInstructions?: number;
  /** Whether {@link NativeCpu.jitProfile} has host time as well, which takes a thread; default false. */
  readonly profile?: boolean;
}

/** A feature that a processor model may have or lack. */
export interface CpuFeature {
  /** QEMU's name. */
  readonly name: string;
  /** Its bit in {@link NativeCpuOptions.features}. */
  readonly bit: bigint;
  /** Bits of what it builds on. */
  readonly needs: bigint;
  /** Whether it is implemented and this host can execute it. */
  readonly possible: boolean;
}

/** Where the CPU time of the thread that made the processor went, and why translated code was left. */
export interface JitProfile {
  /** All that the thread can be at; together they are its whole CPU time. All 0 without {@link JitOptions.profile}. */
  readonly phases: readonly { readonly name: string; readonly nanoseconds: number }[];
  /** Instructions that went to the interpreter; none under the other engine. */
  readonly rows: readonly JitProfileRow[];
}

/** How often translated code went to the interpreter for a row of the opcode table. */
export interface JitProfileRow {
  readonly name: string;
  /** Instructions that have no translation. */
  readonly untranslated: number;
  /** Accesses that missed the TLB. */
  readonly missed: number;
  /** Last instructions of blocks whose successor was not at hand. */
  readonly ended: number;
  /** CPU time of these instructions without page walks; of several in a row the first has it. */
  readonly nanoseconds: number;
}

/** Native options; validated by TypeScript before they get here. */
export interface NativeCpuOptions {
  /** Bytes of RAM below 4 GiB, starting at 0 (page multiple). */
  readonly lowRam: number;
  /** Bytes of RAM from 4 GiB up (page multiple, may be 0). */
  readonly highRam: number;
  readonly clock: ClockSource;
  /** Default `interpreter`, which also serves where the host gives no executable memory. */
  readonly engine?: Engine;
  readonly jit?: JitOptions;
  /** Entries of a TLB that may be valid at a time, for tests; as many as it has when absent. */
  readonly tlbEntries?: number;
  /** Bits of {@link NativeAddon.cpuFeatures} that the processor has; default all that are possible. */
  readonly features?: bigint;
  /** Seed of the guest-visible entropy (RDRAND, RDSEED); a fixed one when absent. */
  readonly entropySeed?: bigint;
}

/** Register values by their SDM name; 64-bit ones as bigint (this is not a hot path). */
export type RegisterName =
  | 'rax'
  | 'rcx'
  | 'rdx'
  | 'rbx'
  | 'rsp'
  | 'rbp'
  | 'rsi'
  | 'rdi'
  | 'r8'
  | 'r9'
  | 'r10'
  | 'r11'
  | 'r12'
  | 'r13'
  | 'r14'
  | 'r15'
  | 'rip'
  | 'rflags'
  | 'cr0'
  | 'cr2'
  | 'cr3'
  | 'cr4'
  | 'cr8'
  | 'dr0'
  | 'dr1'
  | 'dr2'
  | 'dr3'
  | 'dr6'
  | 'dr7'
  | 'xcr0'
  | 'efer'
  | 'star'
  | 'lstar'
  | 'cstar'
  | 'sfmask'
  | 'kernelGsBase'
  | 'sysenterCs'
  | 'sysenterEsp'
  | 'sysenterEip'
  | 'apicBase'
  | 'mtrrDefType'
  | 'mtrrPhysBase0'
  | 'mtrrPhysMask0'
  | 'gdtrBase'
  | 'gdtrLimit'
  | 'idtrBase'
  | 'idtrLimit';

/** Segment registers that can be loaded with a chosen hidden part (loader, debugger). */
export type SegmentName = 'es' | 'cs' | 'ss' | 'ds' | 'fs' | 'gs' | 'ldtr' | 'tr';

/** Hidden part of a segment register: SDM volume 3, "Segment Descriptors". */
export interface SegmentValue {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  /** Bits 8..23 of the descriptor's second doubleword, shifted down by 8 (type, S, DPL, P, AVL, L, D/B, G). */
  readonly access: number;
}

export interface NativeCpu {
  /** Runs until the budget or an exit; the reason, see {@link ExitReason}. */
  run(maxInstructions: number): ExitReason;
  /** Makes a run() in progress, or the next one, come back with Stopped; callable from a signal handler's turn. */
  requestStop(): void;
  /** INIT state of the SDM's table "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT". */
  reset(): void;
  /** The exit block, shared memory. */
  readonly exitBlock: ArrayBuffer;
  /** Tells what the `index`th device (0 to 3) promises, undefined for nothing. */
  setPolledPorts(index: number, ports: PolledPorts | undefined): void;
  /** The flight recorder, shared memory of {@link RecordLayout}. */
  readonly recorder: ArrayBuffer;
  /** The trace buffer, shared memory of {@link RecordLayout}; allocated when first asked for. */
  readonly traceBuffer: ArrayBuffer;
  /**
   * What goes into the trace buffer; all decoded code is dropped.
   * @param kinds one bit for each {@link RecordKind}, 0 for none
   * @param stops leave with Trace before each block, for a look at the registers
   * @param ranges linear addresses, pairs of first and last; of blocks only those in one, all where empty
   */
  setTrace(kinds: number, stops: boolean, ranges: BigUint64Array): void;
  /** Guest RAM as views of at most 1 GiB, in host order: the low range first, then the range from 4 GiB. */
  readonly ram: readonly ArrayBuffer[];
  /** Tells the CPU that something else wrote guest RAM (loader, DMA): drops translated code there. */
  invalidateCode(gpa: number, length: number): void;
  /** Level of the 8259's INTR output at the local APIC's LINT0. */
  setIntr(level: boolean): void;
  /** Level of A20M#: while it is false, bit 20 of physical addresses is 0. */
  setA20(open: boolean): void;
  /** An NMI edge (LINT1). */
  raiseNmi(): void;
  /** A message from the I/O APIC: SDM "Local and I/O APIC"; delivery mode and trigger as in the redirection entry. */
  apicMessage(
    destination: number,
    logical: boolean,
    deliveryMode: number,
    vector: number,
    level: boolean,
  ): void;
  /** Guest time now, nanoseconds since power-on. */
  now(): number;
  /** icount only: moves guest time forward to `deadline` (HLT jumps to the next event). */
  advanceTo(deadline: number): void;
  getRegister(name: RegisterName): bigint;
  setRegister(name: RegisterName, value: bigint): void;
  getSegment(name: SegmentName): SegmentValue;
  setSegment(name: SegmentName, value: SegmentValue): void;
  /**
   * x87, SSE and AVX state: an image of 512 bytes as FXSAVE64 writes it, then the upper halves of
   * YMM0 to YMM15, 16 bytes each.
   */
  readFpu(): Uint8Array;
  /** Sets all of it from such an image. */
  writeFpu(image: Uint8Array): void;
  /** A register of the local APIC by its xAPIC offset (a multiple of 16 below 0x400), without side effects. */
  readApic(offset: number): number;
  /** What CPUID answers: EAX, EBX, ECX, EDX. */
  cpuid(leaf: number, subleaf: number): readonly [number, number, number, number];
  /** Whether the processor is in HLT. */
  readonly halted: boolean;
  /**
   * Replaces all breakpoints and watchpoints. run() leaves with {@link ExitReason.Debug} before the
   * instruction at a breakpoint, and after one that met a watchpoint; it then goes on from where it left
   * without meeting the same breakpoint again.
   */
  setBreakpoints(breakpoints: readonly NativeBreakpoint[]): void;
  /**
   * The next run(), or several where devices are asked in between, leaves with {@link ExitReason.Debug} once
   * an instruction is complete or an exception's handler is entered.
   * @param maskInterrupts keeps interrupts away meanwhile, unless the processor is in HLT
   */
  beginStep(maskInterrupts: boolean): void;
  /** Takes a step back that has not been made. */
  cancelStep(): void;
  /** Host time only: makes guest time stand still (true), or go on from there (false). */
  holdClock(held: boolean): void;
  /** Translates a linear address by the current page tables without side effects; -1 when not mapped. */
  translate(linear: bigint): number;
  /**
   * Whether the caches of translated code are consistent (each block where its page and its bucket say, each such
   * page marked). Slow; for tests.
   */
  checkInvariants(): boolean;
  /** Named counters since power-on: instructions, blocks decoded, TLB misses, exits by reason… */
  statistics(): Record<string, number>;
  /** Where host time went; sampled, every half millisecond. */
  jitProfile(): JitProfile;
}

/** How a decoder of compressed data came to its end. */
export const enum CodecStatus {
  /** The data ended where it had to. */
  Done = 0,
  /** The input ended within the data. */
  Truncated = 1,
  /** The data is longer than the output. */
  NoRoom = 2,
  /** A match begins in front of the output, or where it is. */
  BadDistance = 3,
  /** LZMA: the end marker was met. */
  EndMarker = 4,
  /** LZMA: a literal that is coded by what lies a distance back has nothing there. */
  BadLiteral = 5,
}

/** Elements of the state of {@link NativeAddon.decodeLzma}, by the names of the LZMA specification. */
export const enum LzmaField {
  Lc = 0,
  Lp = 1,
  Pb = 2,
  State = 3,
  Rep0 = 4,
  Rep1 = 5,
  Rep2 = 6,
  Rep3 = 7,
  Range = 8,
  Code = 9,
  /** Bytes of the last match for which there was no room: they come first in the next call. */
  Pending = 10,
  Count = 11,
}

/** How far a decoder of compressed data came. */
export interface CodecProgress {
  readonly status: CodecStatus;
  /** Bytes of input that were read; for errors, up to and with what is wrong. */
  readonly consumed: number;
  /** Bytes of output that are valid; those behind them may have been overwritten. */
  readonly produced: number;
}

export interface NativeAddon {
  readonly exitBlockLayout: ExitBlockLayout;
  readonly recordLayout: RecordLayout;
  /** All features that processor models are made of. */
  readonly cpuFeatures: readonly CpuFeature[];
  createCpu(options: NativeCpuOptions): NativeCpu;
  /**
   * Unpacks one block of LZ4 (LZ4 Block Format Description), which is all of `input`, to the beginning of `output`.
   * @throws TypeError for arguments of other types
   */
  unpackLz4Block(input: Uint8Array, output: Uint8Array): CodecProgress;
  /**
   * Decodes LZMA until the output is full (Done) or the data ends; one symbol at least, so that an end marker is found
   * where there is no more room.
   * @param input what the range coder has not read yet
   * @param output from where the dictionary begins
   * @param produced bytes of it that there are already
   * @param state {@link LzmaField}; goes on with the next call
   * @param probabilities 1846 + 0x300 * 2^(lc + lp) of them
   * @throws TypeError for arguments of other types; RangeError for a state, or numbers of bytes, that cannot be
   */
  decodeLzma(
    input: Uint8Array,
    output: Uint8Array,
    produced: number,
    state: Uint32Array,
    probabilities: Uint16Array,
  ): CodecProgress;
}

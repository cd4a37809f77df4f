import { NodevmError } from '../errors.js';
import { BreakpointKind, DebugCause } from '../native.js';
import type {
  NativeBreakpoint,
  NativeCpu,
  RegisterName,
  SegmentName,
  SegmentValue,
} from '../native.js';
import type { GuestView } from './guest-view.js';

/** Why the guest stands still. */
export type DebugStop =
  /** Somebody asked for it. */
  | { readonly kind: 'interrupt' }
  /** The instruction at `address` (linear) is next, and has a breakpoint. */
  | { readonly kind: 'breakpoint'; readonly address: bigint }
  /** The last instruction met a watchpoint. */
  | { readonly kind: 'watchpoint'; readonly access: WatchAccess; readonly address: bigint }
  /** A step is done. */
  | { readonly kind: 'step' }
  /** The guest is in shutdown; it ends when it is let go. */
  | { readonly kind: 'triple-fault' };

/** What a watchpoint looks at. */
export type WatchAccess = 'write' | 'read' | 'access';

/** A breakpoint or watchpoint, by linear address unless it says otherwise. */
export type Breakpoint =
  | { readonly kind: 'linear' | 'physical'; readonly address: bigint }
  | { readonly kind: WatchAccess; readonly address: bigint; readonly length: number };

/** How {@link Debugger.step} goes. */
export interface StepOptions {
  /** Lets interrupts be delivered meanwhile, so that the step may end in a handler; default false. */
  readonly interrupts?: boolean;
  /** Goes on while RIP (linear) is in [start, end). */
  readonly range?: { readonly start: bigint; readonly end: bigint };
}

/** What the debugger controls; the machine, in a machine. */
export interface DebugTarget {
  readonly native: NativeCpu;
  readonly view: GuestView;
  /** The main loop has to look at {@link Debugger.holds} again. */
  wake(): void;
}

const NATIVE_KIND: Record<Breakpoint['kind'], BreakpointKind> = {
  linear: BreakpointKind.Linear,
  physical: BreakpointKind.Physical,
  write: BreakpointKind.Write,
  read: BreakpointKind.Read,
  access: BreakpointKind.Access,
};

const WATCH_ACCESS: ReadonlyMap<number, WatchAccess> = new Map([
  [DebugCause.WriteWatch, 'write'],
  [DebugCause.ReadWatch, 'read'],
  [DebugCause.AccessWatch, 'access'],
]);

const AT_BREAKPOINT: number = DebugCause.Breakpoint;

const PAGE = 4096n;

/**
 * Stops, steps and inspects a guest. Nothing of it is in the guest's memory or debug registers. Where guest
 * time is host time, it stands still while the guest does. Several users (a gdb, a monitor, a test) may
 * share one.
 */
export class Debugger {
  private readonly breakpoints = new Set<Breakpoint>();
  private readonly passages = new Set<{ readonly address: bigint; readonly passed: () => void }>();
  private readonly stopListeners = new Set<(stop: DebugStop) => void>();
  private readonly resumeListeners = new Set<() => void>();
  private latest: DebugStop | undefined;
  private stepping: StepOptions | undefined;
  private clients = 0;

  constructor(private readonly target: DebugTarget) {}

  /** Why the guest stands still; undefined while it runs. */
  get stopped(): DebugStop | undefined {
    return this.latest;
  }

  /** Whether the machine's main loop must not run the guest. */
  get holds(): boolean {
    return this.latest !== undefined;
  }

  /** Registers and memory of the guest; consistent while it is {@link stopped}. */
  get view(): GuestView {
    return this.target.view;
  }

  /**
   * Sets a breakpoint.
   * @returns a function that takes it away again
   * @throws NodevmError `E_USAGE` for an address that is no bigint, such as that of a symbol which is not there,
   *   and for a watchpoint of no length
   */
  add(breakpoint: Breakpoint): () => void {
    requireAddress(breakpoint.address);
    if ('length' in breakpoint && !(breakpoint.length >= 1)) {
      throw new NodevmError(
        'E_USAGE',
        `length of a watchpoint is ${breakpoint.length}, expected at least 1`,
      );
    }
    const own = { ...breakpoint };
    this.breakpoints.add(own);
    this.publish();
    return () => {
      if (this.breakpoints.delete(own)) this.publish();
    };
  }

  /**
   * Calls `passed` each time the instruction at a linear address is next; the guest goes on.
   * @returns a function that takes it away again
   * @throws NodevmError `E_USAGE` for an address that is no bigint
   */
  whenAt(address: bigint, passed: () => void): () => void {
    requireAddress(address);
    const own = { address, passed };
    this.passages.add(own);
    this.publish();
    return () => {
      if (this.passages.delete(own)) this.publish();
    };
  }

  /** All breakpoints that are set, whoever did it. */
  list(): readonly Breakpoint[] {
    return [...this.breakpoints];
  }

  /** Calls `listener` each time the guest comes to stand still. Returns how to take it off. */
  onStop(listener: (stop: DebugStop) => void): () => void {
    this.stopListeners.add(listener);
    return () => this.stopListeners.delete(listener);
  }

  /** Calls `listener` each time the guest is let go. Returns how to take it off. */
  onResume(listener: () => void): () => void {
    this.resumeListeners.add(listener);
    return () => this.resumeListeners.delete(listener);
  }

  /** Somebody is there to whom a triple fault is a stop and not the end. Returns how to leave. */
  attach(): () => void {
    this.clients++;
    let attached = true;
    return () => {
      if (attached) this.clients--;
      attached = false;
    };
  }

  /** Stops the guest where it is; at once, since it only runs between turns of the event loop. */
  interrupt(): void {
    if (this.latest === undefined) this.report({ kind: 'interrupt' });
  }

  /** Lets the guest go on; a breakpoint at which it stands is not met again. */
  resume(): void {
    if (this.latest === undefined) return;
    this.stepping = undefined;
    this.target.native.cancelStep();
    this.release();
  }

  /**
   * Lets the guest execute one instruction, or deliver one exception.
   * @returns why it stopped then: something else may have come first
   * @throws NodevmError `E_STATE` while the guest runs
   */
  async step(options: StepOptions = {}): Promise<DebugStop> {
    const stopped = this.nextStop();
    this.beginStep(options);
    return stopped;
  }

  /** The same without waiting; {@link onStop} tells when it is done. */
  beginStep(options: StepOptions = {}): void {
    if (this.latest === undefined) {
      throw new NodevmError('E_STATE', 'guest is running, expected a stopped one for a step');
    }
    this.stepping = options;
    this.target.native.beginStep(options.interrupts !== true);
    this.release();
  }

  /** Lets the guest go on, and waits until it stands still again. */
  async continue(): Promise<DebugStop> {
    const stopped = this.nextStop();
    this.resume();
    return stopped;
  }

  /** The next time the guest comes to stand still. */
  nextStop(): Promise<DebugStop> {
    return new Promise((resolve) => {
      const off = this.onStop((stop) => {
        off();
        resolve(stop);
      });
    });
  }

  /** The value of a register. */
  getRegister(name: RegisterName): bigint {
    return this.target.native.getRegister(name);
  }

  /** Sets a register without any check; the guest has to stand still. */
  setRegister(name: RegisterName, value: bigint): void {
    this.target.native.setRegister(name, value);
  }

  /** A segment register with its hidden part. */
  getSegment(name: SegmentName): SegmentValue {
    return this.target.native.getSegment(name);
  }

  /** Sets a segment register with its hidden part; nothing is loaded from a descriptor table. */
  setSegment(name: SegmentName, value: SegmentValue): void {
    this.target.native.setSegment(name, value);
  }

  /** x87, SSE and AVX state, as {@link NativeCpu.readFpu} has it. */
  readFpu(): Uint8Array {
    return this.target.native.readFpu();
  }

  /** Sets x87, SSE and AVX state from an image as {@link readFpu} gives it. */
  writeFpu(image: Uint8Array): void {
    this.target.native.writeFpu(image);
  }

  /** What CPUID answers to `leaf`: EAX, EBX, ECX, EDX. */
  cpuid(leaf: number, subleaf = 0): readonly number[] {
    return this.target.native.cpuid(leaf, subleaf);
  }

  /** Whether the processor is in HLT. */
  get halted(): boolean {
    return this.target.native.halted;
  }

  /** Linear address of the next instruction. */
  get pc(): bigint {
    return this.view.codeAddress;
  }

  set pc(linear: bigint) {
    const base = this.view.codeBits === 64 ? 0n : this.getSegment('cs').base;
    this.setRegister('rip', BigInt.asUintN(64, linear - base));
  }

  /** Bytes from a linear address on: as many of `length` as are mapped to RAM in one go. */
  read(linear: bigint, length: number): Uint8Array {
    return this.view.read(linear, length);
  }

  /**
   * Writes by linear address, whatever the page tables forbid; code that was there is decoded anew.
   * @throws NodevmError `E_GUEST_ADDRESS`, with nothing written, where not all of it is mapped to RAM
   */
  write(linear: bigint, bytes: Uint8Array): void {
    const { view } = this;
    const pieces: [gpa: number, bytes: Uint8Array][] = [];
    for (let done = 0; done < bytes.length;) {
      const at = BigInt.asUintN(64, linear + BigInt(done));
      const gpa = view.translate(at);
      if (gpa === undefined) {
        throw new NodevmError(
          'E_GUEST_ADDRESS',
          `linear address 0x${at.toString(16)} is not mapped to RAM, expected one that is`,
        );
      }
      const room = Number(PAGE - (at % PAGE));
      pieces.push([gpa, bytes.subarray(done, done + room)]);
      done += room;
    }
    for (const [gpa, piece] of pieces) view.memory.write(gpa, piece);
  }

  /**
   * For the machine: run() came back with a debug exit.
   * @param cause its DebugCause
   * @param address the address that goes with it
   */
  arrived(cause: number, address: bigint): void {
    const access = WATCH_ACCESS.get(cause);
    if (access !== undefined) this.report({ kind: 'watchpoint', access, address });
    else if (cause === AT_BREAKPOINT) this.arrivedAt(address);
    else if (!this.goesOn()) this.report({ kind: 'step' });
  }

  /**
   * For the machine: the guest is in shutdown.
   * @returns whether somebody looks at it, so that this is not the end
   */
  catchesShutdown(): boolean {
    if (this.clients === 0 || this.lastReport?.kind === 'triple-fault') return false;
    this.report({ kind: 'triple-fault' });
    return true;
  }

  /** For the machine: the guest starts anew. */
  restarted(): void {
    this.lastReport = undefined;
  }

  private lastReport: DebugStop | undefined;

  /** Whether a step within a range has not left it yet; then it takes another one. */
  private goesOn(): boolean {
    const { range } = this.stepping ?? {};
    const { pc } = this;
    if (range === undefined || pc < range.start || pc >= range.end) return false;
    this.target.native.beginStep(this.stepping?.interrupts !== true);
    return true;
  }

  private report(stop: DebugStop): void {
    this.latest = this.lastReport = stop;
    this.stepping = undefined;
    this.target.native.holdClock(true);
    for (const listener of [...this.stopListeners]) listener(stop);
  }

  private release(): void {
    this.latest = undefined;
    this.target.native.holdClock(false);
    for (const listener of [...this.resumeListeners]) listener();
    this.target.wake();
  }

  private arrivedAt(address: bigint): void {
    const passages = [...this.passages].filter((passage) => passage.address === address);
    for (const { passed } of passages) passed();
    if (passages.length === 0 || this.stopsAt(address))
      this.report({ kind: 'breakpoint', address });
  }

  private stopsAt(linear: bigint): boolean {
    return [...this.breakpoints].some(({ kind, address }) =>
      kind === 'physical'
        ? this.view.translate(linear) === Number(address)
        : kind === 'linear' && address === linear,
    );
  }

  private publish(): void {
    const passages = [...this.passages].map(
      ({ address }) => ({ kind: 'linear', address }) as const,
    );
    this.target.native.setBreakpoints(
      [...this.breakpoints, ...passages].map((breakpoint): NativeBreakpoint => ({
        kind: NATIVE_KIND[breakpoint.kind],
        address: breakpoint.address,
        length: 'length' in breakpoint ? breakpoint.length : 1,
      })),
    );
  }
}

function requireAddress(address: unknown): void {
  if (typeof address === 'bigint') return;
  throw new NodevmError(
    'E_USAGE',
    `address of a breakpoint is ${String(address)}, expected a bigint`,
  );
}

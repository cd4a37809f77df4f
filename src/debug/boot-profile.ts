import type { AddressSpace } from '../bus/bus.js';
import { RecordKind } from '../native.js';
import type { Access } from './access-ring.js';
import { phaseOfStack, type BootPhase } from './boot-phase.js';
import type { PhaseWatch } from './phase-watch.js';
import { exceptionName } from './event-text.js';
import type { CpuEvent, ExecutionMode } from './events.js';
import type { Follower } from './trace-hub.js';

/** An event of the trace-event format, which Perfetto and chrome://tracing open; times in microseconds. */
export interface TraceEvent {
  readonly name: string;
  /** `X`: a span, `M`: what a track is called. */
  readonly ph: 'X' | 'M';
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  readonly args?: Readonly<Record<string, string | number>>;
}

/** What a boot profile looks at. */
export interface ProfiledGuest {
  readonly ports: AddressSpace;
  readonly mmio: AddressSpace;
  readonly phases: PhaseWatch;
  /** Where the processor is, innermost first: names of functions. */
  stack(): readonly string[];
  /** Looks at the processor for {@link phases}. */
  look(): void;
}

/** A span that is under way or over, in nanoseconds of guest time. */
interface Span {
  readonly name: string;
  readonly begin: number;
  end: number;
  count: number;
}

interface Entered {
  readonly name: string;
  readonly returnTo: bigint;
  readonly instructions: number;
}

/** The tracks, in the order in which they are shown. */
const TRACKS = ['phases', 'initcalls (sampled)', 'interrupts', 'exceptions'] as const;
const PHASES = 1;
const INITCALLS = 2;
const INTERRUPTS = 3;
const EXCEPTIONS = 4;
const FIRST_DEVICE = 10;

/** Accesses to a device that are closer than this belong together, in nanoseconds. */
const QUIET_NS = 50_000;
/** Instructions between two looks at the stack: a millisecond under icount. */
const SAMPLE_EVERY = 1_000_000;
/** More than this are not kept: a boot has a few ten thousand. */
const MOST_SPANS = 1_000_000;
const DEEPEST = 64;

/**
 * Follows a boot from outside: phases by where the processor is, interrupts and exceptions from entry to IRET,
 * devices by their accesses, exactly; initcalls by samples of the stack, since nothing in the guest tells.
 */
export class BootProfile implements Follower {
  readonly kinds = [
    RecordKind.Exception,
    RecordKind.Interrupt,
    RecordKind.InterruptReturn,
    RecordKind.ControlRegister,
    RecordKind.FarJump,
  ];
  until = SAMPLE_EVERY;

  private readonly events: TraceEvent[] = [];
  private readonly phaseSpans: Span[] = [];
  private readonly initcalls: Span[] = [];
  private readonly devices = new Map<string, { readonly track: number; span: Span }>();
  private readonly entered: Entered[] = [];
  private readonly pending: (CpuEvent | Access)[] = [];
  /** The latest return of the CPU, and the one before: in between, time is proportional. */
  private last = { instructions: 0, now: 0 };
  /** When the stack was looked at last. */
  private sampled = 0;

  constructor(private readonly guest: ProfiledGuest) {}

  event(event: CpuEvent): void {
    this.pending.push(event);
  }

  access(access: Access): void {
    this.pending.push(access);
  }

  returned(instructions: number, now: number): void {
    const before = this.last;
    const ran = Math.max(1, instructions - before.instructions);
    const timeOf = (count: number): number =>
      before.now + ((now - before.now) * Math.max(0, count - before.instructions)) / ran;
    for (const event of this.pending) {
      if ('cpl' in event) this.processor(event, timeOf);
      else this.device(event, timeOf(event.instructions));
    }
    this.pending.length = 0;
    this.last = { instructions, now };
    if (instructions >= this.until || this.phaseSpans.length === 0) this.sample(instructions, now);
  }

  /** The profile as a file of the trace-event format. */
  finish(): string {
    this.closeDevices();
    const names = [...TRACKS.map((name, n) => [n + 1, name] as const), ...this.deviceTracks()];
    const tracks = names.map(([tid, name]): TraceEvent => ({
      name: 'thread_name',
      ph: 'M',
      pid: 1,
      tid,
      ts: 0,
      args: { name },
    }));
    const phases = this.phaseSpans.map((span) => eventOf(span, PHASES));
    const initcalls = this.initcalls.map((span) => eventOf(span, INITCALLS));
    const traceEvents = [...tracks, ...phases, ...initcalls, ...this.events];
    return JSON.stringify({ displayTimeUnit: 'ms', traceEvents });
  }

  /** The phases, and the longest initcalls, for people. */
  summary(longest = 10): string[] {
    const row = (name: string, time: number): string =>
      `${(time / 1e6).toFixed(1).padStart(9)} ms  ${name}`;
    const initcalls = new Map<string, number>();
    for (const { name, begin, end } of this.initcalls) {
      initcalls.set(name, (initcalls.get(name) ?? 0) + end - begin);
    }
    const slowest = [...initcalls].sort(([, a], [, b]) => b - a).slice(0, longest);
    return [
      'boot phases:',
      ...this.phaseSpans.map(({ name, begin, end }) => row(name, end - begin)),
      ...(slowest.length > 0 ? ['longest initcalls, by samples:'] : []),
      ...slowest.map(([name, time]) => row(name, time)),
    ];
  }

  private processor(event: CpuEvent, timeOf: (count: number) => number): void {
    const { kind } = event;
    if (kind === 'interrupt' || kind === 'exception') {
      this.enter(kind, event.vector, event.address, event.instructions);
    } else if (kind === 'iret') {
      this.leave(event.target, event.instructions, timeOf);
      this.reach(event.target, event.targetCpl, event.targetMode, timeOf(event.instructions));
    } else if (kind === 'control-register' || kind === 'far-jump') {
      this.reach(event.address, event.cpl, event.mode, timeOf(event.instructions));
    }
  }

  private enter(kind: string, vector: number, returnTo: bigint, instructions: number): void {
    const name = kind === 'interrupt' ? `vector 0x${vector.toString(16)}` : exceptionName(vector);
    if (this.entered.length >= DEEPEST) this.entered.shift();
    this.entered.push({ name, returnTo, instructions });
  }

  /** The handler that an IRET ends is the innermost one that was entered from where it goes. */
  private leave(target: bigint, instructions: number, timeOf: (count: number) => number): void {
    const index = this.entered.findLastIndex(({ returnTo }) => returnTo === target);
    const found = this.entered[index];
    if (found === undefined) return;
    this.entered.length = index;
    const track = found.name.startsWith('vector') ? INTERRUPTS : EXCEPTIONS;
    const begin = timeOf(found.instructions);
    this.add(eventOf({ name: found.name, begin, end: timeOf(instructions), count: 1 }, track));
  }

  private reach(address: bigint, cpl: number, mode: ExecutionMode, now: number): void {
    if (this.guest.phases.see(address, cpl, mode)) this.phase(now);
  }

  private phase(now: number): void {
    const { phase } = this.guest.phases;
    const current = this.phaseSpans.at(-1);
    if (current) current.end = now;
    if (current?.name === (phase satisfies BootPhase)) return;
    this.phaseSpans.push({ name: phase, begin: current?.end ?? 0, end: now, count: 1 });
  }

  private sample(instructions: number, now: number): void {
    this.until = instructions + SAMPLE_EVERY;
    const { guest, sampled } = this;
    this.sampled = now;
    guest.look();
    const stack = guest.phases.phase === 'user' ? [] : guest.stack();
    const found = phaseOfStack(stack);
    if (found !== undefined) guest.phases.reach(found.name);
    this.phase(now);
    if (found?.name === 'initcalls' && found.detail !== undefined) {
      this.initcall(found.detail, sampled, now);
    }
  }

  private initcall(name: string, begin: number, now: number): void {
    const current = this.initcalls.at(-1);
    if (current?.name === name) {
      current.end = now;
      current.count++;
    } else {
      this.initcalls.push({ name, begin: Math.max(begin, current?.end ?? 0), end: now, count: 1 });
    }
  }

  private device({ kind, address }: Access, now: number): void {
    const space = kind === 'in' || kind === 'out' ? this.guest.ports : this.guest.mmio;
    const name = space.lookup(address)?.device.name ?? 'nothing';
    const known = this.devices.get(name);
    if (known === undefined) {
      const track = FIRST_DEVICE + this.devices.size;
      this.devices.set(name, { track, span: { name, begin: now, end: now, count: 1 } });
    } else if (now - known.span.end < QUIET_NS) {
      known.span.end = now;
      known.span.count++;
    } else {
      this.add(eventOf(known.span, known.track));
      known.span = { name, begin: now, end: now, count: 1 };
    }
  }

  private closeDevices(): void {
    for (const { track, span } of this.devices.values()) this.add(eventOf(span, track));
  }

  private deviceTracks(): (readonly [number, string])[] {
    return [...this.devices].map(([name, { track }]) => [track, name] as const);
  }

  private add(event: TraceEvent): void {
    if (this.events.length < MOST_SPANS) this.events.push(event);
  }
}

function eventOf({ name, begin, end, count }: Span, tid: number): TraceEvent {
  const args = count > 1 ? { args: { count } } : {};
  return { name, ph: 'X', pid: 1, tid, ts: begin / 1e3, dur: (end - begin) / 1e3, ...args };
}

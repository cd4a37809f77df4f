import { ExitReason, RecordKind, type NativeCpu, type RecordLayout } from '../native.js';
import type { Access, AccessRing } from './access-ring.js';
import { readEvent, type CpuEvent } from './events.js';

/** Linear addresses, both ends included. */
export interface AddressRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** Somebody who follows the guest: a trace, a profile, a trigger. All calls come between two runs of the CPU. */
export interface Follower {
  /** What of the processor's events it wants. */
  readonly kinds: readonly RecordKind[];
  /** Of blocks only those in here; undefined for all. */
  readonly ranges?: readonly AddressRange[] | undefined;
  /** Whether the CPU is to stop before each block, see {@link Follower.stopped}. */
  readonly stops?: boolean;
  event?(event: CpuEvent): void;
  access?(access: Access): void;
  /** Level of pin `pin` of the I/O APIC. */
  interruptLine?(pin: number, level: boolean): void;
  /** The CPU stands before a block that it was to stop at, or whose code has just been decoded. */
  stopped?(): void;
  /** The CPU came back for `reason`: `instructions` retired at guest time `now`, in nanoseconds. */
  returned?(instructions: number, now: number, reason: ExitReason): void;
  /** Instruction count at which the CPU has to come back next. */
  readonly until?: number | undefined;
}

/** Where it reads from. */
export interface HubSources {
  readonly native: NativeCpu;
  readonly layout: RecordLayout;
  readonly accesses: AccessRing;
}

const LITTLE_ENDIAN = true;

/**
 * Passes on to followers what the processor and the devices do, in order. Without a follower it costs a look
 * at {@link TraceHub.active} at each exit.
 */
export class TraceHub {
  /** Whether anybody follows. */
  active = false;

  private readonly followers = new Set<Follower>();
  private readonly levels: boolean[] = [];
  private view: DataView | undefined;
  /** Number of the first access that has not been passed on. */
  private nextAccess = 0;

  constructor(private readonly sources: HubSources) {}

  /**
   * From now on `follower` is told. Its wishes are looked at now; {@link TraceHub.update} after a change.
   * @returns a function that takes it off again
   */
  add(follower: Follower): () => void {
    if (!this.active) this.nextAccess = this.sources.accesses.count;
    this.followers.add(follower);
    this.update();
    return () => {
      if (this.followers.delete(follower)) this.update();
    };
  }

  /** Tells the processor what is wanted now. Not while it runs. */
  update(): void {
    const { native } = this.sources;
    const all = [...this.followers];
    this.active = all.length > 0;
    const kinds = all.flatMap((follower) => follower.kinds).reduce((m, kind) => m | (1 << kind), 0);
    const stops = all.some((follower) => follower.stops === true);
    native.setTrace(kinds, stops, rangesOf(all));
    this.view ??= this.active ? new DataView(native.traceBuffer) : undefined;
  }

  /** Instructions that the CPU may run from count `now` on before somebody has to look. */
  room(now: number): number {
    let room = Infinity;
    for (const { until } of this.followers) {
      if (until !== undefined && until > now) room = Math.min(room, until - now);
    }
    return room;
  }

  /** Passes on what has happened in the run of the CPU that ended with `reason`, and in serving its exit. */
  collect(reason: ExitReason, instructions: number, now: number): void {
    this.events();
    this.accesses();
    for (const follower of this.followers) {
      if (reason === ExitReason.Trace) follower.stopped?.();
      follower.returned?.(instructions, now, reason);
    }
  }

  /** An interrupt line has a level; told again and again while it has. */
  interruptLine(pin: number, level: boolean): void {
    if (!this.active || (this.levels[pin] ?? false) === level) return;
    this.levels[pin] = level;
    this.events();
    this.accesses();
    for (const follower of this.followers) follower.interruptLine?.(pin, level);
  }

  private events(): void {
    const { view } = this;
    const { layout } = this.sources;
    if (view === undefined) return;
    const count = view.getUint32(layout.traceCount, LITTLE_ENDIAN);
    // First, so that a follower that leaves or throws does not see it again.
    view.setUint32(layout.traceCount, 0, LITTLE_ENDIAN);
    for (let n = 0; n < count; n++) {
      const event = readEvent(view, layout.traceRecords + n * layout.byteLength, layout);
      for (const follower of this.followers) follower.event?.(event);
    }
  }

  private accesses(): void {
    const { accesses } = this.sources;
    if (accesses.count === this.nextAccess) return;
    const first = this.nextAccess;
    this.nextAccess = accesses.count;
    for (const access of accesses.since(first)) {
      for (const follower of this.followers) follower.access?.(access);
    }
  }
}

/** Whether a follower has to do with blocks, which {@link Follower.ranges} are about. */
function wantsBlocks({ kinds, stops }: Follower): boolean {
  return stops === true || kinds.includes(RecordKind.Block) || kinds.includes(RecordKind.Decode);
}

/** The ranges of all who want blocks, as pairs; empty for everything. */
function rangesOf(followers: readonly Follower[]): BigUint64Array {
  const ranges: bigint[] = [];
  for (const follower of followers.filter(wantsBlocks)) {
    if (follower.ranges === undefined) return new BigUint64Array();
    for (const { first, last } of follower.ranges) ranges.push(first, last);
  }
  // A range that holds nothing, where nobody wants any.
  return BigUint64Array.from(ranges.length > 0 ? ranges : [1n, 0n]);
}

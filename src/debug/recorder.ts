import type { RecordLayout } from '../native.js';
import type { Access, AccessRing } from './access-ring.js';
import type { Symbolizer } from './disassembler.js';
import { accessText, eventText, toJson } from './event-text.js';
import { readEvent, type CpuEvent } from './events.js';

const LITTLE_ENDIAN = true;

/** What the recorder remembers, in the order in which it happened. */
export type RecordedEvent = CpuEvent | Access;

/**
 * The flight recorder: what happened last, always on. The processor's part is written by C++: exceptions,
 * interrupts, far transfers, control registers, MSR writes, resets, and the entries of blocks from the
 * dispatcher (the interpreter's chained branches and the translator's are not among these). The accesses to
 * devices come from the exits.
 */
export class FlightRecorder {
  private readonly view: DataView;

  constructor(
    memory: ArrayBuffer,
    private readonly layout: RecordLayout,
    private readonly ring: AccessRing,
  ) {
    this.view = new DataView(memory);
  }

  /** The processor's events, oldest first; at most 4096. */
  events(): CpuEvent[] {
    const { layout, view } = this;
    return this.slots(layout.eventCount, layout.eventCapacity).map((slot) =>
      readEvent(view, layout.events + slot * layout.byteLength, layout),
    );
  }

  /** The accesses to devices, oldest first; at most 1024. */
  accesses(): Access[] {
    return this.ring.since(0);
  }

  /** RIPs of the blocks that the dispatcher entered last, oldest first; at most 64. */
  blocks(): bigint[] {
    const { layout, view } = this;
    return this.slots(layout.entryCount, layout.entryCapacity).map((slot) =>
      view.getBigUint64(layout.entries + slot * 8, LITTLE_ENDIAN),
    );
  }

  /** Events and accesses, oldest first. */
  timeline(): RecordedEvent[] {
    // Both lists are in order, and sort() keeps equals as they are: an access comes behind the events before it.
    return [...this.events(), ...this.accesses()].sort((a, b) => a.instructions - b.instructions);
  }

  /**
   * The timeline as lines, text or JSON.
   * @param last how many of the newest; default all
   * @param symbolize names addresses
   */
  dump(
    format: 'text' | 'jsonl',
    { last = Infinity, symbolize }: { last?: number; symbolize?: Symbolizer } = {},
  ): string[] {
    const events = this.timeline().slice(-Math.min(last, Number.MAX_SAFE_INTEGER));
    return events.map((event) => {
      if (format === 'jsonl') return toJson(event, symbolize);
      const text = 'cpl' in event ? eventText(event, symbolize) : accessText(event);
      return `${event.instructions}: ${text}`;
    });
  }

  /** Slots of a ring in the order in which they were written. */
  private slots(countOffset: number, capacity: number): number[] {
    const count = Number(this.view.getBigUint64(countOffset, LITTLE_ENDIAN));
    const first = Math.max(0, count - capacity);
    return Array.from({ length: count - first }, (_, n) => (first + n) % capacity);
  }
}

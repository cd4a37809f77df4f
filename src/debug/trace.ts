import { NodevmError } from '../errors.js';
import type { Machine } from '../machine.js';
import { Disassembler, type AssemblySyntax } from './disassembler.js';
import { TraceFilter, type Place, type TraceFilterSpec } from './trace-filter.js';
import { traceItems } from './trace-items.js';
import { TraceOutput, type TraceBounds, type TraceSink } from './trace-output.js';
import { ConsoleWatch, CountFollower, SymbolFollower, type Trigger } from './trace-triggers.js';
import { Tracer } from './tracer.js';

export type { TraceSink } from './trace-output.js';

/** What is to be traced, and how. */
export interface TraceOptions extends TraceBounds {
  /** Items as in `-d`: those of `traceItems`, and names of devices. */
  readonly items: readonly string[];
  readonly filter?: TraceFilterSpec | undefined;
  /** Default `text`. */
  readonly format?: 'text' | 'jsonl' | undefined;
  /** Default `intel`. */
  readonly syntax?: AssemblySyntax | undefined;
  /** When it begins and ends; default at once, and with the machine. */
  readonly from?: Trigger | undefined;
  readonly to?: Trigger | undefined;
}

/** A trace of a machine. */
export interface Trace {
  /** Ends it: what has been collected goes to the sink. May be repeated. */
  stop(): void;
}

/**
 * Traces a machine that is not running, or between two of its slices.
 * @param sink takes the lines, many at a time
 * @throws NodevmError `E_USAGE` for an item that does not exist
 */
export async function startTrace(
  machine: Machine,
  options: TraceOptions,
  sink: TraceSink,
): Promise<Trace> {
  checkItems(machine, options.items);
  const run = new TraceRun(machine, options, sink, await Disassembler.load());
  run.arm();
  return run;
}

function checkItems(machine: Machine, items: readonly string[]): void {
  const { ports, mmio } = machine.board;
  const devices = [...ports.ranges(), ...mmio.ranges()].map(({ device }) => device.name);
  const known = [...new Set([...traceItems.map(({ name }) => name), ...devices])];
  const unknown = items.find((item) => !known.includes(item));
  if (unknown === undefined && items.length > 0) return;
  throw new NodevmError(
    'E_USAGE',
    `trace item is ${JSON.stringify(unknown ?? '')}, expected one of ${known.join(', ')}`,
  );
}

/** One trace from its beginning to its end. */
class TraceRun implements Trace {
  private readonly tracer: Tracer;
  private readonly endings: (() => void)[] = [];
  private stopped = false;

  constructor(
    private readonly machine: Machine,
    private readonly options: TraceOptions,
    sink: TraceSink,
    disassembler: Disassembler,
  ) {
    const { view, symbols, phases, cpu } = machine;
    const { ports, mmio } = machine.board;
    const { items, format = 'text', syntax = 'intel' } = options;
    const filter = new TraceFilter(options.filter);
    const output = new TraceOutput(sink, options);
    this.tracer = new Tracer(
      { items, filter, format, syntax, output },
      { view, symbols, ports, mmio, disassembler, phases, instructions: () => cpu.instructions },
      () => this.stop(),
      () => machine.hub.update(),
    );
  }

  /** Waits for the beginning. */
  arm(): void {
    const { from } = this.options;
    if (from === undefined) this.begin();
    else this.once(from, () => this.begin());
  }

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    for (const end of this.endings) end();
    this.tracer.end();
  }

  private begin(): void {
    const { machine, options } = this;
    this.endings.push(machine.hub.add(this.tracer));
    if (options.to !== undefined) this.once(options.to, () => this.stop());
  }

  /** Calls `then` when `trigger` fires, which it does once at most. */
  private once(trigger: Trigger, then: () => void): void {
    let done = false;
    const fire = (): void => {
      if (done || this.stopped) return;
      done = true;
      remove();
      then();
    };
    const remove = watch(this.machine, trigger, fire);
    this.endings.push(remove);
  }
}

/** Calls `fire` when a trigger is met, until the function that it returns is called. */
function watch(machine: Machine, trigger: Trigger, fire: () => void): () => void {
  switch (trigger.kind) {
    case 'console':
      return watchConsole(machine, new ConsoleWatch(trigger.pattern, fire));
    case 'count':
      return machine.hub.add(new CountFollower(trigger.count, fire));
    case 'place':
      return watchPlace(machine, trigger.place, fire);
  }
}

function watchPlace({ hub, symbols, debugger: points }: Machine, place: Place, fire: () => void) {
  const address = typeof place === 'bigint' ? place : symbols.address(place);
  if (address !== undefined) return points.whenAt(address, fire);
  const waiting = new SymbolFollower(String(place), symbols, (found) => {
    remove();
    remove = points.whenAt(found, fire);
  });
  let remove = hub.add(waiting);
  return () => remove();
}

function watchConsole(machine: Machine, watch: ConsoleWatch): () => void {
  const offs = machine.consoles.map((console) => console.onOutput((bytes) => watch.feed(bytes)));
  return () => {
    for (const off of offs) off();
  };
}

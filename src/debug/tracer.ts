import type { AddressSpace } from '../bus/bus.js';
import { RecordKind } from '../native.js';
import type { Access } from './access-ring.js';
import type { BootPhase } from './boot-phase.js';
import { lookAtPhase, type PhaseWatch } from './phase-watch.js';
import { cpuLines } from './cpu-text.js';
import {
  formatInstruction,
  type AssemblySyntax,
  type Disassembler,
  type Symbolizer,
} from './disassembler.js';
import { accessText, addressText, eventText, toJson } from './event-text.js';
import type { CpuEvent } from './events.js';
import type { GuestView } from './guest-view.js';
import type { TraceFilter, SymbolSource } from './trace-filter.js';
import type { AddressRange, Follower } from './trace-hub.js';
import { traceItems, type TraceItem } from './trace-items.js';
import type { TraceOutput } from './trace-output.js';
import { SYMBOL_WAIT } from './trace-triggers.js';

/** What a trace is made from. */
export interface TracerOptions {
  /** Names of {@link traceItems} and of devices. */
  readonly items: readonly string[];
  readonly filter: TraceFilter;
  readonly format: 'text' | 'jsonl';
  readonly syntax: AssemblySyntax;
  readonly output: TraceOutput;
}

/** The guest that is traced. */
export interface TracedGuest {
  readonly view: GuestView;
  readonly symbols: SymbolSource & { readonly name: Symbolizer };
  readonly ports: AddressSpace;
  readonly mmio: AddressSpace;
  readonly disassembler: Disassembler;
  readonly phases: PhaseWatch;
  instructions(): number;
}

/** Blocks that `in_asm` remembers to have printed; when there are more, it begins anew. */
const MOST_PRINTED = 1 << 18;

/** Instructions between two looks at where the processor is, for the phases of the boot. */
const LOOK_EVERY = 100_000;

/** Turns what the guest does into lines: the items of `-d`. */
export class Tracer implements Follower {
  readonly kinds: readonly RecordKind[];
  readonly stops: boolean;

  private readonly names: ReadonlySet<string>;
  private readonly itemsOf = new Map<CpuEvent['kind'], string[]>();
  private readonly printed = new Set<string>();
  private phase: BootPhase | undefined;
  private nextLook = 0;
  private nextResolve = 0;
  private readonly watchesPhase: boolean;

  constructor(
    private readonly options: TracerOptions,
    private readonly guest: TracedGuest,
    /** Called once the output takes no more. */
    private readonly onFull: () => void,
    /** Called when {@link Tracer.ranges} have changed. */
    private readonly onRanges: () => void,
  ) {
    this.names = new Set(options.items);
    const items = traceItems.filter(({ name }) => this.names.has(name));
    for (const { name, events } of items) {
      for (const event of events) {
        this.itemsOf.set(event, [...(this.itemsOf.get(event) ?? []), name]);
      }
    }
    this.watchesPhase = this.names.has('boot') || options.filter.needsPhase;
    this.kinds = [...new Set(items.flatMap((item) => this.kindsOf(item)))];
    this.stops = this.names.has('cpu');
    options.filter.resolve(guest.symbols);
  }

  /** What of the code is to be shown, where that is limited. */
  get ranges(): readonly AddressRange[] | undefined {
    return this.options.filter.ranges;
  }

  /** Symbols of the filter are found once the kernel is in its place. */
  get until(): number | undefined {
    return this.options.filter.waits ? this.nextResolve : undefined;
  }

  event(event: CpuEvent): void {
    if (this.watchesPhase) this.seeEvent(event);
    const [item] = this.itemsOf.get(event.kind) ?? [];
    if (item === undefined || !this.options.filter.passes(event)) return;
    if (event.kind === 'decode') this.disassemble(event);
    else this.print(item, event, () => eventText(event, this.guest.symbols.name));
  }

  access(access: Access): void {
    const port = access.kind === 'in' || access.kind === 'out';
    const space = port ? this.guest.ports : this.guest.mmio;
    const device = space.lookup(access.address)?.device.name;
    const item = [port ? 'io' : 'mmio', device ?? 'guest_errors'].find((name) =>
      this.names.has(name),
    );
    if (item === undefined || !this.passesHere()) return;
    const text = () => accessText(access, device ?? 'nothing');
    this.print(item, access, text, { device: device ?? 'nothing' });
  }

  interruptLine(pin: number, level: boolean): void {
    if (!this.names.has('irq') || !this.passesHere()) return;
    const line = { kind: 'interrupt-line', pin, level, instructions: this.guest.instructions() };
    this.write(line.instructions, 'irq', `line ${pin} ${level ? 'up' : 'down'}`, () =>
      JSON.stringify({ item: 'irq', ...line }),
    );
  }

  stopped(): void {
    if (!this.stops || !this.passesHere()) return;
    const lines = cpuLines(this.guest.view);
    const instructions = this.guest.instructions();
    if (this.options.format === 'jsonl') {
      this.options.output.line(JSON.stringify({ item: 'cpu', instructions, registers: lines }));
    } else {
      this.write(instructions, 'cpu', `\n${lines.join('\n')}`, () => '');
    }
  }

  returned(instructions: number): void {
    if (this.options.filter.waits) this.resolve(instructions);
    if (this.watchesPhase && instructions >= this.nextLook) this.look(instructions);
    this.options.output.flushOld();
    if (this.options.output.full) this.onFull();
  }

  /** Ends the trace: what has been kept is passed on. */
  end(): void {
    this.options.output.end();
  }

  private kindsOf({ name, kinds }: TraceItem): readonly RecordKind[] {
    // Where the mode or the half of the address space can change.
    return name === 'boot' || this.watchesPhase
      ? [...kinds, RecordKind.ControlRegister, RecordKind.FarJump, RecordKind.InterruptReturn]
      : kinds;
  }

  private resolve(instructions: number): void {
    this.nextResolve = instructions + SYMBOL_WAIT;
    if (this.options.filter.resolve(this.guest.symbols)) this.onRanges();
  }

  private look(instructions: number): void {
    this.nextLook = this.guest.phases.phase === 'user' ? Infinity : instructions + LOOK_EVERY;
    lookAtPhase(this.guest.phases, this.guest.view);
    this.tellPhase(instructions, this.guest.view.codeAddress);
  }

  /** The boot was found to be in a phase by what is at `address`. */
  private tellPhase(instructions: number, address: bigint): void {
    const { phases } = this.guest;
    if (phases.phase === this.phase) return;
    this.phase = this.options.filter.phase = phases.phase;
    if (!this.names.has('boot')) return;
    const at = { kind: 'phase', phase: phases.phase, instructions };
    const text = `${phases.phase} at ${addressText(address, this.guest.symbols.name)}`;
    this.write(instructions, 'boot', text, () => JSON.stringify({ item: 'boot', ...at }));
  }

  private seeEvent(event: CpuEvent): void {
    const { phases } = this.guest;
    if ('target' in event) phases.see(event.target, event.targetCpl, event.targetMode);
    else if (event.kind === 'control-register') phases.see(event.address, event.cpl, event.mode);
    this.tellPhase(event.instructions, 'target' in event ? event.target : event.address);
  }

  /** For what has no place of its own in the code: where the processor is now. */
  private passesHere(): boolean {
    const { filter } = this.options;
    const { view } = this.guest;
    if (!filter.needsSituation) return filter.passes({ address: 0n, cpl: 0 });
    return filter.passes({ address: view.codeAddress, cpl: view.cpl });
  }

  private disassemble(event: Extract<CpuEvent, { kind: 'block' | 'decode' }>): void {
    const { view, disassembler, symbols } = this.guest;
    const bytes = this.codeAt(event);
    const key = `${event.address}:${Buffer.from(bytes).toString('latin1')}`;
    if (this.printed.has(key)) return;
    if (this.printed.size >= MOST_PRINTED) this.printed.clear();
    this.printed.add(key);
    const bits = event.mode === '64' ? 64 : event.mode === '32' ? 32 : 16;
    const lines = disassembler
      .disassemble(bytes, {
        address: event.address,
        mode: bits,
        base: bits === 64 ? 0n : view.segment('cs').base,
        syntax: this.options.syntax,
        symbolize: symbols.name,
      })
      .map((instruction) => formatInstruction(instruction));
    const head = `IN: ${symbols.name(event.address) ?? ''}`.trim();
    this.write(event.instructions, 'in_asm', [head, ...lines].join('\n'), () =>
      toJson(event, symbols.name, { item: 'in_asm', code: lines.join('\n') }),
    );
  }

  private codeAt({ address, gpa, bytes }: Extract<CpuEvent, { kind: 'block' | 'decode' }>) {
    const { view } = this.guest;
    const withinPage = (Number(gpa) & 0xfff) + bytes <= 0x1000;
    const known = withinPage && view.memory.contains(Number(gpa), bytes);
    return known ? view.memory.read(Number(gpa), bytes) : view.read(address, bytes);
  }

  private print(
    item: string,
    event: CpuEvent | Access,
    text: () => string,
    more: Readonly<Record<string, string>> = {},
  ): void {
    this.write(event.instructions, item, text, () =>
      toJson(event, this.guest.symbols.name, { item, ...more }),
    );
  }

  private write(
    instructions: number,
    item: string,
    text: string | (() => string),
    json: () => string,
  ): void {
    const { format, output } = this.options;
    if (output.full) return;
    if (format === 'jsonl') output.line(json());
    else output.line(`${instructions} ${item}: ${typeof text === 'string' ? text : text()}`);
  }
}

import { NodevmError } from '../errors.js';
import { parsePlace, type Place, type SymbolSource } from './trace-filter.js';
import type { AddressRange, Follower } from './trace-hub.js';

/** When a trace begins or ends. */
export type Trigger =
  /** So many instructions are retired. */
  | { readonly kind: 'count'; readonly count: number }
  /** The processor comes to that place. */
  | { readonly kind: 'place'; readonly place: Place }
  /** The guest has printed this. */
  | { readonly kind: 'console'; readonly pattern: RegExp };

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9 };

/**
 * Parses `SYMBOL`, `0xADDRESS`, `COUNT[K|M|G]` or `/console regex/`.
 * @param option whose value it is
 * @throws NodevmError `E_USAGE`
 */
export function parseTrigger(option: string, value: string): Trigger {
  const expected =
    'a symbol, an address (0x...), an instruction count (5000, 20M) or /a regular expression/';
  const bad = (cause?: unknown): NodevmError =>
    new NodevmError('E_USAGE', `--${option} ${JSON.stringify(value)}: expected ${expected}`, {
      cause,
    });
  const [, source, flags] = /^\/(.+)\/([imsu]*)$/.exec(value) ?? [];
  if (source !== undefined) {
    try {
      return { kind: 'console', pattern: new RegExp(source, flags) };
    } catch (cause) {
      throw bad(cause);
    }
  }
  const [, digits, unit = ''] = /^(\d+)([KMG]?)$/i.exec(value) ?? [];
  if (digits !== undefined) {
    const count = Number(digits) * (UNITS[unit.toUpperCase()] ?? NaN);
    if (!Number.isSafeInteger(count)) throw bad();
    return { kind: 'count', count };
  }
  const place = parsePlace(value);
  if (place === undefined) throw bad();
  return { kind: 'place', place };
}

/** Instructions between two looks for a symbol that is not there yet. */
export const SYMBOL_WAIT = 20_000;

/** Fires once so many instructions are retired, exactly there. */
export class CountFollower implements Follower {
  readonly kinds = [];

  constructor(
    readonly until: number,
    private readonly fire: () => void,
  ) {}

  returned(instructions: number): void {
    if (instructions >= this.until) this.fire();
  }
}

/** Fires when the processor is about to run the block at a place. */
export class PlaceFollower implements Follower {
  readonly kinds = [];
  readonly stops = true;
  private address: bigint | undefined;
  private nextLook = 0;

  /**
   * @param here where the processor is
   * @param onRanges called when {@link PlaceFollower.ranges} have changed
   */
  constructor(
    private readonly place: Place,
    private readonly symbols: SymbolSource,
    private readonly here: () => bigint,
    private readonly onRanges: () => void,
    private readonly fire: () => void,
  ) {
    this.address = typeof place === 'bigint' ? place : symbols.address(place);
  }

  get ranges(): readonly AddressRange[] {
    return this.address === undefined ? [] : [{ first: this.address, last: this.address }];
  }

  /** Symbols are found once the kernel is in its place, which is looked for often enough. */
  get until(): number | undefined {
    return this.address === undefined ? this.nextLook : undefined;
  }

  returned(instructions: number): void {
    if (this.address !== undefined) return;
    this.nextLook = instructions + SYMBOL_WAIT;
    this.resolve();
  }

  stopped(): void {
    if (this.here() === this.address) this.fire();
  }

  private resolve(): void {
    if (typeof this.place === 'bigint') return;
    this.address = this.symbols.address(this.place);
    if (this.address !== undefined) this.onRanges();
  }
}

/** Bytes of console output in which a pattern is looked for. */
const CONSOLE_TAIL = 4096;

/** Fires when the guest has printed what matches a pattern. */
export class ConsoleWatch {
  private tail = '';

  constructor(
    private readonly pattern: RegExp,
    private readonly fire: () => void,
  ) {}

  /** The guest printed `bytes`. */
  feed(bytes: Uint8Array): void {
    this.tail = (this.tail + Buffer.from(bytes).toString('latin1')).slice(-CONSOLE_TAIL);
    if (this.pattern.test(this.tail)) this.fire();
  }
}

import { NodevmError } from '../errors.js';
import { parsePlace, type Place, type SymbolSource } from './trace-filter.js';
import type { Follower } from './trace-hub.js';

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

/** Waits until a symbol has an address, and tells it: once the kernel is in its place. */
export class SymbolFollower implements Follower {
  readonly kinds = [];
  until = 0;

  constructor(
    private readonly name: string,
    private readonly symbols: SymbolSource,
    private readonly found: (address: bigint) => void,
  ) {}

  returned(instructions: number): void {
    this.until = instructions + SYMBOL_WAIT;
    const address = this.symbols.address(this.name);
    if (address !== undefined) this.found(address);
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

import { NodevmError } from '../errors.js';
import { BOOT_PHASES, type BootPhase } from './boot-phase.js';
import type { AddressRange } from './trace-hub.js';

/** A place in the guest: an address, or a symbol whose address is known once the kernel is in memory. */
export type Place = bigint | string;

/** One range of a filter before its symbols are resolved. */
interface RangeSpec {
  readonly start: Place;
  /** `..` an end, `+` a length from the start on, `-` a length that ends with the start. */
  readonly operator: '..' | '+' | '-' | undefined;
  readonly operand: bigint;
}

/** What `-dfilter` says. */
export interface TraceFilterSpec {
  readonly ranges: readonly RangeSpec[];
  readonly cpls: readonly number[];
  readonly phases: readonly BootPhase[];
}

/** Answers where symbols are. */
export interface SymbolSource {
  address(name: string): bigint | undefined;
  resolve(address: bigint): { readonly size: bigint } | undefined;
}

const NUMBER = /^(0x[0-9a-f]+|\d+)$/i;
const SYMBOL = /^[A-Za-z_.$][\w.$]*$/;
const EXPECTED =
  'start..end, start+length or start-length (numbers or symbols), cpl=N, phase=NAME, joined by commas';

/**
 * Parses the value of `-dfilter`: QEMU's address ranges, symbols (alone: all of the function), `cpl=0`,
 * `phase=kernel`.
 * @throws NodevmError `E_USAGE`
 */
export function parseFilter(value: string): TraceFilterSpec {
  const ranges: RangeSpec[] = [];
  const cpls: number[] = [];
  const phases: BootPhase[] = [];
  for (const part of value.split(',')) {
    const [, key, setting] = /^(cpl|phase)=(.*)$/.exec(part) ?? [];
    const phase = BOOT_PHASES.find((name) => name === setting);
    if (key === undefined) ranges.push(parseRange(part, value));
    else if (key === 'phase' && phase !== undefined) phases.push(phase);
    else if (key === 'cpl' && /^[0-3]$/.test(setting ?? '')) cpls.push(Number(setting));
    else throw bad(part, key === 'cpl' ? 'cpl=0 to cpl=3' : `one of ${BOOT_PHASES.join(', ')}`);
  }
  return { ranges, cpls, phases };
}

/**
 * Parses an address or a symbol's name.
 * @returns undefined for what is neither
 */
export function parsePlace(text: string): Place | undefined {
  if (NUMBER.test(text)) return BigInt(text);
  return SYMBOL.test(text) ? text : undefined;
}

function parseRange(part: string, value: string): RangeSpec {
  const [, from = '', operator, operand] =
    /^(.+?)(?:(\.\.|[+-])(0x[0-9a-f]+|\d+))?$/i.exec(part) ?? [];
  const start = parsePlace(from);
  if (start === undefined) throw bad(value, EXPECTED);
  if (operator === undefined && typeof start === 'bigint') throw bad(part, EXPECTED);
  const spec = {
    start,
    operator: operator as RangeSpec['operator'],
    operand: BigInt(operand ?? 0),
  };
  const empty =
    operator === '..' ? typeof start === 'bigint' && spec.operand < start : spec.operand < 1n;
  if (operator !== undefined && empty) throw bad(part, 'a range that is not empty');
  return spec;
}

const bad = (value: string, expected: string): NodevmError =>
  new NodevmError('E_USAGE', `--dfilter ${JSON.stringify(value)}: expected ${expected}`);

/** What a filter is asked about. */
export interface Situation {
  readonly address: bigint;
  readonly cpl: number;
}

/** A filter at work. Everything passes through one without a specification. */
export class TraceFilter {
  /** The phase that the boot is in. */
  phase: BootPhase = 'setup';

  private resolved: readonly AddressRange[] | undefined;
  private complete = false;

  constructor(private readonly spec: TraceFilterSpec = { ranges: [], cpls: [], phases: [] }) {}

  /** Whether code addresses and privilege matter, which cost something to find out for devices' accesses. */
  get needsSituation(): boolean {
    return this.spec.ranges.length > 0 || this.spec.cpls.length > 0;
  }

  /** Whether the phase of the boot matters. */
  get needsPhase(): boolean {
    return this.spec.phases.length > 0;
  }

  /** Whether there are symbols whose addresses are not known yet. */
  get waits(): boolean {
    return !this.complete && this.spec.ranges.some(({ start }) => typeof start === 'string');
  }

  /** The ranges as far as they are known; undefined where there is no limit. */
  get ranges(): readonly AddressRange[] | undefined {
    if (this.spec.ranges.length === 0) return undefined;
    return this.resolved ?? this.spec.ranges.flatMap((spec) => known(spec));
  }

  /**
   * Looks for symbols again.
   * @returns whether {@link TraceFilter.ranges} have changed
   */
  resolve(symbols: SymbolSource): boolean {
    if (!this.waits) return false;
    const before = this.ranges?.length ?? 0;
    const found = this.spec.ranges.map((spec) => known(spec, symbols));
    this.resolved = found.flat();
    this.complete = found.every((ranges) => ranges.length > 0);
    return this.resolved.length !== before;
  }

  /** Whether what happens at `at` is to be shown. */
  passes(at: Situation): boolean {
    const { cpls, phases } = this.spec;
    if (cpls.length > 0 && !cpls.includes(at.cpl)) return false;
    if (phases.length > 0 && !phases.includes(this.phase)) return false;
    const { ranges } = this;
    return ranges?.some(({ first, last }) => at.address >= first && at.address <= last) ?? true;
  }
}

/** The range of a specification; none while its symbol is not known. */
function known(spec: RangeSpec, symbols?: SymbolSource): AddressRange[] {
  const { start: place, operator, operand } = spec;
  const start = typeof place === 'bigint' ? place : symbols?.address(place);
  if (start === undefined) return [];
  switch (operator) {
    case '..':
      return [{ first: start, last: operand }];
    case '+':
      return [{ first: start, last: start + operand - 1n }];
    // As QEMU counts: the start is the last one.
    case '-':
      return [{ first: start - operand + 1n, last: start }];
    case undefined:
      return [{ first: start, last: start + (symbols?.resolve(start)?.size ?? 1n) - 1n }];
  }
}

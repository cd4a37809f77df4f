import { closeSync, openSync, writeSync } from 'node:fs';
import process from 'node:process';

import { NodevmError } from '../errors.js';
import type { AssemblySyntax } from '../debug/disassembler.js';
import type { TraceFilterSpec } from '../debug/trace-filter.js';
import { parseFilter } from '../debug/trace-filter.js';
import { parseTrigger, type Trigger } from '../debug/trace-triggers.js';
import { startTrace } from '../debug/trace.js';
import type { Machine } from '../machine.js';
import type { OptionRow } from './options.js';
import { usageError } from './values.js';

/** What the command line says about traces. */
export interface TraceCliOptions {
  /** Items of `-d`; no trace when empty, the list of them when `help` is among them. */
  items: string[];
  /** File that the trace goes to; stderr where undefined. */
  file: string | undefined;
  filter: TraceFilterSpec | undefined;
  from: Trigger | undefined;
  to: Trigger | undefined;
  format: 'text' | 'jsonl';
  syntax: AssemblySyntax;
  limit: number | undefined;
  ring: number | undefined;
}

/** No trace. */
export const noTrace = (): TraceCliOptions => ({
  items: [],
  file: undefined,
  filter: undefined,
  from: undefined,
  to: undefined,
  format: 'text',
  syntax: 'intel',
  limit: undefined,
  ring: undefined,
});

/** Most lines that a ring may keep: they are held in memory. */
const LARGEST_RING = 10e6;

/** The options of traces. */
export const traceRows: readonly OptionRow[] = [
  {
    name: 'd',
    argument: 'items',
    help: 'trace these, joined by commas: int, io, exec and others; -d help lists them',
    apply: ({ trace }, value) => trace.items.push(...value.split(',')),
  },
  {
    name: 'D',
    argument: 'file',
    help: 'where the trace goes; default stderr',
    apply: ({ trace }, value) => (trace.file = value),
  },
  {
    name: 'dfilter',
    argument: 'ranges',
    help: 'trace only code in start..end, start+length, start-length or a function, at cpl=N, in phase=NAME; joined by commas',
    apply: ({ trace }, value) => (trace.filter = parseFilter(value)),
  },
  {
    name: 'trace-from',
    argument: 'trigger',
    help: 'begin the trace there: a symbol, an address (0x...), an instruction count (20M) or /a regular expression/ for the console',
    apply: ({ trace }, value) => (trace.from = parseTrigger('trace-from', value)),
  },
  {
    name: 'trace-to',
    argument: 'trigger',
    help: 'end the trace there; written as --trace-from',
    apply: ({ trace }, value) => (trace.to = parseTrigger('trace-to', value)),
  },
  {
    name: 'trace-format',
    argument: 'format',
    fallback: 'text',
    help: 'text, or jsonl (an object a line)',
    apply: ({ trace }, value) => {
      if (value !== 'text' && value !== 'jsonl') {
        throw usageError('trace-format', value, 'text or jsonl');
      }
      trace.format = value;
    },
  },
  {
    name: 'trace-syntax',
    argument: 'syntax',
    fallback: 'intel',
    help: 'intel or att, for the disassembly of in_asm',
    apply: ({ trace }, value) => {
      if (value !== 'intel' && value !== 'att') {
        throw usageError('trace-syntax', value, 'intel or att');
      }
      trace.syntax = value;
    },
  },
  {
    name: 'trace-limit',
    argument: 'lines',
    help: 'end the trace after so many lines (5000, 10K, 1M)',
    apply: ({ trace }, value) => (trace.limit = parseLines('trace-limit', value, Infinity)),
  },
  {
    name: 'trace-ring',
    argument: 'lines',
    help: 'keep only the last so many lines, and write them at the end',
    apply: ({ trace }, value) => (trace.ring = parseLines('trace-ring', value, LARGEST_RING)),
  },
];

const LINE_UNITS: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6 };

function parseLines(option: string, value: string, most: number): number {
  const [, digits, unit = ''] = /^(\d+)([KM]?)$/i.exec(value) ?? [];
  const lines = Number(digits) * (LINE_UNITS[unit.toUpperCase()] ?? NaN);
  if (Number.isSafeInteger(lines) && lines >= 1 && lines <= most) return lines;
  throw usageError(option, value, `a number of lines from 1${most < Infinity ? ' to 10M' : ' up'}`);
}

/**
 * Begins the trace that the options ask for, if any.
 * @returns ends it
 * @throws NodevmError `E_FILE` for a file that cannot be written, `E_USAGE` for an unknown item
 */
export async function traceOf(machine: Machine, options: TraceCliOptions): Promise<() => void> {
  const { items, file } = options;
  if (items.length === 0) return () => undefined;
  const output = file === undefined ? undefined : openTrace(file);
  const sink = (text: string): void => {
    if (output === undefined) process.stderr.write(text);
    else writeSync(output, text);
  };
  const trace = await startTrace(machine, options, sink);
  return () => {
    trace.stop();
    if (output !== undefined) closeSync(output);
  };
}

function openTrace(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError('E_FILE', `-D ${JSON.stringify(path)}: cannot be written: ${why}`, {
      cause,
    });
  }
}

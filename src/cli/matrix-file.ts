/** The file of `nodevm test`: which kernels, archives and commands, and what is expected of them. */
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, resolve } from 'node:path';

import { NodevmError } from '../errors.js';
import { defaultImages } from '../images.js';
import type { ClockSource } from '../native.js';
import { parseMatrixText } from './matrix-syntax.js';
import { parseDuration, parseMemorySize } from './values.js';

/** Something with a name that results are reported under. */
interface Named {
  readonly name: string;
}

/** A command and what is expected of it. */
export interface MatrixCommand extends Named {
  readonly run: string;
  readonly status: number;
  /** What standard output has to match. */
  readonly stdout: RegExp | undefined;
  readonly stderr: RegExp | undefined;
  /** Host time for the command, milliseconds. */
  readonly timeout: number | undefined;
}

/** Everything that is to be tried with everything. */
export interface Matrix {
  readonly kernels: readonly (Named & { readonly path: string })[];
  readonly initrds: readonly (Named & { readonly paths: readonly string[] })[];
  readonly commands: readonly MatrixCommand[];
  readonly append: string | undefined;
  readonly memory: number | undefined;
  readonly clock: ClockSource | undefined;
  /** Host time for one guest, milliseconds. */
  readonly timeout: number | undefined;
  readonly ready: string | undefined;
  /** A guest of its own for each command. */
  readonly fresh: boolean;
}

const FIELDS = new Set([
  ...['kernels', 'initrds', 'commands', 'append', 'memory', 'clock', 'timeout', 'ready', 'fresh'],
]);
const COMMAND_FIELDS = new Set(['run', 'status', 'stdout', 'stderr', 'timeout']);

type Table = Readonly<Record<string, unknown>>;

/**
 * Reads a matrix; paths in it are relative to it. NODEVM_KERNEL, NODEVM_INITRD and NODEVM_TIMEOUT take the
 * places of what it says; without kernels and archives it is about the default guest.
 * @throws NodevmError `E_FILE` or `E_USAGE`, naming the field
 */
export async function readMatrix(path: string, env: NodeJS.ProcessEnv): Promise<Matrix> {
  const table = parseMatrixText(path, await readText(path));
  const unknown = Object.keys(table).find((field) => !FIELDS.has(field));
  if (unknown !== undefined) throw bad(unknown, 'is unknown', [...FIELDS].join(', '));
  const place = (file: string): string => resolve(dirname(path), file);
  const timeout = env.NODEVM_TIMEOUT ?? text(table, 'timeout');
  const memory = text(table, 'memory');
  const clock = text(table, 'clock');
  if (clock !== undefined && clock !== 'host' && clock !== 'icount') {
    throw bad('clock', `is ${clock}`, 'host or icount');
  }
  return {
    kernels: await kernelsOf(table.kernels, place, env),
    initrds: await initrdsOf(table.initrds, place, env),
    commands: commandsOf(table.commands),
    append: text(table, 'append'),
    memory: memory === undefined ? undefined : parseMemorySize(memory),
    clock,
    timeout: timeout === undefined ? undefined : parseDuration(timeout),
    ready: text(table, 'ready'),
    fresh: table.fresh === true,
  };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError('E_FILE', `matrix ${path}: ${why}`, { cause });
  }
}

async function kernelsOf(
  value: unknown,
  place: (file: string) => string,
  { NODEVM_KERNEL: override = '' }: NodeJS.ProcessEnv,
): Promise<Matrix['kernels']> {
  if (override !== '') return [{ name: override, path: resolve(override) }];
  if (value === undefined) return [{ name: 'default', path: (await defaultImages()).kernel }];
  return entriesOf('kernels', value).map(([name, path]) => {
    if (typeof path !== 'string') throw bad(`kernels.${name}`, 'is no text', 'a path');
    return { name, path: place(path) };
  });
}

async function initrdsOf(
  value: unknown,
  place: (file: string) => string,
  { NODEVM_INITRD: override = '' }: NodeJS.ProcessEnv,
): Promise<Matrix['initrds']> {
  if (override !== '') {
    const paths = override.split(delimiter).map((path) => resolve(path));
    return [{ name: override, paths }];
  }
  if (value === undefined) return [{ name: 'default', paths: [(await defaultImages()).initrd] }];
  return entriesOf('initrds', value).map(([name, paths]) => {
    const list: readonly unknown[] = Array.isArray(paths) ? paths : [paths];
    if (!list.every((path) => typeof path === 'string')) {
      throw bad(`initrds.${name}`, 'is no text', 'a path or a list of paths');
    }
    return { name, paths: list.map(place) };
  });
}

function commandsOf(value: unknown): readonly MatrixCommand[] {
  if (value === undefined) throw bad('commands', 'is missing', 'a list or a table of commands');
  return entriesOf('commands', value).map(([name, command]) => {
    const field = `commands.${name}`;
    const table: unknown = typeof command === 'string' ? { run: command } : command;
    if (!isTable(table)) throw bad(field, 'is no command', 'a command, or a table with run');
    const unknown = Object.keys(table).find((key) => !COMMAND_FIELDS.has(key));
    if (unknown !== undefined) {
      throw bad(`${field}.${unknown}`, 'is unknown', [...COMMAND_FIELDS].join(', '));
    }
    const run = text(table, 'run', field);
    if (run === undefined) throw bad(`${field}.run`, 'is missing', 'a command');
    const { status = 0 } = table;
    if (typeof status !== 'number' || !Number.isInteger(status) || status < 0 || status > 255) {
      throw bad(`${field}.status`, `is ${JSON.stringify(status)}`, 'an integer from 0 to 255');
    }
    const timeout = text(table, 'timeout', field);
    return {
      name,
      run,
      status,
      stdout: pattern(table, 'stdout', field),
      stderr: pattern(table, 'stderr', field),
      timeout: timeout === undefined ? undefined : parseDuration(timeout),
    };
  });
}

/** Names and values: of a table, or of a list, whose members that are texts name themselves. */
function entriesOf(field: string, value: unknown): readonly [string, unknown][] {
  const entries = Array.isArray(value)
    ? value.map((item: unknown, i): [string, unknown] => [
        typeof item === 'string' ? item : String(i + 1),
        item,
      ])
    : isTable(value)
      ? Object.entries(value)
      : [];
  if (entries.length === 0) throw bad(field, 'is empty', 'a list or a table');
  return entries;
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(table: Table, key: string, within = ''): string | undefined {
  const value = table[key];
  if (value === undefined || typeof value === 'string') return value;
  throw bad(within === '' ? key : `${within}.${key}`, `is ${JSON.stringify(value)}`, 'a text');
}

function pattern(table: Table, key: string, within: string): RegExp | undefined {
  const source = text(table, key, within);
  if (source === undefined) return undefined;
  try {
    return new RegExp(source, 'm');
  } catch {
    throw bad(`${within}.${key}`, `is ${JSON.stringify(source)}`, 'a regular expression');
  }
}

function bad(field: string, what: string, expected: string): NodevmError {
  return new NodevmError('E_USAGE', `matrix: ${field} ${what}, expected ${expected}`);
}

/** Memory and numbers as the monitor shows them: `x/4xg`, `xp/16xb`, `x/10i`, `p/d`. */
import { NodevmError } from '../errors.js';
import type { Machine } from '../machine.js';
import { Disassembler, formatInstruction, MAX_INSTRUCTION_BYTES } from './disassembler.js';

/** Letters that show numbers. */
export const NUMBER_LETTERS = 'xduoc';

const SIZES: Readonly<Record<string, number>> = { b: 1, h: 2, w: 4, g: 8 };
const DEFAULT_SIZE = 4;
const BYTES_PER_LINE = 16;
/** Most units of one command: a typing error should not print for minutes. */
const MOST_UNITS = 65_536;
const LONGEST_TEXT = 4096;

interface Format {
  readonly count: number;
  readonly letter: string;
  readonly size: number;
}

/**
 * What `x/FMT address` prints.
 * @param physical whether the address is a guest physical one
 * @throws NodevmError `E_USAGE` for a format or an expression that is none
 */
export async function dumpMemory(
  machine: Machine,
  argument: string,
  physical: boolean,
  value: (text: string) => bigint,
): Promise<string> {
  const [, formatText = '', address = ''] = /^(?:\/(\w*)\s*)?([^]*)$/.exec(argument) ?? [];
  const format = parseFormat(formatText);
  const start = value(address);
  const read = (at: bigint, length: number): Uint8Array =>
    physical ? readPhysical(machine, at, length) : machine.debugger.read(at, length);
  if (format.letter === 'i') return disassemble(machine, start, format.count, read);
  if (format.letter === 's') return strings(start, format.count, read);
  return numbers(start, format, read);
}

/** A number the way a letter says; `padded` to the width of its size in bytes. */
export function formatNumber(value: bigint, letter: string, size: number, padded = true): string {
  const bits = size * 8;
  switch (letter) {
    case 'd':
      return BigInt.asIntN(bits, value).toString();
    case 'u':
      return value.toString();
    case 'o':
      return `0${value.toString(8)}`;
    case 'c':
      return `'${character(Number(value & 0xffn))}'`;
    default:
      return `0x${value.toString(16).padStart(padded ? size * 2 : 1, '0')}`;
  }
}

function parseFormat(text: string): Format {
  const [, digits, letters = ''] = /^(\d*)(\w*)$/.exec(text) ?? [];
  const count = digits === undefined || digits === '' ? 1 : Number(digits);
  const size = /[bhwg]/.exec(letters)?.[0];
  const letter = letters.replace(/[bhwg]/, '');
  const known = letter === '' || (letter.length === 1 && `${NUMBER_LETTERS}is`.includes(letter));
  if (!known || count < 1 || count > MOST_UNITS) {
    throw new NodevmError(
      'E_USAGE',
      `format /${text}: expected a count up to ${MOST_UNITS}, one of ${NUMBER_LETTERS}is, and one of bhwg`,
    );
  }
  const fallback = letter === 'c' ? 1 : DEFAULT_SIZE;
  return {
    count,
    letter: letter || 'x',
    size: size === undefined ? fallback : (SIZES[size] ?? fallback),
  };
}

function readPhysical({ memory }: Machine, at: bigint, length: number): Uint8Array {
  const gpa = Number(at);
  return memory.contains(gpa, length) ? memory.read(gpa, length) : new Uint8Array();
}

function numbers(
  start: bigint,
  { count, letter, size }: Format,
  read: (at: bigint, length: number) => Uint8Array,
): string {
  const lines: string[] = [];
  const perLine = BYTES_PER_LINE / size;
  for (let done = 0; done < count; done += perLine) {
    const at = BigInt.asUintN(64, start + BigInt(done * size));
    const wanted = Math.min(perLine, count - done);
    const bytes = read(at, wanted * size);
    const units = Math.floor(bytes.length / size);
    const texts = Array.from({ length: units }, (_, n) =>
      formatNumber(littleEndian(bytes.subarray(n * size, (n + 1) * size)), letter, size),
    );
    if (units < wanted) texts.push('cannot be read');
    lines.push(`${address16(at)}: ${texts.join(' ')}\n`);
    if (units < wanted) break;
  }
  return lines.join('');
}

function strings(
  start: bigint,
  count: number,
  read: (at: bigint, length: number) => Uint8Array,
): string {
  const lines: string[] = [];
  let at = start;
  for (let n = 0; n < count; n++) {
    const bytes = read(at, LONGEST_TEXT);
    if (bytes.length === 0) return `${lines.join('')}${address16(at)}: cannot be read\n`;
    const end = bytes.indexOf(0);
    const text = Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('latin1');
    lines.push(`${address16(at)}: ${JSON.stringify(text)}\n`);
    at = BigInt.asUintN(64, at + BigInt((end < 0 ? bytes.length : end) + 1));
  }
  return lines.join('');
}

async function disassemble(
  machine: Machine,
  start: bigint,
  count: number,
  read: (at: bigint, length: number) => Uint8Array,
): Promise<string> {
  const disassembler = await Disassembler.load();
  const bytes = read(start, count * MAX_INSTRUCTION_BYTES);
  if (bytes.length === 0) return `${address16(start)}: cannot be read\n`;
  const { codeBits, paging } = machine.view;
  // No kernel runs without paging, and a search for one that is not there takes its time.
  const symbolize = paging.format === 'none' ? undefined : machine.symbols.name;
  const base = codeBits === 64 ? 0n : machine.view.segment('cs').base;
  const lines = disassembler.disassemble(bytes, {
    address: start,
    mode: codeBits,
    base,
    count,
    symbolize,
  });
  return lines.map((line) => `${formatInstruction(line, symbolize)}\n`).join('');
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function address16(address: bigint): string {
  return address.toString(16).padStart(16, '0');
}

function character(byte: number): string {
  const printable = byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c;
  return printable ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** Symbols out of files: System.map and what else nm prints, and .symtab of an ELF file. */
import { NodevmError } from '../errors.js';
import { readBigint, readNumber } from '../loader/binary.js';
import { isElf } from '../loader/elf.js';
import { SymbolTable } from './symbol-table.js';

/** A line of nm: address, type, name. */
const NM_LINE = /^([0-9a-f]{8}|[0-9a-f]{16}) ([A-Za-z?]) (\S+)$/;

const SHT_SYMTAB = 2;
/** Sections of symbols that are no places: SHN_UNDEF, SHN_ABS. */
const NO_PLACE = [0, 0xfff1];
/** Types of symbols that are places in code or data: STT_NOTYPE, STT_OBJECT, STT_FUNC. */
const PLACES = [0, 1, 2];

/** Where things are in the headers, by e_ident[EI_CLASS]. */
const CLASSES = {
  1: {
    header: { shoff: 0x20, shentsize: 0x2e },
    section: { type: 4, offset: 0x10, size: 0x14, link: 0x18 },
    symbol: { size: 16, value: 4, info: 12, section: 14 },
    word: 4,
  },
  2: {
    header: { shoff: 0x28, shentsize: 0x3a },
    section: { type: 4, offset: 0x18, size: 0x20, link: 0x28 },
    symbol: { size: 24, value: 8, info: 4, section: 6 },
    word: 8,
  },
} as const;

/**
 * Reads a file of symbols.
 * @param name what the file is called in errors
 * @throws NodevmError `E_FILE` where it has none
 */
export function readSymbolFile(bytes: Uint8Array, name: string): SymbolTable {
  const table = isElf(bytes) ? readSymtab(bytes) : readNm(bytes);
  if (table !== undefined && table.names.length > 0) return table;
  const expected = isElf(bytes) ? 'a .symtab (this file is stripped)' : 'lines as nm prints them';
  throw new NodevmError('E_FILE', `symbols ${name}: has no symbols, expected ${expected}`);
}

function readNm(bytes: Uint8Array): SymbolTable {
  const symbols: [string, bigint][] = [];
  for (const line of Buffer.from(bytes).toString('latin1').split('\n')) {
    const [, address, type, name] = NM_LINE.exec(line.trimEnd()) ?? [];
    if (address !== undefined && name !== undefined && type !== 'U') {
      symbols.push([name, BigInt(`0x${address}`)]);
    }
  }
  return SymbolTable.of(symbols);
}

/** The symbols of an ELF file; undefined where it has none. */
export function readSymtab(bytes: Uint8Array): SymbolTable | undefined {
  const layout = CLASSES[bytes[4] === 1 ? 1 : 2];
  const word = (at: number): number =>
    layout.word === 4 ? readNumber(bytes, at, 4) : Number(readBigint(bytes, at));
  const sections = word(layout.header.shoff);
  const entry = readNumber(bytes, layout.header.shentsize, 2);
  const count = readNumber(bytes, layout.header.shentsize + 2, 2);
  const at = (index: number): number => sections + index * entry;
  for (let index = 0; index < count; index++) {
    if (readNumber(bytes, at(index) + layout.section.type, 4) !== SHT_SYMTAB) continue;
    const range = (section: number): Uint8Array => {
      const start = word(at(section) + layout.section.offset);
      return bytes.subarray(start, start + word(at(section) + layout.section.size));
    };
    const strings = range(readNumber(bytes, at(index) + layout.section.link, 4));
    return SymbolTable.of(symbolsOf(range(index), strings, layout));
  }
  return undefined;
}

function* symbolsOf(
  table: Uint8Array,
  strings: Uint8Array,
  { symbol, word }: (typeof CLASSES)[1 | 2],
): Generator<[string, bigint]> {
  const text = Buffer.from(strings.buffer, strings.byteOffset, strings.length);
  for (let at = 0; at + symbol.size <= table.length; at += symbol.size) {
    const type = readNumber(table, at + symbol.info, 1) & 15;
    const section = readNumber(table, at + symbol.section, 2);
    if (NO_PLACE.includes(section) || !PLACES.includes(type)) continue;
    const start = readNumber(table, at, 4);
    const end = text.indexOf(0, start);
    const name = text.toString('latin1', start, end < 0 ? text.length : end);
    const value = at + symbol.value;
    const address = word === 4 ? BigInt(readNumber(table, value, 4)) : readBigint(table, value);
    if (name !== '') yield [name, address];
  }
}

/** bzip2 (BZIP2: Format Specification, Joe Tsai): Huffman, move to front, Burrows-Wheeler, run lengths. */
import type { Output } from './output.js';
import { Reader } from './reader.js';

const BLOCK_MAGIC = 0x3141_5926_5359;
const END_MAGIC = 0x1772_4538_5090;
const LEVEL_UNIT = 100_000;
const MAX_CODE_LENGTH = 20;
const GROUP_SIZE = 50;
const RUN_A = 0;
const RUN_B = 1;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit++) value = value < 0 ? (value << 1) ^ 0x04c1_1db7 : value << 1;
  return value;
});

/** Unpacks one stream; each block's CRC is verified. */
export function bunzip2(input: Uint8Array, start: number, output: Output): number {
  const reader = new Reader('bzip2', input, start + 2);
  const version = reader.u8();
  const level = reader.u8() - 0x30;
  if (version !== 0x68 || level < 1 || level > 9)
    throw reader.bad('its header is not BZh1 to BZh9');
  const bits = new BitReader(reader);
  const order = new Uint32Array(level * LEVEL_UNIT);
  for (;;) {
    const magic = bits.read(24) * 2 ** 24 + bits.read(24);
    const sum = bits.read(16) * 2 ** 16 + bits.read(16);
    if (magic === END_MAGIC) return reader.at;
    if (magic !== BLOCK_MAGIC)
      throw reader.bad('there is neither a block nor the end of the stream');
    unpackBlock(bits, order, output, sum);
  }
}

/** Bits, the highest of a byte first. */
class BitReader {
  private pending = 0;
  private count = 0;

  constructor(readonly reader: Reader) {}

  /** The next bits, at most 24. */
  read(count: number): number {
    while (this.count < count) {
      this.pending = ((this.pending << 8) | this.reader.u8()) >>> 0;
      this.count += 8;
    }
    this.count -= count;
    const value = this.pending >>> this.count;
    this.pending &= (1 << this.count) - 1;
    return value;
  }
}

function unpackBlock(bits: BitReader, order: Uint32Array, output: Output, sum: number): void {
  const { reader } = bits;
  if (bits.read(1) !== 0)
    throw reader.bad('it is randomised, which only versions before 0.9.5 did');
  const origin = bits.read(24);
  const symbols = readSymbolMap(bits);
  const { selectors, tables } = readTables(bits, symbols.length + 2);
  const length = readSymbols(bits, { symbols, selectors, tables }, order);
  if (origin >= length) throw reader.bad(`origin is ${origin}, expected less than ${length}`);
  linkRows(order, length);
  const from = output.length;
  undoRuns(order, length, origin, output);
  if (crcOf(output.take().subarray(from)) !== sum) {
    throw reader.bad('CRC of a block is wrong: it is damaged');
  }
}

/** The byte values that occur, as a map of 16 rows of 16 bits. */
function readSymbolMap(bits: BitReader): Uint8Array {
  const rows = bits.read(16);
  const symbols: number[] = [];
  for (let row = 0; row < 16; row++) {
    if ((rows & (0x8000 >> row)) === 0) continue;
    const columns = bits.read(16);
    for (let column = 0; column < 16; column++) {
      if (columns & (0x8000 >> column)) symbols.push(row * 16 + column);
    }
  }
  if (symbols.length === 0) throw bits.reader.bad('a block uses no byte value');
  return Uint8Array.from(symbols);
}

interface Tables {
  /** For each 50 symbols, which table they are coded with. */
  readonly selectors: Uint8Array;
  readonly tables: readonly HuffmanTable[];
}

function readTables(bits: BitReader, alphabet: number): Tables {
  const { reader } = bits;
  const count = bits.read(3);
  const groups = bits.read(15);
  if (count < 2 || count > 6 || groups === 0) {
    throw reader.bad(`it has ${count} tables for ${groups} groups, expected 2 to 6 for at least 1`);
  }
  const recent = Array.from({ length: count }, (_, index) => index);
  const selectors = Uint8Array.from({ length: groups }, () => {
    let index = 0;
    while (bits.read(1) === 1) index++;
    const [table] = recent.splice(index, 1);
    if (table === undefined) throw reader.bad('a selector names a table that is not there');
    recent.unshift(table);
    return table;
  });
  const tables = Array.from({ length: count }, () => readTable(bits, alphabet));
  return { selectors, tables };
}

function readTable(bits: BitReader, alphabet: number): HuffmanTable {
  let length = bits.read(5);
  const lengths = Uint8Array.from({ length: alphabet }, () => {
    for (;;) {
      if (length < 1 || length > MAX_CODE_LENGTH) {
        throw bits.reader.bad(`a code has ${length} bits, expected 1 to ${MAX_CODE_LENGTH}`);
      }
      if (bits.read(1) === 0) return length;
      length += bits.read(1) === 0 ? 1 : -1;
    }
  });
  return new HuffmanTable(lengths);
}

/** A canonical Huffman code. */
class HuffmanTable {
  /** For each length, how many codes there are, and the symbols by code. */
  private readonly counts = new Uint16Array(MAX_CODE_LENGTH + 1);
  private readonly sorted: Uint16Array;

  constructor(lengths: Uint8Array) {
    for (const length of lengths) this.counts[length] = (this.counts[length] as number) + 1;
    const byCode = Array.from(lengths, (length, symbol) => ({ length, symbol }));
    byCode.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
    this.sorted = Uint16Array.from(byCode, ({ symbol }) => symbol);
  }

  decode(bits: BitReader): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= MAX_CODE_LENGTH; length++) {
      code = code * 2 + bits.read(1);
      const count = this.counts[length] as number;
      if (code - first < count) return this.sorted[index + code - first] as number;
      index += count;
      first = (first + count) * 2;
    }
    throw bits.reader.bad('a code stands for nothing');
  }
}

/** Undoes Huffman coding and move to front; the bytes land in `order`. @returns how many there are */
function readSymbols(
  bits: BitReader,
  { symbols, selectors, tables }: Tables & { symbols: Uint8Array },
  order: Uint32Array,
): number {
  const { reader } = bits;
  const endOfBlock = symbols.length + 1;
  let length = 0;
  let run = 0;
  let runUnit = 1;
  for (const selector of selectors) {
    const table = tables[selector];
    for (let index = 0; table !== undefined && index < GROUP_SIZE; index++) {
      const symbol = table.decode(bits);
      if (symbol === RUN_A || symbol === RUN_B) {
        run += runUnit << symbol;
        runUnit *= 2;
        if (run > order.length) throw reader.bad('a run is longer than the block');
        continue;
      }
      if (length + run >= order.length + (symbol === endOfBlock ? 1 : 0)) {
        throw reader.bad(`a block has more than ${order.length} bytes`);
      }
      order.fill(symbols[0] as number, length, length + run);
      length += run;
      run = 0;
      runUnit = 1;
      if (symbol === endOfBlock) return length;
      const byte = symbols[symbol - 1] as number;
      symbols.copyWithin(1, 0, symbol - 1);
      symbols[0] = byte;
      order[length++] = byte;
    }
  }
  throw reader.bad('a block has no end');
}

/** Puts into the upper 24 bits of each entry where the row that follows it is. */
function linkRows(order: Uint32Array, length: number): void {
  const starts = new Uint32Array(257);
  for (let index = 0; index < length; index++) {
    const next = (order[index] as number) + 1;
    starts[next] = (starts[next] as number) + 1;
  }
  for (let byte = 1; byte <= 256; byte++) {
    starts[byte] = (starts[byte] as number) + (starts[byte - 1] as number);
  }
  for (let index = 0; index < length; index++) {
    const byte = (order[index] as number) & 0xff;
    const row = starts[byte] as number;
    starts[byte] = row + 1;
    order[row] = ((order[row] as number) | (index << 8)) >>> 0;
  }
}

/** Walks the rows, and undoes the first step: after four equal bytes comes a count of more of them. */
function undoRuns(order: Uint32Array, length: number, origin: number, output: Output): void {
  let row = (order[origin] as number) >>> 8;
  let equal = 0;
  let previous = -1;
  for (let index = 0; index < length; index++) {
    const entry = order[row] as number;
    const byte = entry & 0xff;
    row = entry >>> 8;
    if (equal === 4) {
      if (byte > 0) output.repeatLast(byte);
      equal = 0;
      previous = -1;
      continue;
    }
    equal = byte === previous ? equal + 1 : 1;
    previous = byte;
    output.push(byte);
  }
}

function crcOf(data: Uint8Array): number {
  let crc = -1;
  for (const byte of data) crc = (crc << 8) ^ (CRC_TABLE[(crc >>> 24) ^ byte] as number);
  return ~crc >>> 0;
}

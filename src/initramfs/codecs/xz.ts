/** xz (The .xz File Format): one stream of blocks of LZMA2, with the filter for x86 code or without. */
import { undoBcjX86 } from './bcj-x86.js';
import { crc32 } from './crc32.js';
import { LzmaDecoder } from './lzma.js';
import type { Output } from './output.js';
import { Reader } from './reader.js';

const MAGIC_LENGTH = 6;
const LZMA2 = 0x21;
/** "5.3.2. Branch/Call/Jump Filters for Executables", the one for x86. */
const BCJ_X86 = 0x04;
/** LZMA2 keeps lc + lp at or below this. */
const LZMA2_CONTEXTS = 4;
/** The one kind of check that the kernel verifies. */
export const CHECK_CRC32 = 1;
/** "2.1.1.2. Stream Flags": length in bytes of each kind of check. */
const CHECK_LENGTHS = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const;

/** The kind of check of a stream ("2.1.1.2. Stream Flags"); the kernel takes 0 (none) and 1 (CRC32). */
export function xzCheck(input: Uint8Array, start: number): number {
  return (input[start + MAGIC_LENGTH + 1] ?? 0) & 15;
}

/** Unpacks one stream. Headers and CRC32 checks are verified; other checks are passed over. */
export function unxz(input: Uint8Array, start: number, output: Output): number {
  const reader = new Reader('xz', input, start + MAGIC_LENGTH);
  const flags = reader.take(2);
  verify(reader, flags, 'stream header');
  const check = xzCheck(input, start);
  let blocks = 0;
  for (;;) {
    const headerStart = reader.at;
    const size = reader.u8();
    if (size === 0) {
      skipIndex(reader, headerStart, blocks);
      break;
    }
    const hasBranches = readBlockHeader(reader, headerStart, (size + 1) * 4);
    unpackBlock(reader, output, check, hasBranches);
    blocks++;
  }
  skipFooter(reader);
  return reader.at;
}

/** Compares the CRC32 that comes next with that of `part`. */
function verify(reader: Reader, part: Uint8Array, name: string): void {
  if (reader.u32() !== crc32(part))
    throw reader.bad(`CRC32 of the ${name} is wrong: it is damaged`);
}

/** "3.1. Block Header"; leaves the reader behind it. @returns whether the x86 filter was used */
function readBlockHeader(reader: Reader, start: number, length: number): boolean {
  const flags = reader.u8();
  if (flags & 0x40) variableInteger(reader);
  if (flags & 0x80) variableInteger(reader);
  const filters = Array.from({ length: (flags & 3) + 1 }, () => readFilter(reader));
  const hasBranches = filters.length === 2 && filters[0] === BCJ_X86;
  if (filters.at(-1) !== LZMA2 || (filters.length > 1 && !hasBranches)) {
    const names = filters.map((filter) => `0x${filter.toString(16)}`).join(', ');
    throw reader.bad(`the filters are ${names}, expected LZMA2 alone or behind the x86 filter`);
  }
  reader.at = start;
  const header = reader.take(length - 4);
  verify(reader, header, 'block header');
  return hasBranches;
}

/** "3.1.5. List of Filter Flags". A start offset of the x86 filter would be a property of it: none is taken. */
function readFilter(reader: Reader): number {
  const filter = variableInteger(reader);
  const properties = variableInteger(reader);
  if (filter === BCJ_X86 && properties !== 0) throw reader.bad('the x86 filter has a start offset');
  reader.take(properties);
  return filter;
}

function unpackBlock(reader: Reader, output: Output, check: number, hasBranches: boolean): void {
  const inputStart = reader.at;
  const outputStart = output.length;
  unpackChunks(reader, output);
  if (hasBranches) undoBcjX86(output.take().subarray(outputStart));
  reader.take(-(reader.at - inputStart) & 3);
  if (check === CHECK_CRC32) verify(reader, output.take().subarray(outputStart), 'block');
  else reader.take(CHECK_LENGTHS[check] ?? 0);
}

/**
 * LZMA2, "5.3.1. LZMA2": a control byte says whether a chunk is LZMA or stored, and what is reset before
 * it; 0 ends them.
 */
function unpackChunks(reader: Reader, output: Output): void {
  const decoder = new LzmaDecoder(reader, output);
  let needsDictionary = true;
  let needsProperties = true;
  for (;;) {
    const control = reader.u8();
    if (control === 0) return;
    const isStored = control < 0x80;
    if (isStored ? control > 2 : needsProperties && control < 0xc0) {
      throw reader.bad(`LZMA2 control byte is ${control}, expected one that is valid there`);
    }
    if (control === 1 || control >= 0xe0) {
      decoder.resetDictionary();
      needsDictionary = false;
    } else if (needsDictionary) {
      throw reader.bad(`LZMA2 control byte is ${control}, expected a dictionary reset`);
    }
    if (isStored) {
      output.append(reader.take(reader.u16be() + 1));
      continue;
    }
    needsProperties = false;
    unpackChunk(reader, decoder, control);
  }
}

function unpackChunk(reader: Reader, decoder: LzmaDecoder, control: number): void {
  const { output } = decoder;
  const size = (control & 0x1f) * 0x1_0000 + reader.u16be() + 1;
  const packedSize = reader.u16be() + 1;
  if (control >= 0xc0) decoder.setProperties(reader.u8(), LZMA2_CONTEXTS);
  if (control >= 0xa0) decoder.resetState();
  const end = reader.at + packedSize;
  output.reserve(size);
  decoder.startRange();
  if (!decoder.decode(output.length + size) || reader.at !== end) {
    throw reader.bad('an LZMA2 chunk does not have its stated size');
  }
}

/** "4. Index"; its first byte was read. */
function skipIndex(reader: Reader, start: number, blocks: number): void {
  const records = variableInteger(reader);
  if (records !== blocks) throw reader.bad(`the index has ${records} records, expected ${blocks}`);
  for (let index = 0; index < 2 * records; index++) variableInteger(reader);
  const length = reader.at - start + (-(reader.at - start) & 3);
  reader.at = start;
  verify(reader, reader.take(length), 'index');
}

/** "2.1.2. Stream Footer". */
function skipFooter(reader: Reader): void {
  const sum = reader.u32();
  const fields = reader.take(6);
  if (sum !== crc32(fields)) throw reader.bad('CRC32 of the stream footer is wrong: it is damaged');
  if (Buffer.from(reader.take(2)).toString('latin1') !== 'YZ') {
    throw reader.bad('the stream footer has no "YZ" at its end');
  }
}

/** "1.2. Multibyte Integers"; more than six bytes are more than any size here. */
function variableInteger(reader: Reader): number {
  let value = 0;
  for (let index = 0; index < 6; index++) {
    const byte = reader.u8();
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return value;
  }
  throw reader.bad('a number is longer than six bytes');
}

/** Zstandard (RFC 8878): frames are delimited here, and unpacked by fzstd. */
import { Decompress } from 'fzstd';
import { NodevmError } from '../../errors.js';
import type { Output } from './output.js';
import { Reader } from './reader.js';

const MAGIC_LENGTH = 4;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;
/** What the kernel's decoder accepts, ZSTD_WINDOWLOG_MAX of its 32-bit limit: a window of 128 MiB. */
const MAX_WINDOW = 2 ** 27;

/** Unpacks one frame. A content checksum is passed over. */
export function unzstd(input: Uint8Array, start: number, output: Output): number {
  const reader = new Reader('zstd', input, start + MAGIC_LENGTH);
  const hasChecksum = readFrameHeader(reader, output.limit);
  skipBlocks(reader);
  if (hasChecksum) reader.take(4);
  const decoder = new Decompress((part) => output.append(part));
  try {
    decoder.push(input.subarray(start, reader.at), true);
  } catch (cause) {
    if (cause instanceof NodevmError) throw cause; // the limit's
    throw reader.bad(cause instanceof Error ? cause.message : String(cause), cause);
  }
  return reader.at;
}

/** "3.1.1.1. Frame Header". @returns whether a checksum ends the frame */
function readFrameHeader(reader: Reader, limit: number): boolean {
  const descriptor = reader.u8();
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  let window = 0;
  if (!isSingleSegment) {
    const byte = reader.u8();
    window = 2 ** (10 + (byte >> 3)) * (1 + (byte & 7) / 8);
  }
  const dictionaryLength = [0, 1, 2, 4][descriptor & 3] ?? 0;
  if (reader.le(dictionaryLength) !== 0) throw reader.bad('it needs a dictionary');
  const sizeLength = sizeFlag === 0 ? Number(isSingleSegment) : 2 ** sizeFlag;
  const low = reader.le(Math.min(sizeLength, 4));
  const size = low + (sizeLength === 8 ? reader.u32() * 2 ** 32 : 0) + (sizeFlag === 1 ? 256 : 0);
  if (isSingleSegment) window = size;
  const most = isSingleSegment ? Math.max(limit, MAX_WINDOW) : MAX_WINDOW;
  if (window > most) throw reader.bad(`its window is ${window} bytes, expected at most ${most}`);
  return (descriptor & 4) !== 0;
}

/** "3.1.1.2. Blocks": each begins with its kind and length. */
function skipBlocks(reader: Reader): void {
  for (;;) {
    const header = reader.le(3);
    const kind = (header >> 1) & 3;
    if (kind === RESERVED_BLOCK) throw reader.bad('a block is of the reserved kind');
    reader.take(kind === RLE_BLOCK ? 1 : header >> 3);
    if (header & 1) return;
  }
}

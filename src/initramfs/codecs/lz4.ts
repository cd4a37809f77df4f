/**
 * The "legacy frame" of LZ4 (LZ4 Frame Format Description), which is the one that the kernel reads:
 * magic, then blocks of a 32-bit length and LZ4 block data (LZ4 Block Format Description).
 */
import type { Decoded } from './codec.js';
import { Output, SHORT_RUN } from './output.js';
import { Reader } from './reader.js';

const LEGACY_MAGIC = 0x184c_2102;
const BLOCK_SIZE = 8 * 1024 * 1024;
/** Room that LZ4 needs for incompressible data. */
const LARGEST_BLOCK = BLOCK_SIZE + Math.floor(BLOCK_SIZE / 255) + 16;
const MIN_MATCH = 4;
/** A length in a token that goes on behind it. */
const LONG_RUN = 15;

/** Unpacks a legacy frame, which ends where no possible block follows. */
export function unlz4(input: Uint8Array, start: number, limit: number): Decoded {
  const reader = new Reader('lz4', input, start + 4);
  const output = new Output(limit);
  while (input.length - reader.at >= 4) {
    const length = reader.u32();
    if (length === LEGACY_MAGIC) continue;
    if (length === 0 || length > LARGEST_BLOCK) {
      reader.at -= 4;
      break;
    }
    const block = reader.take(length);
    unpackBlock(new Reader('lz4', block, 0), output);
  }
  return { data: output.take(), end: reader.at };
}

/** Unpacks one block, in local variables alone: most steps are of a few bytes. */
function unpackBlock(block: Reader, output: Output): void {
  const { input } = block;
  const { length } = input;
  const start = output.length;
  const end = start + output.makeRoom(BLOCK_SIZE);
  const { bytes } = output;
  let at = 0;
  let to = start;
  for (;;) {
    const token = input[at++];
    if (token === undefined) throw block.truncated();
    let literals = token >> 4;
    if (literals === LONG_RUN) {
      const last = lastOfRun(input, at);
      if (last === length) throw block.truncated();
      literals += (last - at) * 255 + (input[last] as number);
      at = last + 1;
    }
    if (literals > length - at) throw block.truncated();
    if (literals > end - to) throw tooMuch(block, output, to + literals);
    if (literals < SHORT_RUN) {
      for (const stop = at + literals; at < stop;) bytes[to++] = input[at++] as number;
    } else {
      bytes.set(input.subarray(at, at + literals), to);
      at += literals;
      to += literals;
    }
    if (at === length) break;

    if (length - at < 2) throw block.truncated();
    const distance = (input[at] as number) | ((input[at + 1] as number) << 8);
    at += 2;
    if (distance === 0 || distance > to - start) {
      throw block.bad(`match offset is ${distance}, expected 1 to ${to - start}`);
    }
    let count = token & 15;
    if (count === LONG_RUN) {
      const last = lastOfRun(input, at);
      if (last === length) throw block.truncated();
      count += (last - at) * 255 + (input[last] as number);
      at = last + 1;
    }
    count += MIN_MATCH;
    if (count > end - to) throw tooMuch(block, output, to + count);
    if (count < SHORT_RUN || count > distance) {
      for (const stop = to + count; to < stop; to++) bytes[to] = bytes[to - distance] as number;
    } else {
      bytes.copyWithin(to, to - distance, to - distance + count);
      to += count;
    }
  }
  output.length = to;
}

/** A length of 15 goes on in bytes, up to the first below 255: where that is, or the input's end. */
function lastOfRun(input: Uint8Array, at: number): number {
  let last = at;
  while (input[last] === 255) last++;
  return last;
}

/** The error for a block that goes on to `to`, beyond its room: the output's limit, or its own. */
function tooMuch(block: Reader, output: Output, to: number): Error {
  output.reserve(to - output.length);
  return block.bad('a block unpacks to more than 8 MiB');
}

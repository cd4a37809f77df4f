/**
 * The "legacy frame" of LZ4 (LZ4 Frame Format Description), which is the one that the kernel reads:
 * magic, then blocks of a 32-bit length and LZ4 block data (LZ4 Block Format Description).
 */
import { COPY_MARGIN, copyAhead, LEAST_DISTANCE, viewOf, type Output } from './output.js';
import { Reader } from './reader.js';

const LEGACY_MAGIC = 0x184c_2102;
const BLOCK_SIZE = 8 * 1024 * 1024;
/** Room that LZ4 needs for incompressible data. */
const LARGEST_BLOCK = BLOCK_SIZE + Math.floor(BLOCK_SIZE / 255) + 16;
const MIN_MATCH = 4;
/** A length in a token that goes on behind it. */
const LONG_RUN = 15;

/** Unpacks a legacy frame, which ends where no possible block follows. */
export function unlz4(input: Uint8Array, start: number, output: Output): number {
  const reader = new Reader('lz4', input, start + 4);
  while (input.length - reader.at >= 4) {
    const length = reader.u32();
    if (length === LEGACY_MAGIC) continue;
    if (length === 0 || length > LARGEST_BLOCK) {
      reader.at -= 4;
      break;
    }
    const block = reader.at;
    reader.take(length);
    unpackBlock(input.subarray(0, reader.at), block, output);
  }
  return reader.at;
}

/** Unpacks the block from `start` to the end of the input. */
function unpackBlock(input: Uint8Array, start: number, output: Output): void {
  const room = output.makeRoom(BLOCK_SIZE);
  const block = new Block(input, start, output.bytes.subarray(output.length, output.length + room));
  do takeStretch(block);
  while (block.takeSequence());
  if (block.to > room) {
    output.reserve(block.to);
    throw block.reader.bad('a block unpacks to more than 8 MiB');
  }
  output.length += block.to;
}

/** Bytes left for {@link copyAhead}, and for an offset behind literals. */
const MARGIN = 2 * COPY_MARGIN;
/** Bytes of input that {@link takeStretch} takes at once: V8 compiles early what is called often. */
const STRETCH = 4096;

/** A block of LZ4 data and how much of it has been unpacked. */
class Block {
  /** Bytes unpacked; more than there is room for in a block that is too large. */
  to = 0;
  readonly inputView: DataView;
  readonly outputView: DataView;
  readonly reader: Reader;

  /** @param at offset of the next sequence in the input */
  constructor(
    readonly input: Uint8Array,
    public at: number,
    readonly output: Uint8Array,
  ) {
    this.inputView = viewOf(input);
    this.outputView = viewOf(output);
    this.reader = new Reader('lz4', input, at);
  }

  /**
   * Takes one sequence with all checks.
   * @returns whether the block goes on behind it: neither is its end reached nor its room exceeded
   */
  takeSequence(): boolean {
    const { input, output, reader } = this;
    reader.at = this.at;
    const token = reader.u8();
    const literals = reader.take(lengthOf(token >> 4, reader));
    const from = this.to;
    this.to += literals.length;
    if (this.to > output.length) return false;
    output.set(literals, from);
    if (reader.at === input.length) return false;

    const distance = reader.le(2);
    if (distance === 0 || distance > this.to) {
      throw reader.bad(`match offset is ${distance}, expected 1 to ${this.to}`);
    }
    const count = MIN_MATCH + lengthOf(token & 15, reader);
    const match = this.to;
    this.to += count;
    if (this.to > output.length) return false;
    // What was copied is a source as well: the piece doubles each time.
    for (let done = 0; done < count;) {
      const piece = Math.min(count - done, distance + done);
      output.copyWithin(match + done, match - distance, match - distance + piece);
      done += piece;
    }
    this.at = reader.at;
    return true;
  }
}

/**
 * Takes what is common, most of a block, and stops where anything else or the end of input or room is near. It has no
 * branches that are taken once in a while, since each of those would make V8 throw its code away.
 */
function takeStretch(block: Block): void {
  const { input, inputView, output, outputView } = block;
  const safeAt = input.length - MARGIN;
  const safeTo = output.length - MARGIN;
  const stop = Math.min(block.at + STRETCH, safeAt);
  let { at, to } = block;
  while (at < stop) {
    const token = input[at] as number;
    let next = at + 1;
    let literals = token >> 4;
    if (literals === LONG_RUN) {
      const last = lastOfRun(input, next);
      literals += (last - next) * 255 + (input[last] as number);
      next = last + 1;
    }
    // Not a number where the input ended.
    if (!(literals <= safeAt - next && literals <= safeTo - to)) break;
    copyAhead(inputView, next, outputView, to, literals);
    next += literals;
    const match = to + literals;
    const distance = inputView.getUint16(next, true);
    next += 2;
    let count = (token & 15) + MIN_MATCH;
    if (count === LONG_RUN + MIN_MATCH) {
      const last = lastOfRun(input, next);
      count += (last - next) * 255 + (input[last] as number);
      next = last + 1;
    }
    if (!(distance >= LEAST_DISTANCE && distance <= match && count <= safeTo - match)) break;
    copyAhead(outputView, match - distance, outputView, match, count);
    at = next;
    to = match + count;
  }
  block.at = at;
  block.to = to;
}

/** The length that half a token tells, with the bytes that continue it. */
function lengthOf(half: number, reader: Reader): number {
  if (half < LONG_RUN) return half;
  const { input, at } = reader;
  const last = lastOfRun(input, at);
  reader.at = last;
  return half + (last - at) * 255 + reader.u8();
}

/** A length of 15 goes on in bytes, up to the first below 255: where that is, or the input's end. */
function lastOfRun(input: Uint8Array, at: number): number {
  let last = at;
  while (input[last] === 255) last++;
  return last;
}

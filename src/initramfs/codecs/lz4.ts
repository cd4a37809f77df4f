/**
 * The "legacy frame" of LZ4 (LZ4 Frame Format Description), which is the one that the kernel reads:
 * magic, then blocks of a 32-bit length and LZ4 block data (LZ4 Block Format Description).
 */
import type { Decoded } from './codec.js';
import { Output } from './output.js';
import { Reader } from './reader.js';

const LEGACY_MAGIC = 0x184c_2102;
const BLOCK_SIZE = 8 * 1024 * 1024;
/** Room that LZ4 needs for incompressible data. */
const LARGEST_BLOCK = BLOCK_SIZE + Math.floor(BLOCK_SIZE / 255) + 16;
const MIN_MATCH = 4;

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

function unpackBlock(block: Reader, output: Output): void {
  const start = output.length;
  const { length } = block.input;
  for (;;) {
    const token = block.u8();
    output.append(block.take(runLength(block, token >> 4)));
    if (block.at === length) break;
    const distance = block.le(2);
    if (distance === 0 || distance > output.length - start) {
      throw block.bad(`match offset is ${distance}, expected 1 to ${output.length - start}`);
    }
    output.copy(distance, runLength(block, token & 15) + MIN_MATCH);
    if (output.length - start > BLOCK_SIZE) throw block.bad('a block unpacks to more than 8 MiB');
  }
}

/** A length of 15 goes on in bytes, up to the first below 255. */
function runLength(block: Reader, first: number): number {
  let length = first;
  if (first < 15) return length;
  for (;;) {
    const byte = block.u8();
    length += byte;
    if (byte < 255) return length;
  }
}

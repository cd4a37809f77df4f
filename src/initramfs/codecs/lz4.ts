/**
 * The "legacy frame" of LZ4 (LZ4 Frame Format Description), which is the one that the kernel reads:
 * magic, then blocks of a 32-bit length and LZ4 block data, which native code unpacks.
 */
import { loadNative } from '../../native-loader.js';
import { CodecStatus } from '../../native.js';
import type { Output } from './output.js';
import { Reader } from './reader.js';

const LEGACY_MAGIC = 0x184c_2102;
const BLOCK_SIZE = 8 * 1024 * 1024;
/** Room that LZ4 needs for incompressible data. */
const LARGEST_BLOCK = BLOCK_SIZE + Math.floor(BLOCK_SIZE / 255) + 16;

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
    unpackBlock(reader, block, output);
  }
  return reader.at;
}

/** Unpacks the block from `start` to where the reader is. */
function unpackBlock(reader: Reader, start: number, output: Output): void {
  const room = output.makeRoom(BLOCK_SIZE);
  const { status, consumed, produced } = loadNative().unpackLz4Block(
    reader.input.subarray(start, reader.at),
    output.bytes.subarray(output.length, output.length + room),
  );
  reader.at = start + consumed;
  if (status === CodecStatus.Truncated) throw reader.truncated();
  if (status === CodecStatus.NoRoom) {
    output.reserve(room + 1);
    throw reader.bad('a block unpacks to more than 8 MiB');
  }
  if (status === CodecStatus.BadDistance) {
    reader.at -= 2;
    throw reader.bad(`match offset is ${reader.le(2)}, expected 1 to ${produced}`);
  }
  output.length += produced;
}

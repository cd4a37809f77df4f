/** The decoders in C++ where they are called with what no caller of ours would give them. */
import { describe, expect, it } from 'vitest';

import { loadNative } from '../../../src/native-loader.js';
import { CodecStatus } from '../../../src/native.js';

const native = loadNative();

/** Three literals, ten bytes from three back, no literals at the end. */
const BLOCK = Uint8Array.of(0x36, 1, 2, 3, 3, 0, 0);

/** An array whose memory has gone elsewhere. */
function detached(): Uint8Array {
  const array = new Uint8Array(64);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

describe('unpackLz4Block', () => {
  it('takes typed arrays of bytes and nothing else', () => {
    const call = native.unpackLz4Block.bind(native) as (...args: readonly unknown[]) => unknown;
    const wrong = [undefined, null, 1, 'text', [], {}, new Uint16Array(8), new ArrayBuffer(8)];
    for (const value of [...wrong, new DataView(new ArrayBuffer(8))]) {
      expect(() => call(value, new Uint8Array(8))).toThrow(TypeError);
      expect(() => call(BLOCK, value)).toThrow(TypeError);
    }
    expect(() => call()).toThrow(TypeError);
  });

  it('finds no bytes in an array that is detached or empty', () => {
    for (const nothing of [detached(), new Uint8Array(0)]) {
      const none = { status: CodecStatus.Truncated, consumed: 0, produced: 0 };
      expect(native.unpackLz4Block(nothing, new Uint8Array(8))).toEqual(none);
      const noRoom = { status: CodecStatus.NoRoom, consumed: 4, produced: 0 };
      expect(native.unpackLz4Block(BLOCK, nothing)).toEqual(noRoom);
    }
  });

  it('stays within parts of buffers, also where input and output are the same bytes', () => {
    const memory = new Uint8Array(96).fill(0xee);
    memory.set(BLOCK, 40);
    const part = memory.subarray(40, 40 + BLOCK.length);
    expect(native.unpackLz4Block(part, part).produced).toBeLessThanOrEqual(part.length);
    const outside = [...memory.subarray(0, 40), ...memory.subarray(40 + BLOCK.length)];
    expect(outside).toEqual(Array(96 - BLOCK.length).fill(0xee));
  });
});

/** The decoders in C++ where they are called with what no caller of ours would give them. */
import { describe, expect, it } from 'vitest';

import { loadNative } from '../../../src/native-loader.js';
import { CodecStatus, LzmaField } from '../../../src/native.js';

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

describe('decodeLzma', () => {
  const PROBABILITIES = 1846 + 0x300;
  const input = new Uint8Array(64).fill(0xff);

  /** A state as it is at the beginning, but for some fields. */
  function state(fields: Partial<Record<LzmaField, number>> = {}): Uint32Array {
    const array = new Uint32Array(LzmaField.Count);
    array[LzmaField.Range] = 0xffff_ffff;
    for (const [field, value] of Object.entries(fields)) array[Number(field)] = value;
    return array;
  }

  const probabilities = (count = PROBABILITIES) => new Uint16Array(count).fill(1024);

  it('takes typed arrays of the right elements and nothing else', () => {
    const right: readonly unknown[] = [input, new Uint8Array(8), 0, state(), probabilities()];
    const call = native.decodeLzma.bind(native) as (...args: readonly unknown[]) => unknown;
    expect(() => call(...right)).not.toThrow();
    for (const place of [0, 1, 3, 4]) {
      for (const value of [undefined, 1, [], new Float64Array(4000), new ArrayBuffer(8000)]) {
        expect(() => call(...right.with(place, value))).toThrow(TypeError);
      }
    }
  });

  it.each([
    ['lc', state({ [LzmaField.Lc]: 9 })],
    ['lp', state({ [LzmaField.Lp]: 5 })],
    ['pb', state({ [LzmaField.Pb]: 5 })],
    ['state', state({ [LzmaField.State]: 12 })],
    ['state that is too short', state().subarray(1)],
    ['state that is too long', new Uint32Array(LzmaField.Count + 1)],
  ])('refuses a bad %s', (_name, bad) => {
    const most = probabilities(1846 + (0x300 << 14));
    expect(() => native.decodeLzma(input, new Uint8Array(8), 0, bad, most)).toThrow(RangeError);
  });

  it('refuses fewer probabilities than the state takes', () => {
    const decode = (bad: Uint32Array, count: number) =>
      native.decodeLzma(input, new Uint8Array(8), 0, bad, probabilities(count));
    expect(() => decode(state(), PROBABILITIES - 1)).toThrow(RangeError);
    expect(() => decode(state({ [LzmaField.Lc]: 1 }), PROBABILITIES)).toThrow(RangeError);
    expect(() => decode(state({ [LzmaField.Lp]: 1 }), PROBABILITIES)).toThrow(RangeError);
  });

  it('refuses a number of bytes produced that is not within the output', () => {
    const output = new Uint8Array(8);
    for (const produced of [-1, 9, 2 ** 32, 2 ** 64, NaN, Infinity, -Infinity]) {
      const decode = () => native.decodeLzma(input, output, produced, state(), probabilities());
      expect(decode).toThrow(RangeError);
    }
  });

  it('refuses a pending match from in front of the output, and stops at its end', () => {
    const memory = new Uint8Array(64).fill(0xee);
    const output = memory.subarray(16, 48);
    const decode = (rep0: number, pending: number, produced: number) => {
      const fields = state({ [LzmaField.Rep0]: rep0, [LzmaField.Pending]: pending });
      const progress = native.decodeLzma(input, output, produced, fields, probabilities());
      return [progress.status, progress.produced, fields[LzmaField.Pending]];
    };
    expect(decode(4, 10, 4)).toEqual([CodecStatus.BadDistance, 4, 10]);
    expect(decode(0xffff_ffff, 10, 32)).toEqual([CodecStatus.BadDistance, 32, 10]);
    expect(decode(3, 0xffff_ffff, 4)).toEqual([CodecStatus.Done, 32, 0xffff_ffff - 28]);
    expect([...memory.subarray(0, 16), ...memory.subarray(48)]).toEqual(Array(32).fill(0xee));
  });
});

import { describe, expect, it } from 'vitest';

import { decompressAt } from '../../../src/initramfs/compression.js';
import { refusal } from '../../support/refusal.js';

/** What a sequence has behind its literals. */
interface Match {
  readonly distance: number;
  readonly count: number;
}

/** The bytes that continue a length of 15. */
const continued = (length: number): number[] =>
  length < 15
    ? []
    : [...Array<number>(Math.floor((length - 15) / 255)).fill(255), (length - 15) % 255];

/** One sequence of the block format: a token, literals, and a match except at the end of the block. */
function sequence(literals: Uint8Array, match?: Match): Uint8Array {
  const count = (match?.count ?? 4) - 4;
  const token = (Math.min(literals.length, 15) << 4) | Math.min(count, 15);
  const head = [token, ...continued(literals.length), ...literals];
  if (match === undefined) return Uint8Array.from(head);
  const { distance } = match;
  return Uint8Array.from([...head, distance & 0xff, distance >> 8, ...continued(count)]);
}

/** A legacy frame of one block. */
function frame(...sequences: readonly Uint8Array[]): Uint8Array {
  const block = Buffer.concat(sequences);
  const head = Buffer.from('02214c1800000000', 'hex');
  head.writeUInt32LE(block.length, 4);
  return Buffer.concat([head, block]);
}

/** Bytes that differ from their neighbours. */
const bytes = (length: number, first = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (first + index * 7) & 0xff);

describe('matches', () => {
  const distances = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 40];
  // The careful way serves the last bytes of a block, the fast one what is in front of them.
  it.each([0, 5, 100])('repeat what lies before them, %i bytes before the end', (tail) => {
    for (const distance of distances) {
      for (const count of [4, 5, 8, 9, 18, 19, 20, 64, 273, 274, 1000]) {
        const literals = bytes(40);
        const packed = frame(
          sequence(literals, { distance, count }),
          sequence(bytes(0), { distance: 3, count: 4 }),
          sequence(bytes(tail, 5)),
        );
        const expected = [...literals];
        for (let n = 0; n < count; n++) expected.push(expected.at(-distance) ?? NaN);
        for (let n = 0; n < 4; n++) expected.push(expected.at(-3) ?? NaN);
        expected.push(...bytes(tail, 5));
        expect([...decompressAt(packed, 0, 4096).data]).toEqual(expected);
      }
    }
  });

  it.each([0, 41, 65535])('of offset %i are refused behind 40 bytes', (distance) => {
    for (const tail of [0, 5, 100]) {
      const packed = frame(sequence(bytes(40), { distance, count: 4 }), sequence(bytes(tail)));
      const message = `match offset is ${distance}, expected 1 to 40`;
      expect(refusal(() => decompressAt(packed, 0, 4096))).toContain(message);
    }
  });
});

it('fills the room that it is given, and writes nothing beyond', () => {
  const packed = frame(sequence(bytes(40), { distance: 8, count: 60 }), sequence(bytes(100)));
  const memory = new Uint8Array(300).fill(0xee);
  const { data } = decompressAt(packed, 0, memory.subarray(50, 250));
  expect([data.buffer, data.byteOffset, data.length]).toEqual([memory.buffer, 50, 200]);
  expect([...memory.subarray(0, 50), ...memory.subarray(250)]).toEqual(Array(100).fill(0xee));
  for (const room of [0, 1, 39, 40, 41, 99, 100, 101, 199]) {
    const message = `unpacks to more than ${room} bytes`;
    expect(refusal(() => decompressAt(packed, 0, memory.subarray(0, room)))).toContain(message);
    expect(memory[250]).toBe(0xee);
  }
});

import { describe, expect, it } from 'vitest';

import {
  gdbPacket,
  GdbReader,
  PACKET_SIZE,
  parseHex,
  parseHexBytes,
} from '../../../src/debug/gdb-packets.js';

const read = (...chunks: (string | Uint8Array)[]) => {
  const reader = new GdbReader();
  return chunks.flatMap((chunk) =>
    [...reader.feed(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk)].map(
      (input) => (input.kind === 'packet' ? input.body.toString('latin1') : input.kind),
    ),
  );
};

describe('gdb packets', () => {
  it('are taken out of the stream, in whatever pieces they come', () => {
    expect(read('+$g#67')).toEqual(['ack', 'g']);
    expect(read('$', 'q', 'C#', 'b', '4-', '\x03')).toEqual(['qC', 'nak', 'interrupt']);
    expect(read('noise$g#67noise')).toEqual(['g']);
  });

  it('are garbled when the checksum is wrong, no number, or the packet too long', () => {
    expect(read('$g#68', '$g#67')).toEqual(['garbled', 'g']);
    expect(read('$g#zz')).toEqual(['garbled']);
    expect(read(gdbPacket('m'.repeat(PACKET_SIZE)))).toEqual(['m'.repeat(PACKET_SIZE)]);
    expect(read(gdbPacket('m'.repeat(PACKET_SIZE + 1)), '$g#67')).toEqual(['garbled', 'g']);
  });

  it('begin anew with a $ in their midst', () => {
    expect(read('$m123$g#67')).toEqual(['g']);
  });

  it('carry every byte', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
    expect(read(gdbPacket(bytes))).toEqual([Buffer.from(bytes).toString('latin1')]);
    expect(gdbPacket('OK').toString()).toBe('$OK#9a');
  });
});

describe('hexadecimal digits', () => {
  it('are numbers of up to 64 bits', () => {
    expect(parseHex('fFfFfFfFfFfFfFfF')).toBe(0xffff_ffff_ffff_ffffn);
    for (const bad of ['', '-1', '0x1', 'g', '1'.repeat(17)]) expect(parseHex(bad)).toBeUndefined();
  });

  it('are bytes in pairs', () => {
    expect(parseHexBytes('00fF')).toEqual(Buffer.of(0, 255));
    for (const bad of ['0', '0g', ' 00']) expect(parseHexBytes(bad)).toBeUndefined();
  });
});

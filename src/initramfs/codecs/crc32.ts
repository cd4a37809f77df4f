import * as zlib from 'node:zlib';

/** Node's own, which came with 20.15 and is six times as fast. */
const native = zlib.crc32 as typeof zlib.crc32 | undefined;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
  return value;
});

/** CRC-32 as gzip (RFC 1952, "8. Appendix: Sample CRC Code") and xz use it. */
export function crc32(data: Uint8Array): number {
  return native === undefined ? crc32ByTable(data) : native(data);
}

/** The same for any Node. */
export function crc32ByTable(data: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of data) crc = (TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffff_ffff) >>> 0;
}

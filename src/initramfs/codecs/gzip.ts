/** gzip, RFC 1952. */
import { inflateRawSync, type Zlib } from 'node:zlib';
import { badInitrd } from '../bad.js';
import { crc32 } from './crc32.js';
import { tooLarge, type Output } from './output.js';
import { Reader } from './reader.js';

const DEFLATE = 8;
/** FLG, "2.3.1. Member header and trailer". */
const FHCRC = 1 << 1;
const FEXTRA = 1 << 2;
const FNAME = 1 << 3;
const FCOMMENT = 1 << 4;

/** Unpacks one member: as the kernel, which takes the next one for a segment of its own. */
export function gunzip(input: Uint8Array, start: number, output: Output): number {
  const reader = new Reader('gzip', input, start);
  skipHeader(reader);
  const { data, consumed } = inflate(input.subarray(reader.at), output.limit);
  reader.at += consumed;
  const sum = reader.u32();
  const size = reader.u32();
  if (size !== data.length % 2 ** 32) {
    throw reader.bad(`ISIZE is ${size}, expected the ${data.length} bytes that came out`);
  }
  if (sum !== crc32(data)) throw reader.bad('CRC32 is wrong: the data is damaged');
  output.append(data);
  return reader.at;
}

function skipHeader(reader: Reader): void {
  reader.take(2);
  const method = reader.u8();
  if (method !== DEFLATE) throw reader.bad(`CM is ${method}, expected ${DEFLATE} (deflate)`);
  const flags = reader.u8();
  reader.take(6);
  if (flags & FEXTRA) reader.take(reader.le(2));
  if (flags & FNAME) reader.skipText();
  if (flags & FCOMMENT) reader.skipText();
  if (flags & FHCRC) reader.take(2);
}

function inflate(input: Uint8Array, limit: number): { data: Uint8Array; consumed: number } {
  try {
    // With `info`, the result says how much input was used; the declared type does not know that.
    const { buffer, engine } = inflateRawSync(input, {
      info: true,
      maxOutputLength: Math.max(1, limit),
    }) as unknown as { buffer: Buffer; engine: Zlib };
    return { data: buffer, consumed: engine.bytesWritten };
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit, cause);
    const why = cause instanceof Error ? cause.message : String(cause);
    throw badInitrd(`bad gzip data: ${why}`, cause);
  }
}

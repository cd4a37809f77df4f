/**
 * The framing of gdb's remote serial protocol: GDB manual, appendix "GDB Remote Serial Protocol", "Overview".
 */

/** Most bytes of a packet's contents that we take, as qSupported tells the client. */
export const PACKET_SIZE = 0x4000;

const DOLLAR = 0x24;
const HASH = 0x23;
const ESCAPE = 0x7d;
const STAR = 0x2a;
const INTERRUPT = 0x03;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ESCAPE_XOR = 0x20;

/** What a client sends. `garbled` is a packet with a wrong checksum, or one that is too long. */
export type GdbInput =
  | { readonly kind: 'packet'; readonly body: Buffer }
  | { readonly kind: 'garbled' }
  | { readonly kind: 'interrupt' }
  | { readonly kind: 'ack' }
  | { readonly kind: 'nak' };

/** Takes a client's byte stream apart. Bytes between packets that mean nothing are dropped. */
export class GdbReader {
  private body: number[] | undefined;
  private tooLong = false;
  /** Digits of the checksum so far; undefined before the `#`. */
  private checksum: string | undefined;

  /** What `bytes` complete. */
  *feed(bytes: Uint8Array): Generator<GdbInput> {
    for (const byte of bytes) {
      const input = this.take(byte);
      if (input !== undefined) yield input;
    }
  }

  private take(byte: number): GdbInput | undefined {
    if (this.body === undefined) return this.between(byte);
    if (this.checksum !== undefined) return this.checksumDigit(byte);
    if (byte === HASH) this.checksum = '';
    else if (byte === DOLLAR) this.begin();
    else if (this.body.length < PACKET_SIZE) this.body.push(byte);
    else this.tooLong = true;
    return undefined;
  }

  private between(byte: number): GdbInput | undefined {
    if (byte === DOLLAR) this.begin();
    else if (byte === INTERRUPT) return { kind: 'interrupt' };
    else if (byte === PLUS) return { kind: 'ack' };
    else if (byte === MINUS) return { kind: 'nak' };
    return undefined;
  }

  private begin(): void {
    this.body = [];
    this.tooLong = false;
    this.checksum = undefined;
  }

  private checksumDigit(byte: number): GdbInput | undefined {
    const digits = (this.checksum ?? '') + String.fromCharCode(byte);
    this.checksum = digits;
    if (digits.length < 2) return undefined;
    const body = Uint8Array.from(this.body ?? []);
    const right = !this.tooLong && parseHex(digits) === BigInt(sum(body));
    this.body = undefined;
    return right ? { kind: 'packet', body: unescape(body) } : { kind: 'garbled' };
  }
}

/** A packet with these contents (text is latin1). */
export function gdbPacket(contents: string | Uint8Array): Buffer {
  const plain = typeof contents === 'string' ? Buffer.from(contents, 'latin1') : contents;
  const body: number[] = [];
  for (const byte of plain) {
    if ([DOLLAR, HASH, ESCAPE, STAR].includes(byte)) body.push(ESCAPE, byte ^ ESCAPE_XOR);
    else body.push(byte);
  }
  const checksum = sum(body).toString(16).padStart(2, '0');
  return Buffer.concat([Buffer.of(DOLLAR), Buffer.from(body), Buffer.from(`#${checksum}`)]);
}

/** The unsigned number that `digits` are in base 16; undefined for what is no number of up to 64 bits. */
export function parseHex(digits: string): bigint | undefined {
  return /^[0-9a-fA-F]{1,16}$/.test(digits) ? BigInt(`0x${digits}`) : undefined;
}

/** The bytes that pairs of hexadecimal digits stand for; undefined for what is no such text. */
export function parseHexBytes(digits: string): Buffer | undefined {
  const good = digits.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(digits);
  return good ? Buffer.from(digits, 'hex') : undefined;
}

/** Bytes as pairs of hexadecimal digits. */
export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

function sum(bytes: Iterable<number>): number {
  let total = 0;
  for (const byte of bytes) total = (total + byte) & 0xff;
  return total;
}

function unescape(body: Uint8Array): Buffer {
  const plain: number[] = [];
  let escaped = false;
  for (const byte of body) {
    if (!escaped && byte === ESCAPE) {
      escaped = true;
      continue;
    }
    plain.push(escaped ? byte ^ ESCAPE_XOR : byte);
    escaped = false;
  }
  return Buffer.from(plain);
}

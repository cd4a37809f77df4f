import { badInitrd } from '../bad.js';

const FIRST_SIZE = 64 * 1024;

/** Up to this limit the room is taken at once: the host gives pages only as they are written, and nothing is copied. */
const WHOLE_SIZE = 128 * 2 ** 20;

/** What a decoder has produced so far; grows up to a limit. */
export class Output {
  /** Valid up to {@link length}. Replaced when it grows. */
  bytes: Uint8Array;
  length = 0;

  /** Bytes at which the data counts as too large. */
  readonly limit: number;

  /** @param room the limit, or the bytes to fill: it may be written everywhere in there */
  constructor(room: number | Uint8Array) {
    if (typeof room === 'number') {
      this.limit = room;
      this.bytes = new Uint8Array(room <= WHOLE_SIZE ? room : FIRST_SIZE);
    } else {
      this.limit = room.length;
      this.bytes = room;
    }
  }

  /**
   * Makes room for `count` more bytes.
   * @throws NodevmError `E_BAD_INITRD` beyond the limit
   */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    if (needed > this.limit) throw tooLarge(this.limit);
    const grown = new Uint8Array(Math.min(this.limit, Math.max(needed, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  /**
   * Makes room for up to `count` bytes, as far as the limit allows.
   * @returns how many more bytes there may be now, up to `count`
   */
  makeRoom(count: number): number {
    const room = Math.min(count, this.limit - this.length);
    this.reserve(room);
    return room;
  }

  push(byte: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  append(data: Uint8Array): void {
    this.reserve(data.length);
    this.bytes.set(data, this.length);
    this.length += data.length;
  }

  /** Repeats the last byte, which there must be, `count` times. */
  repeatLast(count: number): void {
    this.reserve(count);
    const end = this.length + count;
    this.bytes.fill(this.bytes[this.length - 1] as number, this.length, end);
    this.length = end;
  }

  /** All that was produced. */
  take(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** The error for data that unpacks to more than `limit` bytes. */
export function tooLarge(limit: number, cause?: unknown): Error {
  return badInitrd(`compressed initramfs unpacks to more than ${limit} bytes, the limit`, cause);
}

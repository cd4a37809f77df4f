import { badInitrd } from '../bad.js';

const FIRST_SIZE = 64 * 1024;

/** Up to this limit the room is taken at once: the host gives pages only as they are written, and nothing is copied. */
const WHOLE_SIZE = 128 * 2 ** 20;

/** Bytes below which a loop copies faster than TypedArray's own methods. */
const SHORT_RUN = 64;

/** What a decoder has produced so far: grows up to a limit, and is the window that matches copy from. */
export class Output {
  /** Valid up to {@link length}. Replaced when it grows. */
  bytes: Uint8Array;
  length = 0;
  private view: DataView;

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
    this.view = viewOf(this.bytes);
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
    this.view = viewOf(grown);
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

  /** The byte `distance` back; the caller has checked that there is one. */
  back(distance: number): number {
    return this.bytes[this.length - distance] as number;
  }

  /** Repeats `count` bytes from `distance` back; source and destination may overlap. */
  copy(distance: number, count: number): void {
    this.reserve(count);
    const { bytes } = this;
    let to = this.length;
    const end = to + count;
    if (distance >= LEAST_DISTANCE && end + COPY_MARGIN <= bytes.length) {
      copyAhead(this.view, to - distance, this.view, to, count);
    } else if (count < SHORT_RUN || distance < count) {
      for (; to < end; to++) bytes[to] = bytes[to - distance] as number;
    } else {
      bytes.copyWithin(to, to - distance, end - distance);
    }
    this.length = end;
  }

  /** All that was produced. */
  take(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** All of an array's bytes, as numbers of any width. */
function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Bytes behind source and destination that {@link copyAhead} may touch. */
const COPY_MARGIN = 8;
/** From how far back {@link copyAhead} repeats what it writes. */
const LEAST_DISTANCE = 4;

/**
 * Copies `count` bytes and up to {@link COPY_MARGIN} behind them, always some: a length of which little is known costs a
 * loop of bytes more than that. Four at a time, so a source that begins {@link LEAST_DISTANCE} bytes before the
 * destination is repeated.
 */
function copyAhead(
  source: DataView,
  from: number,
  target: DataView,
  to: number,
  count: number,
): void {
  let done = 0;
  do {
    target.setInt32(to + done, source.getInt32(from + done, true), true);
    target.setInt32(to + done + 4, source.getInt32(from + done + 4, true), true);
    done += 8;
  } while (done < count);
}

/** The error for data that unpacks to more than `limit` bytes. */
export function tooLarge(limit: number, cause?: unknown): Error {
  return badInitrd(`compressed initramfs unpacks to more than ${limit} bytes, the limit`, cause);
}

import { badInitrd } from '../bad.js';

/** Reads little-endian numbers and slices of a compressed stream, and never beyond its end. */
export class Reader {
  /**
   * @param format the compression's name, for messages
   * @param at offset of the next byte
   */
  constructor(
    private readonly format: string,
    readonly input: Uint8Array,
    public at: number,
  ) {}

  u8(): number {
    const byte = this.input[this.at];
    if (byte === undefined) throw this.truncated();
    this.at++;
    return byte;
  }

  u16be(): number {
    return this.u8() * 0x100 + this.u8();
  }

  /** Little-endian number of `count` bytes, up to six. */
  le(count: number): number {
    let value = 0;
    for (let index = 0, unit = 1; index < count; index++, unit *= 0x100) value += this.u8() * unit;
    return value;
  }

  u32(): number {
    return this.le(4);
  }

  take(length: number): Uint8Array {
    const part = this.input.subarray(this.at, this.at + length);
    if (part.length < length) throw this.truncated();
    this.at += length;
    return part;
  }

  /** Passes over bytes up to and with the next NUL. */
  skipText(): void {
    while (this.u8() !== 0);
  }

  /** The error for data that ends too early. */
  truncated(): Error {
    return this.bad('it ends within the data: it is truncated');
  }

  /** An error that names the format and where in the input it is. */
  bad(what: string, cause?: unknown): Error {
    return badInitrd(`bad ${this.format} data before offset ${this.at}: ${what}`, cause);
  }
}

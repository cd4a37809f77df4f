/** Reading numbers out of kernel files, and saying what is wrong with them. */
import { NodevmError } from '../errors.js';

/** Unsigned little-endian value of up to six bytes; what lies beyond the end reads as zero. */
export function readNumber(bytes: Uint8Array, offset: number, size: number): number {
  let value = 0;
  for (let index = size - 1; index >= 0; index--) {
    value = value * 256 + (bytes[offset + index] ?? 0);
  }
  return value;
}

/** Unsigned little-endian 64-bit value; what lies beyond the end reads as zero. */
export function readBigint(bytes: Uint8Array, offset: number): bigint {
  return (BigInt(readNumber(bytes, offset + 4, 4)) << 32n) | BigInt(readNumber(bytes, offset, 4));
}

/** An `E_BAD_KERNEL` error; `what` names the field, its value and what was expected. */
export function badKernel(what: string, cause?: unknown): NodevmError {
  return new NodevmError(
    'E_BAD_KERNEL',
    `bad kernel: ${what}`,
    cause === undefined ? undefined : { cause },
  );
}

/** A number as it is written in manuals. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** The next multiple of `alignment` at or above `value`. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** The multiple of `alignment` at or below `value`. */
export function alignDown(value: number, alignment: number): number {
  return Math.floor(value / alignment) * alignment;
}

/** A size in MiB, rounded up. */
export function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 0x10_0000)} MiB`;
}

/** The text up to the first NUL or `limit` bytes, with what is not printable replaced. */
export function readText(bytes: Uint8Array, offset: number, limit: number): string {
  const text = Buffer.from(bytes.subarray(offset, offset + limit)).toString('latin1');
  return (text.split('\0', 1)[0] ?? '').replace(/[^ -~]/g, '?');
}

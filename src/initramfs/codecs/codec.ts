/** What a decoder gives back. */
export interface Decoded {
  readonly data: Uint8Array;
  /** Offset in the input behind the compressed stream. */
  readonly end: number;
}

/**
 * Unpacks the stream that starts at `start` of `input`; what follows its end is not looked at.
 * @param limit most bytes that it may unpack to
 * @throws NodevmError `E_BAD_INITRD` for data that is damaged, cut off, or beyond the limit
 */
export type Decoder = (input: Uint8Array, start: number, limit: number) => Decoded;

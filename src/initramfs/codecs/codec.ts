import type { Output } from './output.js';

/**
 * Unpacks the stream that starts at `start` of `input` into an empty `output`; what follows its end is not looked at.
 * @returns offset in the input behind the stream
 * @throws NodevmError `E_BAD_INITRD` for data that is damaged, cut off, or beyond the output's limit
 */
export type Decoder = (input: Uint8Array, start: number, output: Output) => number;

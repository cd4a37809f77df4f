/**
 * LZMA (LZMA specification, Igor Pavlov): the decoder that .lzma files and, in chunks, LZMA2 use. Native code takes
 * the symbols. Names are the specification's.
 */
import { loadNative } from '../../native-loader.js';
import { CodecStatus, LzmaField } from '../../native.js';
import { tooLarge, type Output } from './output.js';
import { Reader } from './reader.js';

const PROB_INIT = 1024;
/** Probabilities without those of literals, and those of literals in one context. */
const NUM_PROBS = 1846;
const LITERAL_PROBS = 0x300;
/** Bytes that are decoded at once: a whole chunk of LZMA2. */
const STEP = 2 ** 21;

/** One LZMA decoder with its state, probabilities and output window. */
export class LzmaDecoder {
  private readonly native = loadNative();
  private readonly state = new Uint32Array(LzmaField.Count);
  private probs = new Uint16Array(0);
  /** Length of the output where the dictionary begins. */
  private origin = 0;

  constructor(
    private readonly reader: Reader,
    readonly output: Output,
  ) {}

  /** Takes lc, lp and pb from their packed byte; {@link resetState} must follow. */
  setProperties(byte: number, mostContexts: number): void {
    const lc = byte % 9;
    const lp = Math.floor(byte / 9) % 5;
    const pb = Math.floor(byte / 45);
    if (pb > 4 || lc + lp > mostContexts) {
      throw this.reader.bad(`LZMA properties are ${byte}, expected lc, lp and pb in their range`);
    }
    this.state.set([lc, lp, pb], LzmaField.Lc);
  }

  /** Makes nothing of the output so far available to matches. */
  resetDictionary(): void {
    this.origin = this.output.length;
  }

  resetState(): void {
    const contexts = 2 ** (this.field(LzmaField.Lc) + this.field(LzmaField.Lp));
    this.probs = new Uint16Array(NUM_PROBS + LITERAL_PROBS * contexts).fill(PROB_INIT);
    this.state.fill(0, LzmaField.State);
  }

  /** Starts the range decoder on the five bytes that come next. */
  startRange(): void {
    if (this.reader.u8() !== 0) throw this.reader.bad('the range coder does not begin with 0');
    this.state[LzmaField.Range] = 0xffff_ffff;
    this.state[LzmaField.Code] = this.reader.u16be() * 0x1_0000 + this.reader.u16be();
  }

  /**
   * Decodes until the output has `end` bytes.
   * @returns false when an end marker came first
   */
  decode(end: number): boolean {
    const { output, reader } = this;
    while (output.length < end) {
      if (this.step(end) === CodecStatus.EndMarker) return false;
      const pending = this.field(LzmaField.Pending);
      if (pending > end - output.length) throw reader.bad('a match goes beyond the end');
      output.reserve(pending);
    }
    return true;
  }

  /** Decodes as far as there is room at once. */
  private step(end: number): CodecStatus.Done | CodecStatus.EndMarker {
    const { origin, output, reader } = this;
    const room = output.makeRoom(Math.min(end - output.length, STEP));
    const { status, consumed, produced } = this.native.decodeLzma(
      reader.input.subarray(reader.at),
      output.bytes.subarray(origin, output.length + room),
      output.length - origin,
      this.state,
      this.probs,
    );
    reader.at += consumed;
    output.length = origin + produced;
    switch (status) {
      case CodecStatus.Done:
      case CodecStatus.EndMarker:
        return status;
      case CodecStatus.Truncated:
        throw reader.truncated();
      case CodecStatus.NoRoom:
        throw tooLarge(output.limit);
      case CodecStatus.BadLiteral:
        throw reader.bad('a literal follows a match beyond the data');
      case CodecStatus.BadDistance: {
        const distance = this.field(LzmaField.Rep0) + 1;
        throw reader.bad(`match distance is ${distance}, expected one within the data`);
      }
    }
  }

  private field(field: LzmaField): number {
    return this.state[field] ?? 0;
  }
}

/** Unpacks a .lzma file ("lzma file format": properties, dictionary size, unpacked size). */
export function unlzma(input: Uint8Array, start: number, output: Output): number {
  const reader = new Reader('lzma', input, start);
  const decoder = new LzmaDecoder(reader, output);
  decoder.setProperties(reader.u8(), 12);
  reader.u32(); // Dictionary size: all that was unpacked stays within reach.
  const low = reader.u32();
  const high = reader.u32();
  const unknown = low === 0xffff_ffff && high === 0xffff_ffff;
  decoder.resetState();
  decoder.startRange();
  const ended = !decoder.decode(unknown ? Infinity : high * 2 ** 32 + low);
  if (ended && !unknown) throw reader.bad('an end marker comes before the unpacked size');
  return reader.at;
}

/**
 * LZMA (LZMA specification, Igor Pavlov): the decoder that .lzma files and, in chunks, LZMA2 use.
 * Names are the specification's.
 */
import type { Output } from './output.js';
import { Reader } from './reader.js';

const NUM_STATES = 12;
const POS_STATES = 16;
const PROB_INIT = 1024;
const TOP = 2 ** 24;
const MATCH_MIN_LEN = 2;
const END_MARKER = 0xffff_ffff;
const END_POS_MODEL_INDEX = 14;

/** Where each group of probabilities starts; the literal coders follow, 0x300 for each context. */
const IS_MATCH = 0;
const IS_REP = IS_MATCH + NUM_STATES * POS_STATES;
const IS_REP_G0 = IS_REP + NUM_STATES;
const IS_REP_G1 = IS_REP_G0 + NUM_STATES;
const IS_REP_G2 = IS_REP_G1 + NUM_STATES;
const IS_REP0_LONG = IS_REP_G2 + NUM_STATES;
const POS_SLOT = IS_REP0_LONG + NUM_STATES * POS_STATES;
const POS_SPECIAL = POS_SLOT + 4 * 64;
const ALIGN = POS_SPECIAL + 115;
const LEN = ALIGN + 16;
/** Within a length coder: two choices, then trees for low, mid and high. */
const LEN_LOW = 2;
const LEN_MID = LEN_LOW + POS_STATES * 8;
const LEN_HIGH = LEN_MID + POS_STATES * 8;
const REP_LEN = LEN + LEN_HIGH + 256;
const LITERAL = REP_LEN + LEN_HIGH + 256;

/**
 * One LZMA decoder with its state, probabilities and output window.
 *
 * Nearly all of the time goes into {@link bit} and the loops that repeat it ({@link bits},
 * {@link directBits}). Those keep the range coder in local variables, as 32-bit unsigned numbers; in fields
 * these would be allocated objects, so there they are signed.
 */
export class LzmaDecoder {
  private probs = new Uint16Array(0);
  private lc = 0;
  private lp = 0;
  private pb = 0;
  private state = 0;
  private rep0 = 0;
  private rep1 = 0;
  private rep2 = 0;
  private rep3 = 0;
  private range = 0;
  private code = 0;
  /** Length of the output where the dictionary begins. */
  private origin = 0;

  constructor(
    private readonly reader: Reader,
    readonly output: Output,
  ) {}

  /** Takes lc, lp and pb from their packed byte; {@link resetState} must follow. */
  setProperties(byte: number, mostContexts: number): void {
    this.lc = byte % 9;
    this.lp = Math.floor(byte / 9) % 5;
    this.pb = Math.floor(byte / 45);
    if (this.pb > 4 || this.lc + this.lp > mostContexts) {
      throw this.reader.bad(`LZMA properties are ${byte}, expected lc, lp and pb in their range`);
    }
  }

  /** Makes nothing of the output so far available to matches. */
  resetDictionary(): void {
    this.origin = this.output.length;
  }

  resetState(): void {
    this.probs = new Uint16Array(LITERAL + 0x300 * 2 ** (this.lc + this.lp)).fill(PROB_INIT);
    this.state = 0;
    this.rep0 = this.rep1 = this.rep2 = this.rep3 = 0;
  }

  /** Starts the range decoder on the five bytes that come next. */
  startRange(): void {
    if (this.reader.u8() !== 0) throw this.reader.bad('the range coder does not begin with 0');
    this.range = -1;
    this.code = 0;
    for (let index = 0; index < 4; index++) this.code = (this.code << 8) | this.reader.u8();
  }

  /**
   * Decodes until the output has `end` bytes.
   * @returns false when an end marker came first
   */
  decode(end: number): boolean {
    const { output } = this;
    while (output.length < end) {
      const posState = (output.length - this.origin) & ((1 << this.pb) - 1);
      if (this.bit(IS_MATCH + this.state * POS_STATES + posState) === 0) {
        this.literal();
        continue;
      }
      const length = this.match(posState);
      if (this.rep0 === END_MARKER) return false;
      const distance = this.rep0 + 1;
      if (distance > output.length - this.origin) {
        throw this.reader.bad(`match distance is ${distance}, expected one within the data`);
      }
      if (length > end - output.length) throw this.reader.bad('a match goes beyond the end');
      output.copy(distance, length);
    }
    return true;
  }

  private literal(): void {
    const { output } = this;
    const position = output.length - this.origin;
    const previous = position > 0 ? output.back(1) : 0;
    const context = ((position & ((1 << this.lp) - 1)) << this.lc) + (previous >> (8 - this.lc));
    const base = LITERAL + 0x300 * context;
    let symbol = 1;
    if (this.state >= 7) {
      if (this.rep0 >= position) throw this.reader.bad('a literal follows a match beyond the data');
      symbol = this.matchedBits(base, output.back(this.rep0 + 1));
    }
    output.push(this.bits(base, symbol, 0x100) & 0xff);
    this.state = this.state < 4 ? 0 : this.state - (this.state < 10 ? 3 : 6);
  }

  /** The first bits of a literal, up to the first that is not as in `matchByte`. */
  private matchedBits(base: number, matchByte: number): number {
    let symbol = 1;
    for (let shift = 7; shift >= 0; shift--) {
      const matchBit = (matchByte >> shift) & 1;
      const bit = this.bit(base + ((1 + matchBit) << 8) + symbol);
      symbol = (symbol << 1) | bit;
      if (matchBit !== bit) break;
    }
    return symbol;
  }

  /** Decodes a match's length, and its distance into rep0. */
  private match(posState: number): number {
    const { state } = this;
    if (this.bit(IS_REP + state) === 0) {
      this.rep3 = this.rep2;
      this.rep2 = this.rep1;
      this.rep1 = this.rep0;
      const length = this.length(LEN, posState);
      this.state = state < 7 ? 7 : 10;
      this.rep0 = this.distance(length);
      return length;
    }
    if (this.bit(IS_REP_G0 + state) === 0) {
      if (this.bit(IS_REP0_LONG + state * POS_STATES + posState) === 0) {
        this.state = state < 7 ? 9 : 11;
        return 1;
      }
    } else {
      this.pickRepeated();
    }
    this.state = state < 7 ? 8 : 11;
    return this.length(REP_LEN, posState);
  }

  /** Moves one of the older distances to the front. */
  private pickRepeated(): void {
    let distance = this.rep1;
    if (this.bit(IS_REP_G1 + this.state) !== 0) {
      distance = this.rep2;
      if (this.bit(IS_REP_G2 + this.state) !== 0) {
        distance = this.rep3;
        this.rep3 = this.rep2;
      }
      this.rep2 = this.rep1;
    }
    this.rep1 = this.rep0;
    this.rep0 = distance;
  }

  private length(coder: number, posState: number): number {
    if (this.bit(coder) === 0) {
      return MATCH_MIN_LEN + this.tree(coder + LEN_LOW + posState * 8, 3);
    }
    if (this.bit(coder + 1) === 0) {
      return MATCH_MIN_LEN + 8 + this.tree(coder + LEN_MID + posState * 8, 3);
    }
    return MATCH_MIN_LEN + 16 + this.tree(coder + LEN_HIGH, 8);
  }

  private distance(length: number): number {
    const lenState = Math.min(length - MATCH_MIN_LEN, 3);
    const slot = this.tree(POS_SLOT + lenState * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const high = ((2 | (slot & 1)) << bits) >>> 0;
    if (slot < END_POS_MODEL_INDEX) {
      return high + this.reverseTree(POS_SPECIAL + high - slot, bits);
    }
    return high + this.directBits(bits - 4) * 16 + this.reverseTree(ALIGN, 4);
  }

  private tree(base: number, bits: number): number {
    return this.bits(base, 1, 1 << bits) - (1 << bits);
  }

  private reverseTree(base: number, bits: number): number {
    let symbol = this.bits(base, 1, 1 << bits);
    let value = 0;
    for (; symbol > 1; symbol >>= 1) value = (value << 1) | (symbol & 1);
    return value;
  }

  private directBits(count: number): number {
    const { input } = this.reader;
    let { at } = this.reader;
    let range = this.range >>> 0;
    let code = this.code >>> 0;
    let value = 0;
    for (let index = 0; index < count; index++) {
      range >>>= 1;
      const bit = code >= range ? 1 : 0;
      value = (value << 1) | bit;
      if (bit === 1) code -= range;
      if (range < TOP) {
        if (at >= input.length) throw this.reader.truncated();
        range = (range << 8) >>> 0;
        code = ((code << 8) | (input[at++] as number)) >>> 0;
      }
    }
    this.range = range | 0;
    this.code = code | 0;
    this.reader.at = at;
    return value;
  }

  /** Appends bits to `symbol`, each by the probability at `base` + symbol, until it reaches `end`. */
  private bits(base: number, first: number, end: number): number {
    const { probs } = this;
    const { input } = this.reader;
    let { at } = this.reader;
    let range = this.range >>> 0;
    let code = this.code >>> 0;
    let symbol = first;
    while (symbol < end) {
      const prob = probs[base + symbol] as number;
      const bound = Math.imul(range >>> 11, prob) >>> 0;
      if (code < bound) {
        range = bound;
        probs[base + symbol] = prob + ((2048 - prob) >> 5);
        symbol <<= 1;
      } else {
        range = (range - bound) >>> 0;
        code = (code - bound) >>> 0;
        probs[base + symbol] = prob - (prob >> 5);
        symbol = (symbol << 1) | 1;
      }
      if (range < TOP) {
        if (at >= input.length) throw this.reader.truncated();
        range = (range << 8) >>> 0;
        code = ((code << 8) | (input[at++] as number)) >>> 0;
      }
    }
    this.range = range | 0;
    this.code = code | 0;
    this.reader.at = at;
    return symbol;
  }

  private bit(index: number): 0 | 1 {
    const prob = this.probs[index] as number;
    const range = this.range >>> 0;
    const code = this.code >>> 0;
    const bound = Math.imul(range >>> 11, prob) >>> 0;
    if (code < bound) {
      this.probs[index] = prob + ((2048 - prob) >> 5);
      this.normalize(bound, code);
      return 0;
    }
    this.probs[index] = prob - (prob >> 5);
    this.normalize((range - bound) >>> 0, (code - bound) >>> 0);
    return 1;
  }

  private normalize(range: number, code: number): void {
    const low = range < TOP;
    this.range = (low ? range << 8 : range) | 0;
    this.code = (low ? (code << 8) | this.reader.u8() : code) | 0;
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

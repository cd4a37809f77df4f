/**
 * The layout of the kernel's structures, as it describes them itself: Documentation/bpf/btf.rst.
 */
import { readNumber } from '../loader/binary.js';

const MAGIC = 0xeb9f;
const KIND = {
  INT: 1,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  DECL_TAG: 17,
  ENUM64: 19,
} as const;
const TYPE_SIZE = 12;
/** A kernel has some hundred thousand. */
const MOST_TYPES = 2_000_000;

/** A structure, or a union. */
export interface BtfStruct {
  /** In bytes. */
  readonly size: number;
  /** Offsets of members in bytes; those of anonymous structures and unions within are among them. */
  readonly offsets: ReadonlyMap<string, number>;
}

/** Types by name. */
export class Btf {
  private readonly structs: ReadonlyMap<string, number>;
  /** Offset of each type in the data, by its number. */
  private readonly types: readonly number[];
  private readonly strings: number;

  private constructor(private readonly bytes: Uint8Array) {
    const header = readNumber(bytes, 4, 4);
    const start = header + readNumber(bytes, 8, 4);
    const end = Math.min(bytes.length, start + readNumber(bytes, 12, 4));
    this.strings = header + readNumber(bytes, 16, 4);
    const types = [0];
    const structs = new Map<string, number>();
    for (let at = start; at + TYPE_SIZE <= end && types.length < MOST_TYPES;) {
      const { kind, count } = this.info(at);
      if (kind === KIND.STRUCT) structs.set(this.text(readNumber(bytes, at, 4)), types.length);
      types.push(at);
      at += TYPE_SIZE + trailing(kind, count);
    }
    this.types = types;
    this.structs = structs;
  }

  /** Reads the section .BTF; undefined where the bytes are none. */
  static parse(bytes: Uint8Array): Btf | undefined {
    return readNumber(bytes, 0, 2) === MAGIC ? new Btf(bytes) : undefined;
  }

  /** A structure by its tag. */
  struct(name: string): BtfStruct | undefined {
    const type = this.structs.get(name);
    if (type === undefined) return undefined;
    const at = this.types[type] ?? 0;
    const offsets = new Map<string, number>();
    this.collect(at, 0, offsets, 0);
    return { size: readNumber(this.bytes, at + 8, 4), offsets };
  }

  private collect(at: number, base: number, offsets: Map<string, number>, depth: number): void {
    const { count, flag } = this.info(at);
    for (let n = 0; n < count; n++) {
      const member = at + TYPE_SIZE + n * 12;
      const name = this.text(readNumber(this.bytes, member, 4));
      const raw = readNumber(this.bytes, member + 8, 4);
      // With the kind's flag the top byte is a bit field's width.
      const offset = base + Math.floor((flag ? raw & 0xff_ffff : raw) / 8);
      if (name !== '') {
        offsets.set(name, offset);
        continue;
      }
      const inner = this.types[readNumber(this.bytes, member + 4, 4)];
      if (inner === undefined || depth > 8) continue;
      const { kind } = this.info(inner);
      if (kind === KIND.STRUCT || kind === KIND.UNION) {
        this.collect(inner, offset, offsets, depth + 1);
      }
    }
  }

  private info(at: number): { kind: number; count: number; flag: boolean } {
    const info = readNumber(this.bytes, at + 4, 4);
    return { kind: (info >>> 24) & 0x1f, count: info & 0xffff, flag: info >>> 31 === 1 };
  }

  private text(offset: number): string {
    const start = this.strings + offset;
    const end = this.bytes.indexOf(0, start);
    return Buffer.from(this.bytes.subarray(start, end < 0 ? undefined : end)).toString('latin1');
  }
}

/** Bytes behind a type, by its kind. */
function trailing(kind: number, count: number): number {
  switch (kind) {
    case KIND.INT:
    case KIND.VAR:
    case KIND.DECL_TAG:
      return 4;
    case KIND.ARRAY:
      return 12;
    case KIND.STRUCT:
    case KIND.UNION:
    case KIND.DATASEC:
    case KIND.ENUM64:
      return 12 * count;
    case KIND.ENUM:
    case KIND.FUNC_PROTO:
      return 8 * count;
    default:
      return 0;
  }
}

/**
 * The kernel's log out of guest memory: the ring buffer of Linux 5.10 and later
 * (kernel/printk/printk_ringbuffer.h), and the records of Linux 3.5 to 5.9 before it (struct printk_log).
 */
import { readBigint, readNumber } from '../loader/binary.js';
import type { BtfStruct } from './btf.js';
import type { GuestView } from './guest-view.js';
import type { Symbols } from './symbols.js';

/** One message of the kernel's log. */
export interface LogRecord {
  /** Time since boot in nanoseconds. */
  readonly nanoseconds: bigint;
  /** Severity, 0 (emergency) to 7 (debug). */
  readonly level: number;
  /** 0 for the kernel's own messages: syslog(3). */
  readonly facility: number;
  /** Its lines, without a newline at the end. */
  readonly text: string;
}

/** Bounds on what a guest can make us read. */
const MOST_BITS = 26;

/** The log, oldest message first; undefined where none can be found. */
export function readKernelLog(view: GuestView, symbols: Symbols): LogRecord[] | undefined {
  const ring = symbols.address('prb');
  if (ring !== undefined) return new RingBuffer(view, symbols).read(ring);
  const buffer = symbols.address('log_buf');
  return buffer === undefined ? undefined : readOldLog(view, symbols, buffer);
}

/** States of a descriptor whose message is complete: DESC_STATE. */
const COMPLETE = [1n, 2n];
const STATE_SHIFT = 62n;
const ID_MASK = (1n << STATE_SHIFT) - 1n;

/** Layouts on 64-bit machines, which have not changed so far; the kernel's own description goes before them. */
const LAYOUTS = {
  printk_ringbuffer: { size: 88, desc_ring: 0, text_data_ring: 48 },
  prb_desc_ring: { size: 48, count_bits: 0, descs: 8, infos: 16, head_id: 24, tail_id: 32 },
  prb_data_ring: { size: 32, size_bits: 0, data: 8 },
  prb_desc: { size: 24, state_var: 0, text_blk_lpos: 8 },
  printk_info: { size: 88, ts_nsec: 8, text_len: 16, facility: 18, level: 19 },
} as const;

type StructName = keyof typeof LAYOUTS;

class RingBuffer {
  private readonly structs = new Map<StructName, BtfStruct>();

  constructor(
    private readonly view: GuestView,
    symbols: Symbols,
  ) {
    const btf = symbols.btf();
    for (const name of Object.keys(LAYOUTS) as StructName[]) {
      const { size, ...offsets } = LAYOUTS[name];
      const known = { size, offsets: new Map(Object.entries(offsets)) };
      this.structs.set(name, btf?.struct(name) ?? known);
    }
  }

  /** @param pointer address of the variable prb */
  read(pointer: bigint): LogRecord[] | undefined {
    const ring = this.view.readUint(pointer, 8);
    if (ring === undefined) return undefined;
    const descriptors = ring + this.offset('printk_ringbuffer', 'desc_ring');
    const data = ring + this.offset('printk_ringbuffer', 'text_data_ring');
    const countBits = this.field(descriptors, 'prb_desc_ring', 'count_bits', 4);
    const sizeBits = this.field(data, 'prb_data_ring', 'size_bits', 4);
    if (countBits > MOST_BITS || sizeBits > MOST_BITS) return undefined;
    const count = 1 << Number(countBits);
    const all = (field: string, type: StructName): Uint8Array => {
      const address = this.field(descriptors, 'prb_desc_ring', field, 8);
      return this.view.read(address, count * this.sizeOf(type));
    };
    const [descs, infos] = [all('descs', 'prb_desc'), all('infos', 'printk_info')];
    const text = this.view.read(
      this.field(data, 'prb_data_ring', 'data', 8),
      1 << Number(sizeBits),
    );
    const tail = this.field(descriptors, 'prb_desc_ring', 'tail_id', 8) & ID_MASK;
    const head = this.field(descriptors, 'prb_desc_ring', 'head_id', 8) & ID_MASK;
    const records: LogRecord[] = [];
    // Identifiers wrap around below the bits of the state.
    for (let n = 0; n < count; n++) {
      const id = (tail + BigInt(n)) & ID_MASK;
      const record = this.record(id, count, descs, infos, text);
      if (record !== undefined) records.push(record);
      if (id === head) break;
    }
    return records;
  }

  private record(
    id: bigint,
    count: number,
    descs: Uint8Array,
    infos: Uint8Array,
    ring: Uint8Array,
  ): LogRecord | undefined {
    const index = Number(id % BigInt(count));
    const at = (type: StructName, field: string): number =>
      index * this.sizeOf(type) + Number(this.offset(type, field));
    const state = readBigint(descs, at('prb_desc', 'state_var'));
    if (!COMPLETE.includes(state >> STATE_SHIFT) || (state & ID_MASK) !== id) return undefined;
    const position = at('prb_desc', 'text_blk_lpos');
    const begin = readBigint(descs, position);
    const next = readBigint(descs, position + 8);
    const length = readNumber(infos, at('printk_info', 'text_len'), 2);
    return {
      nanoseconds: readBigint(infos, at('printk_info', 'ts_nsec')),
      facility: readNumber(infos, at('printk_info', 'facility'), 1),
      level: readNumber(infos, at('printk_info', 'level'), 1) >> 5,
      text: blockText(ring, begin, next, length),
    };
  }

  private offset(type: StructName, field: string): bigint {
    return BigInt(this.structs.get(type)?.offsets.get(field) ?? 0);
  }

  private sizeOf(type: StructName): number {
    return this.structs.get(type)?.size ?? 0;
  }

  private field(base: bigint, type: StructName, name: string, size: 4 | 8): bigint {
    return this.view.readUint(base + this.offset(type, name), size) ?? 0n;
  }
}

/** The text of a data block: an identifier, then the text. One that would wrap begins at the ring's start. */
function blockText(ring: Uint8Array, begin: bigint, next: bigint, length: number): string {
  // Positions with the lowest bit set stand for messages without text.
  if ((begin & 1n) !== 0n || ring.length === 0) return '';
  const size = BigInt(ring.length);
  const wraps = begin / size !== next / size && next % size !== 0n;
  const start = (wraps ? 0 : Number(begin % size)) + 8;
  return decode(ring.subarray(start, start + length));
}

function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8').replace(/\n$/, '');
}

/** Fields of struct printk_log; with CONFIG_PRINTK_CALLER four bytes follow. */
const OLD_RECORD = { size: 16, length: 8, textLength: 10, facility: 14, level: 15 } as const;

function readOldLog(view: GuestView, symbols: Symbols, pointer: bigint): LogRecord[] | undefined {
  const u32 = (name: string): number => {
    const address = symbols.address(name);
    return address === undefined ? 0 : Number(view.readUint(address, 4) ?? 0n);
  };
  const buffer = view.readUint(pointer, 8);
  const size = u32('log_buf_len');
  if (buffer === undefined || size === 0 || size > 1 << MOST_BITS) return undefined;
  const ring = view.read(buffer, size);
  const header = symbols.btf()?.struct('printk_log')?.size ?? OLD_RECORD.size;
  const end = u32('log_next_idx');
  const records: LogRecord[] = [];
  let at = u32('log_first_idx');
  for (let n = 0; n < ring.length / OLD_RECORD.size && at + OLD_RECORD.size <= ring.length; n++) {
    if (at === end && n > 0) break;
    const length = readNumber(ring, at + OLD_RECORD.length, 2);
    // A record without a length marks the end of the buffer: the next one is at its start.
    if (length === 0) {
      if (at === 0) break;
      at = 0;
      continue;
    }
    const start = at + header;
    const textLength = readNumber(ring, at + OLD_RECORD.textLength, 2);
    records.push({
      nanoseconds: readBigint(ring, at),
      facility: readNumber(ring, at + OLD_RECORD.facility, 1),
      level: readNumber(ring, at + OLD_RECORD.level, 1) >> 5,
      text: decode(ring.subarray(start, start + textLength)),
    });
    at += length;
  }
  return records;
}

/** A message as dmesg prints it: each line with the time in seconds. */
export function formatRecord({ nanoseconds, text }: LogRecord): string {
  const microseconds = nanoseconds / 1000n;
  const seconds = (microseconds / 1_000_000n).toString().padStart(5);
  const stamp = `[${seconds}.${(microseconds % 1_000_000n).toString().padStart(6, '0')}] `;
  return text
    .split('\n')
    .map((line) => stamp + line)
    .join('\n');
}

import { describe, expect, it } from 'vitest';

import { GuestView } from '../../../src/debug/guest-view.js';
import { formatRecord, readKernelLog } from '../../../src/debug/printk.js';
import { SymbolTable } from '../../../src/debug/symbol-table.js';
import { Symbols } from '../../../src/debug/symbols.js';
import type { RegisterName } from '../../../src/native.js';
import { makeMemory } from '../../support/kernel-fixture.js';

/** Where the log of Linux 3.5 to 5.9 lies in the guests below. */
const LOG = {
  buffer: 0x1_0000,
  size: 0x400,
  pointer: 0x2000,
  length: 0x2008,
  first: 0x200c,
  next: 0x2010,
};

/** A guest without paging, whose symbols come from a file. */
function guestOf(symbols: Record<string, number>) {
  const { memory } = makeMemory(0x100_0000);
  const segment = { selector: 0, base: 0n, limit: 0xffff, access: 0 };
  const registers = { getRegister: (_name: RegisterName) => 0n, getSegment: () => segment };
  const view = new GuestView(registers, memory);
  const table = SymbolTable.of(
    Object.entries(symbols).map(([name, address]): [string, bigint] => [name, BigInt(address)]),
  );
  return { memory, read: () => readKernelLog(view, new Symbols(view, table)) };
}

function oldGuest(first: number, next: number) {
  const { pointer, length, first: firstAt, next: nextAt } = LOG;
  const guest = guestOf({
    log_buf: pointer,
    log_buf_len: length,
    log_first_idx: firstAt,
    log_next_idx: nextAt,
  });
  guest.memory.writeU64(pointer, BigInt(LOG.buffer));
  guest.memory.writeU32(length, LOG.size);
  guest.memory.writeU32(firstAt, first);
  guest.memory.writeU32(nextAt, next);
  /** Writes a record of struct printk_log; its length. */
  const put = (at: number, nanoseconds: bigint, level: number, text: string): number => {
    const size = Math.ceil((16 + text.length) / 4) * 4;
    guest.memory.writeU64(LOG.buffer + at, nanoseconds);
    guest.memory.writeU16(LOG.buffer + at + 8, size);
    guest.memory.writeU16(LOG.buffer + at + 10, text.length);
    guest.memory.writeU8(LOG.buffer + at + 15, level << 5);
    guest.memory.write(LOG.buffer + at + 16, Buffer.from(text));
    return size;
  };
  return { ...guest, put };
}

describe('the log of Linux 3.5 to 5.9', () => {
  it('is read from its first record to its last', () => {
    const { put, read, memory } = oldGuest(0, 0);
    const size = put(0, 0n, 5, 'Linux version 4.19');
    memory.writeU32(LOG.next, size + put(size, 1_234_567_890n, 4, 'two\nlines'));
    expect(read()?.map(formatRecord)).toEqual([
      '[    0.000000] Linux version 4.19',
      '[    1.234567] two\n[    1.234567] lines',
    ]);
    expect(read()?.[1]).toMatchObject({ level: 4, facility: 0 });
  });

  it('goes on at the start of the buffer behind its end', () => {
    const { put, read, memory } = oldGuest(0x100, 0);
    put(0x100, 1n, 6, 'older');
    memory.writeU32(LOG.next, put(0, 2n, 6, 'newer'));
    expect(read()?.map(({ text }) => text)).toEqual(['older', 'newer']);
  });

  it('may be hostile', () => {
    const { memory, put, read } = oldGuest(0, 8);
    put(0, 0n, 0, 'x');
    for (const length of [1, 3, 8, 0xffff]) {
      memory.writeU16(LOG.buffer + 8, length);
      expect(read()).toBeDefined();
    }
    memory.writeU32(LOG.length, 0xffff_ffff);
    expect(read()).toBeUndefined();
  });
});

/** The ring buffer since Linux 5.10, with four descriptors and 64 bytes of text. */
describe('the log since Linux 5.10', () => {
  const [RING, DESCS, INFOS, TEXT] = [0x3000, 0x4000, 0x5000, 0x6000];
  const COMMITTED = 1n << 62n;
  const FINALIZED = 2n << 62n;
  const REUSABLE = 3n << 62n;

  function newGuest(tail: bigint, head: bigint) {
    const guest = guestOf({ prb: 0x2000 });
    const { memory } = guest;
    memory.writeU64(0x2000, BigInt(RING));
    memory.writeU32(RING, 2);
    [DESCS, INFOS].forEach((gpa, n) => memory.writeU64(RING + 8 + 8 * n, BigInt(gpa)));
    memory.writeU64(RING + 24, head);
    memory.writeU64(RING + 32, tail);
    memory.writeU32(RING + 48, 6);
    memory.writeU64(RING + 56, BigInt(TEXT));
    const put = (id: bigint, state: bigint, begin: number, text: string): void => {
      const index = Number(id & 3n);
      memory.writeU64(DESCS + 24 * index, state | id);
      memory.writeU64(DESCS + 24 * index + 8, BigInt(begin));
      memory.writeU64(DESCS + 24 * index + 16, BigInt(begin + 8 + Math.ceil(text.length / 8) * 8));
      memory.writeU64(INFOS + 88 * index + 8, id * 1000n);
      memory.writeU16(INFOS + 88 * index + 16, text.length);
      memory.write(TEXT + (begin % 64) + 8, Buffer.from(text));
    };
    return { ...guest, put };
  }

  it('is read from the tail to the head, over the edge of the ring', () => {
    const { put, read, memory } = newGuest(3n, 6n);
    put(3n, FINALIZED, 0, 'first');
    put(4n, COMMITTED, 16, 'second');
    put(5n, REUSABLE, 32, 'gone');
    put(6n, FINALIZED, 48, '');
    // A block that does not fit behind is at the start: it wraps.
    memory.writeU64(DESCS + 24 * 2 + 16, 64n + 16n);
    memory.writeU16(INFOS + 88 * 2 + 16, 5);
    expect(read()?.map(({ text }) => text)).toEqual(['first', 'second', 'first']);
  });

  it('may be hostile', () => {
    const { memory, read } = newGuest(0n, 0xffff_ffffn);
    expect(read()).toEqual([]);
    memory.writeU32(RING, 60);
    expect(read()).toBeUndefined();
    memory.writeU64(0x2000, 1n << 60n);
    expect(read()).toBeDefined();
  });
});

/** Synthetic ELF kernels and bzImages that have one packed, for tests of the loader. */
import { gzipSync } from 'fflate';

import { PAYLOAD_SIZE, SETUP_SIZE, makeKernel } from './kernel-fixture.js';

/** A program header with its content. */
export interface SegmentFixture {
  readonly type?: number;
  readonly vaddr?: bigint;
  readonly paddr: number;
  readonly data: Uint8Array;
  readonly memsz?: number;
}

/** What {@link makeElf} makes. */
export interface ElfFixture {
  readonly bits?: 32 | 64;
  readonly entry?: bigint;
  readonly segments?: readonly SegmentFixture[];
}

/** Where the kernels below are linked to run: physically, and the kernel mapping in front. */
export const LINKED = 0x100_0000;
export const KERNEL_MAP = { 32: 0xc000_0000n, 64: 0xffff_ffff_8000_0000n } as const;

/** An executable; by default one segment of NOPs with a page of bss behind it. */
export function makeElf({ bits = 64, entry, segments }: ElfFixture = {}): Uint8Array {
  const map = KERNEL_MAP[bits];
  const text = {
    paddr: LINKED,
    vaddr: map + BigInt(LINKED),
    data: new Uint8Array(4096).fill(0x90),
  };
  const list = segments ?? [{ ...text, memsz: 8192 }];
  const headerSize = bits === 64 ? 64 : 52;
  const segmentSize = bits === 64 ? 56 : 32;
  const parts: Buffer[] = [];
  let offset = headerSize + list.length * segmentSize;
  const headers = Buffer.alloc(offset);
  const word = (value: number | bigint, at: number): void => {
    if (bits === 64) headers.writeBigUInt64LE(BigInt(value), at);
    else headers.writeUInt32LE(Number(value), at);
  };
  headers.set([0x7f, 0x45, 0x4c, 0x46, bits / 32, 1, 1]);
  headers.writeUInt16LE(2, 0x10);
  headers.writeUInt16LE(bits === 64 ? 62 : 3, 0x12);
  word(entry ?? LINKED, 0x18);
  word(headerSize, bits === 64 ? 0x20 : 0x1c);
  headers.writeUInt16LE(segmentSize, bits === 64 ? 0x36 : 0x2a);
  headers.writeUInt16LE(list.length, bits === 64 ? 0x38 : 0x2c);
  list.forEach(({ type = 1, vaddr, paddr, data, memsz }, index) => {
    const at = headerSize + index * segmentSize;
    const size = bits / 8;
    const first = at + (bits === 64 ? 8 : 4);
    headers.writeUInt32LE(type, at);
    const words = [offset, vaddr ?? paddr, paddr, data.length, memsz ?? data.length];
    words.forEach((value, field) => word(value, first + field * size));
    word(4, at + (bits === 64 ? 48 : 28));
    parts.push(Buffer.from(data));
    offset += data.length;
  });
  return Buffer.concat([headers, ...parts]);
}

/** A note segment with one record. */
export function makeNote(name: string, type: number, descriptor: Uint8Array): SegmentFixture {
  const head = Buffer.alloc(12);
  head.writeUInt32LE(name.length + 1, 0);
  head.writeUInt32LE(descriptor.length, 4);
  head.writeUInt32LE(type, 8);
  const padded = Buffer.alloc((name.length + 4) & ~3);
  padded.write(name, 'latin1');
  return { type: 4, paddr: 0, data: Buffer.concat([head, padded, descriptor]) };
}

/** The note that makes an ELF kernel a PVH one. */
export function makePvhNote(entry: number): SegmentFixture {
  const descriptor = Buffer.alloc(8);
  descriptor.writeUInt32LE(entry);
  return makeNote('Xen', 18, descriptor);
}

/** A table of relocations: the lists in the order of the file, a zero in front of each. */
export function makeRelocations(...lists: readonly (readonly number[])[]): Uint8Array {
  return Buffer.from(Uint32Array.from(lists.flatMap((list) => [0, ...list])).buffer);
}

/** A bzImage whose payload is `unpacked`, gzipped unless `packed` is given. */
export function makePackedKernel(
  unpacked: Uint8Array,
  fields: Parameters<typeof makeKernel>[0] = {},
  packed: Uint8Array = gzipSync(unpacked, { mtime: 0 }),
): Uint8Array {
  const offset = 0x300;
  const paragraphs = Math.ceil(Math.max(PAYLOAD_SIZE, offset + packed.length) / 16);
  const head = makeKernel({
    syssize: paragraphs,
    payload_offset: offset,
    payload_length: packed.length,
    kernel_info_offset: 0,
    handover_offset: 0,
    ...fields,
  });
  const file = new Uint8Array(SETUP_SIZE + paragraphs * 16);
  file.set(head.subarray(0, SETUP_SIZE + offset));
  file.set(packed, SETUP_SIZE + offset);
  return file;
}

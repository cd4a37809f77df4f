/** ELF files (Tool Interface Standard, "Executable and Linking Format"; the 64-bit form by the gABI). */
import type { GuestMemory } from '../memory.js';
import { HIGH_MEMORY } from '../layout.js';
import { badKernel, hex, readBigint, readNumber } from './binary.js';
import type { Placement } from './boot-params.js';

/** A program header; sizes and addresses in bytes. */
export interface ElfSegment {
  readonly type: number;
  readonly offset: number;
  readonly vaddr: bigint;
  readonly paddr: number;
  readonly filesz: number;
  readonly memsz: number;
  readonly align: number;
}

/** An x86 executable taken apart; every offset lies within the file. */
export interface ElfFile {
  readonly bytes: Uint8Array;
  readonly bits: 32 | 64;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  /** Offset behind everything that the headers tell of. */
  readonly end: number;
}

/** One record of a note segment. */
export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly descriptor: Uint8Array;
}

/** p_type */
export const PT = { LOAD: 1, NOTE: 4 } as const;

const ELF_MAGIC = 0x464c_457f;
const CLASS_OFFSET = 4;
const DATA_OFFSET = 5;
const LITTLE_ENDIAN = 1;
const ET = { EXEC: 2, DYN: 3 } as const;
const SHT_NOBITS = 8;
/** A kernel has a handful; more are no kernel's. */
const MAX_SEGMENTS = 64;
const MAX_NOTES = 1024;

/** Offset and size of what differs between the classes. */
const CLASSES = {
  32: {
    machine: 3, // EM_386
    word: 4,
    header: { entry: 0x18, phoff: 0x1c, shoff: 0x20, phentsize: 0x2a, size: 0x34 },
    segment: { offset: 4, vaddr: 8, paddr: 12, filesz: 16, memsz: 20, align: 28, size: 32 },
    section: { offset: 0x10, length: 0x14, size: 40 },
  },
  64: {
    machine: 62, // EM_X86_64
    word: 8,
    header: { entry: 0x18, phoff: 0x20, shoff: 0x28, phentsize: 0x36, size: 0x40 },
    segment: { offset: 8, vaddr: 16, paddr: 24, filesz: 32, memsz: 40, align: 48, size: 56 },
    section: { offset: 0x18, length: 0x20, size: 64 },
  },
} as const;

/** Whether a file is ELF at all. */
export function isElf(bytes: Uint8Array): boolean {
  return readNumber(bytes, 0, 4) === ELF_MAGIC;
}

/**
 * Takes an executable for x86 apart.
 * @throws NodevmError `E_BAD_KERNEL` naming field, value and what was expected
 */
export function parseElf(bytes: Uint8Array): ElfFile {
  const elfClass = bytes[CLASS_OFFSET];
  if (!isElf(bytes) || (elfClass !== 1 && elfClass !== 2) || bytes[DATA_OFFSET] !== LITTLE_ENDIAN) {
    throw badKernel(
      `e_ident is ${Buffer.from(bytes.subarray(0, 6)).toString('hex')}, expected a little-endian ELF file`,
    );
  }
  const bits = elfClass === 1 ? 32 : 64;
  const { machine, header } = CLASSES[bits];
  if (bytes.length < header.size) {
    throw badKernel(`ELF file is ${bytes.length} bytes, expected a header of ${header.size}`);
  }
  expectField('e_machine', readNumber(bytes, 0x12, 2), [machine]);
  expectField('e_type', readNumber(bytes, 0x10, 2), [ET.EXEC, ET.DYN]);
  const segments = readSegments(bytes, bits);
  const entry = bits === 32 ? BigInt(readNumber(bytes, header.entry, 4)) : readBigint(bytes, 0x18);
  return { bytes, bits, entry, segments, end: findEnd(bytes, bits, segments) };
}

function expectField(field: string, value: number, expected: readonly number[]): void {
  if (expected.includes(value)) return;
  throw badKernel(`${field} of the ELF file is ${value}, expected ${expected.join(' or ')}`);
}

function readSegments(bytes: Uint8Array, bits: 32 | 64): readonly ElfSegment[] {
  const { word, header, segment } = CLASSES[bits];
  const start = readWord(bytes, header.phoff, word, 'e_phoff');
  const count = readNumber(bytes, header.phentsize + 2, 2);
  expectField('e_phentsize', readNumber(bytes, header.phentsize, 2), [segment.size]);
  if (count === 0 || count > MAX_SEGMENTS) {
    throw badKernel(`e_phnum of the ELF file is ${count}, expected 1 to ${MAX_SEGMENTS}`);
  }
  checkWithin(bytes, 'e_phoff', start, count * segment.size);
  return Array.from({ length: count }, (_, index) => {
    const base = start + index * segment.size;
    const get = (field: 'offset' | 'paddr' | 'filesz' | 'memsz' | 'align'): number =>
      readWord(bytes, base + segment[field], word, `p_${field}`);
    const vaddrAt = base + segment.vaddr;
    const found: ElfSegment = {
      type: readNumber(bytes, base, 4),
      offset: get('offset'),
      vaddr: bits === 32 ? BigInt(readNumber(bytes, vaddrAt, 4)) : readBigint(bytes, vaddrAt),
      paddr: get('paddr'),
      filesz: get('filesz'),
      memsz: get('memsz'),
      align: get('align'),
    };
    if (found.type === PT.LOAD || found.type === PT.NOTE) {
      checkWithin(bytes, 'p_offset', found.offset, found.filesz);
    }
    return found;
  });
}

/** A word that fits a number, which every sound offset and physical address does. */
function readWord(bytes: Uint8Array, offset: number, size: number, field: string): number {
  if (size === 4) return readNumber(bytes, offset, 4);
  const value = readBigint(bytes, offset);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw badKernel(`${field} of the ELF file is ${hex(value)}, expected less than 2^53`);
  }
  return Number(value);
}

function checkWithin(bytes: Uint8Array, field: string, start: number, length: number): void {
  if (start + length <= bytes.length) return;
  throw badKernel(
    `${field} of the ELF file is ${hex(start)} with ${length} bytes there, but the file has ${bytes.length}: it is truncated`,
  );
}

/** Sections may lie behind the segments; their headers usually come last. Bad ones are passed over. */
function findEnd(bytes: Uint8Array, bits: 32 | 64, segments: readonly ElfSegment[]): number {
  const { word, header, section } = CLASSES[bits];
  const start = readWord(bytes, header.shoff, word, 'e_shoff');
  const count = readNumber(bytes, header.phentsize + 6, 2);
  const ends = segments
    .filter(({ type }) => type === PT.LOAD || type === PT.NOTE)
    .map(({ offset, filesz }) => offset + filesz);
  if (count > 0) ends.push(start + count * section.size);
  for (let index = 0; index < count; index++) {
    const base = start + index * section.size;
    if (readNumber(bytes, base + 4, 4) === SHT_NOBITS) continue;
    ends.push(
      readWord(bytes, base + section.offset, word, 'sh_offset') +
        readWord(bytes, base + section.length, word, 'sh_size'),
    );
  }
  return Math.min(bytes.length, Math.max(...ends, header.size));
}

/** Whether a segment takes memory. */
export function isLoaded({ type, memsz }: ElfSegment): boolean {
  return type === PT.LOAD && memsz > 0;
}

/**
 * The memory that the segments take, having checked that they lie in it one by one and above 1 MiB.
 * @throws NodevmError `E_BAD_KERNEL`
 */
export function segmentRange({ segments }: ElfFile): Placement {
  const loaded = segments.filter(isLoaded).sort((a, b) => a.paddr - b.paddr);
  const base = loaded[0]?.paddr;
  if (base === undefined) throw badKernel('the ELF file has no PT_LOAD segment, expected some');
  let end = HIGH_MEMORY;
  for (const { paddr, filesz, memsz } of loaded) {
    if (filesz > memsz) {
      throw badKernel(`p_filesz of the ELF file is ${filesz}, expected at most p_memsz, ${memsz}`);
    }
    if (paddr < end) {
      throw badKernel(
        `p_paddr of the ELF file is ${hex(paddr)}, expected ${hex(end)} or more: segments do not overlap and lie above 1 MiB`,
      );
    }
    end = paddr + memsz;
  }
  return { base, length: end - base };
}

/** Puts the segments to their physical addresses; call {@link segmentRange} first. */
export function writeSegments(memory: GuestMemory, { bytes, segments }: ElfFile): void {
  for (const { offset, paddr, filesz, memsz } of segments.filter(isLoaded)) {
    memory.write(paddr, bytes.subarray(offset, offset + filesz));
    memory.fill(paddr + filesz, memsz - filesz, 0);
  }
}

/**
 * The physical address of the entry point, which some files give as a virtual one.
 * @throws NodevmError `E_BAD_KERNEL` where it is in no segment
 */
export function entryAddress({ entry, segments }: ElfFile): number {
  for (const { vaddr, paddr, memsz } of segments.filter(isLoaded)) {
    if (entry >= paddr && entry < paddr + memsz) return Number(entry);
    if (entry >= vaddr && entry < vaddr + BigInt(memsz)) return paddr + Number(entry - vaddr);
  }
  throw badKernel(`e_entry of the ELF file is ${hex(entry)}, expected an address in a segment`);
}

/** The records of all note segments; a damaged one ends its segment. */
export function readNotes({ bytes, segments }: ElfFile): readonly ElfNote[] {
  const notes: ElfNote[] = [];
  for (const { type, offset, filesz, align } of segments) {
    if (type !== PT.NOTE) continue;
    const pad = (length: number): number => length + (-length & (align === 8 ? 7 : 3));
    const end = offset + filesz;
    let at = offset;
    while (at + 12 <= end && notes.length < MAX_NOTES) {
      const nameEnd = at + 12 + readNumber(bytes, at, 4);
      const descriptorStart = offset + pad(nameEnd - offset);
      const descriptorEnd = descriptorStart + readNumber(bytes, at + 4, 4);
      if (descriptorEnd > end) break;
      notes.push({
        name: Buffer.from(bytes.subarray(at + 12, nameEnd))
          .toString('latin1')
          .replace(/\0$/, ''),
        type: readNumber(bytes, at + 8, 4),
        descriptor: bytes.subarray(descriptorStart, descriptorEnd),
      });
      at = offset + pad(descriptorEnd - offset);
    }
  }
  return notes;
}

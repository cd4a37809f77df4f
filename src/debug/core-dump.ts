/**
 * A core file of the whole guest, as kdump writes it: ELF with guest memory by physical address and by the
 * kernel's own mappings, the registers, and VMCOREINFO. For gdb and crash.
 */
import { closeSync, ftruncateSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import process from 'node:process';

import { NodevmError } from '../errors.js';
import { alignUp } from '../loader/binary.js';
import type { GuestView } from './guest-view.js';
import type { Symbols } from './symbols.js';

const ELF_HEADER = 64;
const PROGRAM_HEADER = 56;
const PT = { LOAD: 1, NOTE: 4 } as const;
const NT_PRSTATUS = 1;
const ET_CORE = 4;
const EM_X86_64 = 62;
const RWX = 7;
const PAGE = 4096;
/** Written at a time; what is all zeros is left out, as a hole. */
const CHUNK = 2 ** 20;

/** struct elf_prstatus: its size, and where pr_pid and pr_reg are (linux/elfcore.h). */
const PRSTATUS = { size: 336, pid: 32, registers: 112 } as const;

/** Where Linux has all of memory, unless it was randomized: Documentation/arch/x86/x86_64/mm.rst. */
const PAGE_OFFSET = 0xffff_8880_0000_0000n;
/** Bytes of the kernel's image that are mapped at most. */
const KERNEL_IMAGE = 512 * 2 ** 20;
const MOST_VMCOREINFO = 64 * 1024;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly linear: bigint;
  readonly gpa: number;
  readonly length: number;
}

/**
 * Writes the core file. It appears under its name only when it is whole.
 * @throws NodevmError `E_FILE` when it cannot be written
 */
export function writeCore(path: string, view: GuestView, symbols: Symbols): void {
  const partial = `${path}.partial-${process.pid}`;
  try {
    const file = openSync(partial, 'wx');
    try {
      writeParts(file, view, symbols);
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
  } catch (cause) {
    rmSync(partial, { force: true });
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError('E_FILE', `core ${path}: cannot be written: ${why}`, { cause });
  }
}

function writeParts(file: number, view: GuestView, symbols: Symbols): void {
  const notes = notesOf(view, symbols);
  const { ranges } = view.memory;
  const mapped = symbols.kernel()?.mapped === true;
  const count = 1 + ranges.length + (mapped ? 1 : 0);
  const notesAt = ELF_HEADER + count * PROGRAM_HEADER;
  let offset = alignUp(notesAt + notes.length, PAGE);
  const segments: Segment[] = [
    { type: PT.NOTE, offset: notesAt, linear: 0n, gpa: 0, length: notes.length },
  ];
  const direct = mapped ? directMap(view, symbols) : 0n;
  for (const { base, length } of ranges) {
    const linear = direct + BigInt(base);
    segments.push({ type: PT.LOAD, offset, linear, gpa: base, length });
    offset += length;
  }
  const memory = segments.slice(1);
  if (mapped) segments.push(kernelSegment(symbols, memory));
  writeSync(file, Buffer.concat([header(segments), notes]), 0, undefined, 0);
  ftruncateSync(file, offset);
  for (const segment of memory) writeMemory(file, view, segment);
}

/** Where the kernel has all of memory. */
function directMap(view: GuestView, symbols: Symbols): bigint {
  const variable = symbols.address('page_offset_base');
  return (variable === undefined ? undefined : view.readUint(variable, 8)) ?? PAGE_OFFSET;
}

/** The kernel's image at its own addresses: the same bytes of the file. */
function kernelSegment(symbols: Symbols, memory: readonly Segment[]): Segment {
  const linear = symbols.address('_text') ?? 0n;
  const end = symbols.address('_end') ?? linear;
  const gpa = Number(linear + (symbols.kernel()?.physicalOffset ?? 0n));
  const within = memory.find((part) => gpa >= part.gpa && gpa < part.gpa + part.length);
  const rest = within === undefined ? 0 : within.gpa + within.length - gpa;
  const length = Math.min(Number(end - linear), KERNEL_IMAGE, rest);
  const offset = within === undefined ? 0 : within.offset + (gpa - within.gpa);
  return { type: PT.LOAD, offset, linear, gpa, length };
}

function header(segments: readonly Segment[]): Buffer {
  const bytes = Buffer.alloc(ELF_HEADER + segments.length * PROGRAM_HEADER);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(bytes);
  bytes.writeUInt16LE(ET_CORE, 0x10);
  bytes.writeUInt16LE(EM_X86_64, 0x12);
  bytes.writeUInt32LE(1, 0x14);
  bytes.writeBigUInt64LE(BigInt(ELF_HEADER), 0x20);
  bytes.writeUInt16LE(ELF_HEADER, 0x34);
  bytes.writeUInt16LE(PROGRAM_HEADER, 0x36);
  bytes.writeUInt16LE(segments.length, 0x38);
  segments.forEach(({ type, offset, linear, gpa, length }, n) => {
    const at = ELF_HEADER + n * PROGRAM_HEADER;
    bytes.writeUInt32LE(type, at);
    bytes.writeUInt32LE(type === PT.LOAD ? RWX : 0, at + 4);
    const words = [BigInt(offset), linear, BigInt(gpa), BigInt(length), BigInt(length), 0n];
    words.forEach((word, k) => bytes.writeBigUInt64LE(word, at + 8 + 8 * k));
  });
  return bytes;
}

function writeMemory(file: number, { memory }: GuestView, { offset, gpa, length }: Segment): void {
  const zeros = Buffer.alloc(CHUNK);
  for (let done = 0; done < length; done += CHUNK) {
    const size = Math.min(CHUNK, length - done);
    const bytes = memory.read(gpa + done, size);
    if (!zeros.subarray(0, size).equals(bytes)) writeSync(file, bytes, 0, size, offset + done);
  }
}

function notesOf(view: GuestView, symbols: Symbols): Buffer {
  const notes = [note('CORE', NT_PRSTATUS, statusOf(view))];
  const info = vmcoreinfoOf(view, symbols);
  if (info !== undefined) notes.push(note('VMCOREINFO', 0, info));
  return Buffer.concat(notes);
}

function note(name: string, type: number, descriptor: Uint8Array): Buffer {
  const nameBytes = Buffer.from(`${name}\0`);
  const nameEnd = 12 + alignUp(nameBytes.length, 4);
  const bytes = Buffer.alloc(nameEnd + alignUp(descriptor.length, 4));
  bytes.writeUInt32LE(nameBytes.length, 0);
  bytes.writeUInt32LE(descriptor.length, 4);
  bytes.writeUInt32LE(type, 8);
  nameBytes.copy(bytes, 12);
  bytes.set(descriptor, nameEnd);
  return bytes;
}

/** struct elf_prstatus with the registers in the order of struct user_regs_struct (asm/user_64.h). */
function statusOf(view: GuestView): Buffer {
  const bytes = Buffer.alloc(PRSTATUS.size);
  bytes.writeUInt32LE(1, PRSTATUS.pid);
  const { register } = view;
  const selector = (name: 'cs' | 'ss' | 'ds' | 'es' | 'fs' | 'gs'): bigint =>
    BigInt(view.segment(name).selector);
  const words = [
    ...(['r15', 'r14', 'r13', 'r12', 'rbp', 'rbx', 'r11', 'r10', 'r9', 'r8'] as const).map(
      register,
    ),
    ...(['rax', 'rcx', 'rdx', 'rsi', 'rdi'] as const).map(register),
    0xffff_ffff_ffff_ffffn, // orig_rax: in no system call
    register('rip'),
    selector('cs'),
    register('rflags'),
    register('rsp'),
    selector('ss'),
    view.segment('fs').base,
    view.segment('gs').base,
    ...(['ds', 'es', 'fs', 'gs'] as const).map(selector),
  ];
  words.forEach((word, n) => bytes.writeBigUInt64LE(word, PRSTATUS.registers + 8 * n));
  return bytes;
}

/** The text that the kernel keeps for tools that read its memory: Documentation/admin-guide/kdump/vmcoreinfo.rst. */
function vmcoreinfoOf(view: GuestView, symbols: Symbols): Uint8Array | undefined {
  const data = symbols.address('vmcoreinfo_data');
  const size = symbols.address('vmcoreinfo_size');
  if (data === undefined || size === undefined) return undefined;
  const at = view.readUint(data, 8);
  const length = Number(view.readUint(size, 8) ?? 0n);
  if (at === undefined || at === 0n || length === 0 || length > MOST_VMCOREINFO) return undefined;
  return view.read(at, length);
}

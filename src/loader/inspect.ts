/** Says what a file is: a kernel with its header and doors, an initramfs with its contents, or neither. */
import { NodevmError } from '../errors.js';
import { compressionAt } from '../initramfs/compression.js';
import { hasCpioMagic } from '../initramfs/cpio.js';
import { readSegments, type Segment } from '../initramfs/segments.js';
import { hex, readNumber } from './binary.js';
import { isElf, isLoaded, parseElf, readNotes, type ElfFile } from './elf.js';
import { describeFormat } from './kernel-format.js';
import { findDoors } from './load-kernel.js';
import { findMultiboot } from './multiboot.js';
import { findMultiboot2 } from './multiboot2.js';
import {
  packedPayload,
  parsePayload,
  payloadCompression,
  unpackPayload,
  type Relocations,
} from './payload.js';
import type { BootProtocol } from './protocol.js';
import {
  LOADFLAGS,
  SETUP_HEADER_FIELDS,
  XLOADFLAGS,
  hasField,
  hasSetupHeader,
  parseKernel,
  versionName,
  type LinuxKernel,
  type SetupHeader,
  type SetupHeaderField,
} from './setup-header.js';
import { pvhEntry } from './vmlinux.js';

/** Numbers above 2^53 are written in hexadecimal. */
type Value = number | string;

/** An ELF file, or the one within a bzImage. */
export interface ElfReport {
  readonly bits: 32 | 64;
  readonly entry: Value;
  readonly segments: readonly {
    readonly paddr: number;
    readonly filesz: number;
    readonly memsz: number;
  }[];
  readonly notes: readonly {
    readonly name: string;
    readonly type: number;
    readonly size: number;
  }[];
  /** Entry point of the PVH note. */
  readonly pvh?: number | undefined;
  /** "Linux version ..." where the file has it. */
  readonly banner?: string | undefined;
}

/** What a bzImage has packed. */
export interface PayloadReport {
  readonly compression: string;
  readonly packed: number;
  readonly unpacked?: number | undefined;
  readonly relocations?: number | undefined;
  readonly elf?: ElfReport | undefined;
  /** Why it cannot be unpacked. */
  readonly problem?: string | undefined;
}

/** kernel_info of protocol 2.15 (boot.rst, "The kernel_info"). */
export interface KernelInfoReport {
  readonly size: number;
  readonly size_total: number;
  readonly setup_type_max: number;
}

/** One stretch of an initramfs. */
export interface SegmentReport {
  readonly offset: number;
  readonly length: number;
  readonly compression: string;
  readonly entries: readonly string[];
}

/** What {@link inspectFile} found; only what applies is there. */
export interface Inspection {
  /** 'linux', 'elf', 'multiboot', 'initramfs' or 'unknown'. */
  readonly kind: string;
  /** In words. */
  readonly description: string;
  readonly size: number;
  /** How it can be booted, the best way first. */
  readonly protocols: readonly BootProtocol[];
  /** Why it cannot be booted, or read. */
  readonly problem?: string | undefined;
  readonly version?: string | undefined;
  readonly setup_header?: Readonly<Record<string, Value>> | undefined;
  readonly loadflags?: readonly string[] | undefined;
  readonly xloadflags?: readonly string[] | undefined;
  readonly efi_stub?: boolean | undefined;
  readonly kernel_info?: KernelInfoReport | undefined;
  readonly payload?: PayloadReport | undefined;
  readonly elf?: ElfReport | undefined;
  readonly multiboot?: { readonly version: 1 | 2; readonly offset: number } | undefined;
  readonly segments?: readonly SegmentReport[] | undefined;
}

/** "LToP" */
const KERNEL_INFO_MAGIC = 0x506f_544c;
const BANNER = 'Linux version ';
const BANNER_LENGTH = 300;

/** Looks into a file. It does not throw for what is wrong with it: that is `problem`. */
export function inspectFile(file: Uint8Array): Inspection {
  const base = { size: file.length, protocols: [], description: describeFormat(file) };
  if (hasSetupHeader(file)) return withProblem({ ...base, kind: 'linux' }, inspectLinux, file);
  if (isElf(file)) return withProblem({ ...base, kind: 'elf' }, inspectElf, file);
  if (hasCpioMagic(file, 0) || compressionAt(file, 0) !== undefined) {
    return withProblem({ ...base, kind: 'initramfs' }, inspectInitramfs, file);
  }
  return withProblem({ ...base, kind: 'unknown' }, inspectOther, file);
}

function withProblem(
  base: Inspection,
  look: (file: Uint8Array) => Partial<Inspection>,
  file: Uint8Array,
): Inspection {
  try {
    return { ...base, ...look(file) };
  } catch (error) {
    return { ...base, problem: messageOf(error) };
  }
}

function messageOf(error: unknown): string {
  if (error instanceof NodevmError) return error.message;
  throw error;
}

const protocolsOf = (file: Uint8Array): readonly BootProtocol[] =>
  findDoors(file).map(({ protocol }) => protocol);

function inspectLinux(file: Uint8Array): Partial<Inspection> {
  const kernel = parseKernel(file);
  const { header, version } = kernel;
  const payload = header.payload_length === 0 ? undefined : inspectPayload(kernel);
  const canUnpack = payload !== undefined && payload.problem === undefined;
  const can: Partial<Record<BootProtocol, boolean>> = {
    direct: canUnpack,
    pvh: canUnpack && payload.elf?.pvh !== undefined,
  };
  return {
    description: `Linux kernel (bzImage, boot protocol ${versionName(header.version)})`,
    protocols: protocolsOf(file).filter((protocol) => can[protocol] ?? true),
    version,
    setup_header: headerValues(header),
    loadflags: flagNames(header.loadflags, LOADFLAGS),
    xloadflags: flagNames(header.xloadflags, XLOADFLAGS),
    efi_stub: isPortableExecutable(file),
    kernel_info: kernelInfo(kernel),
    payload,
    multiboot: inspectMultiboot(file),
  };
}

function headerValues(header: SetupHeader): Record<string, Value> {
  const names = Object.keys(SETUP_HEADER_FIELDS) as SetupHeaderField[];
  return Object.fromEntries(
    names.filter((name) => hasField(header, name)).map((name) => [name, plain(header[name])]),
  );
}

function plain(value: number | bigint): Value {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : hex(value);
}

function flagNames(value: number, names: Readonly<Record<string, number>>): readonly string[] {
  return Object.entries(names)
    .filter(([, bit]) => (value & bit) !== 0)
    .map(([name]) => name);
}

function isPortableExecutable(file: Uint8Array): boolean {
  const header = readNumber(file, 0x3c, 4);
  return readNumber(file, 0, 2) === 0x5a4d && readNumber(file, header, 4) === 0x4550;
}

function kernelInfo({ header, payload }: LinuxKernel): KernelInfoReport | undefined {
  const at = header.kernel_info_offset;
  if (at === 0 || readNumber(payload, at, 4) !== KERNEL_INFO_MAGIC) return undefined;
  return {
    size: readNumber(payload, at + 4, 4),
    size_total: readNumber(payload, at + 8, 4),
    setup_type_max: readNumber(payload, at + 12, 4),
  };
}

function inspectPayload(kernel: LinuxKernel): PayloadReport {
  const compression = payloadCompression(kernel) ?? 'unknown';
  const packed = packedPayload(kernel).length;
  try {
    const unpacked = unpackPayload(kernel);
    const { elf, relocations } = parsePayload(unpacked);
    return {
      compression,
      packed,
      unpacked: unpacked.length,
      relocations: relocations && countOf(relocations),
      elf: reportElf(elf),
    };
  } catch (error) {
    return { compression, packed, problem: messageOf(error) };
  }
}

function countOf({ add64, subtract32, add32 }: Relocations): number {
  return add64.length + subtract32.length + add32.length;
}

function inspectElf(file: Uint8Array): Partial<Inspection> {
  const elf = reportElf(parseElf(file));
  return {
    description: `ELF kernel, ${elf.bits} bits`,
    version: elf.banner,
    elf,
    multiboot: inspectMultiboot(file),
    protocols: protocolsOf(file),
  };
}

function reportElf(elf: ElfFile): ElfReport {
  return {
    bits: elf.bits,
    entry: plain(elf.entry),
    segments: elf.segments
      .filter(isLoaded)
      .map(({ paddr, filesz, memsz }) => ({ paddr, filesz, memsz })),
    notes: readNotes(elf).map(({ name, type, descriptor }) => ({
      name: printable(name),
      type,
      size: descriptor.length,
    })),
    pvh: pvhEntry(elf),
    banner: findBanner(elf.bytes),
  };
}

/** The kernel's banner; format strings that begin alike have no digit behind the words. */
function findBanner(bytes: Uint8Array): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = buffer.indexOf(BANNER); at >= 0; at = buffer.indexOf(BANNER, at + 1)) {
    const text = buffer.toString('latin1', at, at + BANNER_LENGTH).split(/[\0\n]/, 1)[0] ?? '';
    if (/^Linux version \d/.test(text)) return printable(text);
  }
  return undefined;
}

function printable(text: string): string {
  return text.replace(/[^ -~]/g, '?');
}

function inspectMultiboot(file: Uint8Array): Inspection['multiboot'] {
  const second = findMultiboot2(file);
  if (second !== undefined) return { version: 2, offset: second.offset };
  const first = findMultiboot(file);
  return first && { version: 1, offset: first.offset };
}

function inspectInitramfs(file: Uint8Array): Partial<Inspection> {
  const segments = readSegments(file).map(reportSegment);
  return { description: 'initramfs', segments };
}

function reportSegment({ offset, length, compression, entries }: Segment): SegmentReport {
  return { offset, length, compression, entries: entries.map(({ path }) => path) };
}

function inspectOther(file: Uint8Array): Partial<Inspection> {
  const multiboot = inspectMultiboot(file);
  const protocols = protocolsOf(file);
  return multiboot === undefined
    ? { protocols }
    : { kind: 'multiboot', description: 'multiboot kernel', multiboot, protocols };
}

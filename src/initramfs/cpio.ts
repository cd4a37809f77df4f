/**
 * The cpio "newc" archive that the kernel unpacks as initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst): writer and reader.
 */
import { badInitrd } from './bad.js';
import { PATH_MAX, permissionsOf, quoted } from './entry.js';
import type { FileEntry, InitramfsEntry, LinkEntry } from './entry.js';

export type { InitramfsEntry } from './entry.js';

/** What a writer may choose. */
export interface CpioOptions {
  /** Write magic 070702, with a sum of each file's bytes, which kernels from 5.18 on check. */
  readonly crc?: boolean | undefined;
  /** Time of last change of all entries, seconds since the Unix epoch; default 0. */
  readonly mtime?: number | undefined;
}

const NEWC = '070701';
const CRC = '070702';
const TRAILER = 'TRAILER!!!';
/** Header: the magic and thirteen numbers of eight hex digits. */
const HEADER_LENGTH = 110;
const HEX_DIGITS = 8;
const ALIGNMENT = 4;
const MAX_UINT32 = 0xffff_ffff;
/** Largest archive, written or unpacked: no machine here has the memory for more. */
export const MAX_ARCHIVE = 2 ** 31;
/** Most entries of an archive. */
export const MAX_ENTRIES = 1_000_000;

/** File type bits of a mode: inode(7). */
const S_IFMT = 0o170000;
const TYPE_BITS = {
  socket: 0o140000,
  symlink: 0o120000,
  file: 0o100000,
  block: 0o060000,
  dir: 0o040000,
  char: 0o020000,
  fifo: 0o010000,
} as const;

/** The header's numbers in their order. */
const FIELDS = [
  'ino',
  'mode',
  'uid',
  'gid',
  'nlink',
  'mtime',
  'filesize',
  'devmajor',
  'devminor',
  'rdevmajor',
  'rdevminor',
  'namesize',
  'check',
] as const;
type Header = Record<(typeof FIELDS)[number], number>;

/**
 * Packs entries in the given order. The result depends on nothing else: inode numbers count from 1 and
 * all times are the same. The names of one file share an inode, and the last has the data.
 * @throws NodevmError `E_BAD_INITRD` for a path that is empty, absolute, too long, or used twice, and for
 *   a link to no earlier file.
 */
export function packInitramfs(
  entries: Iterable<InitramfsEntry>,
  options: CpioOptions = {},
): Uint8Array {
  const list = [...entries];
  const seen = new Set<string>();
  for (const { path } of list) checkPath(path, seen);
  const inodes = numberInodes(list);
  const packer = new Packer(options);
  for (const entry of list) {
    const inode = inodes.get(entry.path) as Inode;
    inode.written++;
    packer.add(inode.entry, entry.path, inode);
  }
  return packer.finish();
}

interface Inode {
  readonly entry: Exclude<InitramfsEntry, LinkEntry>;
  readonly ino: number;
  names: number;
  written: number;
}

function numberInodes(list: readonly InitramfsEntry[]): ReadonlyMap<string, Inode> {
  const inodes = new Map<string, Inode>();
  let ino = 0;
  for (const entry of list) {
    if (entry.type !== 'link') {
      inodes.set(entry.path, { entry, ino: ++ino, names: 1, written: 0 });
      continue;
    }
    const inode = inodes.get(entry.target);
    if (inode?.entry.type !== 'file') {
      throw badInitrd(
        `initramfs link ${quoted(entry.path)} is to ${quoted(entry.target)}, expected a file that comes before it`,
      );
    }
    inode.names++;
    inodes.set(entry.path, inode);
  }
  return inodes;
}

function checkPath(path: string, seen: Set<string>): void {
  const isUsable = path !== '' && path !== TRAILER && !path.startsWith('/') && !path.includes('\0');
  if (!isUsable || Buffer.byteLength(path) >= PATH_MAX) {
    throw badInitrd(
      `initramfs path is ${quoted(path)}, expected a relative path of 1 to ${PATH_MAX - 1} bytes`,
    );
  }
  if (seen.has(path)) throw badInitrd(`initramfs path "${path}" is there twice, expected once`);
  seen.add(path);
}

/** Collects the records of an archive. */
class Packer {
  private readonly parts: Uint8Array[] = [];
  private length = 0;
  private readonly magic: string;

  constructor(private readonly options: CpioOptions) {
    this.magic = options.crc === true ? CRC : NEWC;
  }

  add(entry: Exclude<InitramfsEntry, LinkEntry>, path: string, inode: Inode): void {
    const isDevice = entry.type === 'char' || entry.type === 'block';
    const data = inode.written === inode.names ? contentOf(entry) : new Uint8Array();
    const fields: Partial<Header> = {
      ino: inode.ino,
      mode: TYPE_BITS[entry.type] | permissionsOf(entry),
      uid: entry.uid ?? 0,
      gid: entry.gid ?? 0,
      nlink: entry.type === 'dir' ? 2 : inode.names,
      mtime: this.options.mtime ?? 0,
      rdevmajor: isDevice ? entry.major : 0,
      rdevminor: isDevice ? entry.minor : 0,
      check: this.magic === CRC && entry.type === 'file' ? sumOf(data) : 0,
    };
    this.push(packRecord(this.magic, path, fields, data));
  }

  finish(): Uint8Array {
    this.push(packRecord(this.magic, TRAILER, { nlink: 1 }, new Uint8Array()));
    const archive = Buffer.concat(this.parts, this.length);
    return new Uint8Array(archive.buffer, archive.byteOffset, archive.length);
  }

  private push(record: readonly Uint8Array[]): void {
    for (const part of record) this.length += part.length;
    if (this.length > MAX_ARCHIVE) {
      throw badInitrd(`the initramfs is larger than ${MAX_ARCHIVE} bytes, the limit`);
    }
    this.parts.push(...record);
  }
}

function contentOf(entry: InitramfsEntry): Uint8Array {
  if (entry.type === 'file') return entry.data;
  return entry.type === 'symlink' ? Buffer.from(entry.target) : new Uint8Array();
}

/** The check of magic 070702: the sum of all bytes, modulo 2^32. */
function sumOf(data: Uint8Array): number {
  let sum = 0;
  for (const byte of data) sum = (sum + byte) >>> 0;
  return sum;
}

/** Header and name, padded, and the data, padded. */
function packRecord(
  magic: string,
  path: string,
  fields: Partial<Header>,
  data: Uint8Array,
): readonly Uint8Array[] {
  const pathBytes = Buffer.from(`${path}\0`);
  const header: Partial<Header> = {
    ...fields,
    filesize: data.length,
    namesize: pathBytes.length,
  };
  const digits = FIELDS.map((field) => hexField(field, header[field] ?? 0));
  const start = Buffer.from(magic + digits.join(''));
  const headLength = HEADER_LENGTH + pathBytes.length;
  return [start, pathBytes, padding(headLength), data, padding(data.length)];
}

function hexField(field: string, value: number): string {
  if (!Number.isInteger(value) || value < 0 || value > MAX_UINT32) {
    throw badInitrd(`initramfs ${field} is ${value}, expected an integer from 0 to ${MAX_UINT32}`);
  }
  return value.toString(16).toUpperCase().padStart(HEX_DIGITS, '0');
}

/**
 * Reads an uncompressed archive up to its trailer. The first name of a file comes out as the file, the
 * others as links to it.
 * @throws NodevmError `E_BAD_INITRD` naming what is wrong and at which offset.
 */
export function unpackInitramfs(archive: Uint8Array): readonly InitramfsEntry[] {
  const { entries, hasTrailer, end } = readArchive(archive, 0);
  if (!hasTrailer) throw badArchive(end, 'nothing is left, expected a header or the trailer');
  return entries;
}

/** One archive, as {@link readArchive} finds it. */
export interface CpioArchive {
  readonly entries: readonly InitramfsEntry[];
  /** The trailer is optional to the kernel, at the end of all data. */
  readonly hasTrailer: boolean;
  /** Offset behind the archive. */
  readonly end: number;
}

/** Whether a header's magic is at `offset`. */
export function hasCpioMagic(bytes: Uint8Array, offset: number): boolean {
  const magic = latin1(bytes, offset, offset + NEWC.length);
  return magic === NEWC || magic === CRC;
}

/**
 * Reads the archive at `start`, up to its trailer or the end of `bytes`. The data of files is a view
 * into `bytes`.
 * @throws NodevmError `E_BAD_INITRD` naming what is wrong and at which offset.
 */
export function readArchive(bytes: Uint8Array, start: number): CpioArchive {
  const collector = new Collector();
  let offset = start;
  while (offset < bytes.length || offset === start) {
    const record = readRecord(bytes, offset);
    const { header, path, dataStart } = record;
    if (path === TRAILER) {
      return {
        entries: collector.entries,
        hasTrailer: true,
        end: Math.min(dataStart, bytes.length),
      };
    }
    const dataEnd = dataStart + header.filesize;
    if (dataEnd > bytes.length) {
      const left = Math.max(0, bytes.length - dataStart);
      throw badArchive(
        offset,
        `filesize of ${quoted(path)} is ${header.filesize}, expected at most the ${left} bytes that follow`,
      );
    }
    collector.add(record, bytes.subarray(dataStart, dataEnd), offset);
    offset = start + align(dataEnd - start);
  }
  return { entries: collector.entries, hasTrailer: false, end: bytes.length };
}

/** Turns records into entries, and finds the names of one file together again. */
class Collector {
  readonly entries: InitramfsEntry[] = [];
  /** Index of the first name of each file that has several, by device and inode number. */
  private readonly firstNames = new Map<string, number>();

  add({ magic, header, path }: CpioRecord, data: Uint8Array, offset: number): void {
    const isFile = (header.mode & S_IFMT) === TYPE_BITS.file;
    if (magic === CRC && isFile && data.length > 0 && sumOf(data) !== header.check) {
      throw badArchive(offset, `check of ${quoted(path)} is ${header.check}: the data is damaged`);
    }
    if (this.entries.length === MAX_ENTRIES) {
      throw badArchive(offset, `it has more than ${MAX_ENTRIES} entries, the limit`);
    }
    const entry = toEntry(header, path, data, offset);
    const key = `${header.devmajor}:${header.devminor}:${header.ino}`;
    const first = isFile && header.nlink > 1 ? this.firstNames.get(key) : undefined;
    if (first === undefined) {
      if (isFile && header.nlink > 1) this.firstNames.set(key, this.entries.length);
      this.entries.push(entry);
      return;
    }
    const file = this.entries[first] as FileEntry;
    if (data.length > 0) this.entries[first] = { ...file, data };
    const { mode = 0, uid = 0, gid = 0 } = entry;
    this.entries.push({ path, mode, uid, gid, type: 'link', target: file.path });
  }
}

interface CpioRecord {
  readonly magic: string;
  readonly header: Header;
  readonly path: string;
  /** Offset of the data. */
  readonly dataStart: number;
}

function readRecord(archive: Uint8Array, offset: number): CpioRecord {
  const text = latin1(archive, offset, offset + HEADER_LENGTH);
  if (text.length < HEADER_LENGTH) {
    throw badArchive(
      offset,
      `${text.length} bytes are left, expected a header or the trailer: it is truncated`,
    );
  }
  const magic = text.slice(0, NEWC.length);
  if (magic !== NEWC && magic !== CRC) {
    throw badArchive(
      offset,
      `magic is ${quoted(magic)}, expected "${NEWC}" or "${CRC}" (cpio newc)`,
    );
  }
  const values = FIELDS.map((field, index) => {
    const start = NEWC.length + index * HEX_DIGITS;
    return [field, parseHex(text.slice(start, start + HEX_DIGITS), field, offset)];
  });
  const header = Object.fromEntries(values) as Header;
  const pathStart = offset + HEADER_LENGTH;
  const pathEnd = pathStart + header.namesize;
  const isTerminated = archive[pathEnd - 1] === 0;
  if (header.namesize < 2 || header.namesize > PATH_MAX || !isTerminated) {
    throw badArchive(
      offset,
      `namesize is ${header.namesize}, expected 2 to ${PATH_MAX} and a name that ends with NUL there`,
    );
  }
  const path = utf8(archive.subarray(pathStart, pathEnd - 1), 'name', offset);
  return { magic, header, path, dataStart: offset + align(pathEnd - offset) };
}

function toEntry(header: Header, path: string, data: Uint8Array, offset: number): InitramfsEntry {
  const base = { path, mode: header.mode & 0o7777, uid: header.uid, gid: header.gid };
  switch (header.mode & S_IFMT) {
    case TYPE_BITS.file:
      return { ...base, type: 'file', data };
    case TYPE_BITS.dir:
      return { ...base, type: 'dir' };
    case TYPE_BITS.fifo:
      return { ...base, type: 'fifo' };
    case TYPE_BITS.socket:
      return { ...base, type: 'socket' };
    case TYPE_BITS.symlink:
      if (data.length === 0 || data.length >= PATH_MAX) {
        throw badArchive(
          offset,
          `target of ${quoted(path)} has ${data.length} bytes, expected 1 to ${PATH_MAX - 1}`,
        );
      }
      return { ...base, type: 'symlink', target: utf8(data, 'target', offset) };
    case TYPE_BITS.char:
      return { ...base, type: 'char', major: header.rdevmajor, minor: header.rdevminor };
    case TYPE_BITS.block:
      return { ...base, type: 'block', major: header.rdevmajor, minor: header.rdevminor };
    default:
      throw badArchive(
        offset,
        `mode of ${quoted(path)} is 0${header.mode.toString(8)}, expected a known file type`,
      );
  }
}

function parseHex(text: string, field: string, offset: number): number {
  if (!/^[0-9a-fA-F]{8}$/.test(text)) {
    throw badArchive(offset, `${field} is ${JSON.stringify(text)}, expected eight hex digits`);
  }
  return Number.parseInt(text, 16);
}

function badArchive(offset: number, what: string): Error {
  return badInitrd(`bad cpio archive at offset ${offset}: ${what}`);
}

/** Names are bytes to the kernel; here they are text, and others are refused rather than changed. */
function utf8(bytes: Uint8Array, what: string, offset: number): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  if (text.includes('\ufffd') || text.includes('\0')) {
    throw badArchive(offset, `${what} is ${quoted(text)}, expected UTF-8 without NUL`);
  }
  return text;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString('latin1');
}

function align(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

function padding(length: number): Uint8Array {
  return new Uint8Array(align(length) - length);
}

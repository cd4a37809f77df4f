/**
 * The cpio "newc" archive that the kernel unpacks as initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst): writer and reader.
 */
import { NodevmError } from '../errors.js';

/** What all entries have. */
interface EntryBase {
  /** Path without leading "/", segments parted by "/"; what it lies in comes earlier in the list. */
  readonly path: string;
  /** Permission bits, setuid, setgid and sticky bit included; default 0o755 for directories, else 0o644. */
  readonly mode?: number;
  /** Default 0. */
  readonly uid?: number;
  /** Default 0. */
  readonly gid?: number;
}

/** One file-system object of an archive. */
export type InitramfsEntry = EntryBase &
  (
    | { readonly type: 'file'; readonly data: Uint8Array }
    | { readonly type: 'dir' | 'fifo' | 'socket' }
    | { readonly type: 'symlink'; readonly target: string }
    | { readonly type: 'char' | 'block'; readonly major: number; readonly minor: number }
  );

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
/** Header: the magic and thirteen numbers of eight hex digits. */
const HEADER_LENGTH = 110;
const HEX_DIGITS = 8;
const ALIGNMENT = 4;
const PATH_MAX = 4096;
const MAX_UINT32 = 0xffff_ffff;

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
 * all times are 0.
 * @throws NodevmError `E_BAD_INITRD` for a path that is empty, absolute, too long, or used twice.
 */
export function packInitramfs(entries: Iterable<InitramfsEntry>): Uint8Array {
  const parts: Uint8Array[] = [];
  const seen = new Set<string>();
  for (const entry of entries) {
    checkPath(entry.path, seen);
    parts.push(...packEntry(entry, seen.size));
  }
  parts.push(...packRecord(TRAILER, { nlink: 1 }, new Uint8Array()));
  return new Uint8Array(Buffer.concat(parts));
}

/**
 * Reads an uncompressed archive up to its trailer. Hard links come out as one file each, the data where
 * the archive has it.
 * @throws NodevmError `E_BAD_INITRD` naming what is wrong and at which offset.
 */
export function unpackInitramfs(archive: Uint8Array): readonly InitramfsEntry[] {
  const entries: InitramfsEntry[] = [];
  let offset = 0;
  for (;;) {
    const { header, path, dataStart } = readRecord(archive, offset);
    if (path === TRAILER) return entries;
    const dataEnd = dataStart + header.filesize;
    if (dataEnd > archive.length) {
      throw badArchive(
        offset,
        `filesize of "${path}" is ${header.filesize}, expected at most the ${Math.max(0, archive.length - dataStart)} bytes that follow`,
      );
    }
    entries.push(
      toEntry(header, path, new Uint8Array(archive.subarray(dataStart, dataEnd)), offset),
    );
    offset = align(dataEnd);
  }
}

function checkPath(path: string, seen: Set<string>): void {
  const isUsable = path !== '' && path !== TRAILER && !path.startsWith('/') && !path.includes('\0');
  if (!isUsable || Buffer.byteLength(path) >= PATH_MAX) {
    throw new NodevmError(
      'E_BAD_INITRD',
      `initramfs path is ${JSON.stringify(path.slice(0, 80))}, expected a relative path of 1 to ${PATH_MAX - 1} bytes`,
    );
  }
  if (seen.has(path)) {
    throw new NodevmError('E_BAD_INITRD', `initramfs path "${path}" is there twice, expected once`);
  }
  seen.add(path);
}

function packEntry(entry: InitramfsEntry, ino: number): readonly Uint8Array[] {
  const isDirectory = entry.type === 'dir';
  const permissions = entry.mode ?? (isDirectory ? 0o755 : 0o644);
  const isDevice = entry.type === 'char' || entry.type === 'block';
  const fields: Partial<Header> = {
    ino,
    mode: TYPE_BITS[entry.type] | (permissions & 0o7777),
    uid: entry.uid ?? 0,
    gid: entry.gid ?? 0,
    nlink: isDirectory ? 2 : 1,
    rdevmajor: isDevice ? entry.major : 0,
    rdevminor: isDevice ? entry.minor : 0,
  };
  return packRecord(entry.path, fields, contentOf(entry));
}

function contentOf(entry: InitramfsEntry): Uint8Array {
  if (entry.type === 'file') return entry.data;
  return entry.type === 'symlink' ? Buffer.from(entry.target) : new Uint8Array();
}

/** Header and name, padded, and the data, padded. */
function packRecord(
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
  const start = Buffer.from(MAGIC + digits.join(''));
  const headLength = HEADER_LENGTH + pathBytes.length;
  return [start, pathBytes, padding(headLength), data, padding(data.length)];
}

function hexField(field: string, value: number): string {
  if (!Number.isInteger(value) || value < 0 || value > MAX_UINT32) {
    throw new NodevmError(
      'E_BAD_INITRD',
      `initramfs ${field} is ${value}, expected an integer from 0 to ${MAX_UINT32}`,
    );
  }
  return value.toString(16).toUpperCase().padStart(HEX_DIGITS, '0');
}

interface CpioRecord {
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
  if (!text.startsWith(MAGIC)) {
    throw badArchive(
      offset,
      `magic is ${JSON.stringify(text.slice(0, MAGIC.length))}, expected "${MAGIC}" (cpio newc)`,
    );
  }
  const values = FIELDS.map((field, index) => {
    const start = MAGIC.length + index * HEX_DIGITS;
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
  const path = Buffer.from(archive.subarray(pathStart, pathEnd - 1)).toString('utf8');
  return { header, path, dataStart: align(pathEnd) };
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
      return { ...base, type: 'symlink', target: Buffer.from(data).toString('utf8') };
    case TYPE_BITS.char:
      return { ...base, type: 'char', major: header.rdevmajor, minor: header.rdevminor };
    case TYPE_BITS.block:
      return { ...base, type: 'block', major: header.rdevmajor, minor: header.rdevminor };
    default:
      throw badArchive(
        offset,
        `mode of "${path}" is 0${header.mode.toString(8)}, expected a known file type`,
      );
  }
}

function parseHex(text: string, field: string, offset: number): number {
  if (!/^[0-9a-fA-F]{8}$/.test(text)) {
    throw badArchive(offset, `${field} is ${JSON.stringify(text)}, expected eight hex digits`);
  }
  return Number.parseInt(text, 16);
}

function badArchive(offset: number, what: string): NodevmError {
  return new NodevmError('E_BAD_INITRD', `bad cpio archive at offset ${offset}: ${what}`);
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

/** The entries of a directory of the host. */
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BigIntStats } from 'node:fs';
import { NodevmError } from '../errors.js';
import { badInitrd } from './bad.js';
import { MAX_ARCHIVE } from './cpio.js';
import { quoted } from './entry.js';
import type { Attributes, InitramfsEntry } from './entry.js';

/** How far reading has come. */
export interface Progress {
  readonly entries: number;
  /** Of the contents of files. */
  readonly bytes: number;
}

/** How a directory is read. */
export interface DirectoryOptions {
  /** Keep the owners that the host has; default is root for all, as on most machines that boot it. */
  readonly keepOwner?: boolean | undefined;
  /** Hears after each entry. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/**
 * Reads a directory tree, sorted by name. Hard links are kept; extended attributes, and with them file
 * capabilities, are left out, since the format has no place for them.
 * @throws NodevmError `E_FILE` for what cannot be read, `E_BAD_INITRD` for what an archive cannot hold
 */
export async function readDirectory(
  directory: string,
  options: DirectoryOptions = {},
): Promise<readonly InitramfsEntry[]> {
  const walk = new Walk(options);
  await walk.visit(directory, '');
  return walk.entries;
}

class Walk {
  readonly entries: InitramfsEntry[] = [];
  private bytes = 0;
  /** Paths of files that have several names, by device and inode number. */
  private readonly firstNames = new Map<string, string>();

  constructor(private readonly options: DirectoryOptions) {}

  async visit(directory: string, prefix: string): Promise<void> {
    const names = await attempt(directory, () => readdir(directory));
    for (const name of names.sort()) {
      if (name.includes('\ufffd')) {
        throw badInitrd(`name ${quoted(prefix + name)} in the directory is not UTF-8`);
      }
      const hostPath = join(directory, name);
      const path = prefix + name;
      const entry = await this.read(hostPath, path);
      this.entries.push(entry);
      this.options.onProgress?.({ entries: this.entries.length, bytes: this.bytes });
      if (entry.type === 'dir') await this.visit(hostPath, `${path}/`);
    }
  }

  private async read(hostPath: string, path: string): Promise<InitramfsEntry> {
    const stats = await attempt(hostPath, () => lstat(hostPath, { bigint: true }));
    const base = { path, ...this.attributesOf(stats) };
    if (stats.isFile()) return this.readRegular(hostPath, base, stats);
    if (stats.isDirectory()) return { ...base, type: 'dir' };
    if (stats.isSymbolicLink()) {
      const target = await attempt(hostPath, () => readlink(hostPath));
      return { ...base, type: 'symlink', target };
    }
    if (stats.isFIFO()) return { ...base, type: 'fifo' };
    if (stats.isSocket()) return { ...base, type: 'socket' };
    const type = stats.isBlockDevice() ? 'block' : 'char';
    return { ...base, type, ...deviceNumbers(stats.rdev) };
  }

  private async readRegular(
    hostPath: string,
    base: { readonly path: string } & Attributes,
    stats: BigIntStats,
  ): Promise<InitramfsEntry> {
    const key = `${stats.dev}:${stats.ino}`;
    const target = stats.nlink > 1n ? this.firstNames.get(key) : undefined;
    if (target !== undefined) return { ...base, type: 'link', target };
    this.firstNames.set(key, base.path);
    if (this.bytes + Number(stats.size) > MAX_ARCHIVE) {
      throw badInitrd(`the directory has more than ${MAX_ARCHIVE} bytes, the limit`);
    }
    const data = await attempt(hostPath, () => readFile(hostPath));
    this.bytes += data.length;
    return { ...base, type: 'file', data };
  }

  private attributesOf({ mode, uid, gid }: BigIntStats): Required<Attributes> {
    const keeps = this.options.keepOwner === true;
    return {
      mode: Number(mode) & 0o7777,
      uid: keeps ? Number(uid) : 0,
      gid: keeps ? Number(gid) : 0,
    };
  }
}

/** Takes a device number apart, makedev(3) of glibc. */
function deviceNumbers(device: bigint): { major: number; minor: number } {
  const major = ((device >> 32n) & 0xffff_f000n) | ((device >> 8n) & 0xfffn);
  const minor = ((device >> 12n) & 0xffff_ff00n) | (device & 0xffn);
  return { major: Number(major), minor: Number(minor) };
}

/** Runs a file operation. @throws NodevmError `E_FILE` naming the path */
export async function attempt<Result>(
  path: string,
  action: () => Promise<Result>,
): Promise<Result> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof NodevmError) throw cause;
    throw new NodevmError('E_FILE', `initrd ${path}: ${trouble(cause)}`, { cause });
  }
}

function trouble(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'ENOTEMPTY' || code === 'EEXIST') return 'is there already';
  if (code === 'EISDIR') return 'is a directory, expected a file';
  return cause instanceof Error ? cause.message : String(cause);
}

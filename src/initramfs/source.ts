/** Whatever a user names as an initramfs: an archive, a directory, or a gen_init_cpio list. */
import { readFile, stat } from 'node:fs/promises';
import { checkCompression, checkInitramfs, type CheckOptions } from './check.js';
import { packInitramfs } from './cpio.js';
import { attempt, readDirectory, type DirectoryOptions } from './directory.js';
import type { InitramfsEntry } from './entry.js';
import { looksLikeList, parseList } from './list-file.js';
import { readInitramfs } from './segments.js';
import { Tree } from './tree.js';

/** Enough of a file to tell a list from an archive. */
const HEAD_LENGTH = 4096;

/** An initramfs that is ready for the kernel. */
export interface LoadedInitrd {
  readonly bytes: Uint8Array;
  /** What is likely to keep it from booting; entries are only looked at in what was packed here. */
  readonly warnings: readonly string[];
}

/**
 * Reads an archive as it is, or packs a directory or a list, so that `--initrd rootfs/` boots.
 * @throws NodevmError `E_FILE` for what cannot be read, `E_BAD_INITRD` for what cannot be packed
 */
export async function loadInitrd(
  path: string,
  options: DirectoryOptions = {},
): Promise<LoadedInitrd> {
  const source = await open(path, options);
  if ('bytes' in source) {
    const { bytes } = source;
    return { bytes, warnings: checkCompression(bytes) };
  }
  const packed = Tree.of(source.entries).entries();
  return { bytes: packInitramfs(packed), warnings: checkInitramfs(packed) };
}

/**
 * Reads the entries of an archive, a directory or a list.
 * @throws NodevmError `E_FILE` for what cannot be read, `E_BAD_INITRD` for what is damaged
 */
export async function readSource(
  path: string,
  options: DirectoryOptions = {},
): Promise<readonly InitramfsEntry[]> {
  const source = await open(path, options);
  return 'bytes' in source ? readInitramfs(source.bytes) : source.entries;
}

/**
 * Says what is likely to keep an archive, a directory or a list from booting.
 * @throws NodevmError `E_FILE` for what cannot be read, `E_BAD_INITRD` for what is damaged
 */
export async function checkSource(
  path: string,
  options: CheckOptions = {},
): Promise<readonly string[]> {
  const source = await open(path, {});
  if (!('bytes' in source)) return checkInitramfs(Tree.of(source.entries).entries(), options);
  const { bytes } = source;
  return [...checkCompression(bytes), ...checkInitramfs(readInitramfs(bytes), options)];
}

type Source = { readonly bytes: Uint8Array } | { readonly entries: readonly InitramfsEntry[] };

async function open(path: string, options: DirectoryOptions): Promise<Source> {
  const stats = await attempt(path, () => stat(path));
  if (stats.isDirectory()) return { entries: await readDirectory(path, options) };
  const bytes = await attempt(path, () => readFile(path));
  if (!isList(bytes)) return { bytes };
  const read = (location: string) => attempt(location, () => readFile(location));
  return { entries: await parseList(bytes.toString('utf8'), read) };
}

function isList(bytes: Buffer): boolean {
  const head = bytes.subarray(0, HEAD_LENGTH);
  return !head.includes(0) && looksLikeList(head.toString('utf8'));
}

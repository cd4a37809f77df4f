/** Unpacks an initramfs into a directory of the host, without root and without leaving the directory. */
import { chmod, link, mkdir, open, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { NodevmError } from '../errors.js';
import { attempt } from './directory.js';
import { permissionsOf } from './entry.js';
import type { InitramfsEntry } from './entry.js';
import { Tree } from './tree.js';

/** What an unpacked directory does not show. */
export interface Extracted {
  /** All entries, with the paths that they have in the directory; sorted. */
  readonly entries: readonly InitramfsEntry[];
  /** Device nodes, pipes and sockets, which are not made. */
  readonly skipped: readonly InitramfsEntry[];
}

/** Permission bits that a file of the host gets: not setuid, setgid and sticky, whose owner would be wrong. */
const HOST_PERMISSIONS = 0o777;

/**
 * Unpacks entries as the kernel would. Nothing is written through a symlink: paths are resolved within
 * the archive first, the directory must be new or empty, and symlinks are made last. Owners are those of
 * the user; a list made of the result's entries (see `formatList`) packs it again as it was.
 * @throws NodevmError `E_BAD_INITRD` for paths that lead nowhere, `E_FILE` for what the host refuses
 */
export async function extractInitramfs(
  entries: Iterable<InitramfsEntry>,
  directory: string,
): Promise<Extracted> {
  const all = Tree.of(entries).entries();
  await makeEmpty(directory);
  const skipped: InitramfsEntry[] = [];
  for (const entry of all) {
    const path = join(directory, entry.path);
    const written = await attempt(path, () => write(entry, path, directory));
    if (!written) skipped.push(entry);
  }
  for (const entry of all) {
    if (entry.type !== 'symlink') continue;
    const path = join(directory, entry.path);
    await attempt(path, () => symlink(entry.target, path));
  }
  // From the inside out, since a directory without write permission would take nothing more.
  for (const entry of all.filter(({ type }) => type === 'dir').reverse()) {
    const path = join(directory, entry.path);
    await attempt(path, () => chmod(path, permissionsOf(entry) & HOST_PERMISSIONS));
  }
  return { entries: all, skipped };
}

async function makeEmpty(directory: string): Promise<void> {
  await attempt(directory, () => mkdir(directory, { recursive: true }));
  const names = await attempt(directory, () => readdir(directory));
  if (names.length > 0) {
    throw new NodevmError(
      'E_FILE',
      `directory ${directory} has ${names.length} entries, expected a new or empty one`,
    );
  }
}

/** @returns false for what is not made here */
async function write(entry: InitramfsEntry, path: string, directory: string): Promise<boolean> {
  switch (entry.type) {
    case 'dir':
      if (entry.path !== '.') await mkdir(path, 0o700);
      return true;
    case 'file': {
      const file = await open(path, 'wx', 0o600);
      try {
        await file.writeFile(entry.data);
        await file.chmod(permissionsOf(entry) & HOST_PERMISSIONS);
      } finally {
        await file.close();
      }
      return true;
    }
    case 'link':
      await link(join(directory, entry.target), path);
      return true;
    case 'symlink':
      return true;
    case 'char':
    case 'block':
    case 'fifo':
    case 'socket':
      return false;
  }
}

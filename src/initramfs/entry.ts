/** What an initramfs is made of. */
import { badInitrd } from './bad.js';

/** Permission bits and owner. */
export interface Attributes {
  /** Permission bits, setuid, setgid and sticky bit included; default 0o755 for directories, 0o777 for symlinks, else 0o644. */
  readonly mode?: number;
  /** Default 0. */
  readonly uid?: number;
  /** Default 0. */
  readonly gid?: number;
}

/** What all entries have. */
interface EntryBase extends Attributes {
  /** Path without leading "/", segments parted by "/"; what it lies in comes earlier in the list. */
  readonly path: string;
}

/** A regular file. */
export type FileEntry = EntryBase & { readonly type: 'file'; readonly data: Uint8Array };

/** A further name of a file: `target` is the path of a file entry that comes earlier. */
export type LinkEntry = EntryBase & { readonly type: 'link'; readonly target: string };

/** One file-system object of an archive. */
export type InitramfsEntry =
  | FileEntry
  | LinkEntry
  | (EntryBase &
      (
        | { readonly type: 'dir' | 'fifo' | 'socket' }
        | { readonly type: 'symlink'; readonly target: string }
        | { readonly type: 'char' | 'block'; readonly major: number; readonly minor: number }
      ));

/** Longest path with its NUL, include/uapi/linux/limits.h. */
export const PATH_MAX = 4096;

/** Deepest path; far beyond any real tree. */
const MAX_DEPTH = 100;

/** Permission bits of an entry, its type's default where it has none. */
export function permissionsOf({ type, mode }: Pick<InitramfsEntry, 'type' | 'mode'>): number {
  if (mode !== undefined) return mode & 0o7777;
  if (type === 'symlink') return 0o777;
  return type === 'dir' ? 0o755 : 0o644;
}

/**
 * The names along a path from the root; none for the root itself ("." or "/").
 * @throws NodevmError `E_BAD_INITRD` for a path with ".." or with more than 100 names
 */
export function segmentsOf(path: string): readonly string[] {
  const segments = path.split('/').filter((name) => name !== '' && name !== '.');
  if (segments.includes('..') || segments.length > MAX_DEPTH) {
    throw badInitrd(
      `initramfs path is ${quoted(path)}, expected at most ${MAX_DEPTH} names and no ".."`,
    );
  }
  return segments;
}

/** A name as it may be shown: cut to a line, control characters escaped. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 99)}…` : text);
}

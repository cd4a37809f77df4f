/** Changing an archive without unpacking it to the host. */
import { badInitrd } from './bad.js';
import type { InitramfsEntry } from './entry.js';
import { quoted } from './entry.js';
import { readSegments } from './segments.js';
import { Tree } from './tree.js';

/** Where early microcode and ACPI tables are looked for, in uncompressed archives at the front. */
const EARLY = /^\/*(\.\/+)*kernel(\/|$)|^\.$/;

/** An initramfs, parted into what the kernel reads before it unpacks and the tree that it unpacks. */
export interface OpenedInitramfs {
  /** Archives with only kernel/ in them (microcode, ACPI tables), as they were; may be empty. */
  readonly early: Uint8Array;
  readonly tree: Tree;
}

/** What to change; removals come first. */
export interface Edits {
  /** Paths; a directory goes with all that is in it. */
  readonly remove?: readonly string[] | undefined;
  /** Entries that are added or put in the place of others. */
  readonly add?: Iterable<InitramfsEntry> | undefined;
}

/**
 * Opens an initramfs for changes.
 * @throws NodevmError `E_BAD_INITRD` naming what is wrong and at which offset
 */
export function openInitramfs(bytes: Uint8Array): OpenedInitramfs {
  const segments = readSegments(bytes);
  const isLate = segments.findIndex(
    ({ compression, entries }) =>
      compression !== 'none' || !entries.every(({ path }) => EARLY.test(path)),
  );
  const firstLate = isLate < 0 ? segments.length : isLate;
  const earlyEnd = segments[firstLate]?.offset ?? bytes.length;
  return {
    early: bytes.subarray(0, firstLate === 0 ? 0 : earlyEnd),
    tree: Tree.of(segments.slice(firstLate).flatMap(({ entries }) => entries)),
  };
}

/**
 * Changes a tree.
 * @throws NodevmError `E_BAD_INITRD` for the removal of what is not there, and as {@link Tree.add} does
 */
export function editTree(tree: Tree, { remove = [], add = [] }: Edits): void {
  for (const path of remove) {
    if (!tree.remove(path)) throw badInitrd(`the initramfs has no ${quoted(path)} to remove`);
  }
  for (const entry of add) tree.add(entry);
}

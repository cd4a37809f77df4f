/** An initramfs as a JavaScript object: paths and what is there. */
import { quoted, segmentsOf } from './entry.js';
import type { Attributes, InitramfsEntry } from './entry.js';
import { badInitrd } from './bad.js';
import { packInitramfs, type CpioOptions } from './cpio.js';
import { Tree } from './tree.js';

/** Leaves the path out of each member of a union. */
type WithoutPath<Entry> = Entry extends unknown ? Omit<Entry, 'path'> : never;

/** An entry that does not know its path yet. */
export type InitramfsNode = WithoutPath<InitramfsEntry>;

/**
 * Paths, with or without a leading "/", and what is there: the contents of a file, or what a function of
 * this module made. Directories on the way need no mention.
 */
export type InitramfsObject = Readonly<Record<string, string | Uint8Array | InitramfsNode>>;

/** A regular file; a script or an ELF file is executable unless `mode` says otherwise. */
export function file(contents: string | Uint8Array, attributes: Attributes = {}): InitramfsNode {
  const data = typeof contents === 'string' ? new Uint8Array(Buffer.from(contents)) : contents;
  const head = Buffer.from(data.subarray(0, 4)).toString('latin1');
  const mode = head.startsWith('#!') || head === '\x7fELF' ? 0o755 : 0o644;
  return { type: 'file', data, mode, ...attributes };
}

/** A directory, where it needs other attributes than 0755 and root, or is empty. */
export function dir(attributes: Attributes = {}): InitramfsNode {
  return { type: 'dir', ...attributes };
}

/** A device node: `nod('c', 5, 1)` is /dev/console. Default mode 0600. */
export function nod(
  type: 'b' | 'c',
  major: number,
  minor: number,
  attributes: Attributes = {},
): InitramfsNode {
  return { type: type === 'b' ? 'block' : 'char', major, minor, mode: 0o600, ...attributes };
}

/** A symbolic link. */
export function symlink(target: string): InitramfsNode {
  return { type: 'symlink', target };
}

/** A further name of the file at `target`, which comes earlier in the object. */
export function link(target: string): InitramfsNode {
  return { type: 'link', target };
}

/** A named pipe. */
export function fifo(attributes: Attributes = {}): InitramfsNode {
  return { type: 'fifo', ...attributes };
}

/** A socket. */
export function socket(attributes: Attributes = {}): InitramfsNode {
  return { type: 'socket', ...attributes };
}

/**
 * The entries of an object form.
 * @throws NodevmError `E_BAD_INITRD` for a path or a value that cannot be
 */
export function entriesOf(object: InitramfsObject): readonly InitramfsEntry[] {
  return Object.entries(object).map(([name, node]) => {
    const path = segmentsOf(name).join('/') || '.';
    const found = typeof node === 'string' || node instanceof Uint8Array ? file(node) : node;
    // Not every caller is type-checked.
    if (typeof found !== 'object' || !('type' in found)) {
      throw badInitrd(
        `initramfs ${quoted(name)} is a ${typeof found}, expected text, bytes or nod()`,
      );
    }
    return { ...found, path };
  });
}

/**
 * Packs an object form: `packObject({ '/init': '#!/bin/sh\n…', '/dev/console': nod('c', 5, 1) })`.
 * @throws NodevmError `E_BAD_INITRD` for what cannot be packed
 */
export function packObject(object: InitramfsObject, options: CpioOptions = {}): Uint8Array {
  return packInitramfs(Tree.of(entriesOf(object)).entries(), options);
}

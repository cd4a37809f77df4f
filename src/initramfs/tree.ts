/** The file system that an initramfs makes: what later entries replace is gone, symlinks are followed. */
import { badInitrd } from './bad.js';
import { MAX_ENTRIES } from './cpio.js';
import { quoted, segmentsOf } from './entry.js';
import type { InitramfsEntry, LinkEntry } from './entry.js';

/** Links to follow before a path counts as a loop, as the kernel's MAXSYMLINKS. */
const MAX_SYMLINKS = 40;

/** An object of the tree. Names of one file share the object. */
export type TreeEntry = Exclude<InitramfsEntry, LinkEntry>;

interface Node {
  readonly name: string;
  /** The root is its own. */
  readonly parent: Node;
  /** Undefined for a directory that is only there because something lies in it. */
  entry: TreeEntry | undefined;
  readonly children: Map<string, Node>;
}

/** A tree of entries. Paths into it may begin with "/"; ".." is refused. */
export class Tree {
  private readonly root: Node = makeNode('');
  private size = 0;

  /** The tree that the kernel would make of these entries; throws as {@link add} does. */
  static of(entries: Iterable<InitramfsEntry>): Tree {
    const tree = new Tree();
    for (const entry of entries) tree.add(entry);
    return tree;
  }

  /**
   * Adds an entry, or puts it in the place of the one that has its path. Symlinks on the way to it are
   * followed within the tree, missing directories are made.
   * @returns whether the directory it lies in was there
   * @throws NodevmError `E_BAD_INITRD` for a path or link that leads nowhere
   */
  add(entry: InitramfsEntry): boolean {
    const segments = segmentsOf(entry.path);
    const name = segments.at(-1);
    const object = entry.type === 'link' ? this.linked(entry) : entry;
    if (name === undefined) {
      if (object.type !== 'dir') throw badInitrd(`the root is a ${object.type}, expected a dir`);
      this.root.entry = object;
      return true;
    }
    const parentSegments = segments.slice(0, -1);
    const wasThere = this.walk(parentSegments, { followLast: true }) !== undefined;
    const parent = this.makeDirectories(parentSegments, entry.path);
    const present = parent.children.get(name);
    if (present === undefined) {
      this.insert(parent, name).entry = object;
    } else {
      if (present.children.size > 0 && object.type !== 'dir') {
        throw badInitrd(
          `initramfs path ${quoted(entry.path)} is a ${object.type}, but also a directory with entries`,
        );
      }
      present.entry = object;
    }
    return wasThere;
  }

  /**
   * Removes what is at `path`, a directory with all that is in it; a last symlink is not followed.
   * @returns whether there was anything
   */
  remove(path: string): boolean {
    const node = this.walk(segmentsOf(path), { followLast: false });
    if (node === undefined || node === this.root) return false;
    return node.parent.children.delete(node.name);
  }

  /** What is at `path`, symlinks followed; undefined for nothing or a directory without entry. */
  resolve(path: string): TreeEntry | undefined {
    return this.walk(segmentsOf(path), { followLast: true })?.entry;
  }

  /** What is at `path` itself, a last symlink not followed. */
  get(path: string): TreeEntry | undefined {
    return this.walk(segmentsOf(path), { followLast: false })?.entry;
  }

  /**
   * All entries, sorted by name, directories before what is in them. Of the names of a file, the first
   * is the file and the others are links.
   */
  entries(): InitramfsEntry[] {
    const list: InitramfsEntry[] = [];
    if (this.root.entry !== undefined) list.push({ ...this.root.entry, path: '.' });
    const firstNames = new Map<TreeEntry, string>();
    const visit = (node: Node, prefix: string): void => {
      for (const name of [...node.children.keys()].sort()) {
        const child = node.children.get(name) as Node;
        const path = prefix + name;
        list.push(namedEntry(child, path, firstNames));
        visit(child, `${path}/`);
      }
    };
    visit(this.root, '');
    return list;
  }

  private linked(link: LinkEntry): TreeEntry {
    const target = this.get(link.target);
    if (target?.type === 'file') return target;
    throw badInitrd(
      `initramfs link ${quoted(link.path)} is to ${quoted(link.target)}, expected a file that comes before it`,
    );
  }

  /**
   * Follows names from the root, as if it were the root of a machine: ".." of a symlink's target stops
   * there, an absolute target begins there.
   */
  private walk(
    segments: readonly string[],
    { followLast }: { readonly followLast: boolean },
  ): Node | undefined {
    const pending = [...segments].reverse();
    let node = this.root;
    let links = 0;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === '..') {
        node = node.parent;
        continue;
      }
      const child = node.children.get(name);
      if (child === undefined) return undefined;
      const follows = child.entry?.type === 'symlink' && (followLast || pending.length > 0);
      if (!follows) {
        node = child;
        continue;
      }
      if (++links > MAX_SYMLINKS) return undefined;
      const { target } = child.entry as Extract<TreeEntry, { type: 'symlink' }>;
      if (target.startsWith('/')) node = this.root;
      pending.push(
        ...target
          .split('/')
          .filter((part) => part !== '' && part !== '.')
          .reverse(),
      );
    }
    return node;
  }

  private makeDirectories(segments: readonly string[], path: string): Node {
    let node = this.root;
    for (const [index, name] of segments.entries()) {
      let next = node.children.get(name);
      if (next?.entry?.type === 'symlink') {
        next = this.walk(segments.slice(0, index + 1), { followLast: true });
        if (next === undefined) throw noDirectory(path, segments.slice(0, index + 1));
      }
      node = next ?? this.insert(node, name);
      if (node.entry !== undefined && node.entry.type !== 'dir') {
        throw noDirectory(path, segments.slice(0, index + 1));
      }
    }
    return node;
  }

  private insert(parent: Node, name: string): Node {
    if (++this.size > MAX_ENTRIES) {
      throw badInitrd(`the initramfs has more than ${MAX_ENTRIES} entries, the limit`);
    }
    const node = makeNode(name, parent);
    parent.children.set(name, node);
    return node;
  }
}

function makeNode(name: string, parent?: Node): Node {
  const node = { name, entry: undefined, children: new Map<string, Node>() };
  return Object.assign(node, { parent: parent ?? (node as unknown as Node) });
}

function namedEntry(node: Node, path: string, firstNames: Map<TreeEntry, string>): InitramfsEntry {
  const { entry } = node;
  if (entry === undefined) return { path, type: 'dir' };
  if (entry.type !== 'file') return { ...entry, path };
  const target = firstNames.get(entry);
  if (target !== undefined) return { ...entry, path, type: 'link', target };
  firstNames.set(entry, path);
  return { ...entry, path };
}

function noDirectory(path: string, segments: readonly string[]): Error {
  return badInitrd(
    `initramfs path ${quoted(path)} lies in ${quoted(segments.join('/'))}, expected a directory there`,
  );
}

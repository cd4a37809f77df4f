/** The initramfs toolbox: make, read, check and change what the kernel unpacks as its first root. */
export { checkInitramfs, type CheckOptions } from './check.js';
export {
  compress,
  OUTPUT_COMPRESSIONS,
  type Compression,
  type OutputCompression,
} from './compression.js';
export { packInitramfs, unpackInitramfs, type CpioOptions } from './cpio.js';
export { readDirectory, type DirectoryOptions, type Progress } from './directory.js';
export { editTree, openInitramfs, type Edits, type OpenedInitramfs } from './edit.js';
export type { Attributes, FileEntry, InitramfsEntry, LinkEntry } from './entry.js';
export { extractInitramfs, type Extracted } from './extract.js';
export { formatList, parseList, type FileReader } from './list-file.js';
export {
  dir,
  entriesOf,
  fifo,
  file,
  link,
  nod,
  packObject,
  socket,
  symlink,
  type InitramfsNode,
  type InitramfsObject,
} from './object.js';
export {
  concatInitramfs,
  readInitramfs,
  readSegments,
  type ReadOptions,
  type Segment,
} from './segments.js';
export { checkSource, loadInitrd, readSource, type LoadedInitrd } from './source.js';
export { Tree, type TreeEntry } from './tree.js';

/** What usually goes wrong with an initramfs, found before the boot. */
import { compressionAt } from './compression.js';
import { CHECK_CRC32, xzCheck } from './codecs/xz.js';
import { readElf } from './elf.js';
import { quoted } from './entry.js';
import type { FileEntry, InitramfsEntry } from './entry.js';
import { Tree } from './tree.js';

const X86 = new Set(['x86-64', 'i386']);
/** The kernel's built-in archive makes these (usr/default_cpio_list), where no other was built in. */
const BUILT_IN = new Set(['dev', 'root']);
/** Longest first line of a script, BINPRM_BUF_SIZE of the kernel. */
const SHEBANG_MAX = 256;
/** Interpreters of interpreters that the kernel follows. */
const MAX_INTERPRETERS = 5;

/** How a check is done. */
export interface CheckOptions {
  /** What the kernel starts, as its `rdinit=`; default "/init". */
  readonly init?: string | undefined;
}

/**
 * Looks for what keeps an initramfs from booting.
 * @param entries in the archive's order
 * @returns one sentence for each finding
 * @throws NodevmError `E_BAD_INITRD` for paths that lead nowhere
 */
export function checkInitramfs(
  entries: Iterable<InitramfsEntry>,
  { init = '/init' }: CheckOptions = {},
): readonly string[] {
  const tree = new Tree();
  const warnings: string[] = [];
  for (const entry of entries) {
    const parent = entry.path.replace(/^[./]*/, '').replace(/\/[^/]*$/, '');
    if (!tree.add(entry) && !BUILT_IN.has(parent)) {
      warnings.push(
        `${quoted(entry.path)} comes before the directory it lies in: the kernel will not unpack it`,
      );
    }
  }
  warnings.push(...checkInit(tree, init), ...checkConsole(tree));
  for (const entry of tree.entries()) {
    const isProgram = entry.type === 'file' && ((entry.mode ?? 0) & 0o111) !== 0;
    if (isProgram && `/${entry.path}` !== init) warnings.push(...checkProgram(tree, entry));
  }
  return [...new Set(warnings)];
}

/**
 * Looks for a compression that we read and the kernel does not: xz with another check than CRC32.
 * @param archive an initramfs as a file has it; its first segment is looked at
 */
export function checkCompression(archive: Uint8Array): readonly string[] {
  if (compressionAt(archive, 0) !== 'xz' || xzCheck(archive, 0) <= CHECK_CRC32) return [];
  return ['it has an xz check that the kernel does not know: compress it with xz --check=crc32'];
}

function checkInit(tree: Tree, init: string): readonly string[] {
  const entry = tree.resolve(init);
  if (entry === undefined) {
    const dangling =
      tree.get(init)?.type === 'symlink' ? ' is a symlink to nothing' : ' is missing';
    return [`${init}${dangling}: the kernel will look for a root file system (root=) instead`];
  }
  if (entry.type !== 'file') return [`${init} is a ${entry.type}, expected a file`];
  const isExecutable = ((entry.mode ?? 0) & 0o111) !== 0;
  const mode = (entry.mode ?? 0).toString(8).padStart(4, '0');
  return [
    ...(isExecutable ? [] : [`${init} has mode ${mode}: it is not executable`]),
    ...checkProgram(tree, { ...entry, path: init }),
  ];
}

function checkConsole(tree: Tree): readonly string[] {
  const entry = tree.resolve('/dev/console');
  if (entry === undefined) {
    return [
      '/dev/console is missing: init has no output unless the archive built into the kernel has it (the default one does)',
    ];
  }
  if (entry.type === 'char' && entry.major === 5 && entry.minor === 1) return [];
  const found = entry.type === 'char' ? `char ${entry.major}:${entry.minor}` : entry.type;
  return [`/dev/console is a ${found}, expected a char device 5:1`];
}

/** Follows a program to what runs it. */
function checkProgram(tree: Tree, program: FileEntry): readonly string[] {
  let file = program;
  for (let depth = 0; depth < MAX_INTERPRETERS; depth++) {
    const name = file.path.startsWith('/') ? file.path : `/${file.path}`;
    const elf = readElf(file.data);
    if (elf !== undefined && !X86.has(elf.machine)) {
      return [`${name} is for ${elf.machine}, expected x86-64`];
    }
    const line = elf === undefined ? shebang(file.data) : undefined;
    if (line?.endsWith('\r') === true) {
      return [`${name} has CRLF line ends: the kernel looks for ${quoted(line)}`];
    }
    const interpreter = elf?.interpreter ?? line;
    if (interpreter === undefined) return [];
    const next = lookUp(tree, interpreter);
    if (next?.type !== 'file') {
      const what = elf === undefined ? 'is a script for' : 'is linked dynamically and needs';
      return [`${name} ${what} ${quoted(interpreter)}, which is not in the archive`];
    }
    if (((next.mode ?? 0) & 0o111) === 0) {
      return [`${name} is run by ${interpreter}, which is not executable`];
    }
    if (elf !== undefined) return [];
    file = { ...next, path: interpreter };
  }
  return [];
}

/** Interpreters are named by the archive: a path with ".." is one that we do not look for. */
function lookUp(tree: Tree, path: string) {
  const names = path.split('/');
  return names.includes('..') || names.length > SHEBANG_MAX ? undefined : tree.resolve(path);
}

/** The interpreter that a script's first line names, with a carriage return if it has one. */
function shebang(data: Uint8Array): string | undefined {
  const head = Buffer.from(data.subarray(0, SHEBANG_MAX)).toString('utf8');
  return /^#![ \t]*([^ \t\n\0]+)/.exec(head)?.[1];
}

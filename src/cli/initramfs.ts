import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { Command, CommanderError } from 'commander';

import { NodevmError } from '../errors.js';
import { findImages } from '../images.js';
import { buildInitramfs } from '../images/default-guest.js';
import {
  checkInitramfs,
  checkSource,
  compress,
  concatInitramfs,
  editTree,
  extractInitramfs,
  file,
  formatList,
  openInitramfs,
  OUTPUT_COMPRESSIONS,
  packInitramfs,
  readInitramfs,
  readSegments,
  readSource,
  Tree,
} from '../initramfs/index.js';
import type {
  Attributes,
  CpioOptions,
  InitramfsEntry,
  OutputCompression,
  Progress,
  TreeEntry,
} from '../initramfs/index.js';
import { formatEntry } from './initramfs-listing.js';
import { say } from './report.js';

/** Where hosts have BusyBox. */
const HOST_BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'];

/** Packing that takes longer than this says how far it is, and again after as long; milliseconds. */
const PROGRESS_MS = 1000;

/** Status of `check` when it found something. */
const FOUND_STATUS = 1;

/** Options that say how an archive is written. */
interface OutputOptions {
  output: string;
  compress: OutputCompression;
  crc?: boolean;
  mtime: string;
}

/**
 * Runs `nodevm initramfs ...`.
 * @param argv the words after `initramfs`
 * @returns the process status
 * @throws NodevmError for bad usage, files that cannot be read or written, and bad archives
 */
export async function runInitramfsCommand(argv: readonly string[]): Promise<number> {
  let text = '';
  let status = 0;
  const program = createProgram((code) => (status = code));
  const commands = [program, ...program.commands];
  for (const command of commands) {
    command
      .configureOutput({ writeOut: (part) => (text += part), writeErr: () => undefined })
      .exitOverride();
  }
  try {
    const words = argv.length === 0 ? ['--help'] : argv;
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) {
      const message = error.message.replace(/^error: /, '');
      throw new NodevmError('E_USAGE', `${message}; see nodevm initramfs --help`, { cause: error });
    }
  }
  if (text !== '') await print(text);
  return status;
}

/**
 * Makes a listener that says on stderr how far the packing of `path` is, from the time it takes more
 * than a second.
 */
export function progressOf(path: string): (progress: Progress) => void {
  let due = Date.now() + PROGRESS_MS;
  return ({ entries, bytes }) => {
    if (Date.now() < due) return;
    due = Date.now() + PROGRESS_MS;
    void say(`packing ${path}: ${entries} entries, ${Math.round(bytes / 2 ** 20)} MiB`);
  };
}

function createProgram(end: (status: number) => void): Command {
  const program = new Command('nodevm initramfs').description(
    'Makes, shows, checks and changes initramfs archives. A SOURCE is an archive, a directory, or a list as gen_init_cpio reads it.',
  );
  const list = (value: string, previous: string[]) => [...previous, value];
  writing(program.command('pack <source...>'))
    .description('pack sources into one archive; later ones win')
    .option('--keep-owner', 'keep the owners of a directory instead of root')
    .addHelpText('after', '\nFile capabilities and other extended attributes are left out.')
    .action(pack);
  program
    .command('list <archive>')
    .description('show what is in an archive')
    .option('-l, --long', 'with mode, owner and size')
    .option('-s, --segments', 'show the segments it is made of instead')
    .action(listArchive);
  program
    .command('extract <archive> <directory>')
    .description('unpack into a new or empty directory; needs no root')
    .option('--list <file>', 'write a list that packs it again with devices and owners')
    .action(extract);
  writing(program.command('edit <archive>'))
    .description('change an archive; microcode at its front is kept as it is')
    .option('--add <path=file>', 'add or replace a file with one of the host', list, [])
    .option('--remove <path>', 'remove a file or a directory with all that is in it', list, [])
    .action(edit);
  program
    .command('concat <archive...>')
    .description('put archives one after another')
    .requiredOption('-o, --output <file>', 'file to write; - is standard output')
    .action(concat);
  program
    .command('check <source>')
    .description('say what would keep it from booting, and end with status 1 if anything')
    .option('--init <path>', 'what the kernel starts', '/init')
    .action(async (source: string, options: { init: string }) => {
      const warnings = await checkSource(source, options);
      await warn(warnings);
      if (warnings.length > 0) end(FOUND_STATUS);
    });
  writing(program.command('busybox'))
    .description('make a minimal root file system of a static BusyBox and an init')
    .option('--busybox <file>', "the binary; default is the default guest's or the host's")
    .option(
      '--init <file>',
      'a script for /init; default mounts proc, sysfs, devtmpfs, starts a shell',
    )
    .action(busybox);
  return program;
}

/** Adds the options of a command that writes an archive. */
function writing(command: Command): Command {
  return command
    .requiredOption('-o, --output <file>', 'file to write; - is standard output')
    .addOption(
      command
        .createOption('-c, --compress <kind>', 'compression')
        .choices(OUTPUT_COMPRESSIONS)
        .default('gzip'),
    )
    .option('--crc', 'write magic 070702, with checksums')
    .option('--mtime <seconds>', 'time of all files, since the Unix epoch', '0');
}

async function pack(
  sources: readonly string[],
  options: OutputOptions & { keepOwner?: boolean },
): Promise<void> {
  const tree = new Tree();
  for (const source of sources) {
    const { keepOwner } = options;
    const entries = await readSource(source, { keepOwner, onProgress: progressOf(source) });
    for (const entry of entries) tree.add(entry);
  }
  await save(tree.entries(), options);
}

async function listArchive(
  archive: string,
  options: { long?: boolean; segments?: boolean },
): Promise<void> {
  const bytes = await input(archive);
  if (options.segments === true) {
    const lines = readSegments(bytes).map(
      ({ offset, length, compression, entries }) =>
        `offset ${offset}, ${length} bytes, ${compression}, ${entries.length} entries\n`,
    );
    return print(lines.join(''));
  }
  const lines = readInitramfs(bytes).map((entry) => formatEntry(entry, options.long === true));
  return print(lines.join(''));
}

async function extract(
  archive: string,
  directory: string,
  options: { list?: string },
): Promise<void> {
  const entries = readInitramfs(await input(archive));
  const extracted = await extractInitramfs(entries, directory);
  const root = resolve(directory);
  if (options.list !== undefined) {
    const text = formatList(extracted.entries, (path) => join(root, path));
    await output(options.list, Buffer.from(text));
  } else if (extracted.skipped.length > 0) {
    await say(
      `not made: ${extracted.skipped.length} device nodes, pipes and sockets; --list FILE writes a list that has them`,
    );
  }
}

async function edit(
  archive: string,
  options: OutputOptions & { add: readonly string[]; remove: readonly string[] },
): Promise<void> {
  const { early, tree } = openInitramfs(await input(archive));
  const add: InitramfsEntry[] = [];
  for (const argument of options.add) {
    const [path = '', ...rest] = argument.split('=');
    if (path === '' || rest.length === 0) {
      throw new NodevmError('E_USAGE', `--add ${JSON.stringify(argument)}: expected PATH=FILE`);
    }
    const contents = await input(rest.join('='));
    const replaced = tree.resolve(path);
    const attributes = replaced?.type === 'file' ? attributesOf(replaced) : {};
    add.push({ ...file(contents, attributes), path });
  }
  editTree(tree, { remove: options.remove, add });
  await save(tree.entries(), options, early);
}

async function concat(archives: readonly string[], options: { output: string }): Promise<void> {
  const parts = await Promise.all(archives.map(input));
  parts.forEach((part) => readSegments(part));
  await output(options.output, concatInitramfs(parts));
}

async function busybox(
  options: OutputOptions & { busybox?: string; init?: string },
): Promise<void> {
  const binary = await findBusybox(options.busybox);
  const tree = Tree.of(readInitramfs(await buildInitramfs(binary)));
  if (options.init !== undefined) {
    const script = await input(options.init);
    tree.add({ ...file(script, { mode: 0o755 }), path: 'init' });
  }
  await save(tree.entries(), options);
}

async function findBusybox(path: string | undefined): Promise<Uint8Array> {
  if (path !== undefined) return input(path);
  const images = await findImages();
  if (images !== undefined) {
    const found = Tree.of(readInitramfs(await input(images.initrd))).resolve('/bin/busybox');
    if (found?.type === 'file') return found.data;
  }
  for (const candidate of HOST_BUSYBOX) {
    const binary = await readFile(candidate).catch(() => undefined);
    if (binary !== undefined) return binary;
  }
  throw new NodevmError(
    'E_FILE',
    'there is no BusyBox here: name a static one with --busybox, or make the default guest with "npm run images"',
  );
}

/** What a file that takes the place of another keeps of it. */
function attributesOf({ mode, uid, gid }: TreeEntry): Attributes {
  return { mode: mode ?? 0o644, uid: uid ?? 0, gid: gid ?? 0 };
}

/** Says what is wrong with the entries, packs them behind `early`, compresses and writes them. */
async function save(
  entries: readonly InitramfsEntry[],
  options: OutputOptions,
  early: Uint8Array = new Uint8Array(),
): Promise<void> {
  if (!/^\d{1,10}$/.test(options.mtime)) {
    throw new NodevmError(
      'E_USAGE',
      `--mtime ${JSON.stringify(options.mtime)}: expected seconds since the Unix epoch`,
    );
  }
  await warn(checkInitramfs(entries));
  const cpioOptions: CpioOptions = { crc: options.crc, mtime: Number(options.mtime) };
  const packed = await compress(packInitramfs(entries, cpioOptions), options.compress);
  await output(options.output, concatInitramfs([early, packed]));
}

async function warn(warnings: readonly string[]): Promise<void> {
  for (const warning of warnings) await say(`warning: ${warning}`);
}

async function input(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw fileError(path, 'read', cause);
  }
}

async function output(path: string, bytes: Uint8Array): Promise<void> {
  if (path === '-') return print(bytes);
  try {
    await writeFile(path, bytes);
  } catch (cause) {
    throw fileError(path, 'written', cause);
  }
}

function fileError(path: string, what: string, cause: unknown): NodevmError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new NodevmError('E_FILE', `${path} cannot be ${what}: ${why}`, { cause });
}

/** Writes to standard output; a reader that has gone away wants no more. */
function print(data: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.on('error', () => resolve());
    process.stdout.write(data, () => resolve());
  });
}

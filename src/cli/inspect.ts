import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { Command, CommanderError } from 'commander';

import { NodevmError } from '../errors.js';
import { inspectFile, type ElfReport, type Inspection } from '../loader/inspect.js';

/** Status when a file was neither a kernel that can be booted nor an initramfs that can be read. */
const FOUND_STATUS = 1;

/** Fields of the setup_header that are counts, shown in decimal. */
const COUNTS = new Set(['setup_sects', 'syssize', 'cmdline_size', 'payload_length', 'init_size']);

/**
 * Runs `nodevm inspect FILE`.
 * @param argv the words after `inspect`
 * @returns the process status: 1 when the file cannot be booted or read
 * @throws NodevmError `E_USAGE` or `E_FILE`
 */
export async function runInspectCommand(argv: readonly string[]): Promise<number> {
  let text = '';
  const program = new Command('nodevm inspect')
    .description('Says what a kernel or an initramfs is.')
    .argument('<file>', 'kernel or initramfs')
    .option('--json', 'as one line of JSON')
    .configureOutput({ writeOut: (part) => (text += part), writeErr: () => undefined })
    .exitOverride();
  let status = 0;
  program.action(async (path: string, { json }: { json?: boolean }) => {
    const found = inspectFile(await contentOf(path));
    text = json === true ? `${JSON.stringify(found)}\n` : formatInspection(path, found);
    status = found.problem === undefined ? 0 : FOUND_STATUS;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) {
      const message = error.message.replace(/^error: /, '');
      throw new NodevmError('E_USAGE', `${message}; see nodevm inspect --help`, { cause: error });
    }
  }
  await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
  return status;
}

async function contentOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError('E_FILE', `file ${path} cannot be read: ${why}`, { cause });
  }
}

/** The report as text, a fact a line. */
export function formatInspection(path: string, found: Inspection): string {
  const lines = [`${path}: ${found.description}, ${found.size} bytes`];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') lines.push(`${name}: ${value}`);
  };
  add('problem', found.problem);
  add('version', found.version);
  add('boot protocols', found.protocols.join(', '));
  add('loadflags', found.loadflags?.join(' '));
  add('xloadflags', found.xloadflags?.join(' '));
  add('EFI stub', found.efi_stub === undefined ? undefined : found.efi_stub ? 'yes' : 'no');
  if (found.payload !== undefined) {
    const { compression, packed, unpacked, relocations, problem } = found.payload;
    add('payload', `${compression}, ${packed} bytes, unpacked ${unpacked ?? 'unknown'}`);
    add('payload problem', problem);
    add('relocations', relocations?.toString());
  }
  const elf = found.elf ?? found.payload?.elf;
  if (elf !== undefined) lines.push(...elfLines(elf));
  if (found.multiboot !== undefined) {
    add('multiboot', `version ${found.multiboot.version}, header at ${found.multiboot.offset}`);
  }
  for (const { offset, length, compression, entries } of found.segments ?? []) {
    lines.push(`segment at ${offset}: ${length} bytes, ${compression}, ${entries.length} entries`);
    lines.push(...entries.map((entry) => `  ${JSON.stringify(entry).slice(1, -1)}`));
  }
  for (const [name, value] of Object.entries(found.setup_header ?? {})) {
    lines.push(`setup_header.${name}: ${shown(name, value)}`);
  }
  for (const [name, value] of Object.entries(found.kernel_info ?? {})) {
    lines.push(`kernel_info.${name}: ${shown(name, value as number)}`);
  }
  return `${lines.join('\n')}\n`;
}

function elfLines({ bits, entry, segments, notes, pvh, banner }: ElfReport): readonly string[] {
  return [
    `ELF: ${bits} bits, entry ${shown('entry', entry)}`,
    ...(banner === undefined ? [] : [`banner: ${banner}`]),
    ...(pvh === undefined ? [] : [`PVH entry: ${shown('pvh', pvh)}`]),
    ...segments.map(
      ({ paddr, filesz, memsz }) =>
        `ELF segment at ${shown('paddr', paddr)}: ${filesz} bytes, ${memsz} in memory`,
    ),
    ...notes.map(({ name, type, size }) => `ELF note: ${name} type ${type}, ${size} bytes`),
  ];
}

function shown(name: string, value: number | string): string {
  if (typeof value === 'string' || COUNTS.has(name)) return String(value);
  return `0x${value.toString(16)}`;
}

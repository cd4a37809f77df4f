/** Builds multiboot.s, which says on COM1 what its loader told it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('multiboot.s', import.meta.url));
const LOAD_ADDRESS = '0x200000';

/** Forms of the file; `raw` is the a.out kludge: a bare image with addresses in its header. */
export type MultibootForm = 'elf32' | 'elf64' | 'raw';

/** Assembles the guest with the host's binutils. */
export function buildMultibootGuest(version: 1 | 2, form: MultibootForm): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), 'nodevm-multiboot-'));
  const path = (name: string): string => join(directory, name);
  const run = (tool: string, ...words: readonly string[]): void => {
    execFileSync(tool, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  try {
    const symbols = [`MULTIBOOT=${version}`, `KLUDGE=${form === 'raw' ? 1 : 0}`];
    const defines = symbols.flatMap((symbol) => ['--defsym', symbol]);
    run('as', '--32', ...defines, '-o', path('object'), SOURCE);
    const link = ['-m', 'elf_i386', '-n', '-Ttext', LOAD_ADDRESS, '--build-id=none'];
    run('ld', ...link, '-o', path('elf32'), path('object'));
    if (form === 'elf64') run('objcopy', '-O', 'elf64-x86-64', path('elf32'), path(form));
    if (form === 'raw') run('objcopy', '-O', 'binary', path('elf32'), path(form));
    return readFileSync(path(form));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

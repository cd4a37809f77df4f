/** Builds the guests of broken.s. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('broken.s', import.meta.url));

/** The ways in which they are broken. */
export type Defect =
  | 'bad_gdt'
  | 'missing_idt_entry'
  | 'unmapped_stack'
  | 'jump_into_nothing'
  | 'nx_violation'
  | 'null_call'
  | 'early_interrupt'
  | 'spins_with_interrupts_off'
  | 'spins_on_a_lock'
  | 'polls_a_port'
  | 'polls_a_register'
  | 'lost_timer';

/** Assembles a guest with the host's binutils: an ELF file with its symbols. */
export function buildBrokenGuest(defect: Defect): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), 'nodevm-broken-'));
  const path = (name: string): string => join(directory, name);
  try {
    execFileSync('as', ['--64', '--defsym', `${defect}=1`, '-o', path('object'), SOURCE]);
    const link = [
      '-n',
      '--no-warn-rwx-segments',
      '-Ttext',
      '0x200000',
      '--build-id=none',
      '-o',
      path('kernel'),
    ];
    execFileSync('ld', [...link, path('object')]);
    return readFileSync(path('kernel'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

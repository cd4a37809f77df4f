/** What the boot tests share: the default guest on an icount machine, and its shell. */
import { defaultImages } from '../../src/images.js';
import { Machine, type MachineConfig } from '../../src/index.js';
import { GuestShell } from '../../src/testing/index.js';

/**
 * Safety net of a boot test in milliseconds: it waits for text, and a machine that ends rejects what
 * is awaited of its console. Only a guest that hangs forever takes that long.
 */
export const BOOT_TIMEOUT_MS = 180_000;

/** What the default guest's /init prints when everything is set up; the prompt follows. */
const GREETING = 'turns the machine off.';

/** The default guest, ready to run. Deterministic (icount) unless `config` says otherwise. */
export async function createGuest(config: Partial<MachineConfig> = {}): Promise<Machine> {
  return Machine.create({ ...(await defaultImages()), clock: 'icount', ...config });
}

/** Waits until the shell's prompt is there. */
export async function shellOf(machine: Machine): Promise<GuestShell> {
  await machine.console.expect(GREETING);
  await machine.console.expect('# ');
  return new GuestShell(machine.console);
}

/** Collects everything that the machine's first console prints from now on. */
export function recordConsole(machine: Machine): () => Buffer {
  const chunks: Uint8Array[] = [];
  machine.console.onOutput((bytes) => chunks.push(bytes));
  return () => Buffer.concat(chunks);
}

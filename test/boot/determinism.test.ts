import { describe, expect, it } from 'vitest';

import { bootLinux, defaultImages, type MachineExit } from '../../src/index.js';
import { BOOT_TIMEOUT_MS, createGuest, recordConsole, shellOf } from '../support/boot.js';

interface Run {
  readonly exit: MachineExit;
  readonly printed: Buffer;
}

/** Input that is there from the start: nothing of it may be lost while nobody listens yet. */
async function runWithEarlyInput(): Promise<Run> {
  await using machine = await createGuest();
  const printed = recordConsole(machine);
  machine.console.write(
    'uname -a; cat /proc/uptime /proc/sys/kernel/random/boot_id\npoweroff -f\n',
  );
  const exit = await machine.run();
  return { exit, printed: printed() };
}

/** A conversation: each answer is given when the prompt is seen. */
async function runWithDialogue(): Promise<Run> {
  await using machine = await createGuest();
  const printed = recordConsole(machine);
  void machine.run();
  const shell = await shellOf(machine);
  await shell.sh('uname -a; ls /sys/devices | sort; cat /proc/interrupts');
  machine.console.write('poweroff -f\n');
  const exit = await machine.exited;
  return { exit, printed: printed() };
}

/** Commands, in this thread or in another. */
async function runWithCommands(worker: boolean): Promise<Run> {
  await using vm = await bootLinux({ ...(await defaultImages()), clock: 'icount', worker });
  const results: unknown[] = [];
  for (const command of ['uname -a', 'seq 1 20000 | sort -r', 'cat /proc/interrupts']) {
    results.push(await vm.sh(command));
  }
  results.push(await vm.sh('sha256sum', { input: new Uint8Array(50_000) }));
  await vm.sh('poweroff -f; sleep 100').catch(() => undefined);
  const exit = await vm.exit;
  return { exit, printed: Buffer.from(JSON.stringify(results) + vm.console.transcript) };
}

describe('two icount runs', { timeout: BOOT_TIMEOUT_MS }, () => {
  it.each([
    ['with input from the start', runWithEarlyInput],
    ['with a dialogue', runWithDialogue],
    ['with commands', () => runWithCommands(false)],
    ['with commands to a worker', () => runWithCommands(true)],
  ])('are the same to the byte and to the instruction, %s', async (_name, run) => {
    const first = await run();
    const second = await run();
    expect(first.exit).toMatchObject({ reason: 'poweroff', status: 0 });
    expect(first.printed.toString()).toContain('Linux nodevm');
    expect(second.printed.equals(first.printed)).toBe(true);
    expect(second.exit.instructions).toBe(first.exit.instructions);
    expect(second.exit.guestSeconds).toBe(first.exit.guestSeconds);
  });
});

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Machine } from '../../src/index.js';
import type { GuestShell } from '../../src/testing/index.js';
import { BOOT_TIMEOUT_MS, createGuest, shellOf } from '../support/boot.js';

describe('a guest looked at from outside', { timeout: BOOT_TIMEOUT_MS }, () => {
  let machine: Machine;
  let shell: GuestShell;
  let directory: string;

  beforeAll(async () => {
    machine = await createGuest();
    void machine.run();
    shell = await shellOf(machine);
    directory = await mkdtemp(join(tmpdir(), 'nodevm-core-'));
  }, BOOT_TIMEOUT_MS);

  afterAll(async () => {
    await machine.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('has the log that its own dmesg prints', async () => {
    const { output } = await shell.sh(
      'echo "<4>several\nlines" >/dev/kmsg; dmesg | md5sum; dmesg | tail -1',
    );
    const ours = machine.dmesg();
    expect(ours).toMatch(/^\[ {4}0\.000000\] Linux version 6/);
    expect(ours).toMatch(/\] several$/m);
    const theirs = (await shell.sh('dmesg | wc -l')).output.trim();
    expect(ours.trimEnd().split('\n').length).toBe(Number(theirs));
    expect(ours.trimEnd().split('\n').at(-1)).toBe(output.trim().split('\n').at(-1)?.trimEnd());
  });

  it('has a core file that binutils and gdb read', () => {
    const path = join(directory, 'core');
    machine.dumpCore(path);
    const headers = execFileSync('readelf', ['-lnW', path]).toString();
    expect(headers).toContain('CORE (Core file)');
    expect(headers).toMatch(/NT_PRSTATUS/);
    expect(headers).toMatch(/VMCOREINFO/);
    const text = machine.symbols.address('_text') ?? 0n;
    expect(headers).toContain(`0x${text.toString(16)}`);
    if (!existsSync('/usr/bin/gdb')) return;
    const banner = machine.symbols.address('linux_banner') ?? 0n;
    const commands = [`x/s 0x${banner.toString(16)}`, 'info registers rip'];
    const words = ['-batch', '-nx', ...commands.flatMap((command) => ['-ex', command]), '-c', path];
    const seen = execFileSync('gdb', words, { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
    expect(seen).toContain('"Linux version 6');
    expect(seen).toContain(machine.cpu.native.getRegister('rip').toString(16));
  });

  it('leaves nothing behind where a core cannot be written', () => {
    const path = join(directory, 'missing', 'core');
    expect(() => machine.dumpCore(path)).toThrow(/core .*missing\/core: cannot be written/);
  });
});

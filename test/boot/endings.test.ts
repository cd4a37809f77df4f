import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

import { packInitramfs } from '../../src/initramfs/cpio.js';
import { BOOT_TIMEOUT_MS, createGuest, shellOf } from '../support/boot.js';

const MiB = 1024 * 1024;

describe('how a run ends', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('reboot -f boots again, and ends the run with noReboot', async () => {
    await using machine = await createGuest();
    void machine.run();
    const shell = await shellOf(machine);
    await shell.sh('touch /tmp/before');
    machine.console.write('reboot -f\n');
    const again = await shellOf(machine);
    expect((await again.sh('ls /tmp')).output).toBe('');
    machine.console.write('poweroff -f\n');
    expect((await machine.exited).reason).toBe('poweroff');

    await using once = await createGuest({ noReboot: true });
    void once.run();
    await shellOf(once);
    once.console.write('reboot -f\n');
    expect(await once.exited).toMatchObject({ reason: 'reboot', status: 0 });
  });

  it('poweroff asks init, which turns the machine off', async () => {
    await using machine = await createGuest();
    void machine.run();
    await shellOf(machine);
    machine.console.write('poweroff\n');
    expect(await machine.exited).toMatchObject({ reason: 'poweroff', status: 0 });
  });

  it('halt -f halts', async () => {
    await using machine = await createGuest();
    void machine.run();
    await shellOf(machine);
    machine.console.write('halt -f\n');
    expect(await machine.exited).toMatchObject({ reason: 'halt', status: 0 });
  });

  it('a kernel without initramfs panics, and the console tail says why', async () => {
    await using machine = await createGuest({ initrd: [] });
    const exit = await machine.run();
    expect(exit).toMatchObject({ reason: 'panic', status: 255 });
    expect(exit.reason === 'panic' && exit.message).toContain('Unable to mount root fs');
    expect(exit.consoleTail).toMatch(/Kernel panic - not syncing: VFS[^]*end Kernel panic/);
  });

  it('an initramfs that does not fit into memory is the guest’s own panic', async () => {
    const archive = packInitramfs([
      { type: 'file', path: 'large', mode: 0o644, data: new Uint8Array(120 * MiB) },
    ]);
    await using machine = await createGuest({ memory: 128 * MiB, initrd: gzipSync(archive) });
    const exit = await machine.run();
    expect(exit).toMatchObject({ reason: 'panic', status: 255 });
    expect(exit.consoleTail).toContain('Kernel panic');
  });

  it('a panic that reboots is still a panic', async () => {
    const cmdline = 'console=ttyS0 panic=-1';
    await using machine = await createGuest({ initrd: [], cmdline });
    expect(await machine.run()).toMatchObject({ reason: 'panic', status: 255 });
  });

  it('time runs out, and the machine can go on', async () => {
    await using machine = await createGuest({ timeoutMs: 50 });
    const exit = await machine.run();
    expect(exit).toMatchObject({ reason: 'timeout', status: 124 });
    expect((await machine.run()).instructions).toBeGreaterThan(exit.instructions);
  });

  it('the host stops it, pauses it and closes it', async () => {
    const machine = await createGuest();
    const run = machine.run();
    await expect(machine.run()).rejects.toMatchObject({ code: 'E_STATE' });
    await machine.console.expect('Linux version');
    machine.stop();
    expect(await run).toMatchObject({ reason: 'stopped', status: 0 });

    const second = machine.run();
    await machine.close();
    expect((await second).reason).toBe('stopped');
    await expect(machine.run()).rejects.toThrow('closed');
  });
});

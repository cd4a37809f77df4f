import { describe, expect, it } from 'vitest';

import { BOOT_TIMEOUT_MS, createGuest, shellOf } from '../support/boot.js';

describe('a machine on host time', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('keeps the time of the host, and uses little of it while idle', async () => {
    await using machine = await createGuest({ clock: 'host' });
    void machine.run();
    const shell = await shellOf(machine);

    const guestDate = Number((await shell.sh('date +%s')).output);
    expect(Math.abs(guestDate - Date.now() / 1000)).toBeLessThan(5);

    const started = performance.now();
    const cpuBefore = process.cpuUsage();
    expect((await shell.sh('sleep 3')).status).toBe(0);
    const elapsed = performance.now() - started;
    const { user, system } = process.cpuUsage(cpuBefore);
    expect(elapsed).toBeGreaterThanOrEqual(3000);
    expect((user + system) / 1000).toBeLessThan(elapsed / 2);

    machine.console.write('poweroff -f\n');
    expect(await machine.exited).toMatchObject({ reason: 'poweroff', status: 0 });
  });
});

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

  it('sleeps as long under load, and its watchdogs are content', async () => {
    await using machine = await createGuest({ clock: 'host' });
    void machine.run();
    const shell = await shellOf(machine);
    // A soft lockup is reported after twice this many seconds; RCU looks for stalls after so many.
    const watchdogs = [
      'echo 1 >/proc/sys/kernel/watchdog_thresh',
      'echo 3 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout',
    ];
    expect((await shell.sh(watchdogs.join(' && '))).status).toBe(0);
    await shell.sh('for n in 1 2 3 4; do yes >/dev/null & done');

    const uptime = async () => Number((await shell.sh('cat /proc/uptime')).output.split(' ')[0]);
    const before = await uptime();
    const started = performance.now();
    expect((await shell.sh('sleep 5')).status).toBe(0);
    // A guest that makes up for lost time is 500 ppm ahead of the host.
    expect(performance.now() - started).toBeGreaterThan(4990);
    expect((await uptime()) - before).toBeGreaterThanOrEqual(5);

    const { output } = await shell.sh('dmesg');
    expect(output).toMatch(/clocksource: Switched/);
    expect(output.match(/.*(lockup|stall|unstable|hung|lost ticks|timer doesn't).*/gi)).toBeNull();
    machine.stop();
    expect(await machine.exited).toMatchObject({ reason: 'stopped' });
  });
});

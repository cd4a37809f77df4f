import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Machine } from '../../src/index.js';
import type { GuestShell } from '../../src/testing/index.js';
import { BOOT_TIMEOUT_MS, createGuest, recordConsole, shellOf } from '../support/boot.js';

/** What the kernel says when it does not like its machine; QEMU's boot of the same images has none. */
const COMPLAINTS =
  /unexpected|spurious|TSC unstable|Marking TSC|clocksource.*(skew|wrong)|\bBUG:|Oops|WARNING|MP-BIOS bug|FPU.*(bug|fail)|ACPI (BIOS )?(Error|Warning)/i;

describe('the default guest', { timeout: BOOT_TIMEOUT_MS }, () => {
  let machine: Machine;
  let shell: GuestShell;
  let consoleSoFar: () => Buffer;

  beforeAll(async () => {
    machine = await createGuest();
    consoleSoFar = recordConsole(machine);
    void machine.run();
    shell = await shellOf(machine);
  }, BOOT_TIMEOUT_MS);

  afterAll(() => machine.close());

  it('boots an unmodified kernel to a shell', async () => {
    const { output, status } = await shell.sh('uname -a');
    expect(output).toMatch(/^Linux nodevm 6\.\d+.*x86_64 GNU\/Linux\n$/);
    expect(status).toBe(0);
    expect(consoleSoFar().toString()).toContain('Linux version 6.');
  });

  it('gets the default command line', async () => {
    expect((await shell.sh('cat /proc/cmdline')).output).toBe('console=ttyS0\n');
  });

  it('describes its processor, memory and devices', async () => {
    const cpuinfo = (await shell.sh('cat /proc/cpuinfo')).output;
    expect(cpuinfo).toMatch(/^processor\t: 0$/m);
    expect(cpuinfo).toMatch(/^flags\t\t: fpu .*\blm\b.*\bsse4_2\b/m);
    expect((await shell.sh('ls /sys')).output).toContain('devices');
    const memory = /MemTotal: +(\d+) kB/.exec((await shell.sh('cat /proc/meminfo')).output);
    expect(Number(memory?.[1])).toBeGreaterThan(400 * 1024);
    expect(Number(memory?.[1])).toBeLessThan(512 * 1024);
  });

  it('finds all its interrupts and its UART', async () => {
    const interrupts = (await shell.sh('cat /proc/interrupts')).output;
    expect(interrupts).toMatch(/IO-APIC +4-edge +ttyS0/);
    expect(interrupts).toMatch(/IO-APIC +9-\w+ +acpi/);
    const uart = await shell.sh('dmesg | grep ttyS0');
    expect(uart.output).toMatch(/ttyS0 at I\/O 0x3f8 \(irq = 4, .*\) is a 16550A/);
  });

  it('runs pipes', async () => {
    const { output } = await shell.sh('seq 1 1000 | grep 7 | sort -rn | head -n 3 | tr "\\n" " "');
    expect(output).toBe('997 987 979 ');
  });

  it('reports the status of a command', async () => {
    expect((await shell.sh('(exit 42)')).status).toBe(42);
    expect((await shell.sh('sh -c "kill -SEGV \\$\\$"')).status).toBe(128 + 11);
  });

  it('moves many bytes through the terminal without losing one', async () => {
    const { output } = await shell.sh('seq 1 5000');
    const lines = Array.from({ length: 5000 }, (_, i) => `${i + 1}\n`);
    expect(output).toBe(lines.join(''));
  });

  it('has job control: ^Z, bg, jobs, fg and ^C', async () => {
    const { console } = machine;
    // The job says when it is in the foreground: a ^Z typed before that is the shell's, which ignores it.
    console.write("sh -c 'echo ready; exec sleep 1000'\n");
    await console.expect("1000'\r\n");
    await console.expect('ready\r\n');
    console.write('\x1a');
    await console.expect(/Stopped +sh -c/);
    console.write('bg\n');
    await console.expect(/\[1\] sh -c/);
    console.write('jobs\n');
    await console.expect(/Running +sh -c/);
    console.write('fg\n');
    await console.expect(/fg\r\nsh -c .*\r\n/);
    console.write('\x03');
    await console.expect('# ');
    expect((await shell.sh('jobs')).output).toBe('');
  });

  it('lets guest time pass as the clock says', async () => {
    const before = machine.clock.now();
    expect((await shell.sh('sleep 30')).status).toBe(0);
    const slept = (machine.clock.now() - before) / 1e9;
    expect(slept).toBeGreaterThanOrEqual(30);
    expect(slept).toBeLessThan(31);
    expect((await shell.sh('date -u +%Y-%m-%d')).output).toBe('2026-01-01\n');
  });

  it('has nothing to complain of', async () => {
    const { output } = await shell.sh('dmesg');
    expect(output).toMatch(/Linux version/);
    expect(output.split('\n').filter((line) => COMPLAINTS.test(line))).toEqual([]);
  });

  it('leaves the caches of translated code consistent', () => {
    expect(machine.cpu.native.checkInvariants()).toBe(true);
  });

  it('turns off by poweroff -f', async () => {
    machine.console.write('poweroff -f\n');
    const exit = await machine.exited;
    expect(exit).toMatchObject({ reason: 'poweroff', status: 0 });
    expect(exit.consoleTail).toContain('Power down');
    expect(exit.instructions).toBeGreaterThan(10e6);
    await expect(machine.run()).rejects.toMatchObject({ code: 'E_STATE' });
    await expect(machine.console.expect('anything')).rejects.toThrow('poweroff');
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { defaultImages, bootLinux, VmError, type BootOptions, type Vm } from '../../src/index.js';
import { packInitramfs, readInitramfs } from '../../src/initramfs/index.js';
import { BOOT_TIMEOUT_MS } from '../support/boot.js';

const MiB = 1024 * 1024;

async function boot(options: Partial<BootOptions> = {}): Promise<Vm> {
  return bootLinux({ ...(await defaultImages()), clock: 'icount', ...options });
}

/** The error that a promise is rejected with. */
async function failureOf(promise: Promise<unknown>): Promise<VmError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(VmError);
  return error as VmError;
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe.each([false, true])('a guest (worker: %s)', { timeout: BOOT_TIMEOUT_MS }, (worker) => {
  let vm: Vm;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nodevm-vm-'));
    vm = await boot({ worker });
    await vm.booted();
  }, BOOT_TIMEOUT_MS);

  afterAll(async () => {
    await vm.close();
    await rm(folder, { recursive: true });
  });

  it('runs commands: output, error and status apart', async () => {
    expect(await vm.sh('echo out; echo err >&2; exit 42')).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      status: 42,
    });
    expect(await vm.sh('kill -9 $$')).toEqual({ stdout: '', stderr: '', status: 137 });
    expect((await vm.sh('uname -s')).stdout).toBe('Linux\n');
  });

  it('gives a command its input, directory and environment, and no terminal', async () => {
    const { stdout } = await vm.sh('pwd; echo "$A $HOME"; cat; tty', {
      input: 'read me\n',
      cwd: '/sys',
      env: { A: 'a b' },
    });
    expect(stdout).toBe('/sys\na b /root\nread me\nnot a tty\n');
    expect((await vm.sh('true', { input: new Uint8Array(MiB / 4) })).status).toBe(0);
  });

  it('runs one command after the other, whoever calls when', async () => {
    const words = ['one', 'two', 'three', 'four'];
    const results = await Promise.all(words.map((word) => vm.sh(`echo ${word}`)));
    expect(results.map(({ stdout }) => stdout)).toEqual(words.map((word) => `${word}\n`));
  });

  it('is not confused by kernel messages, wide lines or what looks like a panic', async () => {
    const wide = 'x'.repeat(500);
    const { stdout } = await vm.sh(
      `echo '<1>on the console' >/dev/kmsg; echo ${wide}; echo 'Kernel panic - not syncing: no'`,
    );
    expect(stdout).toBe(`${wide}\nKernel panic - not syncing: no\n`);
    await vm.console.expect('on the console', { timeout: 60_000 });
  });

  it('carries all bytes both ways, to and from files', async () => {
    const bytes = randomBytes(300_000);
    await vm.push(bytes, '/tmp/new/folder/file', { mode: 0o640 });
    const { stdout } = await vm.sh('stat -c %a file; sha256sum file', { cwd: '/tmp/new/folder' });
    expect(stdout).toBe(`640\n${sha256(bytes)}  file\n`);
    const copy = await vm.pull('/tmp/new/folder/file');
    expect(sha256(copy)).toBe(sha256(bytes));

    const path = join(folder, 'script');
    await writeFile(path, '#!/bin/sh\necho "$1"\n');
    await vm.push(path, '/tmp/script', { mode: 0o755 });
    expect((await vm.sh('/tmp/script works')).stdout).toBe('works\n');
  });

  it('carries a megabyte of output and error at the same time', async () => {
    const command = 'seq 1 100000 & seq 100001 150000 >&2; wait';
    const { stdout, stderr } = await vm.sh(command, { encoding: 'bytes' });
    const lines = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join('');
    expect(sha256(stdout)).toBe(sha256(Buffer.from(lines(1, 100_000))));
    expect(sha256(stderr)).toBe(sha256(Buffer.from(lines(100_001, 150_000))));
  });

  it('says why a file cannot be had', async () => {
    expect((await failureOf(vm.pull('/no/such'))).message).toMatch(/"\/no\/such".*ENOENT/);
    expect((await failureOf(vm.push(Buffer.of(1), '/proc/x'))).message).toContain('/proc/x');
    await expect(vm.push(join(folder, 'none'), '/x')).rejects.toMatchObject({ code: 'E_FILE' });
  });

  it('ends a command whose time is over, and goes on with the next', async () => {
    const late = await failureOf(vm.sh('echo early; sleep 1000', { guestTimeout: 300 }));
    expect(late).toMatchObject({ code: 'E_TIMEOUT', exit: undefined });
    expect(late.message).toMatch(/"echo early; sleep 1000".*within 300 ms of guest time/);
    expect(late.message).toContain('BusyBox');
    const aborter = new AbortController();
    const aborted = failureOf(vm.sh('sleep 1000', { signal: aborter.signal }));
    aborter.abort();
    expect((await aborted).code).toBe('E_ABORTED');
    const much = await failureOf(vm.sh('yes', { maxOutput: 100_000 }));
    expect(much.message).toContain('more than 100000 bytes');
    expect((await vm.sh('echo next; ps | grep -c "[s]leep 1000"')).stdout).toBe('next\n0\n');
  });

  it('does not wait for what a command leaves behind', async () => {
    expect(await vm.sh('sleep 1000 & echo done')).toMatchObject({ stdout: 'done\n', status: 0 });
    expect((await vm.sh('killall sleep')).status).toBe(0);
  });

  it('has a console: what was printed, what is typed, what is waited for', async () => {
    const stream = vm.console[Symbol.asyncIterator]();
    vm.console.send('echo $((6 * 7))\n');
    expect((await vm.console.expect(/^(\d+)\r?$/m)).groups).toEqual(['42']);
    expect(vm.console.transcript).toContain('Linux version 6.');
    let streamed = '';
    while (!streamed.includes('\n42')) streamed += String((await stream.next()).value);
    await stream.return?.();
    const missing = vm.console.expect('never', { guestTimeout: 100 });
    await expect(missing).rejects.toMatchObject({ code: 'E_TIMEOUT' });
    await expect(missing).rejects.toThrow(/"never".*within 100 ms of guest time/);
  });

  it('shows its memory and registers', async () => {
    vm.pause();
    const registers = await vm.registers();
    expect(registers.cr0 & 0x8000_0001n).toBe(0x8000_0001n);
    const gpa = await vm.memory.translate(registers.rip);
    expect(gpa).toBeGreaterThan(MiB);
    expect(await vm.memory.read(gpa!, 16)).toHaveLength(16);
    await vm.memory.write(0x600, Buffer.from('written'));
    expect(Buffer.from(await vm.memory.read(0x600, 7)).toString()).toBe('written');
    await expect(vm.memory.read(2 ** 40, 1)).rejects.toMatchObject({ code: 'E_GUEST_ADDRESS' });
    vm.resume();
    expect((await vm.sh('true')).status).toBe(0);
  });

  it('keeps its file system as it was packed', async () => {
    const { stdout } = await vm.sh('ls -A /; grep -c nodevm /proc/mounts');
    expect(stdout).not.toContain('.nodevm');
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('0');
  });

  it('says how it ended to those who still wait', async () => {
    const waiting = failureOf(vm.console.expect('never').catch(() => vm.sh('true')));
    const command = await failureOf(vm.sh('poweroff -f; sleep 1000'));
    expect(command).toMatchObject({ code: 'E_GUEST', exit: { reason: 'poweroff' } });
    expect(command.message).toContain('the guest turned it off');
    expect((await waiting).code).toBe('E_GUEST');
    expect(await vm.exit).toMatchObject({ reason: 'poweroff', status: 0 });
  });
});

describe('other guests', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('panic, and a command in them has no result', async () => {
    await using vm = await boot();
    const error = await failureOf(vm.sh('echo c >/proc/sysrq-trigger'));
    expect(error.exit).toMatchObject({ reason: 'panic', status: 255 });
    expect(error.message).toMatch(/kernel panic: sysrq triggered crash/);
    expect(error.consoleTail).toContain('end Kernel panic');
  });

  it('without an init get one, and two of them run side by side', async () => {
    const { kernel, initrd } = await defaultImages();
    const entries = readInitramfs(await readFile(initrd));
    const archive = packInitramfs(entries.filter(({ path }) => path !== 'init'));
    const guests = [1, 2].map(() => boot({ kernel, initrd: archive }));
    const results = guests.map(async (guest, i) => {
      await using vm = await guest;
      return (await vm.sh(`busybox mount | busybox grep -c ' on /proc '; echo ${i}`)).stdout;
    });
    expect(await Promise.all(results)).toEqual(['1\n0\n', '1\n1\n']);
  });

  it('start anew by reset, and can be used again', async () => {
    await using vm = await boot({ noReboot: false });
    await vm.sh('touch /tmp/before');
    vm.reset();
    await vm.console.expect('Linux version');
    await vm.console.expect('Linux version');
    expect((await vm.sh('ls /tmp')).stdout).toBe('');
  });

  it('end in time: host time, guest time, silence, abort', async () => {
    await using byHost = await boot({ timeout: 50 });
    expect(await byHost.exit).toMatchObject({ reason: 'timeout', status: 124 });
    expect((await failureOf(byHost.sh('true'))).message).toContain('time limit');
    await using byGuest = await boot({ guestTimeout: 20 });
    const { reason, guestSeconds } = await byGuest.exit;
    expect(reason).toBe('timeout');
    expect(guestSeconds).toBeCloseTo(0.02, 2);
    await using silent = await boot({ append: 'console=ttyS0 quiet', stall: 100 });
    expect(await silent.exit).toMatchObject({ reason: 'stall', status: 124 });
    await using aborted = await boot({ signal: AbortSignal.abort() });
    expect(await aborted.exit).toMatchObject({ reason: 'stopped' });
  });
});

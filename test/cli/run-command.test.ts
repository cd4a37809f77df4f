import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { defaultImages } from '../../src/images.js';
import { readInitramfs } from '../../src/initramfs/index.js';
import { BOOT_TIMEOUT_MS } from '../support/boot.js';
import { ending, printed, run, start } from './spawn.js';

let folder: string;
let guest: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nodevm-run-'));
  const { kernel, initrd } = await defaultImages();
  guest = ['--kernel', kernel, '--initrd', initrd, '--clock', 'icount'];
});
afterAll(() => rm(folder, { recursive: true }));

describe('nodevm run', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('is the command: its output, its errors, its status, and nothing else', async () => {
    const script = 'printf "a\\0b\\377"; echo "$1" >&2; exit 7';
    const ended = await run(['run', ...guest, '--', 'sh', '-c', script, 'sh', "it's"]);
    expect(ended.status).toBe(7);
    expect(ended.stdout).toEqual(Buffer.from('a\0b\xff', 'latin1'));
    expect(ended.stderr).toBe("it's\n");
  });

  it('tells its events, one a line, and keeps the console in a file', async () => {
    const log = join(folder, 'console.log');
    const words = ['run', ...guest, '--json', '--serial', `file:${log}`, '--', 'true'];
    const { status, stderr } = await run(words);
    expect(status).toBe(0);
    const events = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; text?: string });
    const others = events.filter(({ event }) => event !== 'console');
    expect(others).toEqual([
      expect.objectContaining({ event: 'started', command: ['true'] }),
      { event: 'phase', phase: 'booted' },
      { event: 'phase', phase: 'command-ended', status: 0 },
      { event: 'exit', status: 0 },
    ]);
    const text = events.map((event) => event.text ?? '').join('');
    expect(text).toContain('Linux version 6.');
    expect(await readFile(log, 'utf8')).toBe(text);
  });

  it('says why there is no status: a panic, a time limit', async () => {
    const panic = await run(['run', ...guest, '--', 'sh', '-c', 'echo c >/proc/sysrq-trigger']);
    expect(panic.status).toBe(255);
    expect(panic.stderr).toMatch(/^nodevm: .*kernel panic: sysrq triggered crash/);
    const slow = await run(['run', ...guest, '--timeout', '300ms', '--', 'true']);
    expect(slow.status).toBe(124);
    expect(slow.stderr).toContain('the time limit was reached');
  });

  it('takes a directory without an init, and stands in for one', async () => {
    const root = join(folder, 'root');
    const entries = readInitramfs(await readFile(guest[3]!));
    const busybox = entries.find(({ path }) => path === 'bin/busybox');
    if (busybox?.type !== 'file') throw new Error('the default guest has no bin/busybox');
    await mkdir(join(root, 'bin'), { recursive: true });
    await writeFile(join(root, 'bin/busybox'), busybox.data, { mode: 0o755 });
    const ended = await run([
      ...['run', '--kernel', guest[1]!, '--initrd', root, '--clock', 'icount'],
      ...['--', '/bin/busybox', 'head', '-n', '1', '/proc/cpuinfo'],
    ]);
    expect({ ...ended, stdout: String(ended.stdout) }).toEqual({
      status: 0,
      stdout: 'processor\t: 0\n',
      stderr: '',
    });
  });

  it('ends with a signal, and with its reader', async () => {
    const child = start('run', ...guest, '--', 'sh', '-c', 'echo up; sleep 1000');
    const ended = ending(child);
    await printed(child, 'up\n');
    child.kill('SIGTERM');
    expect((await ended).status).toBe(128 + 15);

    const endless = start('run', ...guest, '--', 'yes');
    const gone = ending(endless);
    await printed(endless, 'y\n');
    endless.stdout.destroy();
    expect((await gone).status).toBe(128 + 13);
  });

  it('needs a command, and an initramfs', async () => {
    const nothing = await run(['run', ...guest]);
    expect(nothing).toMatchObject({ status: 125 });
    expect(nothing.stderr).toContain('there is no command');
    const bare = await run(['run', '--kernel', guest[1]!, '--', 'true']);
    expect(bare).toMatchObject({ status: 125 });
    expect(bare.stderr).toContain('there is no initrd');
  });
});

describe('nodevm test', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('tries every command, says what failed, and how many', async () => {
    const matrix = join(folder, 'nodevm.json');
    const report = join(folder, 'junit.xml');
    await writeFile(
      matrix,
      JSON.stringify({
        clock: 'icount',
        kernels: { debian: guest[1] },
        initrds: { busybox: guest[3] },
        commands: {
          passes: { run: 'uname -s', stdout: '^Linux$' },
          status: { run: 'echo no; exit 3' },
          output: { run: 'echo other', stdout: '^this$' },
          ends: 'poweroff -f; sleep 1000',
          again: 'true',
        },
      }),
    );
    const { status, stdout, stderr } = await run(['test', matrix, '-j', '1', '--junit', report]);
    expect(stderr).toBe('');
    expect(status).toBe(3);
    const lines = String(stdout)
      .split('\n')
      .filter((line) => /^(TAP|\d|ok|not ok)/.test(line));
    expect(lines).toEqual([
      'TAP version 13',
      '1..5',
      'ok 1 - debian busybox passes',
      'not ok 2 - debian busybox status',
      'not ok 3 - debian busybox output',
      'not ok 4 - debian busybox ends',
      'ok 5 - debian busybox again',
    ]);
    expect(String(stdout)).toContain('status is 3, expected 0; it printed:\n    no\n');
    const xml = await readFile(report, 'utf8');
    expect(xml).toContain('<testsuite name="debian busybox" tests="5" failures="3"');
    expect(xml).toContain('the guest turned it off');
  });

  it('refuses a wrong command line', async () => {
    expect((await run(['test'])).status).toBe(125);
    expect((await run(['test', '/no/such/file'])).stderr).toContain('/no/such/file');
    const jobs = await run(['test', join(folder, 'nodevm.json'), '-j', 'many']);
    expect(jobs.stderr).toContain('--jobs is many');
  });
});

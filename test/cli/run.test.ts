import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';

import {
  crashGuest,
  DEBUG_EXIT,
  echoGuest,
  EXIT_STATUS,
  file,
  haltingGuest,
  floodGuest,
  scratch,
} from './guests.js';
import { ending, printed, run, runOnPty, start } from './spawn.js';

afterAll(() => rmSync(scratch, { recursive: true }));

const echo = ['-kernel', file('echo', echoGuest()), ...DEBUG_EXIT];

describe('pipes', () => {
  it('carry each byte in order, also those that come before the guest listens', async () => {
    const noise = randomBytes(4000).map((byte) => (byte === 0x21 ? 0x22 : byte));
    const input = Buffer.concat([noise, Buffer.from('!')]);
    const { status, stdout, stderr } = await run(echo, input);
    expect(stdout.equals(Buffer.concat([Buffer.from('READY\r\n'), input]))).toBe(true);
    expect([status, stderr]).toEqual([EXIT_STATUS, '']);
  });

  it('give the same run under icount, however the input arrives', async () => {
    const reports = ['same!', 'same!'].map(async (input, index) => {
      const child = start(...echo, '--clock', 'icount', '--json');
      if (index === 0) child.stdin.write(input.slice(0, 2));
      setImmediate(() => child.stdin.end(index === 0 ? input.slice(2) : input));
      const { stdout, stderr } = await ending(child);
      const { instructions } = JSON.parse(stderr) as { instructions: number };
      return { stdout: String(stdout), instructions };
    });
    const [first, second] = await Promise.all(reports);
    expect(first?.stdout).toBe('READY\r\nsame!');
    expect(second).toEqual(first);
  });

  it('that are read late lose nothing', async () => {
    const length = 1_000_000;
    const child = start('-kernel', file('flood', floodGuest(length)), ...DEBUG_EXIT);
    const first = await printed(child, 'x');
    child.stdout.pause();
    for (let turn = 0; turn < 1000; turn++) await new Promise(setImmediate);
    const { status, stdout } = await ending(child);
    expect([status, first.length + stdout.length]).toEqual([EXIT_STATUS, length]);
    expect(first + String(stdout)).toMatch(/^x+$/);
  });

  it('that break end the run as SIGPIPE would', async () => {
    const child = start('-kernel', file('endless', floodGuest(0)));
    await printed(child, 'x');
    child.stdout.destroy();
    child.stderr.resume();
    const status = await new Promise((resolve) => child.on('exit', resolve));
    expect(status).toBe(141);
  });
});

describe('how a run ends', () => {
  it('by the time limit', async () => {
    const { status, stderr } = await run([...echo, '--timeout', '200ms']);
    expect(stderr).toMatch(/^nodevm: the time limit was reached after \d+\.\d s\nnodevm: cause: /);
    expect(status).toBe(124);
  });

  it('by a triple fault', async () => {
    const { status, stderr } = await run(['-kernel', file('crash', crashGuest())]);
    expect([status, stderr]).toEqual([254, expect.stringContaining('triple fault')]);
  });

  it('by a kernel that gives up', async () => {
    const { status, stderr } = await run([
      '-kernel',
      file('halts', haltingGuest()),
      '--no-verdict',
    ]);
    expect(stderr).toBe('nodevm: the kernel halted before there was a user space\n');
    expect(status).toBe(254);
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
  ] as const)('by %s', async (signal, status) => {
    const child = start(...echo);
    await printed(child, 'READY');
    child.kill(signal);
    expect((await ending(child)).status).toBe(status);
  });

  it('as one line of JSON', async () => {
    const { stderr } = await run([...echo, '--json'], '!');
    expect(JSON.parse(stderr)).toMatchObject({
      reason: 'guest-exit',
      status: EXIT_STATUS,
      consoleTail: 'READY\n!',
    });
  });
});

it('writes a serial port to a file', async () => {
  const path = `${scratch}/log`;
  const { stdout } = await run([...echo, '-serial', `file:${path}`, '--timeout', '1s']);
  expect([String(stdout), readFileSync(path, 'latin1')]).toEqual(['', 'READY\r\n']);
});

describe('a terminal is raw while the guest runs, and restored', () => {
  it.each([
    ['Ctrl-A X', { send: '\x01x' }, 0],
    ['the guest’s own end', { send: '!' }, EXIT_STATUS],
    ['SIGTERM', { signal: 'SIGTERM' }, 143],
    ['SIGHUP', { signal: 'SIGHUP' }, 129],
    ['SIGINT', { signal: 'SIGINT' }, 130],
    ['SIGABRT', { signal: 'SIGABRT' }, 134],
    ['SIGKILL', { signal: 'SIGKILL' }, 137],
  ] as const)('after %s', async (_name, action, status) => {
    const report = await runOnPty(echo, [{ wait: 'READY', ...action }]);
    expect(report).toMatchObject({ status, raw: true, restored: true });
  });

  it('with Ctrl-C for the guest, help on Ctrl-A H, and Ctrl-A on Ctrl-A twice', async () => {
    const report = await runOnPty(echo, [
      { wait: 'READY', send: 'a\x03b' },
      { wait: 'a\x03b', send: '\x01h' },
      { wait: 'end the run', send: '\x01\x01c!' },
    ]);
    expect(report).toMatchObject({ status: EXIT_STATUS, restored: true });
    expect(report.output).toContain('\x01c!');
  });
});

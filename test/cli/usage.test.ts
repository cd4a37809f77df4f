import { readFileSync, rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';

import { makeKernel } from '../support/kernel-fixture.js';
import { echoGuest, file, scratch } from './guests.js';
import { run } from './spawn.js';

afterAll(() => rmSync(scratch, { recursive: true }));

describe('nodevm prints', () => {
  it('its version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    const { status, stdout } = await run(['--version']);
    expect([status, String(stdout)]).toEqual([0, `${version}\n`]);
  });

  it('its help', async () => {
    const { status, stdout, stderr } = await run(['--help']);
    expect([status, stderr]).toEqual([0, '']);
    expect(String(stdout)).toContain('--kernel <file>');
  });
});

describe('nodevm says in one sentence what is wrong, and ends with 125', () => {
  const sound = file('sound', makeKernel());
  const truncated = file('truncated', makeKernel().subarray(0, 5000));
  const boot = (kernel: string, ...args: string[]) => ['-kernel', kernel, ...args];

  it.each<[string, string[], RegExp]>([
    ['unknown option', ['--frobnicate'], /unknown option --frobnicate/],
    ['bad value', ['-m', 'lots'], /-m "lots": expected a size/],
    ['no guest', [], /npm run images/],
    ['no such kernel', boot('/nonexistent/k'), /kernel \/nonexistent\/k: no such file/],
    ['kernel is a folder', boot(scratch), /kernel .*: is a directory/],
    [
      'no such initrd',
      boot(sound, '-initrd', '/nonexistent/i'),
      /initrd \/nonexistent\/i: no such/,
    ],
    ['not a kernel', boot(file('text', 'no kernel\n'.repeat(1000))), /bad kernel: .*"HdrS"/],
    ['empty kernel', boot(file('empty', '')), /bad kernel: /],
    ['truncated kernel', boot(truncated), /bad kernel: syssize .* it has 5000: it is truncated/],
    [
      'kernel for another machine',
      boot(file('arm64', `${'x'.repeat(0x38)}ARMd${'x'.repeat(1000)}`)),
      /bad kernel: .* looks like a kernel for another machine \(arm64 Image\)/,
    ],
    [
      'door that is not there',
      boot(sound, '--boot-protocol', 'multiboot'),
      /boot protocol is multiboot, expected one that this file has: /,
    ],
    [
      'initrd that does not fit',
      boot(sound, '-m', '32M', '-initrd', file('large', new Uint8Array(64 << 20))),
      /initrd is 67108864 bytes, expected at most \d+/,
    ],
    [
      'long command line',
      boot(sound, '-append', 'x'.repeat(3000)),
      /command line is 3000 bytes, expected at most 2047/,
    ],
    ['too little memory', boot(sound, '-m', '16M'), /memory size is 16777216 bytes, expected /],
    [
      'device on a taken port',
      boot(sound, '-device', 'isa-debug-exit,iobase=0x3f8'),
      /0x3f8.*serial0|serial0.*0x3f8/,
    ],
    ['serial file', boot(sound, '-serial', 'file:/nonexistent/f'), /cannot be written: ENOENT/],
  ])('%s', async (_name, args, sentence) => {
    const { status, stdout, stderr } = await run(args);
    expect(stderr).toMatch(/^nodevm: [^\n]+\n$/);
    expect(stderr).toMatch(sentence);
    expect([status, String(stdout)]).toEqual([125, '']);
  });

  it('as JSON as well', async () => {
    const { status, stderr } = await run(['--json', '-kernel', '/nonexistent/k']);
    const report = JSON.parse(stderr.split('\n')[1] ?? '') as unknown;
    expect(report).toMatchObject({ reason: 'error', status: 125, code: 'E_FILE' });
    expect(status).toBe(125);
  });
});

it('names the QEMU flags that it ignores, once', async () => {
  const kernel = file('echo', echoGuest());
  const { stderr } = await run([
    '-kernel',
    kernel,
    '-enable-kvm',
    '-enable-kvm',
    '--timeout',
    '1ms',
  ]);
  expect(stderr.match(/--enable-kvm/g)).toHaveLength(1);
});

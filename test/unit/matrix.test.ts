import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { readMatrix } from '../../src/cli/matrix-file.js';
import { junitXml, tapHeader, tapLine, type MatrixResult } from '../../src/cli/matrix-report.js';

const passed: MatrixResult = {
  kernel: 'k1',
  initrd: 'i1',
  command: 'uname',
  seconds: 1.5,
  failure: undefined,
  stdout: 'Linux <&>\0\n',
  stderr: '',
};
const failed: MatrixResult = { ...passed, command: 'a #1', failure: 'status is 2\nof "x"' };

describe('reports', () => {
  it('are TAP, a directive never comes from a name', () => {
    expect(tapHeader(2)).toBe('TAP version 13\n1..2\n');
    expect(tapLine(1, passed)).toBe('ok 1 - k1 i1 uname\n');
    expect(tapLine(2, failed)).toBe(
      'not ok 2 - k1 i1 a \\#1\n  ---\n  message: |\n    status is 2\n    of "x"\n  ...\n',
    );
  });

  it('are JUnit XML with nothing in it that XML cannot have', () => {
    const xml = junitXml([passed, failed]);
    expect(xml).toContain('<testsuites tests="2" failures="1" time="3.000">');
    expect(xml).toContain('<testsuite name="k1 i1" tests="2" failures="1" time="3.000">');
    expect(xml).toContain('<system-out>Linux &lt;&amp;&gt;\ufffd\n</system-out>');
    expect(xml).toContain('<failure message="status is 2">status is 2\nof &quot;x&quot;</failure>');
  });
});

describe('a matrix', () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'nodevm-matrix-'))));
  afterEach(() => rm(folder, { recursive: true }));

  async function read(content: unknown, env: NodeJS.ProcessEnv = {}) {
    const path = join(folder, 'nodevm.json');
    await writeFile(path, JSON.stringify(content));
    return readMatrix(path, env);
  }

  const whole = {
    kernels: { new: 'bzImage', old: '/boot/old' },
    initrds: ['root.cpio', { not: 'used' }].slice(0, 1),
    commands: {
      version: 'uname -r',
      broken: { run: 'false', status: 1, stdout: '^$', timeout: '5s' },
    },
    memory: '1G',
    timeout: '2m',
  };

  it('has paths relative to it, and names for everything', async () => {
    const matrix = await read(whole);
    expect(matrix.kernels).toEqual([
      { name: 'new', path: join(folder, 'bzImage') },
      { name: 'old', path: '/boot/old' },
    ]);
    expect(matrix.initrds).toEqual([{ name: 'root.cpio', paths: [join(folder, 'root.cpio')] }]);
    expect(matrix.commands[0]).toMatchObject({ name: 'version', run: 'uname -r', status: 0 });
    expect(matrix.commands[1]).toMatchObject({ status: 1, stdout: /^$/m, timeout: 5000 });
    expect(matrix).toMatchObject({ memory: 2 ** 30, timeout: 120_000, fresh: false });
  });

  it('may be TOML', async () => {
    const path = join(folder, 'nodevm.toml');
    await writeFile(path, 'kernels = ["bzImage"]\n[commands]\n"is Linux" = "uname -s"\n');
    const matrix = await readMatrix(path, {});
    expect(matrix.commands).toMatchObject([{ name: 'is Linux', run: 'uname -s' }]);
    await writeFile(path, 'kernels = [');
    await expect(readMatrix(path, {})).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  it('gives way to the environment', async () => {
    const env = { NODEVM_KERNEL: '/k', NODEVM_INITRD: '/a:/b', NODEVM_TIMEOUT: '3s' };
    const matrix = await read(whole, env);
    expect(matrix.kernels).toEqual([{ name: '/k', path: '/k' }]);
    expect(matrix.initrds).toEqual([{ name: '/a:/b', paths: ['/a', '/b'] }]);
    expect(matrix.timeout).toBe(3000);
  });

  it.each([
    [{ ...whole, commands: undefined }, 'commands is missing'],
    [{ ...whole, kernel: 'x' }, 'kernel is unknown'],
    [{ ...whole, commands: { x: { run: 'y', status: 300 } } }, 'commands.x.status is 300'],
    [{ ...whole, commands: { x: { run: 'y', stdout: '(' } } }, 'commands.x.stdout is "("'],
    [{ ...whole, commands: { x: { ran: 'y' } } }, 'commands.x.ran is unknown'],
    [{ ...whole, kernels: {} }, 'kernels is empty'],
    [{ ...whole, clock: 'sun' }, 'clock is sun'],
    [{ ...whole, memory: 'much' }, '"much"'],
    [[], 'is not a table'],
  ])('is refused with the field that is wrong: %j', async (content, message) => {
    await expect(read(content)).rejects.toThrow(message);
    await expect(read(content)).rejects.toMatchObject({ code: 'E_USAGE' });
  });
});

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

import { BOOT_TIMEOUT_MS } from '../support/boot.js';

/** Runs Node in an example's folder, as a user would; the Vitest example is found by Vitest itself. */
async function node(folder: string, ...args: string[]): Promise<string> {
  const cwd = `test/examples/${folder}`;
  // Or node:test would report to the runner of this test.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd, env });
  return stdout;
}

describe('the examples', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('script', async () => {
    const output = await node('script', 'first-boot.mjs');
    expect(output).toContain("stdout: 'Linux\\n'");
    expect(output).toContain('FROM THE HOST');
    expect(output.trimEnd()).toMatch(/poweroff$/);
  });

  it('script with a breakpoint', async () => {
    const output = await node('script', 'break-at-start-kernel.mjs');
    expect(output).toContain("kind: 'breakpoint'");
    expect(output).toMatch(/now at 0xffffffff[0-9a-f]{8} \(\w+\+0x/);
    expect(output.trimEnd()).toMatch(/stopped$/);
  });

  it('node-test', async () => {
    expect(await node('node-test', '--test')).toMatch(/# pass 3\n# fail 0/);
  });

  it('matrix', async () => {
    const output = await node('matrix', '../../../dist/cli.js', 'test', 'nodevm.json');
    expect(output).toContain('ok 3 - default default knows what is not there');
  });

  it('are what the README shows', () => {
    const example = readFileSync('test/examples/script/first-boot.mjs', 'utf8');
    expect(readFileSync('README.md', 'utf8')).toContain(example);
    const tests = readFileSync('test/examples/vitest/guest.test.ts', 'utf8');
    for (const block of readFileSync('README.md', 'utf8').match(/```ts\n[^]*?```/g) ?? []) {
      const lines = block.split('\n').slice(1, -1);
      expect(lines.filter((line) => !tests.includes(line))).toEqual([]);
    }
  });
});

import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';

import type { Inspection } from '../../src/loader/inspect.js';
import { makeElf, makePackedKernel } from '../support/elf-fixture.js';
import { KERNEL_VERSION } from '../support/kernel-fixture.js';
import { file, scratch } from './guests.js';
import { run } from './spawn.js';

afterAll(() => rmSync(scratch, { recursive: true }));

describe('nodevm inspect', () => {
  const kernel = file('bzImage', makePackedKernel(makeElf()));

  it('says what a kernel is', async () => {
    const { status, stdout, stderr } = await run(['inspect', kernel]);
    expect([status, stderr]).toEqual([0, '']);
    expect(String(stdout)).toContain(`version: ${KERNEL_VERSION}\n`);
    expect(String(stdout)).toContain('boot protocols: direct, 64, 32');
  });

  it('says so as JSON', async () => {
    const { status, stdout } = await run(['inspect', '--json', kernel]);
    const found = JSON.parse(String(stdout)) as Inspection;
    expect([status, found.kind, found.version]).toEqual([0, 'linux', KERNEL_VERSION]);
  });

  it('ends with 1 for a file that is neither kernel nor initramfs', async () => {
    const { status, stdout } = await run(['inspect', file('text', 'hello\n')]);
    expect(status).toBe(1);
    expect(String(stdout)).toMatch(/: text, 6 bytes\nproblem: bad kernel: /);
  });

  it.each([
    [['inspect'], /missing required argument 'file'; see nodevm inspect --help/],
    [['inspect', '/nonexistent/k'], /file \/nonexistent\/k cannot be read: ENOENT/],
    [['inspect', '--frob', 'x'], /unknown option '--frob'/],
  ])('ends with 125 for %j', async (words, message) => {
    const { status, stderr } = await run(words);
    expect(status).toBe(125);
    expect(stderr).toMatch(message);
  });
});

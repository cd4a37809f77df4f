import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ORACLE = new URL('../../build/Release/oracle', import.meta.url).pathname;

/** Undefined flags follow the processors that the engine was measured against. */
const onMeasuredVendor =
  process.platform === 'linux' &&
  existsSync('/proc/cpuinfo') &&
  readFileSync('/proc/cpuinfo', 'utf8').includes('AuthenticAMD');

/** Runs the user-mode oracle; what it prints, and its status. It takes a while, and vitest wants to be heard from. */
function runOracle(...args: readonly string[]): Promise<{ output: string; status: number }> {
  return new Promise((resolve, reject) => {
    const child = execFile(ORACLE, args, { encoding: 'utf8' }, (error, output) => {
      if (child.exitCode === null) reject(error ?? new Error(`${ORACLE} did not end`));
      else resolve({ output, status: child.exitCode });
    });
  });
}

describe.skipIf(!onMeasuredVendor)(
  'the processor this runs on, as the oracle',
  { timeout: 120_000 },
  () => {
    it.each([1, 2])('agrees on every row of the opcode table, seed %i', async (seed) => {
      const { output, status } = await runOracle('--cases', '30', '--seed', String(seed));
      expect(output).toMatch(/^rows \d+, cases \d+, differences 0\n$/);
      expect(status).toBe(0);
    });

    it('agrees with what is translated', async () => {
      const { output } = await runOracle('--cases', '30', '--seed', '3', '--engine', 'jit');
      expect(output).toMatch(/^rows \d+, cases \d+, differences 0\n$/);
    });

    // With several instructions a case the flags, and registers in host registers, live on between them.
    it('agrees with the interpreter on sequences', async () => {
      const sequences = ['--cases', '16', '--length', '6'];
      const translated = await runOracle(...sequences, '--engine', 'jit');
      expect(translated).toEqual(await runOracle(...sequences));
    });

    it('refuses an option it does not know', async () => {
      expect((await runOracle('--cases')).status).toBe(2);
    });
  },
);

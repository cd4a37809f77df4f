import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ORACLE = new URL('../../build/Release/oracle', import.meta.url).pathname;

/** Undefined flags follow the processors that the engine was measured against. */
const onMeasuredVendor =
  process.platform === 'linux' &&
  existsSync('/proc/cpuinfo') &&
  readFileSync('/proc/cpuinfo', 'utf8').includes('AuthenticAMD');

/** Runs the user-mode oracle; what it prints, and its status. */
function runOracle(...args: readonly string[]): { output: string; status: number | null } {
  const { stdout, status } = spawnSync(ORACLE, args, { encoding: 'utf8' });
  return { output: stdout, status };
}

describe.skipIf(!onMeasuredVendor)('the processor this runs on, as the oracle', () => {
  it.each([1, 2])('agrees on every row of the opcode table, seed %i', (seed) => {
    const { output, status } = runOracle('--cases', '30', '--seed', String(seed));
    expect(output).toMatch(/^rows \d+, cases \d+, differences 0\n$/);
    expect(status).toBe(0);
  });

  it('agrees with what is translated', () => {
    const { output } = runOracle('--cases', '30', '--seed', '3', '--engine', 'jit');
    expect(output).toMatch(/^rows \d+, cases \d+, differences 0\n$/);
  });

  // With several instructions a case the flags, and registers in host registers, live on between them.
  it('agrees with the interpreter on sequences', () => {
    const sequences = ['--cases', '16', '--length', '6'];
    expect(runOracle(...sequences, '--engine', 'jit')).toEqual(runOracle(...sequences));
  });

  it('refuses an option it does not know', () => {
    expect(runOracle('--cases').status).toBe(2);
  });
});

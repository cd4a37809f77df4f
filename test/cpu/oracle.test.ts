import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ORACLE = new URL('../../build/Release/oracle', import.meta.url).pathname;

const VECTORS = new URL('oracle/vectors.bin', import.meta.url).pathname;

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
    it('agrees on every form of every row of the opcode table', async () => {
      const { output, status } = await runOracle('--cases', '20', '--coverage');
      expect(output.split('\n').filter((line) => /differ|INCOMPLETE/.test(line))).toHaveLength(1);
      expect(output).toMatch(/\nrows \d+, cases \d+, differences 0\n$/);
      expect(status).toBe(0);
    });

    it('agrees on every row, with another seed', async () => {
      const { output, status } = await runOracle('--cases', '30', '--seed', '2');
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

    // npm run test:encodings has all 42 million.
    it('agrees on which encodings exist, and how long they are', async () => {
      const { output } = await runOracle('--encodings', '100000', '--seed', '11');
      expect(output).toMatch(/^encodings \d+, differences 0\n$/);
    });

    it('refuses an option it does not know', async () => {
      expect((await runOracle('--cases')).status).toBe(2);
    });
  },
);

/** Translated code has the host's undefined flags: only the measured vendor's are recorded. */
describe('recorded vectors', { timeout: 120_000 }, () => {
  const engines = onMeasuredVendor ? ['interpreter', 'jit'] : ['interpreter'];
  it.each(engines)('hold under the %s', async (engine) => {
    const { output, status } = await runOracle('--play', VECTORS, '--engine', engine);
    expect(output).toMatch(/^rows \d+, cases \d+, skipped \d+, stale 0, differences 0\n$/);
    expect(status).toBe(0);
  });

  it('are refused when they are none', async () => {
    expect((await runOracle('--play', ORACLE)).status).toBe(1);
  });
});

/** npm run test:random has ten million streams a mode; these are a sample. */
describe('random bytes as code', { timeout: 120_000 }, () => {
  it.each(['interpreter', 'jit'])('do no harm in any mode under the %s', async (engine) => {
    const run = ['--random', '1000', '--seed', '9', '--engine', engine];
    const { output, status } = await runOracle(...run);
    expect(output.match(/^.* mode: streams 1000|^.* level [03]: streams 1000/gm)).toHaveLength(8);
    expect(status).toBe(0);
  });

  it('are the same run under either engine', async () => {
    const run = ['--random', '200', '--seed', '10', '--engine'];
    expect(await runOracle(...run, 'jit')).toEqual(await runOracle(...run, 'interpreter'));
  });
});

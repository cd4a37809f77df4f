/**
 * A Linux boot and a shell command under both engines, side by side: registers, x87 and vector state at
 * regular instruction counts, RAM now and then. Stops at the first difference and marks it with `*`.
 * Usage: npm run test:lockstep -- [--every n] [--ram n] [--from n] [--until n] [command]
 */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    every: { type: 'string', default: '100000' },
    ram: { type: 'string', default: '100000000' },
    from: { type: 'string', default: '0' },
    until: { type: 'string', default: 'Infinity' },
  },
});
const command = positionals.join(' ') || 'seq 1 3000 | sort -r | sha256sum; ls -lR /proc/self';

function record(accel: string) {
  const script = fileURLToPath(new URL('record.ts', import.meta.url));
  const { every, ram, from, until } = values;
  const words = [...process.execArgv, script, accel, every, ram, from, until, command];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

/** The fields that differ, marked. */
function difference(expected: string, observed: string): string {
  const theirs = observed.split(' ');
  const rows = expected.split(' ').map((field, n) => {
    const other = theirs[n] ?? '';
    return field === other ? `  ${field}` : `* ${field} (interpreter), ${other} (jit)`;
  });
  return rows.join('\n');
}

const interpreter = record('interp');
const jit = record('jit');
let compared = 0;
let last = 'the beginning';
for (;;) {
  const [expected, observed] = await Promise.all([interpreter.lines.next(), jit.lines.next()]);
  const [left, right] = [expected, observed].map(({ done, value }) =>
    done === true ? 'ended' : value,
  ) as [string, string];
  if (left !== right) {
    console.log(`after ${last}:\n${difference(left, right)}`);
    console.log('look closer with --from and --every');
    process.exitCode = 1;
    break;
  }
  if (expected.done === true) {
    console.log(`no difference at ${compared} places, ${last}`);
    break;
  }
  compared++;
  last = left.startsWith('end') ? left : (left.split(' ')[0] ?? '');
  if (process.stderr.isTTY) process.stderr.write(`\r${last}`);
}
interpreter.child.kill();
jit.child.kill();

/**
 * Real programs as judges: each runs in the guest and on this machine's processor, and has to print the same.
 * `npm run test:programs -- --only python-float --engine interp --cpu v2`; needs apt and a host with Linux on x86-64.
 * Outputs are kept beside the root directory. The status is 1 when anything differs.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';

import type { Accel } from '../../src/index.js';
import { PROGRAMS, type Program } from './programs.js';
import { programRoot } from './root.js';
import { ProgramGuest, runOnHost, type Outcome } from './sides.js';

/** Lines of a difference that are shown. */
const SHOWN_LINES = 30;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [''] },
    engine: { type: 'string', default: 'auto' },
    cpu: { type: 'string', default: 'max' },
    timeout: { type: 'string', default: '900' },
    list: { type: 'boolean', default: false },
  },
});

interface Row {
  readonly program: Program;
  readonly checks: number;
  readonly same: boolean;
  readonly guest: Outcome;
  readonly host: Outcome;
}

const log = (line: string): void => void process.stderr.write(`${line}\n`);

const chosen = PROGRAMS.filter(({ name }) => options.only.some((part) => name.includes(part)));
if (chosen.length === 0) {
  throw new Error(
    `--only is ${options.only.join(', ')}, expected a part of a name that --list has`,
  );
}
if (!(Number(options.timeout) > 0)) {
  throw new Error(`--timeout is ${options.timeout}, expected seconds`);
}
if (options.list) process.stdout.write(chosen.map(({ name }) => `${name}\n`).join(''));
else process.exitCode = (await judge()) ? 0 : 1;

/** Runs them all. Returns whether everything was the same. */
async function judge(): Promise<boolean> {
  const root = await programRoot(log);
  const results = join(dirname(root.directory), 'results');
  await mkdir(results, { recursive: true });
  const guest = new ProgramGuest(root, { accel: options.engine as Accel, cpu: options.cpu });
  const timeout = Number(options.timeout);
  const rows: Row[] = [];
  for (const program of chosen) {
    const flags = await guest.cpuFlags();
    const host = await runOnHost(root, program.command, flags, timeout);
    const here = await guest.run(program.command, timeout);
    const same = host.stdout === here.stdout && host.ending === here.ending;
    const row = { program, checks: host.stdout.split('\n').length - 1, same, guest: here, host };
    rows.push(row);
    log(lineOf(row));
    if (!same) await showDifference(results, row);
  }
  await guest.close();
  const different = rows.filter(({ same }) => !same);
  const checks = rows.reduce((sum, row) => sum + row.checks, 0);
  log(`${rows.length} programs, ${checks} lines compared, ${different.length} programs differ`);
  return different.length === 0;
}

function lineOf({ program, checks, same, guest, host }: Row): string {
  const columns = [
    program.name.padEnd(24),
    `${checks}`.padStart(7),
    same ? 'same' : 'DIFFERENT',
    `guest ${guest.seconds.toFixed(1)} s`,
    `host ${host.seconds.toFixed(1)} s`,
  ];
  return columns.join('  ');
}

async function showDifference(folder: string, { program, guest, host }: Row): Promise<void> {
  const paths = await Promise.all(
    Object.entries({ host, guest }).map(async ([side, outcome]) => {
      const path = join(folder, `${program.name}.${side}`);
      await writeFile(`${path}.stderr`, outcome.stderr);
      await writeFile(path, `${outcome.stdout}${outcome.ending}\n`);
      return path;
    }),
  );
  const script = `diff -U0 "$0" "$1" | head -n ${SHOWN_LINES}`;
  log(execFileSync('sh', ['-c', script, ...paths], { encoding: 'utf8' }));
}

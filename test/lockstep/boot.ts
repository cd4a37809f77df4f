/**
 * A Linux boot and a shell command, or the programs of the benchmark, under both engines, side by side: registers,
 * x87 and vector state at regular instruction counts, RAM now and then. Stops at the first difference and marks it
 * with `*`.
 * Usage: npm run test:lockstep -- [--every n] [--ram n] [--from n] [--until n] [--suite [--programs a,b]]
 *   [--tlb entries] [--threshold visits] [--path visits] [--block instructions] [--buffer bytes] [--no-link]
 *   [command]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { defaultImages } from '../../src/images.js';
import { APPEND } from '../bench/engines.js';
import { makeSuite, writeSuiteInitrd } from '../bench/programs.js';
import type { Recording } from './record.js';

const MIB = 2 ** 20;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    every: { type: 'string', default: '100000' },
    ram: { type: 'string' },
    from: { type: 'string', default: '0' },
    until: { type: 'string' },
    suite: { type: 'boolean', default: false },
    programs: { type: 'string', default: '' },
    tlb: { type: 'string' },
    threshold: { type: 'string' },
    path: { type: 'string' },
    block: { type: 'string' },
    buffer: { type: 'string' },
    'no-link': { type: 'boolean', default: false },
  },
});

/** @throws Error where the option is there and no number */
function numberOf(
  name: 'every' | 'ram' | 'from' | 'until' | 'tlb' | 'threshold' | 'path' | 'block' | 'buffer',
) {
  const text = values[name];
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(Number.isInteger(number) && number >= 0))
    throw new Error(`--${name} is ${text}, expected a number`);
  return number;
}

type Guest = Pick<Recording, 'kernel' | 'initrd' | 'append' | 'memory' | 'input' | 'ram'>;

/** The default guest, which executes what is typed. */
async function shell(command: string): Promise<Guest> {
  const input = `${command}\npoweroff -f\n`;
  return { ...(await defaultImages()), memory: 256 * MIB, ram: 1e8, input };
}

/** The guest of `npm run bench:programs`. */
async function suite(directory: string): Promise<Guest> {
  const images = await defaultImages();
  const wanted = values.programs.split(',').filter((word) => word !== '');
  const initrd = writeSuiteInitrd(directory, images, makeSuite(directory, wanted, 1));
  return { ...images, initrd, append: APPEND, memory: 640 * MIB, ram: 1e9, input: '' };
}

function record(recording: Recording) {
  const script = fileURLToPath(new URL('record.ts', import.meta.url));
  const words = [...process.execArgv, script, JSON.stringify(recording)];
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

/** Returns whether there was no difference. */
async function compare(guest: Guest): Promise<boolean> {
  const jit = {
    ...(values.path !== undefined && { pathThreshold: numberOf('path') ?? 0 }),
    ...(values.threshold !== undefined && { threshold: numberOf('threshold') ?? 0 }),
    ...(values.block !== undefined && { mostInstructions: numberOf('block') ?? 1 }),
    ...(values.buffer !== undefined && { bufferBytes: numberOf('buffer') ?? 1 }),
    ...(values['no-link'] && { link: false }),
  };
  const tlbEntries = numberOf('tlb');
  const common = {
    ...guest,
    every: numberOf('every') ?? 1,
    ram: numberOf('ram') ?? guest.ram,
    from: numberOf('from') ?? 0,
    until: numberOf('until') ?? null,
  };
  const interpreter = record({ ...common, accel: 'interp', engine: {} });
  const engine = { jit, ...(tlbEntries !== undefined && { tlbEntries }) };
  const translator = record({ ...common, accel: 'jit', engine });
  let compared = 0;
  let last = 'the beginning';
  try {
    for (;;) {
      const [expected, observed] = await Promise.all(
        [interpreter, translator].map(({ lines }) => lines.next()),
      );
      const [left, right] = [expected, observed].map((line) =>
        line === undefined || line.done === true ? 'ended' : line.value,
      ) as [string, string];
      if (left !== right) {
        console.log(`after ${last}:\n${difference(left, right)}`);
        console.log('look closer with --from and --every');
        return false;
      }
      if (left === 'ended') {
        console.log(`no difference at ${compared} places, ${last}`);
        return true;
      }
      compared++;
      last = left.startsWith('end') ? left : (left.split(' ')[0] ?? '');
      if (process.stderr.isTTY) process.stderr.write(`\r${last}`);
    }
  } finally {
    interpreter.child.kill();
    translator.child.kill();
  }
}

const command = positionals.join(' ') || 'seq 1 3000 | sort -r | sha256sum; ls -lR /proc/self';
const directory = mkdtempSync(join(tmpdir(), 'nodevm-lockstep-'));
try {
  process.exitCode = (await compare(values.suite ? await suite(directory) : await shell(command)))
    ? 0
    : 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

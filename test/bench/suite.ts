/**
 * Runs real programs under nodevm, under QEMU's TCG and natively, compares what they print and how
 * long they take. Usage: npm run bench:programs -- [--programs a,b] [--engines a,b] [--repeats n] [--out dir]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';

import { defaultImages } from '../../src/images.js';
import type { Engine, Setting, Timing } from './engines.js';
import { ENGINES, runSuite } from './engines.js';
import { median } from './measure.js';
import { makeSuite, writeSuiteInitrd } from './programs.js';
import type { Results } from './report.js';
import { markdown, svg } from './report.js';

interface Options {
  readonly programs: readonly string[];
  readonly engines: readonly Engine[];
  readonly repeats: number;
  /** Where table and plot go; undefined: the table is printed only. */
  readonly out: string | undefined;
}

function options(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      programs: { type: 'string', default: '' },
      engines: { type: 'string', default: '' },
      repeats: { type: 'string', default: '3' },
      out: { type: 'string' },
    },
  });
  const list = (text: string) => text.split(',').filter((word) => word !== '');
  const repeats = Number(values.repeats);
  if (!(Number.isInteger(repeats) && repeats >= 1))
    throw new Error(`repeats is ${values.repeats}, expected a number from 1`);
  const named = list(values.engines);
  const matches = ({ name }: Engine) => named.some((word) => name.toLowerCase().includes(word));
  const engines = ENGINES.filter((engine) => engine.installed);
  const chosen = named.length === 0 ? engines : engines.filter(matches);
  if (chosen.length === 0)
    throw new Error(`engines is ${values.engines}, expected some of jit, interp, qemu, native`);
  return { programs: list(values.programs), engines: chosen, repeats, out: values.out };
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function main(): Promise<void> {
  const { programs: wanted, engines, repeats, out } = options(process.argv.slice(2));
  const directory = mkdtempSync(join(tmpdir(), 'nodevm-bench-'));
  try {
    progress('preparing the programs ...');
    const suite = makeSuite(directory, wanted, repeats);
    const images = await defaultImages();
    const initrd = writeSuiteInitrd(directory, images, suite);
    const setting: Setting = { images, initrd, directory, suite };
    const timings = new Map<string, readonly Timing[]>();
    const peakRss = new Map<string, number>();
    for (const engine of engines) {
      const count = suite.programs.length * repeats;
      const measured = await runSuite(engine, setting, count, (name) =>
        progress(`${engine.name}: ${name} ...`),
      );
      timings.set(engine.name, measured.timings);
      if (engine.isMachine) peakRss.set(engine.name, measured.peakRss);
    }
    progress('');
    const names = suite.programs.map(({ name }) => name);
    compareOutputs(names, timings);
    const seconds = new Map(
      [...timings].map(([engine, list]) => [engine, mediansOf(names, list)] as const),
    );
    const { skipped } = suite;
    const engineNames = [...timings.keys()];
    report({ engines: engineNames, programs: names, seconds, peakRss, repeats, skipped }, out);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function mediansOf(names: readonly string[], timings: readonly Timing[]): Map<string, number> {
  const of = (name: string) =>
    timings.filter((timing) => timing.name === name).map(({ seconds }) => seconds);
  return new Map(names.map((name) => [name, median(of(name))]));
}

/** @throws Error where engines disagree on what a program prints. */
function compareOutputs(
  names: readonly string[],
  timings: ReadonlyMap<string, readonly Timing[]>,
): void {
  for (const name of names) {
    const digests = new Map<string, string>();
    for (const [engine, list] of timings)
      for (const timing of list) if (timing.name === name) digests.set(timing.digest, engine);
    if (digests.size !== 1)
      throw new Error(`the output of ${name} differs: ${JSON.stringify([...digests])}`);
  }
}

function report(results: Results, out: string | undefined): void {
  const table = markdown(results);
  console.log(table);
  if (out === undefined) return;
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'programs.md'), table);
  writeFileSync(join(out, 'programs.svg'), svg(results));
}

await main();

/** The suite's results as a Markdown table and as a plot. */
import { cpus } from 'node:os';
import process from 'node:process';

import type { Skipped } from './programs.js';

/** Seconds by engine and program, medians. */
export interface Results {
  readonly engines: readonly string[];
  readonly programs: readonly string[];
  readonly seconds: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Bytes by engine; none where the programs are processes of the host. */
  readonly peakRss: ReadonlyMap<string, number>;
  readonly repeats: number;
  readonly skipped: readonly Skipped[];
}

/** Of ratios, so that no program counts for more than another. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Model, number of processors, versions. */
export function machineDescription(): string {
  const processors = cpus();
  const model = processors[0]?.model.trim() ?? 'unknown processor';
  return `${model}, ${processors.length} processors, Node ${process.versions.node}`;
}

const FIRST = 'nodevm jit';

/** Times, then the first engine's ratios to the others, then their geometric means. */
export function markdown(results: Results): string {
  const { engines, programs, repeats, skipped } = results;
  const others = engines.filter((engine) => engine !== FIRST && engines.includes(FIRST));
  const cell = (engine: string, program: string) =>
    results.seconds.get(engine)?.get(program) ?? NaN;
  const ratio = (program: string, other: string) => cell(FIRST, program) / cell(other, program);
  const header = ['program', ...engines.map((name) => `${name}, s`)].concat(
    others.map((other) => `jit / ${other.replace('nodevm ', '')}`),
  );
  const rows = programs.map((program) => [
    program,
    ...engines.map((engine) => cell(engine, program).toFixed(3)),
    ...others.map((other) => ratio(program, other).toFixed(2)),
  ]);
  const means = others.map((other) =>
    geometricMean(programs.map((program) => ratio(program, other))).toFixed(2),
  );
  const mean = ['geometric mean', ...engines.map(() => ''), ...means];
  const mebibytes = (bytes: number | undefined) =>
    bytes === undefined ? '' : String(Math.round(bytes / 2 ** 20));
  const memory = ['peak RSS, MiB', ...engines.map((name) => mebibytes(results.peakRss.get(name)))];
  const last = [mean, [...memory, ...others.map(() => '')]];
  const table = [header, header.map(() => '---'), ...rows, ...last]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
  const left = skipped.map(({ name, reason }) => `\nLeft out: ${name} (${reason}).`).join('');
  return (
    `# Program suite\n\n${machineDescription()}; medians of ${repeats} runs, times on the host between ` +
    `marks on the console.\n\n${table}\n${left}`
  );
}

const COLOURS: Readonly<Record<string, string>> = {
  'nodevm jit': '#2563a8',
  'nodevm interp': '#9db8d6',
  'QEMU TCG': '#d97a26',
};
const ROW = 46;
const LEFT = 90;
const WIDTH = 640;
/** The scale is logarithmic, from the native time to this many times it. */
const MOST = 128;

/** Bars of the time relative to the native one. */
export function svg(results: Results): string {
  const engines = results.engines.filter((engine) => engine in COLOURS);
  const height = results.programs.length * ROW + 60;
  const x = (ratio: number) =>
    LEFT + (Math.log2(Math.min(Math.max(ratio, 1), MOST)) / Math.log2(MOST)) * WIDTH;
  const grid = Array.from({ length: Math.log2(MOST) + 1 }, (_, n) => {
    const at = x(2 ** n).toFixed(1);
    return (
      `<line x1="${at}" x2="${at}" y1="30" y2="${height - 25}" stroke="#ddd"/>` +
      `<text x="${at}" y="${height - 10}" text-anchor="middle">${2 ** n}×</text>`
    );
  });
  const legend = engines.map(
    (engine, n) =>
      `<rect x="${LEFT + n * 150}" y="8" width="12" height="12" fill="${COLOURS[engine] ?? ''}"/>` +
      `<text x="${LEFT + 18 + n * 150}" y="18">${engine}</text>`,
  );
  const bars = results.programs.map((program, row) => {
    const top = 36 + row * ROW;
    const native = results.seconds.get('native')?.get(program) ?? NaN;
    const bar = (engine: string, n: number) => {
      const ratio = (results.seconds.get(engine)?.get(program) ?? NaN) / native;
      if (!(ratio > 0)) return '';
      const width = Math.max(x(ratio) - LEFT, 1).toFixed(1);
      const y = top + n * 12;
      return (
        `<rect x="${LEFT}" y="${y}" width="${width}" height="10" fill="${COLOURS[engine] ?? ''}"/>` +
        `<text x="${LEFT + Number(width) + 4}" y="${y + 9}" font-size="9">${ratio.toFixed(1)}</text>`
      );
    };
    return `<text x="${LEFT - 6}" y="${top + 22}" text-anchor="end">${program}</text>${engines.map(bar).join('')}`;
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 50}" height="${height}" ` +
    `font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>` +
    `<title>Time relative to native: ${machineDescription()}</title>` +
    `${[...grid, ...legend, ...bars].join('\n')}\n</svg>\n`
  );
}

/** The text of `--profile-jit`. */
import type { JitProfile, JitProfileRow } from './native.js';

const MOST_ROWS = 40;

/**
 * Where the CPU time went, counters of the run, then the instructions that went to the interpreter, those first that
 * took most time.
 */
export function jitProfileText(
  statistics: Readonly<Record<string, number>>,
  { phases, rows }: JitProfile,
): string {
  const total = phases.reduce((sum, { nanoseconds }) => sum + nanoseconds, 0);
  const share = (nanoseconds: number) => `${((100 * nanoseconds) / (total || 1)).toFixed(1)} %`;
  const times = [...phases]
    .sort((a, b) => b.nanoseconds - a.nanoseconds)
    .map(({ name, nanoseconds }) => `  ${name.padEnd(36)}${share(nanoseconds).padStart(8)}`);
  const counters = Object.entries(statistics).map(([name, value]) => `${name} ${value}`);
  const often = ({ untranslated, missed, ended }: JitProfileRow) => untranslated + missed + ended;
  const sorted = [...rows]
    .sort((a, b) => b.nanoseconds - a.nanoseconds || often(b) - often(a))
    .slice(0, MOST_ROWS);
  const columns = (cells: readonly string[]) =>
    cells.map((cell, n) => (n === 0 ? cell.padEnd(22) : cell.padStart(13))).join('');
  const lines = sorted.map(({ name, nanoseconds, untranslated, missed, ended }) =>
    columns([name, share(nanoseconds), String(untranslated), String(missed), String(ended)]),
  );
  const header = ['to the interpreter', 'time', 'untranslated', 'TLB missed', 'block ended'];
  const first = `CPU time ${(total / 1e9).toFixed(2)} s`;
  return `${[first, ...times, ...counters, columns(header), ...lines].join('\n')}\n`;
}

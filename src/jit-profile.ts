/** The text of `--profile-jit`. */
import type { JitProfileRow } from './native.js';

const MOST_ROWS = 40;

/** Counters of the run, then the instructions that went to the interpreter, most frequent first. */
export function jitProfileText(
  statistics: Readonly<Record<string, number>>,
  rows: readonly JitProfileRow[],
): string {
  const counters = Object.entries(statistics).map(([name, value]) => `${name} ${value}`);
  const total = ({ untranslated, missed, ended }: JitProfileRow) => untranslated + missed + ended;
  const sorted = [...rows].sort((a, b) => total(b) - total(a)).slice(0, MOST_ROWS);
  const columns = (cells: readonly string[]) =>
    cells.map((cell, n) => (n === 0 ? cell.padEnd(22) : cell.padStart(13))).join('');
  const lines = sorted.map(({ name, untranslated, missed, ended }) =>
    columns([name, String(untranslated), String(missed), String(ended)]),
  );
  const header = columns(['to the interpreter', 'untranslated', 'TLB missed', 'block ended']);
  return `${[...counters, header, ...lines].join('\n')}\n`;
}

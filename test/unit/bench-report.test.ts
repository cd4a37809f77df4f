import { expect, it } from 'vitest';

import { geometricMean, markdown, svg } from '../bench/report.js';

const results = {
  engines: ['nodevm jit', 'QEMU TCG', 'native'],
  programs: ['sort', 'fork'],
  seconds: new Map([
    ['nodevm jit', new Map(Object.entries({ sort: 1, fork: 4 }))],
    ['QEMU TCG', new Map(Object.entries({ sort: 2, fork: 2 }))],
    ['native', new Map(Object.entries({ sort: 0.5, fork: 0.125 }))],
  ]),
  peakRss: new Map([
    ['nodevm jit', 300 * 2 ** 20],
    ['QEMU TCG', 250 * 2 ** 20],
  ]),
  repeats: 3,
  skipped: [{ name: 'gcc', reason: 'not installed' }],
};

it('compares the translator with the others, program by program and by geometric mean', () => {
  const table = markdown(results);
  expect(table).toContain('| sort | 1.000 | 2.000 | 0.500 | 0.50 | 2.00 |');
  expect(table).toContain('| geometric mean |  |  |  | 1.00 | 8.00 |');
  expect(table).toContain('| peak RSS, MiB | 300 | 250 |  |  |  |');
  expect(table).toContain('Left out: gcc (not installed).');
  expect(geometricMean([2, 8])).toBeCloseTo(4);
});

it('plots a bar for each engine and program but the native ones', () => {
  const bars = svg(results).match(/<rect x="90" y="\d+" width="[\d.]+" height="10"/g);
  expect(bars).toHaveLength(4);
});

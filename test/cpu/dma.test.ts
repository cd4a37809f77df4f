/** Code that a device overwrites while it runs: what is written counts at once, under every engine. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { ENGINES } from '../support/engines.js';
import { buildGuest, GuestRunner } from '../support/guest-runner.js';

const SOURCES = fileURLToPath(new URL('dma/', import.meta.url));
const FUNCTION = 0x40_0000;
const CROSSING = 0x50_0ffd;

/** Slices of that many instructions, so that the code is hot when it is written. */
const SLICE = 1000;
const FIRST_WRITE = 50;
const SECOND_WRITE = 60;

it.each(ENGINES)('code is overwritten from outside, %s', (_name, engine) => {
  const runner = new GuestRunner(readFileSync(buildGuest('overwritten', SOURCES)), engine);
  let slices = 0;
  const { end, value, lines } = runner.run(SLICE, () => {
    slices++;
    if (slices === FIRST_WRITE) runner.memory.write(FUNCTION + 2, Uint8Array.of(0x22, 0x22, 0x22));
    if (slices === SECOND_WRITE) runner.memory.write(CROSSING + 4, Uint8Array.of(0x33));
  });
  expect(lines.filter((line) => line.startsWith('FAIL'))).toEqual([]);
  expect({ end, value }).toEqual({ end: 'exit', value: 0 });
  expect(slices).toBeGreaterThan(SECOND_WRITE);
});

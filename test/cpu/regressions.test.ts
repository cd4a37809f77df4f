/** One guest for each bug, named by its symptom; each under every engine. */
import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { ENGINES } from '../support/engines.js';
import { buildGuest, guestNames, GuestRunner, REGRESSIONS } from '../support/guest-runner.js';

describe.each(ENGINES)('under %s', (_name, engine) => {
  it.each(guestNames(REGRESSIONS))('not again: %s', (name) => {
    const image = readFileSync(buildGuest(name, REGRESSIONS));
    const { value, lines } = new GuestRunner(image, engine).run();
    const passed = lines.filter((line) => line.startsWith('ok '));
    expect(lines.slice(0, -1)).toEqual(passed);
    expect(passed).not.toEqual([]);
    expect(value).toBe(0);
  });
});

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { Mutator, Victim, seeds } from '../../fuzz/images.js';

const REGRESSIONS = fileURLToPath(new URL('../../fuzz/regressions', import.meta.url));

/** A taste of `npm run fuzz`. */
const COUNT = 1500;
const SEED = 20_261_121;

describe('hostile images', () => {
  it('are made from sound ones', () => {
    const victim = new Victim();
    const outcomes = Object.entries(seeds()).map(([name, { bytes, wrap }]) => {
      return [name, victim.face(wrap(bytes))];
    });
    expect(outcomes.filter(([, outcome]) => outcome !== 'taken')).toEqual([]);
  });

  it('are taken, or refused with a reason', () => {
    const mutator = new Mutator(SEED);
    const victim = new Victim();
    const outcomes = { taken: 0, refused: 0 };
    for (let index = 0; index < COUNT; index++) outcomes[victim.face(mutator.next().bytes)]++;
    expect(outcomes.taken).toBeGreaterThan(COUNT / 20);
    expect(outcomes.refused).toBeGreaterThan(COUNT / 20);
  }, 120_000);

  const found = readdirSync(REGRESSIONS).filter((name) => name.endsWith('.bin'));
  it.each(found)('%s no longer breaks anything', (name) => {
    const victim = new Victim();
    expect(() => victim.face(readFileSync(join(REGRESSIONS, name)))).not.toThrow();
  });
});

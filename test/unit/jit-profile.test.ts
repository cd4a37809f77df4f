import { describe, expect, it } from 'vitest';

import { jitProfileText } from '../../src/jit-profile.js';
import { Bench } from '../support/bench.js';

describe('the text of --profile-jit', () => {
  it('begins with where the time went, and has the slowest instructions first', () => {
    const text = jitProfileText(
      { instructions: 1000 },
      {
        phases: [
          { name: 'dispatcher', nanoseconds: 5e8 },
          { name: 'translated code', nanoseconds: 15e8 },
        ],
        rows: [
          { name: 'ADD', untranslated: 9, missed: 0, ended: 0, nanoseconds: 0 },
          { name: 'FLD', untranslated: 2, missed: 1, ended: 0, nanoseconds: 1e8 },
        ],
      },
    );
    expect(text.split('\n').map((line) => line.trim().replace(/ +/g, ' '))).toEqual([
      'CPU time 2.00 s',
      'translated code 75.0 %',
      'dispatcher 25.0 %',
      'instructions 1000',
      'to the interpreter time untranslated TLB missed block ended',
      'FLD 5.0 % 2 1 0',
      'ADD 0.0 % 9 0 0',
      '',
    ]);
  });
});

describe('a profile of host time', () => {
  // 0: inc eax; jmp 0
  const loop = [0xff, 0xc0, 0xeb, 0xfc];
  const phasesAfterRunning = (profile: boolean, enough: (nanoseconds: number) => boolean) => {
    const bench = new Bench({ engine: 'jit', jit: { profile } }, loop);
    const translated = () =>
      bench.native.jitProfile().phases.find(({ name }) => name === 'translated code')
        ?.nanoseconds ?? NaN;
    do bench.run();
    while (!enough(translated()));
    return translated();
  };

  it('finds a hot loop in translated code', () => {
    expect(phasesAfterRunning(true, (nanoseconds) => nanoseconds > 0)).toBeGreaterThan(0);
  });

  it('is not made unless it is asked for', () => {
    expect(phasesAfterRunning(false, () => true)).toBe(0);
  });
});

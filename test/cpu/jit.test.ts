/** The translator against the interpreter, which is what its results have to equal. */
import { readFileSync } from 'node:fs';

import { beforeAll, describe, expect, it } from 'vitest';

import type { JitOptions } from '../../src/native.js';
import { BOOT_TIMEOUT_MS, createGuest, recordConsole } from '../support/boot.js';
import { buildGuest, guestNames, GuestRunner, type GuestResult } from '../support/guest-runner.js';

interface Run extends GuestResult {
  readonly instructions: number;
  readonly translated: number;
}

function run(name: string, jit?: JitOptions): Run {
  const image = readFileSync(buildGuest(name));
  const runner = new GuestRunner(image, jit ? { engine: 'jit', jit } : {});
  const result = runner.run();
  const translated = runner.statistics().blocksTranslated ?? 0;
  return { ...result, instructions: runner.instructions, translated };
}

/** Each takes another way through the engine. */
const ENGINES: readonly (readonly [string, JitOptions])[] = [
  ['translating at once', { threshold: 0 }],
  ['translating what is hot', { threshold: 3 }],
  ['without links', { threshold: 0, link: false }],
  ['an instruction a block', { threshold: 0, mostInstructions: 1 }],
  ['with a buffer that is soon full', { threshold: 0, bufferBytes: 1 }],
];

describe.each(guestNames())('bare-metal guest %s', (name) => {
  let interpreted: Run;
  beforeAll(() => {
    interpreted = run(name);
  });

  it.each(ENGINES)('prints the same in as many instructions, %s', (_way, jit) => {
    const { translated, ...observed } = run(name, jit);
    expect({ ...observed, translated: 0 }).toEqual(interpreted);
    if (name === 'long') expect(translated).toBeGreaterThan(0);
  });
});

/** Registers after every so many instructions of a guest. */
function snapshots(name: string, slice: number, jit?: JitOptions): string[] {
  const runner = new GuestRunner(readFileSync(buildGuest(name)), jit ? { engine: 'jit', jit } : {});
  const seen: string[] = [];
  runner.run(slice, () => seen.push(JSON.stringify([runner.instructions, runner.registers()])));
  return seen;
}

describe('in lockstep', () => {
  it.each(['long', 'exceptions', 'smc', 'paging'])(
    '%s has the same registers at each stop',
    (name) => {
      const expected = snapshots(name, 97);
      const observed = snapshots(name, 97, { threshold: 0 });
      expect(observed.findIndex((registers, n) => registers !== expected[n])).toBe(-1);
      expect(observed.length).toBe(expected.length);
    },
  );
});

describe('an icount boot', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('is the same to the byte and to the instruction under either engine', async () => {
    const boot = async (accel: 'interp' | 'jit') => {
      await using machine = await createGuest({ accel });
      const printed = recordConsole(machine);
      machine.console.write(
        'seq 1 3000 | sort -r | sha256sum; cat /proc/interrupts\npoweroff -f\n',
      );
      const exit = await machine.run();
      return { exit, printed: printed().toString() };
    };
    const interpreted = await boot('interp');
    const translated = await boot('jit');
    expect(interpreted.exit).toMatchObject({ reason: 'poweroff' });
    expect(translated.printed).toBe(interpreted.printed);
    expect(translated.exit.instructions).toBe(interpreted.exit.instructions);
  });
});

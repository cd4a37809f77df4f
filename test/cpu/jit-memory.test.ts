/** What translated code takes of the host's memory. */
import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { ExitReason } from '../../src/native.js';
import { Bench } from '../support/bench.js';
import { jit } from '../support/engines.js';

const MIB = 2 ** 20;

/** Resident bytes of the mappings of code with these permissions, by proc(5). */
function residentCode(permissions: string): number {
  const mappings = readFileSync('/proc/self/smaps', 'latin1').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const code = mappings.filter((mapping) =>
    mapping.split('\n', 1)[0]?.match(new RegExp(` ${permissions} .*nodevm-jit`)),
  );
  return code.reduce((sum, mapping) => sum + Number(/^Rss: +(\d+)/m.exec(mapping)?.[1]) * 1024, 0);
}

it('keeps little of a large buffer in memory for writing', () => {
  const block = [0x01, 0x07, 0xeb, 0]; // add [rdi], eax; jmp to the next
  const blocks = 200_000;
  const bench = new Bench(jit({}), [...Array<number[]>(blocks).fill(block).flat(), 0xf4]);
  expect(bench.run()).toBe(ExitReason.Halt);
  expect(bench.native.statistics().blocksTranslated).toBeGreaterThan(0.9 * blocks);
  expect(residentCode('r-xs')).toBeGreaterThan(26 * MIB);
  expect(residentCode('rw-s')).toBeLessThanOrEqual(24 * MIB);
});

import { describe, expect, it } from 'vitest';

import { backtraceOf, describeBacktrace } from '../../../src/debug/backtrace.js';
import { deliveryTrouble } from '../../../src/debug/descriptors.js';
import { describeWalk } from '../../../src/debug/page-tables.js';
import { describeRegisters } from '../../../src/debug/register-text.js';
import { Machine } from '../../../src/index.js';
import type { RegisterName } from '../../../src/native.js';
import { buildBrokenGuest } from '../../support/broken-guest.js';

const MiB = 2 ** 20;

/** Pseudo-random 32-bit numbers, the same in each run (xorshift). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

describe('a guest whose tables, stack and registers are noise', () => {
  it('is described all the same', async () => {
    const kernel = buildBrokenGuest('null_call');
    await using machine = await Machine.create({ kernel, memory: 32 * MiB, clock: 'icount' });
    const { native } = machine.cpu;
    const { view, symbols, memory } = machine;
    // Into the long mode that the guest makes for itself.
    await machine.run();
    const next = numbers(1);
    const noise = Uint32Array.from({ length: MiB / 4 }, next);
    const inRam: readonly RegisterName[] = ['cr3', 'rsp', 'rbp', 'idtrBase', 'gdtrBase', 'rip'];
    for (let round = 0; round < 12; round++) {
      // Entries that lead into RAM, or what comes.
      const mask = round % 2 === 0 ? 0x01ff_ffff : 0xffff_ffff;
      const words = noise.map((word, n) => (n % 2 === 0 ? (word ^ next()) & mask : word & 0xff));
      memory.write(2 * MiB, new Uint8Array(words.buffer));
      for (const name of inRam) {
        const low = BigInt(next() % (32 * MiB));
        native.setRegister(name, round % 3 === 0 ? BigInt(next()) << 32n : low);
      }
      const lines = [
        ...describeRegisters(view, symbols),
        ...describeBacktrace(backtraceOf(view, symbols), symbols),
        ...describeWalk(view.walk(BigInt(next()))),
        machine.dmesg(),
      ];
      for (let vector = 0; vector < 256; vector += 5) deliveryTrouble(view, vector);
      expect(lines.length).toBeGreaterThan(5);
    }
  });
});

/** What translated code takes of the host's memory. */
import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { ExitReason } from '../../src/native.js';
import { Bench, CODE, DATA } from '../support/bench.js';
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
  // add [rdi], eax; ... [rsi]; ... [rbx]; ... [rdx]; ... [rcx]; jmp to the next
  const block = [0x01, 0x07, 0x01, 0x06, 0x01, 0x03, 0x01, 0x02, 0x01, 0x01, 0xeb, 0];
  const blocks = 85_000;
  const bench = new Bench(jit({}), [...Array<number[]>(blocks).fill(block).flat(), 0xf4]);
  for (const name of ['rsi', 'rbx', 'rdx', 'rcx'] as const)
    bench.native.setRegister(name, BigInt(DATA));
  expect(bench.run()).toBe(ExitReason.Halt);
  expect(bench.native.statistics().blocksTranslated).toBeGreaterThan(0.9 * blocks);
  expect(residentCode('r-xs')).toBeGreaterThan(26 * MIB);
  expect(residentCode('rw-s')).toBeLessThanOrEqual(6 * MIB);
});

describe('decoded code beyond its limit', () => {
  const HOT = [
    ...[0xb9, 100, 0, 0, 0], // mov ecx, 100
    ...[0xff, 0xc9], // 5: dec ecx
    ...[0xeb, 0, 0xeb, 0, 0xeb, 0, 0xeb, 0], // jmp to the next, four times
    ...[0x75, 0xf4], // jnz 5
  ];
  const HOT_INSTRUCTIONS = 1 + 100 * 6;
  /** A limit of two million instructions is passed by this. */
  const MANY = 2_300_000;

  /** Jumps to the beginning from the end of so much code. */
  const again = (length: number) => {
    const distance = -(length + 5);
    return [0xe9, ...[0, 8, 16, 24].map((shift) => (distance >> shift) & 0xff)];
  };

  /** Once around, the hot part again, and what of it had to be decoded again. */
  function decodedAgain(code: readonly number[], instructions: number) {
    const bench = new Bench({ engine: 'jit' }, [...code, ...again(code.length)]);
    bench.cpu.run(instructions + 1);
    expect(bench.rip).toBe(CODE);
    const { blocksDecoded = 0, blocksLive = 0 } = bench.native.statistics();
    bench.cpu.run(HOT_INSTRUCTIONS);
    expect(bench.rip).toBe(CODE + HOT.length);
    const after = bench.native.statistics();
    return {
      blocks: Number(after.blocksDecoded) - blocksDecoded,
      freed: blocksLive - Number(after.blocksLive),
    };
  }

  it('drops what was run once, not what is hot', () => {
    const nops = Array<number>(MANY).fill(0x90);
    const { blocks, freed } = decodedAgain([...HOT, ...nops], HOT_INSTRUCTIONS + MANY);
    expect(blocks).toBe(1); // the first, which was run once
    expect(freed).toBeGreaterThan(MANY / 48);
  });

  it('drops dead blocks alone where they are what fills it', () => {
    const rounds = Math.floor(MANY / 46);
    const patched = [
      ...[0xb9, ...[0, 8, 16, 24].map((shift) => (rounds >> shift) & 0xff)], // mov ecx, rounds
      ...[0x89, 0x0d, 4, 0, 0, 0], // 5: mov [rip + 4], ecx, the constant below
      ...[0xeb, 0], // jmp 13
      ...[0x81, 0xc3, 0, 0, 0, 0], // 13: add ebx, 0
      ...Array<number>(43).fill(0x90),
      ...[0xff, 0xc9, 0x75, 0xc3], // dec ecx; jnz 5
    ];
    const round = 2 + 1 + 43 + 2;
    const { blocks, freed } = decodedAgain(
      [...HOT, ...patched],
      HOT_INSTRUCTIONS + 1 + rounds * round,
    );
    expect(blocks).toBe(0);
    expect(freed).toBe(0);
  });
});

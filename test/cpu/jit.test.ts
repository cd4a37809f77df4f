/** The translator against the interpreter, which is what its results have to equal. */
import { readFileSync } from 'node:fs';

import { beforeAll, describe, expect, it } from 'vitest';

import { ExitReason } from '../../src/native.js';
import { Bench, CODE } from '../support/bench.js';
import { BOOT_TIMEOUT_MS, createGuest, recordConsole } from '../support/boot.js';
import {
  INTERPRETER,
  jit,
  TRANSLATOR,
  TRANSLATORS,
  type EngineOptions,
} from '../support/engines.js';
import { buildGuest, guestNames, GuestRunner, type GuestResult } from '../support/guest-runner.js';

/** All that is to be seen of a run. */
interface Run extends GuestResult {
  readonly instructions: number;
  /** Exceptions, interrupts, control registers and accesses to devices, by instruction count. */
  readonly timeline: readonly unknown[];
}

function run(name: string, engine: EngineOptions): { seen: Run; translated: number } {
  const runner = new GuestRunner(readFileSync(buildGuest(name)), engine);
  const result = runner.run();
  const seen = {
    ...result,
    instructions: runner.instructions,
    timeline: runner.recorder.timeline(),
  };
  return { seen, translated: runner.statistics().blocksTranslated ?? 0 };
}

describe.each(guestNames())('bare-metal guest %s', (name) => {
  let interpreted: Run;
  beforeAll(() => {
    interpreted = run(name, INTERPRETER[1]).seen;
  });

  it.each(TRANSLATORS)('is the same to the instruction under %s', (_name, engine) => {
    const { seen, translated } = run(name, engine);
    expect(seen).toEqual(interpreted);
    if (name === 'long') expect(translated).toBeGreaterThan(0);
  });
});

it('misses a small TLB more often', () => {
  const [missed = 0, missedSmall = 0] = [{}, { tlbEntries: 1 }].map((tlb) => {
    const runner = new GuestRunner(readFileSync(buildGuest('long')), { ...TRANSLATOR[1], ...tlb });
    runner.run();
    return runner.statistics().tlbMisses;
  });
  expect(missedSmall).toBeGreaterThan(2 * missed);
});

it('does not translate again and again what is written all the time', () => {
  const code = [
    ...[0xb9, 0xd0, 0x07, 0, 0], // mov ecx, 2000
    ...[0x89, 0x0d, 7, 0, 0, 0], // 5: mov [rip + 7], ecx, the constant below
    ...[0xba, 40, 0, 0, 0], // mov edx, 40
    ...[0x81, 0xc3, 0, 0, 0, 0], // 10: add ebx, 0
    ...[0xff, 0xca, 0x75, 0xf6], // dec edx; jnz 10
    ...[0xff, 0xc9, 0x75, 0xe7, 0xf4], // dec ecx; jnz 5; hlt
  ];
  const bench = new Bench({ engine: 'jit' }, code);
  expect(bench.run()).toBe(ExitReason.Halt);
  expect(bench.native.getRegister('rbx')).toBe(BigInt((40 * 2000 * 2001) / 2));
  const { blocksTranslated } = bench.native.statistics();
  expect(blocksTranslated).toBeGreaterThan(0);
  expect(blocksTranslated).toBeLessThan(40);
});

it('translates paths of several blocks once they are hot, and not without', () => {
  const pathsOf = (pathThreshold: number) => {
    const runner = new GuestRunner(readFileSync(buildGuest('paths')), jit({ pathThreshold }));
    runner.run();
    return runner.statistics().pathsTranslated;
  };
  expect(pathsOf(1)).toBeGreaterThan(10);
  expect(pathsOf(0)).toBe(0);
});

it.each(TRANSLATORS)(
  'leaves a block that another falls into when it changes: %s',
  (_name, engine) => {
    const code = [
      ...[0xb9, 60, 0, 0, 0], // mov ecx, 60
      ...[0x83, 0xf9, 30, 0x75, 7], // 5: cmp ecx, 30; jne 17
      ...[0xc6, 0x05, 2, 0, 0, 0, 2], // mov byte ptr [19], 2
      ...[0x83, 0xc3, 1], // 17: add ebx, 1
      ...[0xff, 0xc9, 0x75, 0xed, 0xf4], // dec ecx; jnz 5; hlt
    ];
    const bench = new Bench(engine, code);
    expect(bench.run()).toBe(ExitReason.Halt);
    expect(bench.native.getRegister('rbx')).toBe(BigInt(30 + 30 * 2));
  },
);

it('makes no path of what is seldom run, however often that is in the end', () => {
  const pathsOf = (between: number) => {
    const code = [
      ...[0xb9, 10, 0, 0, 0], // mov ecx, 10
      ...[0xba, ...new Uint8Array(Int32Array.of(between).buffer)], // 5: mov edx, between
      ...[0xff, 0xca, 0x75, 0xfc], // 10: dec edx; jnz 10
      ...[0xff, 0xc9, 0x75, 0xf3, 0xf4], // dec ecx; jnz 5; hlt
    ];
    const bench = new Bench(jit({ pathThreshold: 8 }), code);
    expect(bench.cpu.run(1_000_000_000)).toBe(ExitReason.Halt);
    return bench.native.statistics().pathsTranslated;
  };
  expect(pathsOf(1000)).toBeGreaterThan(1);
  expect(pathsOf(36_000_000)).toBe(1); // the inner loop
});

it('goes through inner loops that are always run as often', () => {
  const pathsOf = (turns: number) => {
    const code = [
      ...[0xb9, 0xe8, 0x03, 0, 0], // mov ecx, 1000
      ...[0xba, turns, 0, 0, 0], // 5: mov edx, turns
      ...[0xff, 0xca, 0x75, 0xfc], // 10: dec edx; jnz 10
      ...[0xeb, 0, 0xba, turns, 0, 0, 0], // jmp 16; mov edx, turns
      ...[0xff, 0xca, 0x75, 0xfc], // 21: dec edx; jnz 21
      ...[0xff, 0xc9, 0x75, 0xe8, 0xf4], // dec ecx; jnz 5; hlt
    ];
    const bench = new Bench(jit({ pathThreshold: 64 }), code);
    expect(bench.run()).toBe(ExitReason.Halt);
    return bench.native.statistics().pathsTranslated;
  };
  expect(pathsOf(3)).toBe(3); // each inner loop, and all of it
  expect(pathsOf(40)).toBe(4); // what lies between them by itself
});

it('finds the pages of branches in a new address space without the interpreter', () => {
  const code = [
    ...[0xb9, 0xe8, 0x03, 0, 0], // mov ecx, 1000
    ...[0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8], // 5: mov rax, cr3; mov cr3, rax
    ...[0xe9, 0xf0, 0x0f, 0, 0], // jmp 1000
    ...[0xff, 0xc9, 0x75, 0xf1, 0xf4], // 10: dec ecx; jnz 5; hlt
  ];
  const bench = new Bench(jit({}), code);
  bench.memory.write(CODE + 0x1000, Uint8Array.of(0xe9, 0x0b, 0xf0, 0xff, 0xff)); // jmp 10
  expect(bench.run()).toBe(ExitReason.Halt);
  const jumps = bench.native.jitProfile().rows.find(({ name }) => name === 'JMP_Jz');
  expect(jumps?.ended ?? 0).toBeLessThan(10);
});

/** Registers after every so many instructions of a guest. */
function snapshots(name: string, slice: number, engine: EngineOptions): string[] {
  const runner = new GuestRunner(readFileSync(buildGuest(name)), engine);
  const seen: string[] = [];
  runner.run(slice, () => seen.push(JSON.stringify([runner.instructions, runner.registers()])));
  return seen;
}

it('makes little code of a block: what is rarely needed is shared, or said in data', () => {
  const runner = new GuestRunner(readFileSync(buildGuest('long')), jit({ pathThreshold: 0 }));
  runner.run();
  const { codeBytes = 0, guestBytesTranslated = 0 } = runner.statistics();
  expect(codeBytes).toBeLessThan(12 * guestBytesTranslated);
});

describe('in lockstep', () => {
  const paths = jit({ pathThreshold: 1 });
  const foreseen = jit({ pathThreshold: 16 }); // how often inner loops are run
  const guests = [
    'long',
    'exceptions',
    'smc',
    'paging',
    'paths',
    'links',
    'crossing',
    'turns',
    'cells',
    'indirect',
    'calls',
    'vector-state',
  ];
  it.each([
    ...guests.flatMap(
      (name) => [[name, 97, TRANSLATOR[1]] as const, [name, 1009, paths] as const] as const,
    ),
    ['nested', 97, foreseen] as const,
    ['turns', 1009, foreseen] as const,
  ])('%s has the same registers at each stop, every %d instructions', (name, slice, engine) => {
    const expected = snapshots(name, slice, INTERPRETER[1]);
    const observed = snapshots(name, slice, engine);
    expect(observed.findIndex((registers, n) => registers !== expected[n])).toBe(-1);
    expect(observed.length).toBe(expected.length);
  });
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

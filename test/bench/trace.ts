/**
 * What traces and profiles cost: CPU time of the same boot (icount, so the same instructions) with each,
 * relative to none, medians of runs that take turns. `npm run bench:trace -- 3` does three rounds.
 *
 * What has each block interpreted, one by one, is measured over a piece of the boot, with its output thrown away.
 */
import { startBootProfile, startCpuProfile } from '../../src/debug/profile.js';
import { parseTrigger } from '../../src/debug/trace-triggers.js';
import { startTrace } from '../../src/debug/trace.js';
import { defaultImages } from '../../src/images.js';
import { Machine } from '../../src/index.js';
import { median } from './measure.js';

/** Guest milliseconds, which are millions of instructions. */
const BOOT = 400;
const PIECE = 2;
const PIECE_BEGINS = 200;

const light = ['boot', 'int', 'irq', 'msr', 'unimp,guest_errors', 'pcall', 'io', 'mmio', 'in_asm'];
const heavy = ['mmu', 'exec', 'cpu', 'mem'];

interface Case {
  readonly name: string;
  readonly guestMs: number;
  readonly prepare: (machine: Machine) => Promise<void>;
}

function traced(items: string, from?: number): Case {
  return {
    name: from === undefined ? `-d ${items}` : `-d ${items} (a piece)`,
    guestMs: from === undefined ? BOOT : PIECE_BEGINS + PIECE,
    prepare: async (machine) => {
      const trigger = from === undefined ? undefined : parseTrigger('trace-from', `${from}M`);
      await startTrace(machine, { items: items.split(','), from: trigger }, () => undefined);
    },
  };
}

const nothing = (name: string, guestMs: number): Case => ({
  name,
  guestMs,
  prepare: () => Promise.resolve(),
});
const profiled = (name: string, start: (machine: Machine) => unknown): Case => ({
  name,
  guestMs: BOOT,
  prepare: (machine) => Promise.resolve(void start(machine)),
});

const off = nothing('off', BOOT);
const before = nothing('off, up to the piece', PIECE_BEGINS);
const cases: readonly Case[] = [
  off,
  before,
  ...light.map((items) => traced(items)),
  profiled('--boot-profile', startBootProfile),
  profiled('--cpu-profile', startCpuProfile),
  ...heavy.map((items) => traced(items, PIECE_BEGINS)),
];

/** CPU seconds of one run. */
async function timeOf({ guestMs, prepare }: Case): Promise<number> {
  const images = await defaultImages();
  await using machine = await Machine.create({
    ...images,
    clock: 'icount',
    guestTimeoutMs: guestMs,
  });
  await prepare(machine);
  const start = process.cpuUsage();
  await machine.run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}

const rounds = Number(process.argv[2] ?? 3);
const times = new Map<Case, number[]>(cases.map((one) => [one, []]));
for (let round = 0; round < rounds; round++) {
  for (const [one, seconds] of times) seconds.push(await timeOf(one));
}
const secondsOf = (one: Case): number => median(times.get(one) ?? []);
const perMillion = secondsOf(off) / BOOT;
for (const one of cases) {
  const seconds = secondsOf(one);
  const ratio =
    one.guestMs === BOOT
      ? seconds / secondsOf(off)
      : (seconds - secondsOf(before)) / PIECE / perMillion;
  const shown = one === before ? '' : ratio.toFixed(2).padStart(10);
  console.log(`${one.name.padEnd(24)} ${seconds.toFixed(2).padStart(7)} s ${shown}`);
}

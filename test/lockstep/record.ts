/** Runs a guest under one engine with `--clock icount` and prints its state at regular instruction counts. */
import { createHash } from 'node:crypto';
import process from 'node:process';

import { Machine } from '../../src/index.js';
import type { Accel } from '../../src/config.js';
import { loadNative } from '../../src/native-loader.js';
import type { NativeCpuOptions, RegisterName, SegmentName } from '../../src/native.js';

/** What is to be run, and where it is looked at. */
export interface Recording {
  readonly accel: Accel;
  readonly kernel: string;
  readonly initrd: string;
  /** The kernel's command line; the default one when absent. */
  readonly append?: string;
  /** Bytes of RAM. */
  readonly memory: number;
  /** What is typed on the console. */
  readonly input: string;
  /** Instructions between two looks at registers, and at RAM. */
  readonly every: number;
  readonly ram: number;
  /** The part of the run that is looked at; null: to its end. */
  readonly from: number;
  readonly until: number | null;
  /** Changes of how the engine works. */
  readonly engine: Partial<Pick<NativeCpuOptions, 'jit' | 'tlbEntries'>>;
}

const REGISTERS: readonly RegisterName[] = [
  ...(['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11'] as const),
  ...(['r12', 'r13', 'r14', 'r15', 'rip', 'rflags', 'cr0', 'cr2', 'cr3', 'cr4', 'efer'] as const),
  'kernelGsBase',
];
const SEGMENTS: readonly SegmentName[] = ['cs', 'ss', 'fs', 'gs'];

const recording = JSON.parse(process.argv[2] ?? '') as Recording;
const { kernel, initrd, append, memory, accel, input, every, from, engine } = recording;
const until = recording.until ?? Infinity;

// A machine has no say in how its engine works, so the addon is told behind its back.
const addon = loadNative() as {
  -readonly [name in keyof ReturnType<typeof loadNative>]: ReturnType<typeof loadNative>[name];
};
const { createCpu } = addon;
addon.createCpu = (options) =>
  createCpu({ ...options, ...engine, jit: { ...options.jit, ...engine.jit } });

const machine = await Machine.create({
  kernel,
  initrd,
  ...(append !== undefined && { cmdline: append }),
  memory,
  clock: 'icount',
  accel,
});
machine.console.write(input);
const { cpu } = machine;
const { native } = cpu;

function state(): string {
  const registers = REGISTERS.map((name) => `${name}=${native.getRegister(name).toString(16)}`);
  const segments = SEGMENTS.map((name) => {
    const { selector, base } = native.getSegment(name);
    return `${name}=${selector.toString(16)}:${base.toString(16)}`;
  });
  const fpu = createHash('sha1').update(native.readFpu()).digest('hex').slice(0, 16);
  return [...registers, ...segments, `fpu=${fpu}`].join(' ');
}

function contents(): string {
  const hash = createHash('sha1');
  for (const view of native.ram) hash.update(new Uint8Array(view));
  return hash.digest('hex').slice(0, 16);
}

// Each run() ends where the next look is due, whatever the engine and the host's speed.
cpu.run = (most: number) => {
  const before = cpu.instructions;
  const room = every - (before % every);
  const reason = native.run(Math.min(most, room));
  const now = cpu.instructions;
  if (now !== before && now % every === 0 && now >= from) {
    const ram = now % recording.ram === 0 ? ` ram=${contents()}` : '';
    process.stdout.write(`${now} ${state()}${ram}\n`);
  }
  if (now >= until) machine.stop();
  return reason;
};
const { reason } = await machine.run();
process.stdout.write(`end at ${cpu.instructions} ${reason}\n`);
await machine.close();

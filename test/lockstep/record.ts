/** Runs a guest under one engine with `--clock icount` and prints its state at regular instruction counts. */
import { createHash } from 'node:crypto';
import process from 'node:process';

import { Machine } from '../../src/index.js';
import type { Accel } from '../../src/config.js';
import { defaultImages } from '../../src/images.js';
import type { RegisterName } from '../../src/native.js';

const REGISTERS: readonly RegisterName[] = [
  ...(['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11'] as const),
  ...(['r12', 'r13', 'r14', 'r15', 'rip', 'rflags', 'cr0', 'cr2', 'cr3', 'cr4', 'efer'] as const),
];
const MEMORY = 256 * 2 ** 20;

const [accel = '', every = '', ram = '', from = '', until = '', command = ''] =
  process.argv.slice(2);
const step = Number(every);
const memoryStep = Number(ram);

const machine = await Machine.create({
  ...(await defaultImages()),
  memory: MEMORY,
  clock: 'icount',
  accel: accel as Accel,
});
machine.console.write(`${command}\npoweroff -f\n`);
const { cpu } = machine;
const { native } = cpu;

function state(): string {
  const registers = REGISTERS.map((name) => `${name}=${native.getRegister(name).toString(16)}`);
  const fpu = createHash('sha1').update(native.readFpu()).digest('hex').slice(0, 16);
  return `${registers.join(' ')} fpu=${fpu}`;
}

function memory(): string {
  const hash = createHash('sha1');
  for (const view of native.ram) hash.update(new Uint8Array(view));
  return hash.digest('hex').slice(0, 16);
}

// Each run() ends where the next look is due, whatever the engine and the host's speed.
cpu.run = (most: number) => {
  const before = cpu.instructions;
  const room = step - (before % step);
  const reason = native.run(Math.min(most, room));
  const now = cpu.instructions;
  if (now !== before && now % step === 0 && now >= Number(from)) {
    const contents = now % memoryStep === 0 ? ` ram=${memory()}` : '';
    process.stdout.write(`${now} ${state()}${contents}\n`);
  }
  if (now >= Number(until)) machine.stop();
  return reason;
};
await machine.run();
process.stdout.write(`end at ${cpu.instructions}\n`);
await machine.close();

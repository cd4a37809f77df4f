/** Breakpoints, watchpoints and single steps of the host's, under every engine. */
import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { BOOT_PAGE_TABLES } from '../../src/layout.js';
import { BreakpointKind, DebugCause, ExitReason } from '../../src/native.js';
import type { NativeBreakpoint } from '../../src/native.js';
import { Bench, CODE, DATA } from '../support/bench.js';
import { ENGINES, INTERPRETER, TRANSLATOR } from '../support/engines.js';
import { buildGuest, GUEST_BASE, guestNames, GuestRunner } from '../support/guest-runner.js';

/** Runs on, and says at which addresses it stopped until it halted. */
function stops(bench: Bench): number[] {
  const seen: number[] = [];
  while (bench.run() === ExitReason.Debug) seen.push(bench.rip);
  return seen;
}

// mov ecx, 50; 5: inc qword [rdi]; 8: dec ecx; a: jnz 5; c: hlt
const LOOP = [0xb9, 50, 0, 0, 0, 0x48, 0xff, 0x07, 0xff, 0xc9, 0x75, 0xf9, 0xf4];
const LOOP_INSTRUCTIONS = 1 + 50 * 3 + 1;

describe.each(ENGINES)('%s', (_name, engine) => {
  it('stops before the instruction at a breakpoint, each time, and counts nothing for it', () => {
    const bench = new Bench(engine, LOOP);
    bench.break([BreakpointKind.Linear, CODE + 8]);
    for (let turn = 0; turn < 50; turn++) {
      expect(bench.run()).toBe(ExitReason.Debug);
      expect(bench.cpu.debugCause).toBe(DebugCause.Breakpoint);
      expect(bench.address).toBe(CODE + 8);
      expect(bench.native.getRegister('rcx')).toBe(BigInt(50 - turn));
      expect(bench.cpu.instructions).toBe(2 + turn * 3);
    }
    expect(bench.run()).toBe(ExitReason.Halt);
    expect(bench.cpu.instructions).toBe(LOOP_INSTRUCTIONS);
    expect(bench.native.checkInvariants()).toBe(true);
  });

  it('stops in code that is hot already, and lets it go again', () => {
    const bench = new Bench(engine, LOOP);
    bench.cpu.run(1 + 40 * 3);
    bench.break([BreakpointKind.Linear, CODE + 10]);
    expect(bench.run()).toBe(ExitReason.Debug);
    expect([bench.rip, bench.native.getRegister('rcx')]).toEqual([CODE + 10, 9n]);
    bench.break();
    expect(stops(bench)).toEqual([]);
    expect(bench.cpu.instructions).toBe(LOOP_INSTRUCTIONS);
  });

  it('knows linear from physical addresses', () => {
    const alias = 2 ** 39; // the second entry of the PML4, made equal to the first
    const bench = new Bench(engine, LOOP);
    const entry = bench.memory.readU32(BOOT_PAGE_TABLES.base);
    bench.memory.writeU64(BOOT_PAGE_TABLES.base + 8, BigInt(entry));
    bench.native.setRegister('rip', BigInt(alias + CODE));
    bench.break([BreakpointKind.Linear, CODE + 5], [BreakpointKind.Linear, alias + CODE + 12]);
    expect(bench.run()).toBe(ExitReason.Debug);
    expect(bench.rip).toBe(alias + CODE + 12);
    bench.native.setRegister('rip', BigInt(alias + CODE));
    bench.break([BreakpointKind.Physical, CODE + 8]);
    expect(bench.run()).toBe(ExitReason.Debug);
    expect(bench.rip).toBe(alias + CODE + 8);
  });

  it('keeps a breakpoint where the guest writes its code anew', () => {
    // mov word [rip+2], 0xc9ff (the bytes of dec ecx over ud2); ud2; hlt
    const code = [0x66, 0xc7, 0x05, 0, 0, 0, 0, 0xff, 0xc9, 0x0f, 0x0b, 0xf4];
    const bench = new Bench(engine, code);
    bench.break([BreakpointKind.Linear, CODE + 9]);
    expect(stops(bench)).toEqual([CODE + 9]);
    expect([...bench.memory.read(CODE + 9, 2)]).toEqual([0xff, 0xc9]);
    expect(bench.native.getRegister('rcx')).toBe(0xffff_ffffn);
  });

  it.each([
    ['write', BreakpointKind.Write, DebugCause.WriteWatch],
    ['read', BreakpointKind.Read, DebugCause.ReadWatch],
    ['access', BreakpointKind.Access, DebugCause.AccessWatch],
  ])('stops after an instruction that met a %s watchpoint', (_kind, kind, cause) => {
    const bench = new Bench(engine, LOOP);
    bench.cpu.run(1 + 30 * 3);
    bench.break([kind, DATA + 7, 1]);
    expect(bench.run()).toBe(ExitReason.Debug);
    expect([bench.cpu.debugCause, bench.address]).toEqual([cause, DATA + 7]);
    expect([bench.rip, bench.memory.readU32(DATA)]).toEqual([CODE + 8, 31]);
    expect(bench.cpu.instructions).toBe(1 + 30 * 3 + 1);
    bench.break([kind, DATA + 8, 8]);
    expect(bench.run()).toBe(ExitReason.Halt);
    expect(bench.cpu.instructions).toBe(LOOP_INSTRUCTIONS);
  });

  it('tells reads from writes', () => {
    // mov [rdi], rax; mov rax, [rdi]; hlt
    const bench = new Bench(engine, [0x48, 0x89, 0x07, 0x48, 0x8b, 0x07, 0xf4]);
    bench.break([BreakpointKind.Read, DATA, 8]);
    expect(stops(bench)).toEqual([CODE + 6]);
    bench.native.setRegister('rip', BigInt(CODE));
    bench.break([BreakpointKind.Write, DATA, 8]);
    expect(stops(bench)).toEqual([CODE + 3]);
  });

  it('stops within REP, at the element that was watched', () => {
    const bench = new Bench(engine, [0xf3, 0xaa, 0xf4]); // rep stosb; hlt
    bench.native.setRegister('rcx', 100n);
    bench.break([BreakpointKind.Write, DATA + 10, 2]);
    expect(stops(bench)).toEqual([CODE, CODE]);
    expect(bench.native.getRegister('rcx')).toBe(0n);
  });

  it('sees what the processor itself reads: a descriptor', () => {
    const bench = new Bench(engine, [0x8e, 0xd8, 0x90, 0xf4]); // mov ds, eax; nop; hlt
    bench.native.setRegister('rax', 0x18n);
    bench.break([BreakpointKind.Read, Number(bench.native.getRegister('gdtrBase')) + 0x18, 8]);
    expect(stops(bench)).toEqual([CODE + 2]);
  });

  it('sees the frame of an exception, and stops at its handler', () => {
    const bench = new Bench(engine, [0x0f, 0x0b, 0xf4, 0xf4]); // ud2; hlt; handler: hlt
    const idt = 0x30_0000;
    const handler = BigInt(CODE + 3);
    bench.native.setRegister('idtrBase', BigInt(idt));
    bench.native.setRegister('idtrLimit', 0xfffn);
    // A 64-bit interrupt gate: SDM volume 3, "64-Bit Mode IDT".
    bench.memory.writeU64(
      idt + 6 * 16,
      (handler & 0xffffn) | (0x10n << 16n) | (0x8en << 40n) | ((handler >> 16n) << 48n),
    );
    bench.native.setRegister('rsp', BigInt(DATA));
    bench.break([BreakpointKind.Write, DATA - 8, 8]);
    expect(stops(bench)).toEqual([CODE + 3]);
    expect(bench.cpu.instructions).toBe(1);
  });

  it('steps one instruction, a device access included, and one element of REP', () => {
    // in al, 0x80; rep stosb; hlt
    const bench = new Bench(engine, [0xe4, 0x80, 0xf3, 0xaa, 0xf4]);
    bench.native.setRegister('rcx', 2n);
    bench.break([BreakpointKind.Linear, CODE + 2]);
    bench.native.beginStep(true);
    expect(bench.run()).toBe(ExitReason.PortRead);
    bench.cpu.data = 0x5a;
    const seen: [number, bigint][] = [];
    for (let step = 0; step < 4; step++) {
      expect([bench.run(), bench.cpu.debugCause]).toEqual([ExitReason.Debug, DebugCause.Step]);
      seen.push([bench.rip - CODE, bench.native.getRegister('rcx')]);
      bench.native.beginStep(true);
    }
    expect(seen).toEqual([
      [2, 2n],
      [2, 1n],
      [4, 0n],
      [5, 0n],
    ]);
    expect(bench.memory.readU8(DATA + 1)).toBe(0x5a);
    expect(bench.run()).toBe(ExitReason.Halt);
  });

  it('keeps interrupts away from a step, unless told otherwise', () => {
    const bench = new Bench(engine, [0x90, 0x90, 0xf4]);
    const NMI = 4; // delivery mode
    bench.native.apicMessage(0, false, NMI, 0, false);
    bench.native.beginStep(true);
    expect([bench.run(), bench.rip]).toEqual([ExitReason.Debug, CODE + 1]);
    bench.native.beginStep(false);
    // The NMI finds no handler.
    expect([bench.run(), bench.run()]).toEqual([ExitReason.Debug, ExitReason.Shutdown]);
  });

  it('reads and writes x87 and vector registers', () => {
    const bench = new Bench(engine, [0xd9, 0xe8, 0xf4]); // fld1; hlt
    const image = bench.native.readFpu();
    image.fill(0xa5, 160, 176);
    image.fill(0x5a, 512, 528);
    bench.native.writeFpu(image);
    bench.run();
    const after = bench.native.readFpu();
    expect([...after.subarray(32, 42)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f]);
    expect(after.subarray(160, 176)).toEqual(new Uint8Array(16).fill(0xa5));
    expect(after.subarray(512, 528)).toEqual(new Uint8Array(16).fill(0x5a));
  });
});

/** All but those that do the same few instructions a million times. */
const various = guestNames().filter((name) => !name.startsWith('sweep'));

describe.each(various)('bare-metal guest %s', (name) => {
  const image = readFileSync(buildGuest(name));
  const plain = new GuestRunner(image);
  const expected = { ...plain.run(), instructions: plain.instructions };

  const observe = (runner: GuestRunner, between?: () => void) => ({
    ...runner.run(undefined, between),
    instructions: runner.instructions,
  });
  const everywhere: readonly NativeBreakpoint[] = Array.from({ length: 4096 }, (_, offset) => ({
    kind: BreakpointKind.Physical,
    address: BigInt(GUEST_BASE + offset),
    length: 1,
  }));

  it.each([INTERPRETER, TRANSLATOR])(
    'is the same with breakpoints at every instruction, %s',
    (_engine, engine) => {
      const runner = new GuestRunner(image, engine);
      runner.native.setBreakpoints(everywhere.filter((_, offset) => offset % 5 !== 3));
      expect(observe(runner)).toEqual(expected);
    },
  );

  it.each([INTERPRETER, TRANSLATOR])(
    'is the same with all of its memory watched, %s',
    (_engine, engine) => {
      const runner = new GuestRunner(image, engine);
      runner.native.setBreakpoints([{ kind: BreakpointKind.Access, address: 0n, length: 2 ** 32 }]);
      expect(observe(runner)).toEqual(expected);
    },
  );

  it('is the same step by step', () => {
    const runner = new GuestRunner(image);
    runner.native.beginStep(false);
    expect(observe(runner, () => runner.native.beginStep(false))).toEqual(expected);
  });
});

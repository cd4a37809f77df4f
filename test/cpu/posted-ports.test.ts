import { describe, expect, it } from 'vitest';

import { ExitReason } from '../../src/native.js';
import { Bench, CODE } from '../support/bench.js';
import { ENGINES } from '../support/engines.js';

const WRITE = 0x3f8;
const READ = 0x3fd;
const IDLE = 0x60;
/** Reads that are answered between two writes, and writes that can wait. */
const MOST_READS = 8;
const MOST_WRITES = 256;

// mov edx, WRITE; l: mov al, cl; out dx, al; inc ecx; cmp ecx, ebx; jne l; hlt
const PRINTING = [
  ...[0xba, 0xf8, 0x03, 0, 0],
  ...[0x88, 0xc8, 0xee, 0xff, 0xc1, 0x39, 0xd9, 0x75, 0xf7, 0xf4],
];
// mov edx, READ; l: in al, dx; inc ecx; jmp l
const WAITING = [...[0xba, 0xfd, 0x03, 0, 0], ...[0xec, 0xff, 0xc1, 0xeb, 0xfb]];

describe.each(ENGINES)('polled ports under %s', (_, engine) => {
  let bench: Bench;

  function start(code: readonly number[]): void {
    bench = new Bench(engine, code);
    bench.native.setPolledPorts(0, { write: WRITE, read: READ, value: IDLE });
    bench.cpu.posting = true;
    bench.native.setRegister('rcx', 0n);
  }
  function take(): [port: number, value: number][] {
    const taken: [number, number][] = [];
    bench.cpu.takePosted((port, value) => taken.push([port, value]));
    return taken;
  }

  it('keeps writes, in order, until something else ends the run', () => {
    start(PRINTING);
    bench.native.setRegister('rbx', 100n);
    expect(bench.run()).toBe(ExitReason.Halt);
    expect(take()).toEqual(Array.from({ length: 100 }, (_, n) => [WRITE, n]));
    expect(take()).toEqual([]);
  });

  it('tells when each was made', () => {
    start(PRINTING);
    bench.native.setRegister('rbx', 3n);
    bench.run();
    const at: number[] = [];
    bench.cpu.takePosted((_port, _value, instructions) => at.push(instructions));
    expect(at).toEqual([3, 8, 13]);
  });

  it('makes an exit of what there is no room for', () => {
    start(PRINTING);
    bench.native.setRegister('rbx', BigInt(MOST_WRITES + 2));
    expect(bench.run()).toBe(ExitReason.PortWrite);
    expect(bench.cpu.port).toBe(WRITE);
    expect(bench.cpu.data).toBe(MOST_WRITES & 0xff);
    expect(take()).toHaveLength(MOST_WRITES);
    expect(bench.run()).toBe(ExitReason.Halt);
    expect(take()).toEqual([[WRITE, (MOST_WRITES + 1) & 0xff]]);
  });

  it('answers some reads, and then asks the device', () => {
    start(WAITING);
    expect(bench.run()).toBe(ExitReason.PortRead);
    expect(bench.cpu.port).toBe(READ);
    expect(bench.native.getRegister('rcx')).toBe(BigInt(MOST_READS));
    expect(bench.native.getRegister('rax') & 0xffn).toBe(BigInt(IDLE));
    bench.cpu.data = 0x61;
    expect(bench.run()).toBe(ExitReason.PortRead);
    expect(bench.native.getRegister('rax') & 0xffn).toBe(0x61n);
  });

  it.each(['nothing is promised', 'somebody looks on'])('exits for each access when %s', (why) => {
    start(PRINTING);
    if (why === 'somebody looks on') bench.cpu.posting = false;
    else bench.native.setPolledPorts(0, undefined);
    bench.native.setRegister('rbx', 2n);
    expect([bench.run(), bench.run(), bench.run()]).toEqual([
      ExitReason.PortWrite,
      ExitReason.PortWrite,
      ExitReason.Halt,
    ]);
    expect(take()).toEqual([]);
    expect(bench.rip).toBe(CODE + PRINTING.length);
  });
});

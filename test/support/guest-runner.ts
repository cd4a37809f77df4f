/**
 * Runs the bare-metal guests of test/cpu/guests: flat images without a kernel, entered in real mode.
 * It stands in for the machine's own loader and main loop; CPU, memory, board and exits are the real ones.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Cpu } from '../../src/cpu.js';
import { FlightRecorder } from '../../src/debug/recorder.js';
import { Exits } from '../../src/exits.js';
import { MachineClock } from '../../src/guest-clock.js';
import { GuestMemory } from '../../src/memory.js';
import { ExitReason } from '../../src/native.js';
import type { NativeCpu, NativeCpuOptions, RegisterName } from '../../src/native.js';
import { loadNative } from '../../src/native-loader.js';
import { wire, type Board } from '../../src/wiring.js';
import type { EngineOptions } from './engines.js';

/** Where the guests' sources are. */
export const GUESTS = fileURLToPath(new URL('../cpu/guests/', import.meta.url));

/** Guest physical address at which an image is placed and entered (see guest.ld). */
export const GUEST_BASE = 0x1000;

/** RAM of the machine in bytes. */
const RAM = 64 * 1024 * 1024;

/** Instructions after which a guest is taken to hang. */
const INSTRUCTION_LIMIT = 5e6;

/** Longest run between two looks at the timers, in instructions. */
const SLICE = 10_000;

/** Number of the exit device's first port and of its ports, as on QEMU's command line. */
const DEBUG_EXIT = { iobase: 0xf4, iosize: 4 };

/** How a guest ended. */
export interface GuestResult {
  /** `exit`: the exit device; `shutdown`: triple fault; `halt`: nothing wakes it; `limit`: it hangs. */
  readonly end: 'exit' | 'shutdown' | 'halt' | 'limit';
  /** What was written to the exit device, -1 when nothing was. */
  readonly value: number;
  /** What it printed on COM1, line by line. */
  readonly lines: readonly string[];
}

/** Where each past bug has a guest of its own. */
export const REGRESSIONS = fileURLToPath(new URL('../cpu/regressions/', import.meta.url));

/** Names of all guests of a folder, from their sources. */
export function guestNames(folder = GUESTS): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.s'))
    .map((file) => file.slice(0, -2))
    .sort();
}

/**
 * Assembles and links a guest with GNU binutils; results are kept by content in the temp folder.
 * @returns path of the flat image
 */
export function buildGuest(name: string, sources = GUESTS): string {
  const source = join(sources, `${name}.s`);
  const included = readdirSync(GUESTS).filter((file) => /\.(inc|ld)$/.test(file));
  const common = included.sort().map((file) => join(GUESTS, file));
  const hash = createHash('sha256');
  for (const file of [source, ...common]) hash.update(readFileSync(file));
  const folder = join(tmpdir(), 'nodevm-guests');
  const image = join(folder, `${name}-${hash.digest('hex').slice(0, 16)}.bin`);
  if (existsSync(image)) return image;
  mkdirSync(folder, { recursive: true });
  const temporary = `${image}.${process.pid}`;
  const object = `${temporary}.o`;
  execFileSync('as', ['--64', '-I', GUESTS, '-o', object, source]);
  const script = join(GUESTS, 'guest.ld');
  execFileSync('ld', ['-T', script, '--oformat', 'binary', '-o', temporary, object]);
  renameSync(temporary, image);
  return image;
}

const COMPARED: readonly RegisterName[] = [
  ...(['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11'] as const),
  ...(['r12', 'r13', 'r14', 'r15', 'rip', 'rflags', 'cr0', 'cr2', 'cr3', 'cr4', 'efer'] as const),
];

/** One machine without a kernel, on the icount clock. */
export class GuestRunner {
  private readonly cpu: Cpu;
  /** For tests that act as a debugger. */
  readonly native: NativeCpu;
  private readonly timers: MachineClock;
  private readonly exits: Exits;
  /** For tests that act as a device. */
  readonly memory: GuestMemory;
  /** What the guest did last. */
  readonly recorder: FlightRecorder;
  private readonly output: number[] = [];
  private value = -1;

  /**
   * @param image flat image for {@link GUEST_BASE}
   * @param engine what executes it (the interpreter when absent), and the features of the processor
   */
  constructor(image: Uint8Array, engine: EngineOptions & Pick<NativeCpuOptions, 'features'> = {}) {
    const addon = loadNative();
    const ram = { lowRam: RAM, highRam: 0 };
    this.native = addon.createCpu({ ...ram, clock: 'icount', ...engine });
    this.cpu = new Cpu(this.native, addon.exitBlockLayout);
    this.timers = new MachineClock(this.native, 0);
    const board = this.board(ram);
    this.exits = new Exits(this.cpu, board);
    const { recent } = this.exits;
    this.recorder = new FlightRecorder(this.native.recorder, addon.recordLayout, recent);
    board.reset();
    this.cpu.posting = true;
    this.native.reset();
    this.memory = new GuestMemory({
      ...ram,
      views: this.native.ram,
      invalidate: (gpa, length) => this.native.invalidateCode(gpa, length),
    });
    this.memory.write(GUEST_BASE, image);
    const cs = this.native.getSegment('cs');
    this.native.setSegment('cs', { ...cs, selector: 0, base: 0n });
    this.native.setRegister('rip', BigInt(GUEST_BASE));
  }

  /** Instructions executed so far. */
  get instructions(): number {
    return this.cpu.instructions;
  }

  /** Registers by name, for comparing two runs. */
  registers(): Record<string, string> {
    const values = COMPARED.map((name): [string, string] => [
      name,
      this.native.getRegister(name).toString(16),
    ]);
    return Object.fromEntries(values);
  }

  /** Named counters of the native side. */
  statistics(): Record<string, number> {
    return this.native.statistics();
  }

  /**
   * Runs the guest to its end.
   * @param slice most instructions at a time
   * @param between called after each slice
   */
  run(slice = SLICE, between: () => void = () => undefined): GuestResult {
    const end = this.runToEnd(slice, between);
    const lines = Buffer.from(this.output).toString('latin1').split('\n').filter(Boolean);
    return { end, value: this.value, lines };
  }

  private runToEnd(slice: number, between: () => void): GuestResult['end'] {
    const { cpu, timers } = this;
    while (cpu.instructions < INSTRUCTION_LIMIT) {
      const now = timers.now();
      timers.runDue(now);
      const wait = Math.ceil(timers.nextDeadline - now);
      const reason = cpu.run(Math.max(1, Math.min(slice, wait)));
      this.exits.serve(reason);
      between();
      if (reason === ExitReason.Shutdown) return 'shutdown';
      if (reason === ExitReason.Halt && !this.sleep()) return 'halt';
      if (this.value >= 0) return 'exit';
    }
    return 'limit';
  }

  /** Moves time to the next event. False: there is none. */
  private sleep(): boolean {
    const deadline = Math.min(this.timers.nextDeadline, this.cpu.apicDeadline);
    if (deadline === Infinity) return false;
    this.native.advanceTo(Math.ceil(deadline));
    return true;
  }

  private board(ram: { lowRam: number; highRam: number }): Board {
    return wire({
      ...ram,
      cpu: this.native,
      clock: this.timers,
      serialPorts: 1,
      debugExit: DEBUG_EXIT,
      events: {
        onReset: () => undefined,
        onSleep: () => undefined,
        onDebugExit: (value) => (this.value = value),
        onSerialOutput: (_port, byte) => this.output.push(byte),
        onSerialInputWanted: () => undefined,
      },
    });
  }
}

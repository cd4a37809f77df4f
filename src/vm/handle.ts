import type { MachineConfig } from '../config.js';
import type { Debugger } from '../debug/debugger.js';
import type { MachineExit } from '../machine-exit.js';
import { Machine } from '../machine.js';
import type { RegisterName } from '../native.js';
import type { BytePort } from '../serial-link.js';

/** Registers that {@link MachineHandle.readRegisters} reads, by their SDM names. */
export const REGISTERS = [
  ...(['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const),
  ...(['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const),
  ...(['rip', 'rflags', 'cr0', 'cr2', 'cr3', 'cr4', 'efer'] as const),
  ...(['gdtrBase', 'gdtrLimit', 'idtrBase', 'idtrLimit'] as const),
] satisfies readonly RegisterName[];

/** Values of the registers, by their SDM names. */
export type Registers = Record<(typeof REGISTERS)[number], bigint>;

/** A machine from a distance: in this thread or in a worker. */
export interface MachineHandle {
  /** COM1. */
  readonly console: BytePort;
  /** COM2, where the agent is. */
  readonly channel: BytePort | undefined;
  /** Where the machine is in this thread. */
  readonly debugger?: Debugger;
  run(): Promise<MachineExit>;
  pause(): void;
  resume(): void;
  reset(): void;
  pressPowerButton(): void;
  stop(): void;
  close(): Promise<void>;
  onIdle(listener: (periods: number) => void): void;
  onPowerOn(listener: () => void): void;
  /** Calls back after so many milliseconds of guest time. Returns how to call it off. */
  guestTimer(milliseconds: number, callback: () => void): () => void;
  readMemory(gpa: number, length: number): Promise<Uint8Array>;
  writeMemory(gpa: number, bytes: Uint8Array): Promise<void>;
  readRegisters(): Promise<Registers>;
  writeRegister(name: RegisterName, value: bigint): Promise<void>;
  /** Guest physical address of a linear one, undefined when it is not mapped. */
  translate(linear: bigint): Promise<number | undefined>;
  /** The kernel's log, see {@link Machine.dmesg}. */
  dmesg(): Promise<string>;
  /** Writes a core file, see {@link Machine.dumpCore}. */
  dumpCore(path: string): Promise<void>;
}

/** A machine in this thread. */
export class LocalMachine implements MachineHandle {
  readonly console: BytePort;
  readonly channel: BytePort | undefined;
  readonly debugger: Debugger;

  private constructor(private readonly machine: Machine) {
    this.debugger = machine.debugger;
    this.console = machine.console;
    this.channel = machine.channel;
  }

  /** @throws NodevmError for what is wrong with the configuration or the images */
  static async create(config: MachineConfig): Promise<LocalMachine> {
    return new LocalMachine(await Machine.create(config));
  }

  run(): Promise<MachineExit> {
    return this.machine.run();
  }

  pause(): void {
    this.machine.pause();
  }

  resume(): void {
    this.machine.resume();
  }

  reset(): void {
    this.machine.reset();
  }

  pressPowerButton(): void {
    this.machine.pressPowerButton();
  }

  stop(): void {
    this.machine.stop();
  }

  close(): Promise<void> {
    return this.machine.close();
  }

  onIdle(listener: (periods: number) => void): void {
    this.machine.onIdle(listener);
  }

  onPowerOn(listener: () => void): void {
    this.machine.onPowerOn(listener);
  }

  guestTimer(milliseconds: number, callback: () => void): () => void {
    const { clock } = this.machine;
    const timer = clock.at(clock.now() + milliseconds * 1e6, callback);
    return () => timer.cancel();
  }

  // The rest is asynchronous for the sake of workers; a failure is a rejection here, too.

  async readMemory(gpa: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.machine.memory.read(gpa, length));
  }

  async writeMemory(gpa: number, bytes: Uint8Array): Promise<void> {
    this.machine.memory.write(gpa, bytes);
    return Promise.resolve();
  }

  async readRegisters(): Promise<Registers> {
    const { native } = this.machine.cpu;
    const values = REGISTERS.map((name) => [name, native.getRegister(name)]);
    return Promise.resolve(Object.fromEntries(values) as Registers);
  }

  async writeRegister(name: RegisterName, value: bigint): Promise<void> {
    this.machine.cpu.native.setRegister(name, value);
    return Promise.resolve();
  }

  async translate(linear: bigint): Promise<number | undefined> {
    const gpa = this.machine.cpu.native.translate(linear);
    return Promise.resolve(gpa < 0 ? undefined : gpa);
  }

  async dmesg(): Promise<string> {
    return Promise.resolve(this.machine.dmesg());
  }

  async dumpCore(path: string): Promise<void> {
    this.machine.dumpCore(path);
    return Promise.resolve();
  }
}

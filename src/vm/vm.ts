import { readFile } from 'node:fs/promises';

import { ConsoleText } from '../console-text.js';
import type { Debugger } from '../debug/debugger.js';
import { NodevmError, type ErrorCode } from '../errors.js';
import { firstOf, hostLimit, signalLimit, type Limit } from '../limits.js';
import { verdictOf, type MachineExit } from '../machine-exit.js';
import type { RegisterName } from '../native.js';
import { AgentChannel, errnoName, type Disappointment, type Job } from './agent-channel.js';
import { machineConfigOf, type BootOptions } from './boot-options.js';
import { strings, type HostFrame } from './frames.js';
import { LocalMachine, type MachineHandle, type Registers } from './handle.js';
import { VmConsole, type WaitOptions } from './vm-console.js';
import { WorkerMachine } from './worker-machine.js';

/** Lines of the console that an error quotes. */
const QUOTED_LINES = 20;

/** Idle periods of 200 ms after which an agent that has not started will not. */
const PATIENCE = 25;

/** Most output of one command unless told otherwise, in bytes. */
const MAX_OUTPUT = 256 * 1024 * 1024;

/** Environment of commands: what a login as root would have. */
export const ENVIRONMENT = {
  HOME: '/root',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LOGNAME: 'root',
  USER: 'root',
  SHELL: '/bin/sh',
};

/** Options of {@link Vm.sh}. */
export interface ShOptions extends WaitOptions {
  /** What the command reads; default nothing. */
  readonly input?: string | Uint8Array | undefined;
  /** Working directory in the guest; default `/`. */
  readonly cwd?: string | undefined;
  /** Added to the environment of a login as root. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Most bytes of output and error together; more of it ends the command. Default 256 MiB. */
  readonly maxOutput?: number | undefined;
  /** Sees standard output as it comes. */
  readonly onStdout?: ((bytes: Uint8Array) => void) | undefined;
  /** Sees standard error as it comes. */
  readonly onStderr?: ((bytes: Uint8Array) => void) | undefined;
  /** Whether the result has the output, too; default true. */
  readonly keepOutput?: boolean | undefined;
  /** `bytes` gives stdout and stderr as they are instead of as UTF-8 text. */
  readonly encoding?: 'utf8' | 'bytes' | undefined;
}

/** What a command did. */
export interface ShResult<Output = string> {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Exit status; 128 plus the signal's number for a command that was killed. */
  readonly status: number;
}

/** An error of a running machine: its console's last lines and how it ended come with it. */
export class VmError extends NodevmError {
  constructor(
    code: ErrorCode,
    what: string,
    /** The last lines of the console. */
    readonly consoleTail: string,
    /** How the machine ended, undefined while it runs. */
    readonly exit: MachineExit | undefined,
  ) {
    const verdict = exit === undefined ? '' : `; ${verdictOf(exit)}`;
    super(code, `${what}${verdict}; the console's last lines:\n${consoleTail}`);
  }
}

/** Guest RAM for white-box tests, by guest physical address. Pause the machine for a consistent view. */
export interface VmMemory {
  /** @throws NodevmError `E_GUEST_ADDRESS` for what is not RAM */
  read(gpa: number, length: number): Promise<Uint8Array>;
  /** @throws NodevmError `E_GUEST_ADDRESS` for what is not RAM */
  write(gpa: number, bytes: Uint8Array): Promise<void>;
  /** Guest physical address of a linear address by the current page tables, undefined when not mapped. */
  translate(linear: bigint): Promise<number | undefined>;
}

/** A running virtual machine; {@link bootLinux} makes one. */
export class Vm {
  /** The guest's first serial port. */
  readonly console: VmConsole;
  /** How the machine ends. */
  readonly exit: Promise<MachineExit>;
  /** Guest RAM. */
  readonly memory: VmMemory;

  private readonly agent: AgentChannel | undefined;
  private ended: MachineExit | undefined;
  private ready = false;
  private readonly readyWaiters: { resolve: () => void; reject: (error: Error) => void }[] = [];

  private constructor(
    private readonly machine: MachineHandle,
    private readonly options: BootOptions,
  ) {
    this.console = new VmConsole(machine.console, (wait) => this.limitOf(wait));
    this.memory = {
      read: (gpa, length) => machine.readMemory(gpa, length),
      write: (gpa, bytes) => machine.writeMemory(gpa, bytes),
      translate: (linear) => machine.translate(linear),
    };
    this.agent = machine.channel && new AgentChannel(machine.channel, () => undefined);
    machine.onIdle((periods) => this.onIdle(periods));
    machine.onPowerOn(() => this.onPowerOn());
    this.awaitReady();
    this.exit = this.run();
    // Whoever wants to know asks; nobody has to.
    this.exit.catch(() => undefined);
  }

  /** @internal see {@link bootLinux} */
  static async boot(options: BootOptions): Promise<Vm> {
    const config = await machineConfigOf(options);
    const kind = options.worker === true ? WorkerMachine : LocalMachine;
    return new Vm(await kind.create(config), options);
  }

  /**
   * Resolves when the guest is set up: its init has settled, or has printed what the option `ready` says.
   * @throws VmError when the machine ends before
   */
  booted(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.ended !== undefined) {
        reject(this.error('E_GUEST', 'the guest did not boot'));
      } else if (this.ready) {
        resolve();
      } else {
        this.readyWaiters.push({ resolve, reject });
      }
    });
  }

  /**
   * Runs a command in the guest by `sh -c`, once the guest is set up, and waits for its end. Calls are
   * served one after the other. The command has no terminal; processes that it leaves behind lose their
   * standard output and error when it ends.
   * @throws VmError with the console's last lines: `E_TIMEOUT` and `E_ABORTED` (the command is killed),
   * `E_GUEST` when the machine ends, has no agent, or the output is too large
   */
  sh(command: string, options: ShOptions & { encoding: 'bytes' }): Promise<ShResult<Uint8Array>>;
  sh(command: string, options?: ShOptions & { encoding?: 'utf8' }): Promise<ShResult>;
  async sh(command: string, options: ShOptions = {}): Promise<ShResult<string | Uint8Array>> {
    const { input = '', cwd = '/', env = {} } = options;
    const variables = Object.entries({ ...ENVIRONMENT, ...env }).map(([k, v]) => `${k}=${v}`);
    const words = [cwd, command, ...variables];
    const what = `command ${JSON.stringify(command)}`;
    const { stdout, stderr, status } = await this.runJob(what, 'S', words, input, options);
    if (options.encoding === 'bytes') return { stdout, stderr, status };
    return { stdout: stdout.toString(), stderr: stderr.toString(), status };
  }

  /**
   * Writes a file of the guest, and the directories it lies in where they are missing.
   * @param source bytes, or the path of a file of the host
   * @param mode permission bits; default 0o644
   * @throws NodevmError `E_FILE` when the host's file cannot be read, VmError as of {@link sh}
   */
  async push(
    source: string | Uint8Array,
    guestPath: string,
    options: WaitOptions & { readonly mode?: number } = {},
  ): Promise<void> {
    const bytes = typeof source === 'string' ? await readHostFile(source) : source;
    const words = [guestPath, (options.mode ?? 0o644).toString(8)];
    const what = `push to ${JSON.stringify(guestPath)}`;
    const { status } = await this.runJob(what, 'W', words, bytes, options);
    if (status !== 0) throw this.error('E_GUEST', `${what} failed with ${errnoName(status)}`);
  }

  /**
   * Reads a file of the guest.
   * @throws VmError as of {@link sh}, and `E_GUEST` when it cannot be read
   */
  async pull(
    guestPath: string,
    options: WaitOptions & { readonly maxOutput?: number } = {},
  ): Promise<Uint8Array> {
    const what = `pull of ${JSON.stringify(guestPath)}`;
    const { stdout, status } = await this.runJob(what, 'R', [guestPath], '', options);
    if (status !== 0) throw this.error('E_GUEST', `${what} failed with ${errnoName(status)}`);
    return stdout;
  }

  /** Stops the guest between two instructions until {@link resume}. */
  pause(): void {
    this.machine.pause();
  }

  /** Lets a paused guest go on. */
  resume(): void {
    this.machine.resume();
  }

  /** Presses the reset button: the kernel starts anew. */
  reset(): void {
    this.machine.reset();
  }

  /** Presses the ACPI power button; a guest without a daemon for it takes no notice. */
  pressPowerButton(): void {
    this.machine.pressPowerButton();
  }

  /**
   * The kernel's log as dmesg prints it, read from guest memory: it needs neither a console nor the guest's
   * cooperation. Empty where there is none yet.
   */
  dmesg(): Promise<string> {
    return this.machine.dmesg();
  }

  /**
   * Writes guest memory and registers as an ELF core file, for gdb and crash. It is there only when it is whole.
   * @throws NodevmError `E_FILE` when it cannot be written
   */
  dumpCore(path: string): Promise<void> {
    return this.machine.dumpCore(path);
  }

  /**
   * Breakpoints, watchpoints, steps, registers and memory by linear address.
   * @throws NodevmError `E_USAGE` where the machine is in a worker
   */
  get debug(): Debugger {
    const guest = this.machine.debugger;
    if (guest !== undefined) return guest;
    throw new NodevmError('E_USAGE', 'worker is true, expected a machine in this thread to debug');
  }

  /** The registers of the processor, by their SDM names. */
  registers(): Promise<Registers> {
    return this.machine.readRegisters();
  }

  /** Sets a register of the processor; the machine should be paused. */
  setRegister(name: RegisterName, value: bigint): Promise<void> {
    return this.machine.writeRegister(name, value);
  }

  /** Ends the machine with reason `stopped` unless it has ended, and gives its memory back. */
  async close(): Promise<void> {
    await this.machine.close();
    await this.exit.catch(() => undefined);
  }

  /** Same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async run(): Promise<MachineExit> {
    const { signal } = this.options;
    const abort = (): void => this.machine.stop();
    signal?.addEventListener('abort', abort, { once: true });
    let why = 'the machine failed';
    try {
      const running = this.machine.run();
      if (signal?.aborted === true) abort();
      this.ended = await running;
      why = verdictOf(this.ended);
      return this.ended;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.console.end(`the machine ended: ${why}`);
      this.agent?.break('the machine ended');
      for (const waiter of this.readyWaiters.splice(0)) {
        waiter.reject(this.error('E_GUEST', 'the guest did not boot'));
      }
    }
  }

  /** Waits for the pattern that says that the guest is set up, where there is one. */
  private awaitReady(): void {
    const { ready } = this.options;
    if (ready === undefined) return;
    const text = new ConsoleText(0);
    const stopListening = this.machine.console.onOutput((bytes) => text.feed(bytes));
    void text.expect(ready).then(() => {
      stopListening();
      this.becomeReady();
    });
  }

  private onIdle(periods: number): void {
    const { agent } = this;
    const isMissing = agent !== undefined && !agent.greeted;
    if (isMissing && periods < PATIENCE) return;
    if (isMissing) {
      agent.break(
        "the guest's agent did not start: does the kernel have a driver for COM2 (8250), and does it unpack the initramfs?",
      );
    }
    if (this.options.ready === undefined && !this.ready) this.becomeReady();
  }

  private becomeReady(): void {
    this.ready = true;
    this.agent?.allow();
    for (const waiter of this.readyWaiters.splice(0)) waiter.resolve();
  }

  private onPowerOn(): void {
    this.ready = false;
    this.agent?.restart();
    this.awaitReady();
  }

  private limitOf({ timeout, guestTimeout, signal }: WaitOptions): Limit | undefined {
    const limits: Limit[] = [];
    if (timeout !== undefined) limits.push(hostLimit(timeout));
    if (signal !== undefined) limits.push(signalLimit(signal));
    if (guestTimeout !== undefined) {
      const when = `within ${guestTimeout} ms of guest time`;
      limits.push((expired) => this.machine.guestTimer(guestTimeout, () => expired(when, false)));
    }
    return limits.length === 0 ? undefined : firstOf(limits);
  }

  private async runJob(
    what: string,
    type: HostFrame,
    words: readonly string[],
    input: string | Uint8Array,
    options: ShOptions,
  ): Promise<{ stdout: Buffer; stderr: Buffer; status: number }> {
    const bad = words.find((word) => word.includes('\0'));
    if (bad !== undefined) {
      throw new NodevmError('E_USAGE', `${JSON.stringify(bad)} contains a NUL, expected none`);
    }
    if (this.agent === undefined) {
      throw new NodevmError('E_USAGE', `${what}: the machine was booted without its agent`);
    }
    const stdout: Uint8Array[] = [];
    const stderr: Uint8Array[] = [];
    const job: Job = {
      type,
      payload: strings(words),
      input: typeof input === 'string' ? Buffer.from(input) : input,
      maxOutput: options.maxOutput ?? MAX_OUTPUT,
      limit: this.limitOf(options),
      onStdout: (bytes) => {
        if (options.keepOutput !== false) stdout.push(bytes);
        options.onStdout?.(bytes);
      },
      onStderr: (bytes) => {
        if (options.keepOutput !== false) stderr.push(bytes);
        options.onStderr?.(bytes);
      },
      failure: (reason) => this.failure(what, reason),
    };
    const status = await this.agent.run(job);
    return { stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr), status };
  }

  private failure(what: string, reason: Disappointment): Error {
    switch (reason.kind) {
      case 'limit':
        return this.error(
          reason.aborted ? 'E_ABORTED' : 'E_TIMEOUT',
          `${what} did not end ${reason.when}`,
        );
      case 'output':
        return this.error('E_GUEST', `${what} wrote more than ${reason.limit} bytes (maxOutput)`);
      case 'broken':
        return this.error('E_GUEST', `${what} has no result: ${reason.why}`);
    }
  }

  private error(code: ErrorCode, what: string): VmError {
    return new VmError(code, what, this.console.tail(QUOTED_LINES), this.ended);
  }
}

async function readHostFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError('E_FILE', `push of ${path}: ${why}`, { cause });
  }
}

/**
 * Boots a Linux kernel. The machine runs when this returns; {@link Vm.sh} and {@link Vm.booted} wait until
 * the guest is set up.
 * @throws NodevmError for what is wrong with the options or the images
 */
export function bootLinux(options: BootOptions): Promise<Vm> {
  return Vm.boot(options);
}

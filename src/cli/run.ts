import { openSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

import type { MachineConfig } from '../config.js';
import { formatVerdict } from '../debug/verdict.js';
import { NodevmError } from '../errors.js';
import { signalStatus } from '../exit-status.js';
import { defaultImages } from '../images.js';
import type { MachineExit } from '../machine-exit.js';
import { loadInitrd } from '../initramfs/source.js';
import { Machine } from '../machine.js';
import { Terminal } from '../terminal.js';
import { DebugServices } from './debug-services.js';
import type { CliOptions } from './options.js';
import { progressOf } from './initramfs.js';
import { describeExit, exitReport, say } from './report.js';
import { profilesOf } from './profile.js';
import { traceOf } from './trace.js';
import { guardTerminal } from './tty-guard.js';
import type { SerialTarget } from './values.js';

/** Signals that end a run; SIGPIPE shows as a write error instead, since Node ignores it. */
const ENDING_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/** How long a reader that does not read may hold up a run that was told to end, in milliseconds. */
const LAST_DRAIN_MS = 1000;

/** A pipe on standard input that is still open after this long is worth a word, in milliseconds. */
const EOF_HINT_MS = 2000;

/**
 * Boots what the options ask for, with the console on this process's standard streams.
 * @returns the process status, by the table in exit-status.ts
 * @throws NodevmError for whatever is wrong with the options' values or files, or with the host
 */
export async function runGuest(options: CliOptions): Promise<number> {
  await sayIgnored(options);
  const machine = await Machine.create(await machineConfig(options));
  if (options.verbose) await say(`kernel: ${machine.kernel}`);
  if (options.accel === 'jit' && !machine.cpu.translates)
    await say('warning: this host gives no executable memory, so all code is interpreted');
  machine.onDebugOutput((byte) => process.stderr.write(Uint8Array.of(byte)));
  const services = await startServices(machine, options);
  const session = new Session(machine, options, services);
  return session.run();
}

/** Names the QEMU flags that were accepted and change nothing. */
export async function sayIgnored({ ignored }: CliOptions): Promise<void> {
  if (ignored.size > 0)
    await say(`ignored, since it means nothing here: ${[...ignored].join(', ')}`);
}

async function startServices(machine: Machine, options: CliOptions): Promise<DebugServices> {
  try {
    return await DebugServices.start(machine, options, () => machine.stop());
  } catch (error) {
    await machine.close();
    throw error;
  }
}

async function machineConfig(options: CliOptions): Promise<MachineConfig> {
  const { bios, fda, hda } = options;
  const { kernel, initrd } = startsFirmware(options) ? options : await imagesOf(options);
  return {
    kernel,
    bios,
    fda,
    hda,
    symbols: options.symbols,
    bootProtocol: options.bootProtocol,
    initrd: await loadInitrds(initrd, initrd.length === 1),
    cmdline: options.append,
    memory: options.memory,
    clock: options.clock,
    accel: options.accel,
    jitCache: options.jitCache,
    profileJit: options.profileJit,
    cpu: options.cpu,
    serialPorts: Math.max(1, serialTargets(options).length),
    debugExit: options.debugExit,
    noReboot: options.noReboot,
    timeoutMs: options.timeoutMs,
    stallMs: options.stallMs,
    verdict: options.verdict,
  };
}

/** Whether a boot sector or a ROM is to be started, and no kernel of the host's. */
function startsFirmware({ kernel, bios, fda, hda }: CliOptions): boolean {
  return kernel === undefined && [bios, fda, hda].some((image) => image !== undefined);
}

/** The images that were asked for; the default guest's kernel, and with it its archive, otherwise. */
export async function imagesOf({ kernel, initrd }: Pick<CliOptions, 'kernel' | 'initrd'>) {
  if (kernel !== undefined) return { kernel, initrd };
  const guest = await defaultImages();
  return { kernel: guest.kernel, initrd: initrd.length > 0 ? initrd : [guest.initrd] };
}

/**
 * Reads archives, and packs directories and lists.
 * @param alone whether the guest has nothing else: then what would keep it from booting is said
 */
export async function loadInitrds(
  paths: readonly string[],
  alone: boolean,
): Promise<readonly Uint8Array[]> {
  const archives: Uint8Array[] = [];
  for (const path of paths) {
    const { bytes, warnings } = await loadInitrd(path, { onProgress: progressOf(path) });
    archives.push(bytes);
    if (!alone) continue;
    for (const warning of warnings) await say(`warning: initrd ${path}: ${warning}`);
  }
  return archives;
}

/** One target a port, from COM1; ports that are `none` at the end are not there at all. */
function serialTargets({ serial }: CliOptions): readonly SerialTarget[] {
  const targets: readonly SerialTarget[] = serial.length > 0 ? serial : [{ kind: 'stdio' }];
  const last = targets.findLastIndex(({ kind }) => kind !== 'none');
  return targets.slice(0, last + 1);
}

/** Why the run ends before the guest wants it to. */
type Interruption =
  | { readonly kind: 'quit' }
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'output-failed'; readonly error: Error };

/** One run of a machine between the process's streams and signals. */
class Session {
  private interruption: Interruption | undefined;
  private terminal: Terminal | undefined;
  private lastByte = 0x0a;

  constructor(
    private readonly machine: Machine,
    private readonly options: CliOptions,
    private readonly services: DebugServices,
  ) {
    serialTargets(options).forEach((target, port) => this.connect(target, port));
  }

  async run(): Promise<number> {
    const { machine, terminal } = this;
    const dismissGuard = terminal?.interactive === true ? guardTerminal() : undefined;
    const restore = () => {
      terminal?.restore();
      dismissGuard?.();
    };
    process.on('exit', restore);
    process.on('SIGCONT', this.onContinue);
    try {
      if (terminal !== undefined) await this.startInput(terminal);
      for (const signal of ENDING_SIGNALS) process.on(signal, this.onSignal);
      const endTrace = await traceOf(machine, this.options.trace);
      const endProfiles = profilesOf(machine, this.options.profile);
      const exit = await machine.run().finally(endTrace);
      this.services.close(statusOf(exit, this.interruption));
      await this.drain(exit);
      restore();
      await endProfiles();
      return await this.conclude(exit);
    } finally {
      restore();
      for (const signal of ENDING_SIGNALS) process.off(signal, this.onSignal);
      process.off('SIGCONT', this.onContinue);
      process.off('exit', restore);
      await machine.close();
    }
  }

  private connect(target: SerialTarget, port: number): void {
    const console = this.machine.consoles[port];
    if (console === undefined) return;
    if (target.kind === 'file') {
      const file = openForWriting(target.path);
      console.onOutput((bytes) => writeFileSync(file, bytes));
    } else if (target.kind === 'stdio') {
      const terminal = new Terminal({
        input: process.stdin,
        output: process.stdout,
        messages: process.stderr,
        onInput: (bytes) => console.write(bytes),
        backlog: () => console.queued,
        monitor: this.services.keys,
        onQuit: () => this.interrupt({ kind: 'quit' }),
        onOutputClosed: (error) => this.interrupt({ kind: 'output-failed', error }),
        onCongestion: (congested) => (congested ? this.machine.pause() : this.machine.resume()),
      });
      console.onOutput((bytes) => {
        this.lastByte = bytes.at(-1) ?? this.lastByte;
        terminal.write(bytes);
      });
      this.terminal = terminal;
    }
  }

  /**
   * Under icount, input from a pipe or a file is read to its end first, so that the run depends on its
   * contents and not on when they arrive.
   */
  private async startInput(terminal: Terminal): Promise<void> {
    if (this.options.clock !== 'icount' || terminal.interactive) {
      terminal.start();
      return;
    }
    const hint = setTimeout(() => {
      void say(
        'waiting for the end of standard input, which --clock icount reads before the start',
      );
    }, EOF_HINT_MS);
    try {
      await terminal.readAll();
    } finally {
      clearTimeout(hint);
    }
  }

  private interrupt(interruption: Interruption): void {
    this.interruption ??= interruption;
    this.machine.stop();
  }

  /** The first signal ends the run in good order, the second at once. */
  private readonly onSignal = (signal: NodeJS.Signals): void => {
    if (this.interruption !== undefined) process.exit(signalStatus(signal));
    this.interrupt({ kind: 'signal', signal });
  };

  private readonly onContinue = (): void => this.terminal?.continue();

  private async drain(exit: MachineExit): Promise<void> {
    const drained = this.terminal?.drain();
    const hurried = this.interruption !== undefined || exit.reason === 'timeout';
    await (hurried ? Promise.race([drained, delay(LAST_DRAIN_MS)]) : drained);
  }

  private async conclude(exit: MachineExit): Promise<number> {
    const { interruption, options } = this;
    if (interruption?.kind === 'output-failed' && !isBrokenPipe(interruption.error)) {
      const { error } = interruption;
      throw new NodevmError('E_HOST', `standard output cannot be written: ${error.message}`, {
        cause: error,
      });
    }
    const status = statusOf(exit, interruption);
    const words = interruption?.kind === 'quit' ? 'ended by Ctrl-A X' : describeExit(exit);
    if (words !== undefined) {
      const newline = process.stderr.isTTY && this.lastByte !== 0x0a ? '\n' : '';
      await say(words, newline);
    }
    if (options.profileJit) process.stderr.write(this.machine.cpu.jitProfile());
    if (exit.verdict !== undefined) await say(formatVerdict(exit.verdict));
    if (options.core !== undefined && endedBadly(exit)) {
      this.machine.dumpCore(options.core);
      await say(`core file written: ${options.core}`);
    }
    if (options.json) await exitReport({ ...exit, status });
    return status;
  }
}

function statusOf(exit: MachineExit, interruption: Interruption | undefined): number {
  if (exit.reason !== 'stopped') return exit.status;
  if (interruption?.kind === 'signal') return signalStatus(interruption.signal);
  if (interruption?.kind === 'output-failed') return signalStatus('SIGPIPE');
  return exit.status;
}

/** Ends that a core file may explain. */
function endedBadly({ reason, verdict }: MachineExit): boolean {
  return verdict !== undefined || ['panic', 'triple-fault', 'stall', 'timeout'].includes(reason);
}

function isBrokenPipe(error: Error): boolean {
  return 'code' in error && error.code === 'EPIPE';
}

function openForWriting(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError('E_FILE', `--serial "file:${path}": cannot be written: ${why}`, {
      cause,
    });
  }
}

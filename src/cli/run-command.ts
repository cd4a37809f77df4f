import { openSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import type { Writable } from 'node:stream';

import { formatVerdict } from '../debug/verdict.js';
import { NodevmError } from '../errors.js';
import { ExitStatus, signalStatus } from '../exit-status.js';
import { verdictOf, type MachineExit } from '../machine-exit.js';
import { bootLinux, VmError, type Vm } from '../vm/vm.js';
import type { CliOptions } from './options.js';
import { profileRows } from './profile.js';
import { say } from './report.js';
import { imagesOf, loadInitrds, sayIgnored } from './run.js';
import { traceRows } from './trace.js';
import { dashed } from './values.js';

/** Signals that end a run. */
const ENDING_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/** Lines of the console that a failure shows. */
const SHOWN_LINES = 20;

/**
 * Parts the words of `nodevm run` at the first "--": options of ours, and the command.
 * @throws NodevmError `E_USAGE` when there is no command
 */
export function splitCommand(words: readonly string[]): [string[], string[]] {
  const at = words.indexOf('--');
  const ours = at < 0 ? [...words] : words.slice(0, at);
  const command = at < 0 ? [] : words.slice(at + 1);
  const onlyAsks = ours.some((word) => /^--?(h|help|version)$/.test(word));
  if (command.length === 0 && !onlyAsks) {
    throw new NodevmError(
      'E_USAGE',
      'there is no command, expected nodevm run [options] -- command [arguments]',
    );
  }
  return [ours, command];
}

/** A word as a shell takes it literally: POSIX, "Single-Quotes". */
export function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** The events of `--json`, one a line on stderr. */
type RunEvent =
  | { event: 'started'; kernel: string; initrd: readonly string[]; command: readonly string[] }
  | { event: 'phase'; phase: 'booted' | 'command-ended'; status?: number }
  | { event: 'console'; text: string }
  | ({ event: 'exit'; status: number } & Partial<MachineExit>)
  | { event: 'exit'; reason: 'error'; status: number; code: string; message: string };

/**
 * Boots, runs a command in the guest with its output on ours, and ends the machine.
 * @returns the command's status; where the machine ended first, the machine's
 * @throws NodevmError for what is wrong with the options or the images
 */
export async function runCommand(options: CliOptions, command: readonly string[]): Promise<number> {
  refuseMeaningless(options);
  await sayIgnored(options);
  const { kernel, initrd } = await imagesOf(options);
  if (initrd.length === 0) {
    throw new NodevmError('E_USAGE', 'there is no initrd, expected --initrd with a shell in it');
  }
  const tell = (event: RunEvent): void => {
    if (options.json) process.stderr.write(`${JSON.stringify(event)}\n`);
  };
  await using vm = await bootLinux({
    kernel,
    // The agent comes along, and stands in for an init that is missing.
    initrd: await loadInitrds(initrd, false),
    append: options.append,
    memory: options.memory,
    clock: options.clock,
    accel: options.accel,
    cpu: options.cpu,
    debugExit: options.debugExit,
    noReboot: options.noReboot,
    timeout: options.timeoutMs,
    stall: options.stallMs,
    verdict: options.verdict,
    ready: options.ready,
  });
  tell({ event: 'started', kernel, initrd, command });
  const decoder = new TextDecoder();
  vm.console.onOutput((bytes) =>
    tell({ event: 'console', text: decoder.decode(bytes, { stream: true }) }),
  );
  keepConsole(vm, options);
  // Awaited here: the machine is closed when this function ends.
  return await new CommandRun(vm, tell).run(command);
}

/** What looks into a machine or changes it in ways that {@link bootLinux} has no words for. */
const notForCommands: ReadonlySet<string> = new Set([
  ...['symbols', 'boot-protocol', 'fda', 'hda', 'bios', 's', 'S', 'gdb', 'monitor'],
  ...['verbose', 'jit-cache', 'profile-jit', 'core'],
  ...[...traceRows, ...profileRows].map(({ name }) => name),
]);

/**
 * Refuses what would do nothing here.
 * @throws NodevmError `E_USAGE`
 */
export function refuseMeaningless({ given, gdb, monitor, serial }: CliOptions): void {
  // "--gdb none" and "--monitor none" ask for what is so anyway.
  const served = { gdb, monitor };
  const isAbsent = (name: string): boolean =>
    (name === 'gdb' || name === 'monitor') && served[name] === undefined;
  const refused = [...given].find((name) => notForCommands.has(name) && !isAbsent(name));
  if (refused !== undefined) throw notHere(dashed(refused), 'nodevm without run');
  const kinds = serial.map(({ kind }) => kind);
  if (kinds.length > 1 || kinds.some((kind) => kind !== 'file' && kind !== 'null')) {
    throw notHere(`--serial ${kinds.join(', ')}`, 'one --serial file:PATH or null');
  }
}

const notHere = (option: string, expected: string): NodevmError =>
  new NodevmError('E_USAGE', `${option} is not for nodevm run, expected ${expected}`);

/** Writes the console to the file of `--serial file:PATH`. */
function keepConsole(vm: Vm, { serial }: CliOptions): void {
  const [target] = serial;
  if (target?.kind !== 'file') return;
  try {
    const file = openSync(target.path, 'w');
    vm.console.onOutput((bytes) => writeFileSync(file, bytes));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError('E_FILE', `--serial "file:${target.path}": cannot be written: ${why}`, {
      cause,
    });
  }
}

/** One command between a guest and the process's streams and signals. */
class CommandRun {
  private signal: NodeJS.Signals | undefined;
  private readonly aborter = new AbortController();

  constructor(
    private readonly vm: Vm,
    private readonly tell: (event: RunEvent) => void,
  ) {}

  async run(command: readonly string[]): Promise<number> {
    for (const signal of ENDING_SIGNALS) process.on(signal, this.onSignal);
    // The reader of our output has gone away.
    process.stdout.once('error', () => this.onSignal('SIGPIPE'));
    try {
      await this.vm.booted();
      this.tell({ event: 'phase', phase: 'booted' });
      const { status } = await this.vm.sh(command.map(shellQuoted).join(' '), {
        signal: this.aborter.signal,
        maxOutput: Infinity,
        keepOutput: false,
        onStdout: (bytes) => this.pass(bytes, process.stdout),
        onStderr: (bytes) => this.pass(bytes, process.stderr),
      });
      this.tell({ event: 'phase', phase: 'command-ended', status });
      await Promise.all([drained(process.stdout), drained(process.stderr)]);
      this.tell({ event: 'exit', status });
      return status;
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
      return await this.disappointed(error);
    } finally {
      for (const signal of ENDING_SIGNALS) process.off(signal, this.onSignal);
    }
  }

  /** A slow reader pauses the guest: no buffer grows without bound. */
  private pass(bytes: Uint8Array, to: Writable): void {
    if (to.write(bytes)) return;
    this.vm.pause();
    to.once('drain', () => this.vm.resume());
  }

  /** The command has no status: say why, and how the machine ended. */
  private async disappointed(error: VmError): Promise<number> {
    const { exit } = error;
    if (this.signal !== undefined) {
      const status = signalStatus(this.signal);
      this.tell({ event: 'exit', status, reason: 'stopped' });
      return status;
    }
    if (exit === undefined) {
      const status = ExitStatus.Internal;
      await say(error.message);
      const { code, message } = error;
      this.tell({ event: 'exit', reason: 'error', status, code, message });
      return status;
    }
    if (exit.status !== 0) {
      const tail = this.vm.console.tail(SHOWN_LINES);
      await say(
        `the command has no status: ${verdictOf(exit)}; the console's last lines:\n${tail}`,
      );
      if (exit.verdict !== undefined) await say(formatVerdict(exit.verdict));
    }
    this.tell({ event: 'exit', ...exit });
    return exit.status;
  }

  /** The first signal ends the run in good order, the second at once. */
  private readonly onSignal = (signal: NodeJS.Signals): void => {
    if (this.signal !== undefined) process.exit(signalStatus(signal));
    this.signal = signal;
    this.aborter.abort();
    void this.vm.close();
  };
}

function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableLength === 0) resolve();
    else stream.write('', () => resolve());
  });
}

import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import process from 'node:process';

import { Command, CommanderError } from 'commander';

import { NodevmError } from '../errors.js';
import { ExitStatus } from '../exit-status.js';
import { bootLinux, type ShResult, type Vm } from '../vm/vm.js';
import { readMatrix, type Matrix, type MatrixCommand } from './matrix-file.js';
import { junitXml, tapHeader, tapLine, type MatrixResult } from './matrix-report.js';

/** The status says how many commands failed, up to this. */
const MAX_FAILURES = 100;

/** Lines of output that a failure quotes. */
const QUOTED_LINES = 20;

/** Host time for one guest unless the matrix says otherwise, milliseconds. */
const DEFAULT_TIMEOUT_MS = 600_000;

interface TestOptions {
  readonly jobs: string;
  readonly junit?: string;
}

/**
 * `nodevm test FILE`: tries every kernel with every archive and every command.
 * @returns how many failed, at most 100
 * @throws NodevmError for a wrong command line or matrix
 */
export async function runTestMatrix(argv: readonly string[]): Promise<number> {
  let status: number = ExitStatus.Success;
  const program = new Command('nodevm test')
    .description('Runs commands in guests: every kernel with every archive and every command.')
    .argument('<file>', 'the matrix, TOML (.toml) or JSON')
    .option('-j, --jobs <n>', 'guests at a time', String(availableParallelism()))
    .option('--junit <file>', 'write a JUnit report')
    .addHelpText(
      'after',
      '\nTAP goes to standard output. The status is the number of failures, at most 100.',
    )
    .configureOutput({ writeErr: () => undefined })
    .exitOverride()
    .action(async (file: string, options: TestOptions) => {
      status = await testMatrix(await readMatrix(file, process.env), options);
    });
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return ExitStatus.Success;
    throw new NodevmError('E_USAGE', error.message.replace(/^error: /, ''), { cause: error });
  }
  return status;
}

async function testMatrix(matrix: Matrix, options: TestOptions): Promise<number> {
  const jobs = Number(options.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) {
    throw new NodevmError('E_USAGE', `--jobs is ${options.jobs}, expected a number from 1`);
  }
  const guests = guestsOf(matrix);
  process.stdout.write(tapHeader(guests.reduce((sum, guest) => sum + guest.commands.length, 0)));
  const results: MatrixResult[] = [];
  const waiting = [...guests];
  const work = async (): Promise<void> => {
    for (let guest = waiting.shift(); guest !== undefined; guest = waiting.shift()) {
      for await (const result of guest.run()) {
        results.push(result);
        process.stdout.write(tapLine(results.length, result));
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, guests.length) }, work));
  if (options.junit !== undefined) await writeReport(options.junit, junitXml(results));
  const failed = results.filter(({ failure }) => failure !== undefined).length;
  return Math.min(failed, MAX_FAILURES);
}

async function writeReport(path: string, xml: string): Promise<void> {
  try {
    await writeFile(path, xml);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError('E_FILE', `--junit ${path}: cannot be written: ${why}`, { cause });
  }
}

/** The guests to boot: one for each pair, or for each command where the matrix says so. */
function guestsOf(matrix: Matrix): readonly Guest[] {
  const sets = matrix.fresh ? matrix.commands.map((command) => [command]) : [matrix.commands];
  return matrix.kernels.flatMap((kernel) =>
    matrix.initrds.flatMap((initrd) =>
      sets.map((commands) => new Guest(matrix, kernel, initrd, commands)),
    ),
  );
}

/** A kernel with an archive, and the commands that run in it. */
class Guest {
  constructor(
    private readonly matrix: Matrix,
    private readonly kernel: Matrix['kernels'][number],
    private readonly initrd: Matrix['initrds'][number],
    readonly commands: readonly MatrixCommand[],
  ) {}

  /** Runs the commands in turn. Where one ends the guest, the next gets another. */
  async *run(): AsyncGenerator<MatrixResult> {
    let vm: Vm | undefined;
    try {
      for (const command of this.commands) {
        const started = performance.now();
        let failure: string | undefined;
        let output: ShResult = { stdout: '', stderr: '', status: 0 };
        try {
          vm ??= await this.boot();
          await vm.booted();
          output = await vm.sh(command.run, { timeout: command.timeout });
          failure = complaint(command, output);
        } catch (error) {
          if (!(error instanceof NodevmError)) throw error;
          failure = error.message;
          await vm?.close();
          vm = undefined;
        }
        const seconds = (performance.now() - started) / 1000;
        yield { ...this.names, command: command.name, seconds, failure, ...output };
      }
    } finally {
      await vm?.close();
    }
  }

  private get names(): { readonly kernel: string; readonly initrd: string } {
    return { kernel: this.kernel.name, initrd: this.initrd.name };
  }

  private boot(): Promise<Vm> {
    const { append, memory, clock, ready, timeout = DEFAULT_TIMEOUT_MS } = this.matrix;
    return bootLinux({
      kernel: this.kernel.path,
      initrd: this.initrd.paths,
      append,
      memory,
      clock,
      ready,
      timeout,
      worker: true,
    });
  }
}

/** What is wrong with a command's result, undefined when nothing is. */
function complaint(command: MatrixCommand, result: ShResult): string | undefined {
  const { stdout, stderr, status } = result;
  const quote = (text: string): string =>
    text.trimEnd().split('\n').slice(-QUOTED_LINES).join('\n');
  if (status !== command.status) {
    return `status is ${status}, expected ${command.status}; it printed:\n${quote(stdout + stderr)}`;
  }
  if (command.stdout?.test(stdout) === false) {
    return `stdout does not match ${String(command.stdout)}:\n${quote(stdout)}`;
  }
  if (command.stderr?.test(stderr) === false) {
    return `stderr does not match ${String(command.stderr)}:\n${quote(stderr)}`;
  }
  return undefined;
}

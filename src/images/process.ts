/** Running the host's package tools. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { promisify } from 'node:util';
import { NodevmError } from '../errors.js';

const STDERR = 2;
const MAX_OUTPUT = 16 * 1024 * 1024;

/** The tools' messages are read by us, so they must not be translated. */
const ENVIRONMENT = { ...process.env, LC_ALL: 'C.UTF-8' };

/**
 * Runs a command to its end and shows all it says on stderr.
 * @returns its exit status, 128 and more after a signal.
 * @throws NodevmError `E_IMAGES` when it cannot be started.
 */
export async function show(
  command: string,
  args: readonly string[],
  directory: string,
): Promise<number> {
  const stdio = ['ignore', STDERR, STDERR] as const;
  const child = spawn(command, args, { cwd: directory, env: ENVIRONMENT, stdio: [...stdio] });
  return ended(command, child);
}

/**
 * Runs a command and returns what it prints on stdout.
 * @throws NodevmError `E_IMAGES` when it cannot be started or fails.
 */
export async function capture(command: string, args: readonly string[]): Promise<string> {
  const options = { env: ENVIRONMENT, maxBuffer: MAX_OUTPUT };
  try {
    const { stdout } = await promisify(execFile)(command, [...args], options);
    return stdout;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw failed(command, said === '' ? String(error) : said, error);
  }
}

/**
 * Runs `producer | consumer`.
 * @throws NodevmError `E_IMAGES` when either cannot be started or fails.
 */
export async function pipe(
  producer: readonly [command: string, ...args: string[]],
  consumer: readonly [command: string, ...args: string[]],
): Promise<void> {
  const [from, ...fromArgs] = producer;
  const [to, ...toArgs] = consumer;
  const source = spawn(from, fromArgs, { env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'inherit'] });
  const sink = spawn(to, toArgs, {
    env: ENVIRONMENT,
    stdio: [source.stdout, 'ignore', 'inherit'],
  });
  const endings = Promise.all([ended(from, source), ended(to, sink)]);
  // The consumer has its own copy; with ours open the producer would not notice the consumer's end.
  source.stdout.destroy();
  const statuses = await endings;
  const index = statuses.findIndex((status) => status !== 0);
  if (index >= 0) throw failed(index === 0 ? from : to, `exit status ${statuses[index]}`);
}

async function ended(command: string, child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(failed(command, error.message, error)));
    child.once('close', (code) => resolve(code ?? 128));
  });
}

function failed(command: string, why: string, cause?: unknown): NodevmError {
  return new NodevmError('E_IMAGES', `${command} failed: ${why}`, { cause });
}

import { execFile, spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { promisify } from 'node:util';

/** Runs the sources as they are: no build can be out of date. */
const NODEVM = [process.execPath, '--import', 'tsx', 'src/cli.ts'] as const;

/** How a command ended. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Starts nodevm with pipes for its standard streams. */
export function start(...args: string[]): ChildProcessWithoutNullStreams {
  const [node, ...words] = NODEVM;
  return spawn(node, [...words, ...args], {
    env: { ...process.env, XDG_STATE_HOME: '/nonexistent' },
  });
}

/** Collects what a command prints, and how it ends. */
export async function ending(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  await once(child, 'close');
  return { status: child.exitCode, stdout: Buffer.concat(stdout), stderr };
}

/** Runs nodevm with `input` on a pipe that ends. */
export function run(args: readonly string[], input: string | Uint8Array = ''): Promise<Ended> {
  const child = start(...args);
  // It may end without reading.
  child.stdin.on('error', () => undefined).end(input);
  return ending(child);
}

/** Resolves once `text` has been printed, with what was printed so far. */
export async function printed(
  child: ChildProcessWithoutNullStreams,
  text: string,
): Promise<string> {
  let output = '';
  for await (const bytes of child.stdout.iterator({ destroyOnReturn: false })) {
    output += String(bytes);
    if (output.includes(text)) return output;
  }
  throw new Error(`${JSON.stringify(text)} was not printed; the output: ${JSON.stringify(output)}`);
}

/** What run_on_pty.py does after `wait` was printed. */
export interface Step {
  readonly wait: string;
  readonly send?: string;
  readonly signal?: NodeJS.Signals;
}

/** How run_on_pty.py found the terminal. */
export interface PtyReport {
  readonly output: string;
  readonly status: number;
  readonly raw: boolean;
  readonly restored: boolean;
}

/** Runs nodevm on a terminal. */
export async function runOnPty(
  args: readonly string[],
  steps: readonly Step[],
): Promise<PtyReport> {
  const words = ['test/cli/run_on_pty.py', JSON.stringify(steps), ...NODEVM, ...args];
  const { stdout } = await promisify(execFile)('python3', words);
  return JSON.parse(stdout) as PtyReport;
}

/** `nodevm dmesg` and `nodevm dump`: commands for a machine that another nodevm runs, by its monitor. */
import { connect, type Socket } from 'node:net';
import { resolve } from 'node:path';
import process from 'node:process';

import { parseEndpoint } from '../debug/endpoint.js';
import { PROMPT } from '../debug/monitor-shell.js';
import { NodevmError } from '../errors.js';
import { say } from './report.js';

const USAGE = {
  dmesg: `nodevm dmesg MONITOR
Prints the kernel's log of a running machine, read from guest memory.
MONITOR is what the machine was given as --monitor: unix:PATH or tcp:[HOST]:PORT.
`,
  dump: `nodevm dump MONITOR FILE
Writes guest memory and registers of a running machine as an ELF core file, for gdb and crash.
MONITOR is what the machine was given as --monitor: unix:PATH or tcp:[HOST]:PORT.
`,
} as const;

/** Lines of dmesg begin with the time; anything else is the monitor's complaint. */
const LOG = /^\[ *\d+\.\d+\] /;

/**
 * Runs `nodevm dmesg MONITOR` or `nodevm dump MONITOR FILE`.
 * @param argv the words after the command
 * @returns the process status, 0
 * @throws NodevmError `E_USAGE`, `E_HOST` where there is no monitor, `E_GUEST` for what it cannot do
 */
export async function runAttached(
  command: keyof typeof USAGE,
  argv: readonly string[],
): Promise<number> {
  if (argv.some((word) => /^--?h(elp)?$/.test(word))) return print(USAGE[command]);
  const [monitor = '', file = '', ...rest] = argv;
  const isComplete = monitor !== '' && rest.length === 0 && (file !== '') === (command === 'dump');
  if (!isComplete) {
    const [usage = ''] = USAGE[command].split('\n');
    throw new NodevmError('E_USAGE', `${argv.length} words are given, expected ${usage}`);
  }
  if (command === 'dmesg') return print(complaintUnless(LOG, await ask(monitor, 'dmesg')));
  // The file is ours to name: the other process may stand elsewhere.
  complaintUnless(/^$/, await ask(monitor, `dump-guest-memory ${resolve(file)}`));
  await say(`core file written: ${file}`);
  return 0;
}

function complaintUnless(expected: RegExp, answer: string): string {
  if (expected.test(answer)) return answer;
  throw new NodevmError('E_GUEST', answer.trimEnd());
}

function print(text: string): Promise<number> {
  return new Promise((done) => {
    process.stdout.on('error', () => done(0));
    process.stdout.write(text, () => done(0));
  });
}

/** What the monitor prints between the prompts around a command. */
async function ask(monitor: string, command: string): Promise<string> {
  const endpoint = parseEndpoint(monitor);
  if (endpoint === undefined) {
    throw new NodevmError(
      'E_USAGE',
      `monitor is ${monitor}, expected unix:PATH or tcp:[HOST]:PORT`,
    );
  }
  const socket = connect(endpoint.kind === 'unix' ? { path: endpoint.path } : endpoint);
  try {
    const answers = untilPrompts(socket);
    await answers.next();
    socket.write(`${command}\n`);
    const { value, done } = await answers.next();
    if (done !== true) return value;
    throw new NodevmError('E_HOST', `monitor ${monitor}: the machine ended`);
  } catch (cause) {
    if (cause instanceof NodevmError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError('E_HOST', `monitor ${monitor}: ${why}`, { cause });
  } finally {
    socket.destroy();
  }
}

/** The output in front of each prompt. */
async function* untilPrompts(socket: Socket): AsyncGenerator<string, undefined> {
  let text = '';
  for await (const part of socket.setEncoding('utf8')) {
    text += String(part);
    if (!text.endsWith(PROMPT)) continue;
    yield text.slice(0, -PROMPT.length);
    text = '';
  }
  return undefined;
}

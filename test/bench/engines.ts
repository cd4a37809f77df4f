/** What the suite runs on: nodevm with either engine, QEMU's TCG, and the host itself. */
import { spawn, spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import type { GuestImages } from '../../src/images.js';
import type { Suite } from './programs.js';
import { peakRssOf } from './measure.js';
import { GUEST_DIRECTORY } from './programs.js';

const QEMU = 'qemu-system-x86_64';
const MEMORY = '1G';
/** A run that takes longer than this has hung. */
const LIMIT_MS = 30 * 60_000;

/** One program, once. */
export interface Timing {
  readonly name: string;
  readonly seconds: number;
  /** md5sum(1) of what it printed. */
  readonly digest: string;
}

/** What a run of the suite took. */
export interface SuiteRun {
  readonly timings: readonly Timing[];
  /** Peak resident set of the process at the end of its last program, in bytes. */
  readonly peakRss: number;
}

/** Where things are. */
export interface Setting {
  readonly images: GuestImages;
  /** Archives of the guest and of the suite, one after the other. */
  readonly initrd: string;
  readonly directory: string;
  readonly suite: Suite;
}

/** A way to run the suite. */
export interface Engine {
  readonly name: string;
  readonly installed: boolean;
  /** Whether its process is the whole machine. */
  readonly isMachine: boolean;
  /** The command, and what its standard input is to be. */
  command(setting: Setting): { words: readonly string[]; input: string; directory: string };
}

/** The kernel's command line. */
export const APPEND = `console=ttyS0 quiet panic=-1 rdinit=/${GUEST_DIRECTORY}/init`;

function nodevm(accel: 'jit' | 'interp'): Engine {
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
  return {
    name: `nodevm ${accel}`,
    installed: true,
    isMachine: true,
    command: ({ images, initrd, directory }) => {
      const guest = ['--kernel', images.kernel, '--initrd', initrd, '--append', APPEND];
      const options = ['-m', MEMORY, '--accel', accel, ...guest];
      return {
        words: [process.execPath, ...process.execArgv, cli, ...options],
        input: '',
        directory,
      };
    },
  };
}

const qemu: Engine = {
  name: 'QEMU TCG',
  installed: spawnSync(QEMU, ['--version']).status === 0,
  isMachine: true,
  command: ({ images, initrd, directory }) => {
    const machine = ['-accel', 'tcg', '-cpu', 'max', '-m', MEMORY, '-nodefaults', '-no-reboot'];
    const guest = ['-kernel', images.kernel, '-initrd', initrd, '-append', APPEND];
    const console = ['-display', 'none', '-serial', 'stdio'];
    return { words: [QEMU, ...machine, ...guest, ...console], input: '', directory };
  },
};

const native: Engine = {
  name: 'native',
  installed: true,
  isMachine: false,
  command: ({ directory, suite }) => ({ words: ['sh'], input: suite.script, directory }),
};

/** In the order of the table's columns. */
export const ENGINES: readonly Engine[] = [nodevm('jit'), nodevm('interp'), qemu, native];

/**
 * Runs the whole suite and takes the host's time at each mark on the console.
 * @param progress is told the name of each program as it begins
 * @throws Error with the console's end where the run ends before the suite
 */
export function runSuite(
  engine: Engine,
  setting: Setting,
  expected: number,
  progress: (name: string) => void,
): Promise<SuiteRun> {
  const { words, input, directory } = engine.command(setting);
  const [command = '', ...args] = words;
  return new Promise((resolve, reject) => {
    const timings: Timing[] = [];
    let peakRss = NaN;
    const child = spawn(command, args, {
      cwd: directory,
      stdio: ['pipe', 'pipe', 'inherit'],
      timeout: LIMIT_MS,
    });
    let console = '',
      line = '',
      began = 0;
    const take = (text: string) => {
      const [mark, name = '', ...digest] = text.trim().split(' ');
      if (mark === '@begin') {
        progress(name);
        began = performance.now();
      } else if (mark === '@end') {
        const seconds = (performance.now() - began) / 1e3;
        timings.push({ name, seconds, digest: digest.join(' ') });
        peakRss = peakRssOf(child.pid);
      }
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      console = (console + text).slice(-4000);
      const lines = (line + text).split('\n');
      line = lines.pop() ?? '';
      lines.forEach(take);
    });
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (status, signal) => {
      const how = signal ?? `status ${String(status)}`;
      const ending = `${engine.name} ended (${how}) after ${timings.length} programs`;
      if (timings.length === expected) resolve({ timings, peakRss });
      else reject(new Error(`${ending}:\n${console}`));
    });
  });
}

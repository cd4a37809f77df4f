/**
 * Boots one guest to its shell several times, in turn under nodevm and under QEMU's TCG where it is
 * installed, and prints the medians. Usage: npm run bench:boot -- [runs] [kernel initrd]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { DEFAULT_CMDLINE, DEFAULT_MEMORY } from '../../src/index.js';
import { defaultImages } from '../../src/images.js';
import type { GuestImages } from '../../src/images.js';
import type { BootProtocol } from '../../src/loader/protocol.js';
import { median, timeToMark } from './measure.js';
import type { Boot } from './measure.js';

/** BusyBox's prompt in the default guest. */
const MARK = '/ # ';
const QEMU = 'qemu-system-x86_64';
const MIB = 2 ** 20;

interface Contender {
  readonly name: string;
  boot(images: GuestImages): Promise<Boot>;
}

/** nodevm, with the kernel unpacked by the host (direct) or by itself in the guest (64). */
const nodevm = (protocol: BootProtocol): Contender => ({
  name: `nodevm ${protocol}`,
  boot: ({ kernel, initrd }) => {
    const script = fileURLToPath(new URL('boot-once.js', import.meta.url));
    const words = [kernel, initrd, DEFAULT_CMDLINE, String(DEFAULT_MEMORY), MARK, protocol];
    const output = execFileSync(process.execPath, [script, ...words], { encoding: 'utf8' });
    return Promise.resolve(JSON.parse(output) as Boot);
  },
});

const qemu: Contender = {
  name: 'qemu -accel tcg',
  boot: ({ kernel, initrd }) => {
    const images = ['-kernel', kernel, '-initrd', initrd, '-append', DEFAULT_CMDLINE];
    const machine = [
      '-accel',
      'tcg',
      '-m',
      `${DEFAULT_MEMORY / MIB}M`,
      '-nodefaults',
      '-no-reboot',
    ];
    return timeToMark(QEMU, [...machine, ...images, '-display', 'none', '-serial', 'stdio'], MARK);
  },
};

async function main(argv: readonly string[]): Promise<void> {
  const [runs = '3', kernel, initrd] = argv;
  if (!(Number(runs) >= 1)) throw new Error(`runs is ${runs}, expected a number from 1`);
  const images =
    kernel !== undefined && initrd !== undefined ? { kernel, initrd } : await defaultImages();
  const ours = [nodevm('direct'), nodevm('64')];
  const contenders = isInstalled(QEMU) ? [...ours, qemu] : ours;
  const boots = new Map(contenders.map(({ name }): [string, Boot[]] => [name, []]));
  for (let run = 1; run <= Number(runs); run++) {
    // In turn, so that what else the host does meets all of them.
    for (const contender of contenders) {
      progress(`run ${run} of ${runs}: ${contender.name} ...`);
      boots.get(contender.name)?.push(await contender.boot(images));
    }
  }
  progress('');
  report(Number(runs), boots);
}

function isInstalled(command: string): boolean {
  return spawnSync(command, ['--version']).status === 0;
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (text !== '') process.stderr.write(`${text}\n`);
}

function report(runs: number, boots: ReadonlyMap<string, readonly Boot[]>): void {
  console.log(`boot to the shell, ${DEFAULT_MEMORY / MIB} MiB, medians of ${runs} runs`);
  const seconds = [...boots].map(([name, list]) => {
    const middle = median(list.map((boot) => boot.seconds));
    const rss = median(list.map((boot) => boot.peakRss)) / MIB;
    console.log(`  ${name.padEnd(16)} ${middle.toFixed(2)} s   peak RSS ${rss.toFixed(0)} MiB`);
    return middle;
  });
  const ours = boots.get(nodevm('direct').name) ?? [];
  const count = median(ours.map((boot) => boot.instructions ?? NaN));
  const rate = median(ours.map((boot) => (boot.instructions ?? NaN) / (boot.runSeconds ?? NaN)));
  console.log(
    `  guest instructions ${(count / 1e6).toFixed(0)} M, ${(rate / 1e6).toFixed(1)} M a second`,
  );
  const [mine = NaN, , peer] = seconds;
  if (peer === undefined) console.log(`  ${QEMU} is not installed: no comparison`);
  else console.log(`  nodevm takes ${(mine / peer).toFixed(2)} times as long as QEMU's TCG`);
}

await main(process.argv.slice(2));

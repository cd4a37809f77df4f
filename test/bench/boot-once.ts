/** Boots the guest once in a process of its own and prints the measurements as JSON. */
import process from 'node:process';

import { Machine } from '../../src/index.js';
import { BOOT_PROTOCOLS } from '../../src/loader/protocol.js';
import type { Boot } from './measure.js';

const [kernel = '', initrd = '', cmdline = '', memory = '', mark = '', protocol = ''] =
  process.argv.slice(2);

const machine = await Machine.create({
  kernel,
  initrd,
  cmdline,
  memory: Number(memory),
  bootProtocol: BOOT_PROTOCOLS.find((name) => name === protocol),
});
const started = performance.now();
const ended = machine.run();
await machine.console.expect(mark);
const boot: Boot = {
  // performance.now() counts from the start of the process.
  seconds: performance.now() / 1e3,
  runSeconds: (performance.now() - started) / 1e3,
  instructions: machine.cpu.instructions,
  peakRss: process.resourceUsage().maxRSS * 1024,
};
await machine.close();
await ended;
process.stdout.write(`${JSON.stringify(boot)}\n`);

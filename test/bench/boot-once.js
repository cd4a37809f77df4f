/**
 * Boots the guest once in a process of its own, from what is built, as users run it, and prints the measurements
 * as JSON (Boot in measure.ts).
 */
import { performance } from 'node:perf_hooks';
import process from 'node:process';

import { Machine } from '../../dist/index.js';

const [kernel = '', initrd = '', cmdline = '', memory = '', mark = '', bootProtocol] =
  process.argv.slice(2);

const machine = await Machine.create({
  kernel,
  initrd,
  cmdline,
  memory: Number(memory),
  bootProtocol,
});
const started = performance.now();
const ended = machine.run();
await machine.console.expect(mark);
const boot = {
  // performance.now() counts from the start of the process.
  seconds: performance.now() / 1e3,
  runSeconds: (performance.now() - started) / 1e3,
  instructions: machine.cpu.instructions,
  peakRss: process.resourceUsage().maxRSS * 1024,
};
await machine.close();
await ended;
process.stdout.write(`${JSON.stringify(boot)}\n`);

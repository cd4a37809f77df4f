/** Debian's gdb as the client of a machine's gdb server. */
import { spawn, spawnSync } from 'node:child_process';

import { GdbServer } from '../../src/debug/gdb-server.js';
import { Monitor } from '../../src/debug/monitor.js';
import type { Machine } from '../../src/index.js';
import { VERSION } from '../../src/version.js';

/** Whether there is a gdb to test with; CI has one. */
export const hasGdb = spawnSync('gdb', ['--version']).status === 0;

/** The monitor of a machine, without a server. */
export function monitorOf(machine: Machine): Monitor {
  return new Monitor({
    machine,
    version: VERSION,
    startGdbServer: () => Promise.resolve('nowhere'),
    quit: () => machine.stop(),
  });
}

/** Serves gdb on any port of the loopback interface. */
export async function serveGdb(machine: Machine): Promise<{ server: GdbServer; port: number }> {
  const monitor = monitorOf(machine);
  const server = await GdbServer.listen(
    { kind: 'tcp', host: '127.0.0.1', port: 0 },
    {
      debugger: machine.debugger,
      onKill: () => machine.stop(),
      monitor: (command) => monitor.execute(command),
    },
  );
  return { server, port: Number(server.address.split(':').at(-1)) };
}

/**
 * Runs commands in gdb, connected.
 * @returns what it printed, both streams
 */
export function gdb(port: number, commands: readonly string[]): Promise<string> {
  const setUp = [
    'set pagination off',
    'set confirm off',
    'set remotetimeout 60',
    `target remote 127.0.0.1:${port}`,
  ];
  const words = [...setUp, ...commands].flatMap((command) => ['-ex', command]);
  const child = spawn('gdb', ['-nx', '-batch', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}

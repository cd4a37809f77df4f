import { PassThrough } from 'node:stream';
import process from 'node:process';
import type { Server, Socket } from 'node:net';

import { listenAt, type Endpoint } from '../debug/endpoint.js';
import { GdbServer } from '../debug/gdb-server.js';
import { Monitor } from '../debug/monitor.js';
import { MonitorShell } from '../debug/monitor-shell.js';
import type { Machine } from '../machine.js';
import type { MonitorKeys } from '../terminal.js';
import { VERSION } from '../version.js';
import type { CliOptions } from './options.js';
import { say } from './report.js';

/** What a run offers to debuggers: gdb servers, and the monitor at a socket and behind Ctrl-A C. */
export class DebugServices {
  /** The monitor at the terminal. */
  readonly keys: MonitorKeys;
  private readonly monitor: Monitor;
  private readonly gdbServers: GdbServer[] = [];
  private readonly monitorSockets = new Set<Socket>();
  private monitorServer: Server | undefined;

  private constructor(
    private readonly machine: Machine,
    onQuit: () => void,
  ) {
    this.monitor = new Monitor({
      machine,
      version: VERSION,
      startGdbServer: (endpoint) => this.serveGdb(endpoint),
      quit: onQuit,
    });
    this.keys = new TerminalMonitor(this.monitor);
  }

  /**
   * Starts what the options ask for.
   * @param onQuit ends the machine
   * @throws NodevmError `E_HOST` where something cannot listen
   */
  static async start(
    machine: Machine,
    options: CliOptions,
    onQuit: () => void,
  ): Promise<DebugServices> {
    const services = new DebugServices(machine, onQuit);
    if (options.startStopped) machine.debugger.interrupt();
    if (options.gdb !== undefined) await say(`gdb: ${await services.serveGdb(options.gdb)}`);
    if (options.monitor !== undefined) {
      await say(`monitor: ${await services.serveMonitor(options.monitor)}`);
    }
    return services;
  }

  /** The machine has ended with this process status. */
  close(status: number): void {
    for (const server of this.gdbServers) server.close(status);
    this.monitorServer?.close();
    for (const socket of this.monitorSockets) socket.destroySoon();
  }

  private async serveGdb(endpoint: Endpoint): Promise<string> {
    const server = await GdbServer.listen(endpoint, {
      debugger: this.machine.debugger,
      onKill: () => this.machine.stop(),
      monitor: (command) => this.monitor.execute(command),
    });
    this.gdbServers.push(server);
    return server.address;
  }

  private async serveMonitor(endpoint: Endpoint): Promise<string> {
    const { server, address } = await listenAt(endpoint, (socket) => {
      this.monitorSockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.monitorSockets.delete(socket));
      new MonitorShell(this.monitor, {
        input: socket,
        output: socket,
        terminal: false,
        onEnd: () => void socket.end(),
      });
    });
    this.monitorServer = server;
    return address;
  }
}

/** The monitor behind Ctrl-A C: keys go to it instead of to the guest, its words to stderr. */
class TerminalMonitor implements MonitorKeys {
  private shell: MonitorShell | undefined;
  private keys = new PassThrough();

  constructor(private readonly monitor: Monitor) {}

  enter(leave: () => void): void {
    process.stderr.write('\r\nmonitor; Ctrl-A C goes back to the console\r\n');
    if (this.shell !== undefined) {
      this.shell.prompt();
      return;
    }
    this.shell = new MonitorShell(this.monitor, {
      input: this.keys,
      output: process.stderr,
      terminal: true,
      onEnd: () => {
        this.shell = undefined;
        this.keys = new PassThrough();
        leave();
      },
    });
  }

  input(bytes: Uint8Array): void {
    this.keys.write(bytes);
  }
}

import type { Server, Socket } from 'node:net';

import type { Debugger } from './debugger.js';
import { listenAt, type Endpoint } from './endpoint.js';
import { GdbSession } from './gdb-session.js';

/** What {@link GdbServer.listen} needs. */
export interface GdbServerOptions {
  readonly debugger: Debugger;
  /** A client wants the machine to end. */
  onKill(): void;
  /** Executes gdb's `monitor` command, and gives what it prints. */
  monitor(command: string): Promise<string> | string;
}

/** A gdb server for one machine: one client at a time, any number after each other. */
export class GdbServer {
  private session: GdbSession | undefined;
  private socket: Socket | undefined;

  private constructor(
    private readonly options: GdbServerOptions,
    private server: Server | undefined,
    /** Where it listens, for people: `tcp:127.0.0.1:1234`. */
    readonly address: string,
  ) {}

  /** @throws NodevmError `E_HOST` where nothing can listen there */
  static async listen(endpoint: Endpoint, options: GdbServerOptions): Promise<GdbServer> {
    const waiting: Socket[] = [];
    let accept = (socket: Socket): void => void waiting.push(socket);
    const { server, address } = await listenAt(endpoint, (socket) => accept(socket));
    const gdb = new GdbServer(options, server, address);
    accept = (socket) => gdb.accept(socket);
    waiting.forEach(accept);
    return gdb;
  }

  /** Tells a client that the machine has ended with this process status, and listens no more. */
  close(status: number): void {
    this.session?.machineEnded(status);
    this.socket?.destroySoon();
    this.server?.close();
    this.server = undefined;
  }

  private accept(socket: Socket): void {
    if (this.session !== undefined || this.server === undefined) {
      socket.destroy();
      return;
    }
    const session = new GdbSession({
      ...this.options,
      send: (bytes) => void socket.write(bytes),
      close: () => void socket.end(),
    });
    this.session = session;
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => session.receive(bytes));
    // An error is followed by a close.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      session.disconnected();
      this.session = this.socket = undefined;
    });
  }
}

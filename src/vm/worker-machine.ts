import { Worker } from 'node:worker_threads';

import type { MachineConfig } from '../config.js';
import { NodevmError } from '../errors.js';
import type { MachineExit } from '../machine-exit.js';
import type { RegisterName } from '../native.js';
import { packageFile } from '../package-file.js';
import type { BytePort } from '../serial-link.js';
import type { MachineHandle, Registers } from './handle.js';
import type {
  FromWorker,
  LineName,
  PlainError,
  ToWorker,
  WorkerCalls,
  WorkerOrder,
  WorkerStart,
} from './worker-messages.js';

/** The built worker: threads start from JavaScript. */
const WORKER = packageFile('dist/vm/worker-main.js');

/** A serial line whose machine is in another thread. */
class RemoteLine implements BytePort {
  private readonly listeners = new Set<(bytes: Uint8Array) => void>();

  constructor(private readonly send: (bytes: Uint8Array) => void) {}

  onOutput(listener: (bytes: Uint8Array) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  write(data: string | Uint8Array): void {
    this.send(typeof data === 'string' ? new TextEncoder().encode(data) : data);
  }

  printed(bytes: Uint8Array): void {
    for (const listener of this.listeners) listener(bytes);
  }
}

interface PendingCall {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** A machine in a worker thread. Under icount a run is as deterministic as in this one. */
export class WorkerMachine implements MachineHandle {
  readonly console: RemoteLine;
  readonly channel: RemoteLine | undefined;

  private readonly calls = new Map<number, PendingCall>();
  private readonly timers = new Map<number, () => void>();
  private readonly idleListeners = new Set<(periods: number) => void>();
  private readonly powerOnListeners = new Set<() => void>();
  private nextId = 0;
  /** Why nothing comes any more. */
  private gone: Error | undefined;

  private constructor(
    private readonly worker: Worker,
    config: MachineConfig,
  ) {
    this.console = this.line('console');
    this.channel = config.channel === true ? this.line('channel') : undefined;
  }

  /** @throws NodevmError for what is wrong with the configuration or the images */
  static create(config: MachineConfig): Promise<WorkerMachine> {
    const start: WorkerStart = { config };
    const worker = new Worker(WORKER, { workerData: start });
    const machine = new WorkerMachine(worker, config);
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'created') resolve(machine);
        else if (message.kind === 'not-created') {
          void worker.terminate();
          reject(revived(message.error));
        } else machine.receive(message);
      });
      worker.on('error', (cause) => {
        const why = cause instanceof Error ? cause.message : String(cause);
        const error = new NodevmError('E_HOST', `the machine's worker thread failed: ${why}`, {
          cause,
        });
        machine.lose(error);
        reject(error);
      });
      worker.on('exit', () => machine.lose(closedError()));
    });
  }

  run(): Promise<MachineExit> {
    return this.call('run');
  }

  pause(): void {
    this.order('pause');
  }

  resume(): void {
    this.order('resume');
  }

  reset(): void {
    this.order('reset');
  }

  pressPowerButton(): void {
    this.order('pressPowerButton');
  }

  stop(): void {
    this.order('stop');
  }

  async close(): Promise<void> {
    if (this.gone !== undefined) return;
    await this.call('close');
    await this.worker.terminate();
  }

  onIdle(listener: (periods: number) => void): void {
    this.idleListeners.add(listener);
  }

  onPowerOn(listener: () => void): void {
    this.powerOnListeners.add(listener);
  }

  guestTimer(milliseconds: number, callback: () => void): () => void {
    const id = this.nextId++;
    this.timers.set(id, callback);
    this.post({ kind: 'set-timer', id, milliseconds });
    return () => {
      this.timers.delete(id);
      this.post({ kind: 'clear-timer', id });
    };
  }

  readMemory(gpa: number, length: number): Promise<Uint8Array> {
    return this.call('readMemory', gpa, length);
  }

  writeMemory(gpa: number, bytes: Uint8Array): Promise<void> {
    return this.call('writeMemory', gpa, bytes);
  }

  readRegisters(): Promise<Registers> {
    return this.call('readRegisters');
  }

  writeRegister(name: RegisterName, value: bigint): Promise<void> {
    return this.call('writeRegister', name, value);
  }

  translate(linear: bigint): Promise<number | undefined> {
    return this.call('translate', linear);
  }

  dmesg(): Promise<string> {
    return this.call('dmesg');
  }

  dumpCore(path: string): Promise<void> {
    return this.call('dumpCore', path);
  }

  private line(line: LineName): RemoteLine {
    return new RemoteLine((bytes) => this.post({ kind: 'write', line, bytes }));
  }

  private post(message: ToWorker): void {
    if (this.gone === undefined) this.worker.postMessage(message);
  }

  private order(order: WorkerOrder): void {
    this.post({ kind: 'order', order });
  }

  private call<Name extends keyof WorkerCalls>(
    name: Name,
    ...args: WorkerCalls[Name]['arguments']
  ): Promise<WorkerCalls[Name]['result']> {
    if (this.gone !== undefined) return Promise.reject(this.gone);
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.calls.set(id, {
        resolve: (value) => resolve(value as WorkerCalls[Name]['result']),
        reject,
      });
      this.post({ kind: 'call', id, name, arguments: args });
    });
  }

  private receive(message: Exclude<FromWorker, { kind: 'created' | 'not-created' }>): void {
    switch (message.kind) {
      case 'output':
        this[message.line]?.printed(message.bytes);
        this.acknowledge();
        return;
      case 'idle':
        for (const listener of this.idleListeners) listener(message.periods);
        this.acknowledge();
        return;
      case 'power-on':
        for (const listener of this.powerOnListeners) listener();
        this.acknowledge();
        return;
      case 'timer':
        this.timers.get(message.id)?.();
        this.timers.delete(message.id);
        this.acknowledge();
        return;
      case 'result':
        this.settle(message.id)?.resolve(message.value);
        return;
      case 'failed':
        this.settle(message.id)?.reject(revived(message.error));
    }
  }

  /** Says that something was seen, once the code that waited for it has run. */
  private acknowledge(): void {
    setImmediate(() => this.order('seen'));
  }

  private settle(id: number): PendingCall | undefined {
    const pending = this.calls.get(id);
    this.calls.delete(id);
    return pending;
  }

  private lose(error: Error): void {
    this.gone ??= error;
    for (const pending of this.calls.values()) pending.reject(this.gone);
    this.calls.clear();
  }
}

function closedError(): NodevmError {
  return new NodevmError('E_STATE', 'machine is closed, expected an open one');
}

function revived({ code, message }: PlainError): Error {
  return code === undefined ? new Error(message) : new NodevmError(code, message);
}

/** A worker thread that runs one machine. */
import { parentPort, workerData } from 'node:worker_threads';

import { NodevmError } from '../errors.js';
import { LocalMachine } from './handle.js';
import type {
  FromWorker,
  LineName,
  PlainError,
  ToWorker,
  WorkerCalls,
  WorkerStart,
} from './worker-messages.js';

const { config } = workerData as WorkerStart;
const port = parentPort;
if (port === null) throw new Error('this file is for a worker thread');

function tell(message: FromWorker): void {
  port?.postMessage(message);
}

function plain(error: unknown): PlainError {
  if (error instanceof NodevmError) return { code: error.code, message: error.message };
  return {
    code: undefined,
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}

/** Connects a machine to the thread that uses it. */
function serve(machine: LocalMachine): void {
  const timers = new Map<number, () => void>();
  /** What the other side has not seen yet: under icount the guest stands still meanwhile. */
  let unseen = 0;
  let paused = false;

  const announce = (message: FromWorker): void => {
    tell(message);
    unseen++;
    if (config.clock === 'icount') machine.pause();
  };

  const connect = (line: LineName): void => {
    machine[line]?.onOutput((bytes) => announce({ kind: 'output', line, bytes }));
  };
  connect('console');
  connect('channel');
  machine.onIdle((periods) => announce({ kind: 'idle', periods }));
  machine.onPowerOn(() => announce({ kind: 'power-on' }));

  const calls: {
    [Name in keyof WorkerCalls]: (
      ...args: WorkerCalls[Name]['arguments']
    ) => Promise<WorkerCalls[Name]['result']>;
  } = {
    run: () => machine.run(),
    close: () => machine.close().then(() => undefined),
    readMemory: (gpa, length) => machine.readMemory(gpa, length),
    writeMemory: (gpa, bytes) => machine.writeMemory(gpa, bytes).then(() => undefined),
    readRegisters: () => machine.readRegisters(),
    writeRegister: (name, value) => machine.writeRegister(name, value).then(() => undefined),
    dmesg: () => machine.dmesg(),
    dumpCore: (path) => machine.dumpCore(path).then(() => undefined),
    translate: (linear) => machine.translate(linear),
  };

  const obey = (order: (ToWorker & { kind: 'order' })['order']): void => {
    if (order === 'seen') unseen--;
    else if (order === 'pause' || order === 'resume') paused = order === 'pause';
    else machine[order]();
    if (!paused && unseen === 0) machine.resume();
    else if (paused) machine.pause();
  };

  port?.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'order':
        obey(message.order);
        return;
      case 'write':
        machine[message.line]?.write(message.bytes);
        return;
      case 'set-timer': {
        const { id, milliseconds } = message;
        const done = (): void => {
          timers.delete(id);
          announce({ kind: 'timer', id });
        };
        timers.set(id, machine.guestTimer(milliseconds, done));
        return;
      }
      case 'clear-timer':
        timers.get(message.id)?.();
        timers.delete(message.id);
        return;
      case 'call': {
        const { id } = message;
        // The names and arguments are those of WorkerCalls on both sides.
        const call = calls[message.name] as (...args: readonly unknown[]) => Promise<unknown>;
        call(...message.arguments).then(
          (value) => tell({ kind: 'result', id, value }),
          (error: unknown) => tell({ kind: 'failed', id, error: plain(error) }),
        );
        return;
      }
    }
  });
}

try {
  serve(await LocalMachine.create(config));
  tell({ kind: 'created' });
} catch (error) {
  tell({ kind: 'not-created', error: plain(error) });
}

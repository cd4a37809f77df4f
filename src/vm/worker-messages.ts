/** What passes between the thread that uses a machine and the worker that runs it. */
import type { MachineConfig } from '../config.js';
import type { ErrorCode } from '../errors.js';
import type { MachineExit } from '../machine-exit.js';
import type { RegisterName } from '../native.js';
import type { Registers } from './handle.js';

/** Which serial line. */
export type LineName = 'console' | 'channel';

/** Given to the worker at its start. */
export interface WorkerStart {
  readonly config: MachineConfig;
}

/** Calls that have an answer, and their answers. */
export interface WorkerCalls {
  run: { arguments: readonly []; result: MachineExit };
  close: { arguments: readonly []; result: undefined };
  readMemory: { arguments: readonly [gpa: number, length: number]; result: Uint8Array };
  writeMemory: { arguments: readonly [gpa: number, bytes: Uint8Array]; result: undefined };
  readRegisters: { arguments: readonly []; result: Registers };
  writeRegister: { arguments: readonly [name: RegisterName, value: bigint]; result: undefined };
  dmesg: { arguments: readonly []; result: string };
  dumpCore: { arguments: readonly [path: string]; result: undefined };
  translate: { arguments: readonly [linear: bigint]; result: number | undefined };
}

/** Orders without an answer. */
export type WorkerOrder = 'pause' | 'resume' | 'reset' | 'pressPowerButton' | 'stop' | 'seen';

/** To the worker. */
export type ToWorker =
  | { readonly kind: 'order'; readonly order: WorkerOrder }
  | { readonly kind: 'write'; readonly line: LineName; readonly bytes: Uint8Array }
  | { readonly kind: 'set-timer'; readonly id: number; readonly milliseconds: number }
  | { readonly kind: 'clear-timer'; readonly id: number }
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly name: keyof WorkerCalls;
      readonly arguments: readonly unknown[];
    };

/** An error as it passes between threads: its class does not. */
export interface PlainError {
  readonly code: ErrorCode | undefined;
  readonly message: string;
}

/** From the worker. */
export type FromWorker =
  | { readonly kind: 'created' }
  | { readonly kind: 'not-created'; readonly error: PlainError }
  | { readonly kind: 'output'; readonly line: LineName; readonly bytes: Uint8Array }
  | { readonly kind: 'idle'; readonly periods: number }
  | { readonly kind: 'power-on' }
  | { readonly kind: 'timer'; readonly id: number }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: PlainError };

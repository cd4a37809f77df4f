import { constants } from 'node:os';

import { NodevmError } from '../errors.js';
import type { Limit } from '../limits.js';
import type { BytePort } from '../serial-link.js';
import { FrameParser, frame, INPUT_WINDOW, MAX_PAYLOAD, type HostFrame } from './frames.js';

/** Input goes out in frames of at most this. */
const INPUT_CHUNK = 8192;

/** Why a job has no result. */
export type Disappointment =
  | { readonly kind: 'limit'; readonly when: string; readonly aborted: boolean }
  | { readonly kind: 'output'; readonly limit: number }
  | { readonly kind: 'broken'; readonly why: string };

/** Something for the agent to do. */
export interface Job {
  readonly type: HostFrame;
  readonly payload: Uint8Array;
  /** Its standard input. */
  readonly input: Uint8Array;
  /** Most bytes of output and error together. */
  readonly maxOutput: number;
  readonly limit: Limit | undefined;
  /** Sees the output as it comes. */
  onStdout(bytes: Uint8Array): void;
  onStderr(bytes: Uint8Array): void;
  /** The error to reject with. */
  failure(reason: Disappointment): Error;
}

/** A job on its way: asked for, running, or given up while the guest still works on it. */
class Pending {
  settled = false;
  started = false;
  output = 0;
  /** Input that was sent, and how much of it is known to be consumed. */
  sent = 0;
  consumed = 0;
  inputEnded = false;
  stopLimit: (() => void) | undefined;

  constructor(
    readonly job: Job,
    private readonly resolve: (status: number) => void,
    private readonly reject: (error: Error) => void,
  ) {}

  succeed(status: number): void {
    if (!this.settle()) return;
    this.resolve(status);
  }

  fail(reason: Disappointment): void {
    if (!this.settle()) return;
    this.reject(this.job.failure(reason));
  }

  private settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.stopLimit?.();
    return true;
  }
}

/** The host's end of the line to the agent. Jobs run one after the other, in the order of the calls. */
export class AgentChannel {
  private readonly parser: FrameParser;
  private readonly queue: Pending[] = [];
  private helloSeen = false;
  private open = false;
  private broken: string | undefined;

  /**
   * @param port the line
   * @param onHello called when the agent has started
   */
  constructor(
    private readonly port: BytePort,
    private readonly onHello: () => void,
  ) {
    this.parser = new FrameParser({
      onHello: () => this.hello(),
      onStdout: (bytes) => this.output(bytes, 'onStdout'),
      onStderr: (bytes) => this.output(bytes, 'onStderr'),
      onCredit: (bytes) => this.credit(bytes),
      onExit: (status) => this.exit(status),
      onNonsense: (what) => this.break(`the guest wrote ${what} to the agent's serial port`),
    });
    port.onOutput((bytes) => this.parser.feed(bytes));
  }

  /** Whether the agent has started. */
  get greeted(): boolean {
    return this.helloSeen;
  }

  /** Lets jobs start: the guest is ready for them. */
  allow(): void {
    this.open = true;
    this.startNext();
  }

  /** The guest starts again: what ran is lost, and what waits goes on waiting. */
  restart(): void {
    this.helloSeen = false;
    this.open = false;
    this.broken = undefined;
    this.parser.reset();
    if (this.queue[0]?.started === true) {
      this.queue.shift()?.fail({ kind: 'broken', why: 'the guest started again before it ended' });
    }
  }

  /** Nothing will come any more, `why` in words. */
  break(why: string): void {
    this.broken ??= why;
    for (const pending of this.queue.splice(0)) pending.fail({ kind: 'broken', why });
  }

  /**
   * Does a job.
   * @returns its status as a shell would say it: 128 plus the signal's number for a killed one
   */
  run(job: Job): Promise<number> {
    return new Promise((resolve, reject) => {
      const pending = new Pending(job, resolve, reject);
      if (job.payload.length > MAX_PAYLOAD) {
        const message = `command is ${job.payload.length} bytes, expected at most ${MAX_PAYLOAD}`;
        reject(new NodevmError('E_USAGE', message));
      } else if (this.broken !== undefined) {
        pending.fail({ kind: 'broken', why: this.broken });
      } else {
        this.queue.push(pending);
        pending.stopLimit = job.limit?.((when, aborted) =>
          this.giveUp(pending, { kind: 'limit', when, aborted }),
        );
        if (pending.settled) pending.stopLimit?.();
        this.startNext();
      }
    });
  }

  private hello(): void {
    this.helloSeen = true;
    this.onHello();
  }

  private startNext(): void {
    const next = this.queue[0];
    if (!this.open || !this.helloSeen || next === undefined || next.started) return;
    next.started = true;
    this.port.write(frame(next.job.type, next.job.payload));
    this.sendInput(next);
  }

  /** As much of the input as the agent has room for. */
  private sendInput(pending: Pending): void {
    const { input } = pending.job;
    while (pending.sent < input.length) {
      const room = INPUT_WINDOW - (pending.sent - pending.consumed);
      if (room <= 0) return;
      const end = Math.min(input.length, pending.sent + Math.min(room, INPUT_CHUNK));
      this.port.write(frame('I', input.subarray(pending.sent, end)));
      pending.sent = end;
    }
    if (!pending.inputEnded) this.port.write(frame('Z'));
    pending.inputEnded = true;
  }

  private output(bytes: Uint8Array, to: 'onStdout' | 'onStderr'): void {
    const pending = this.queue[0];
    if (pending?.started !== true || pending.settled) return;
    pending.output += bytes.length;
    if (pending.output > pending.job.maxOutput) {
      this.giveUp(pending, { kind: 'output', limit: pending.job.maxOutput });
    } else {
      pending.job[to](bytes);
    }
  }

  private credit(bytes: number): void {
    const pending = this.queue[0];
    if (pending?.started !== true) return;
    pending.consumed = Math.min(pending.sent, pending.consumed + bytes);
    if (!pending.settled) this.sendInput(pending);
  }

  private exit(waitStatus: number): void {
    if (this.queue[0]?.started !== true) return;
    this.queue.shift()?.succeed(shellStatus(waitStatus));
    this.startNext();
  }

  /** The caller has its answer at once; the next job waits until the guest is rid of this one. */
  private giveUp(pending: Pending, reason: Disappointment): void {
    pending.fail(reason);
    if (pending.started) this.port.write(frame('K'));
    else this.queue.splice(this.queue.indexOf(pending), 1);
  }
}

/** The status of a wait status, wait(2): the low seven bits are the signal. */
function shellStatus(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}

/** The name of a Linux error number, as errno(3) has it. */
export function errnoName(errno: number): string {
  const found = Object.entries(constants.errno).find(([, value]) => value === errno);
  return found?.[0] ?? `error ${errno}`;
}

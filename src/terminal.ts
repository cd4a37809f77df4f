import type { Readable, Writable } from 'node:stream';

import { NodevmError } from './errors.js';

const CTRL_A = 0x01;

const KEY_HELP = [
  'Ctrl-A X       end the run',
  'Ctrl-A C       monitor, and back to the console',
  'Ctrl-A H       this help',
  'Ctrl-A Ctrl-A  send Ctrl-A (Ctrl-A A as well)',
];

/** What the keys after Ctrl-A ask for. */
export type EscapeCommand = 'quit' | 'help' | 'monitor';

/**
 * Takes QEMU's Ctrl-A commands out of a stream of keys. The two bytes may arrive in different chunks.
 * An unknown key after Ctrl-A is dropped together with it, as QEMU does.
 */
export class EscapeFilter {
  private escaped = false;

  /** The bytes of `chunk` that are for the guest; `onCommand` is called for each command in it. */
  filter(chunk: Uint8Array, onCommand: (command: EscapeCommand) => void): Uint8Array {
    if (!this.escaped && !chunk.includes(CTRL_A)) return chunk;
    const kept: number[] = [];
    for (const byte of chunk) {
      if (!this.escaped) {
        if (byte === CTRL_A) this.escaped = true;
        else kept.push(byte);
        continue;
      }
      this.escaped = false;
      const key = String.fromCharCode(byte).toLowerCase();
      if (byte === CTRL_A || key === 'a') kept.push(CTRL_A);
      else if (key === 'x') onCommand('quit');
      else if (key === 'c') onCommand('monitor');
      else if (key === 'h' || key === '?') onCommand('help');
    }
    return Uint8Array.from(kept);
  }
}

/** A stream of keys: `process.stdin`, or any other readable. */
export type TerminalInput = Readable & {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
};

/** What is behind Ctrl-A C. */
export interface MonitorKeys {
  /** Keys are for the monitor from now on; it may call `leave` to give them back to the guest. */
  enter(leave: () => void): void;
  /** Keys, while they are for the monitor. */
  input(bytes: Uint8Array): void;
}

/** What a terminal is made of. */
export interface TerminalOptions {
  readonly input: TerminalInput;
  readonly output: Writable;
  /** Where our own words go. */
  readonly messages: Writable;
  /** Bytes for the guest, in order. */
  onInput(bytes: Uint8Array): void;
  /** How many bytes given to {@link onInput} still wait for the guest. */
  backlog(): number;
  /** Behind Ctrl-A C; the key does nothing without. */
  readonly monitor?: MonitorKeys | undefined;
  /** Ctrl-A X. */
  onQuit(): void;
  /** The reader of our output has gone away (EPIPE); nothing more will be written. */
  onOutputClosed(error: Error): void;
  /** The reader is slow (true), or has caught up (false): the guest should wait meanwhile. */
  onCongestion(congested: boolean): void;
}

/** Input is left in the pipe while more than this waits for the guest, in bytes. */
const BACKLOG_LIMIT = 64 * 1024;
/** How often a pipe that waits looks whether the guest has caught up, in milliseconds. */
const BACKLOG_POLL_MS = 20;
/** Most that {@link Terminal.readAll} takes, in bytes: an endless input must not fill the host. */
const READ_ALL_LIMIT = 64 * 1024 * 1024;

/**
 * Connects a serial console to the process's terminal or pipes. A terminal is put into raw mode,
 * with QEMU's Ctrl-A commands; input that is not a terminal is passed on byte by byte, Ctrl-A too.
 * The end of the input ends nothing.
 */
export class Terminal {
  private readonly escapes = new EscapeFilter();
  /** Keys are for the monitor. */
  private atMonitor = false;
  /** Writes that the output has not finished yet. */
  private writing = 0;
  private congested = false;
  private closed = false;
  private raw = false;
  private stalled: NodeJS.Timeout | undefined;
  private waiters: (() => void)[] = [];

  constructor(private readonly options: TerminalOptions) {
    options.output.on('error', (error: Error) => this.outputFailed(error));
  }

  /** Whether keys come from a terminal rather than from a pipe or a file. */
  get interactive(): boolean {
    return this.options.input.isTTY === true;
  }

  /** Starts to take input, in raw mode where it is a terminal. */
  start(): void {
    const { input } = this.options;
    this.setRaw(true);
    input.on('data', this.receive);
    input.on('error', this.inputFailed);
  }

  /**
   * Reads the whole input and hands it on; for runs that depend on nothing but their inputs.
   * @throws NodevmError `E_USAGE` where it is longer than 64 MiB
   */
  async readAll(): Promise<void> {
    let length = 0;
    for await (const chunk of this.options.input as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > READ_ALL_LIMIT) {
        const message = `standard input has more than ${READ_ALL_LIMIT} bytes: --clock icount reads it before the start`;
        throw new NodevmError('E_USAGE', message);
      }
      this.options.onInput(chunk);
    }
  }

  /** Writes guest output. `bytes` must not change afterwards. */
  write(bytes: Uint8Array): void {
    if (this.closed) return;
    this.writing++;
    const roomLeft = this.options.output.write(bytes, (error) => {
      // Failures are the 'error' event's affair.
      if (!error) this.written();
    });
    if (!roomLeft) this.setCongested(true);
  }

  /** Resolves when every byte written so far has been handed to the operating system. */
  async drain(): Promise<void> {
    if (this.writing === 0 || this.closed) return;
    await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** Sets raw mode again, after the process was stopped and a shell changed the terminal's modes. */
  continue(): void {
    if (!this.raw) return;
    this.setRaw(false);
    this.setRaw(true);
  }

  /** Gives the terminal back as it was and takes no more input. Synchronous and idempotent. */
  restore(): void {
    const { input } = this.options;
    clearTimeout(this.stalled);
    this.setRaw(false);
    input.off('data', this.receive);
    input.pause();
  }

  private setRaw(raw: boolean): void {
    if (!this.interactive || this.raw === raw) return;
    this.options.input.setRawMode?.(raw);
    this.raw = raw;
  }

  private readonly receive = (chunk: Buffer): void => {
    if (this.interactive) {
      // Keys are never held back: Ctrl-A X must work whatever the guest does.
      this.receiveKeys(chunk);
      return;
    }
    this.options.onInput(chunk);
    this.holdBack();
  };

  private receiveKeys(chunk: Buffer): void {
    // A command may change whom the rest of the chunk is for.
    const step = chunk.includes(CTRL_A) ? 1 : Math.max(1, chunk.length);
    for (let at = 0; at < chunk.length; at += step) {
      const keys = this.escapes.filter(chunk.subarray(at, at + step), (command) =>
        this.obey(command),
      );
      if (keys.length === 0) continue;
      if (this.atMonitor) this.options.monitor?.input(keys);
      else this.options.onInput(keys);
    }
  }

  private readonly holdBack = (): void => {
    const { input } = this.options;
    if (this.options.backlog() <= BACKLOG_LIMIT) {
      input.resume();
      return;
    }
    input.pause();
    this.stalled = setTimeout(this.holdBack, BACKLOG_POLL_MS).unref();
  };

  // A read error (a terminal that hung up gives EIO) is an end of input like any other.
  private readonly inputFailed = (): void => this.restore();

  private obey(command: EscapeCommand): void {
    if (command === 'quit') this.options.onQuit();
    else if (command === 'monitor') this.toggleMonitor();
    else this.options.messages.write(`\r\n${KEY_HELP.join('\r\n')}\r\n`);
  }

  private toggleMonitor(): void {
    const { monitor } = this.options;
    if (monitor === undefined) return;
    this.atMonitor = !this.atMonitor;
    if (this.atMonitor) monitor.enter(() => (this.atMonitor = false));
    else this.options.messages.write('\r\n');
  }

  private written(): void {
    this.writing--;
    if (this.writing > 0) return;
    this.setCongested(false);
    this.wake();
  }

  private setCongested(congested: boolean): void {
    if (this.congested === congested) return;
    this.congested = congested;
    this.options.onCongestion(congested);
  }

  private outputFailed(error: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.options.onOutputClosed(error);
    this.setCongested(false);
    this.wake();
  }

  private wake(): void {
    for (const resolve of this.waiters.splice(0)) resolve();
  }
}

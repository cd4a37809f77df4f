import { NodevmError } from './errors.js';

/** How much printed text is kept for the tail, in characters. */
const TRANSCRIPT_LIMIT = 64 * 1024;

/** How much text that no `expect()` has consumed is kept, in characters; the oldest goes first. */
const UNREAD_LIMIT = 1024 * 1024;

/** Lines of the console that an error message quotes. */
const QUOTED_LINES = 20;

/** The guest's side of a console: a UART that takes bytes when it has room for them. */
export interface InputPort {
  /** Whether {@link receive} would take a byte now. */
  readonly inputWanted: boolean;
  /** Offers one byte; false when it was not taken. */
  receive(byte: number): boolean;
}

/** What an `expect()` found. */
export interface ConsoleMatch {
  /** The text that matched. */
  readonly text: string;
  /** The unread text in front of it. */
  readonly before: string;
  /** Capture groups of a RegExp, from the first. */
  readonly groups: readonly (string | undefined)[];
}

/** Options of {@link ConsolePort.expect}. */
export interface ExpectOptions {
  /** Give up after that much host time, in milliseconds; default: only when the machine ends. */
  readonly timeoutMs?: number | undefined;
}

/** One serial console of a machine, as seen from outside. */
export interface ConsolePort {
  /**
   * Calls `listener` with everything the guest prints, in order, at the end of each slice (about a
   * millisecond). The array is the listener's to keep.
   * @returns a function that takes the listener off again
   */
  onOutput(listener: (bytes: Uint8Array) => void): () => void;
  /**
   * Types: queues bytes (a string as UTF-8) for the guest, which takes them at its own pace. Nothing
   * is ever lost or reordered, also when the guest does not listen yet.
   */
  write(data: Uint8Array | string): void;
  /** Bytes written that the guest has not taken yet. */
  readonly queued: number;
  /**
   * Waits until the guest has printed `pattern`, and consumes the output up to the end of the match,
   * so that the next call looks behind it. Calls are served in the order in which they were made.
   * Under icount the guest stands still until the awaiting code has run, so what that code writes at once
   * arrives at the same instruction in each run.
   * @throws NodevmError `E_STATE` with the last lines of the console, on timeout or when the machine ends
   */
  expect(pattern: string | RegExp, options?: ExpectOptions): Promise<ConsoleMatch>;
  /** The last `lines` lines the guest printed. */
  tail(lines: number): string;
}

/** A pending `expect()`. */
interface Expectation {
  readonly pattern: string | RegExp;
  resolve(match: ConsoleMatch): void;
  reject(error: Error): void;
}

/**
 * The byte stream between a UART and the world. The machine transmits into it byte by byte and
 * flushes it at the end of each slice; input waits here until the UART wants it.
 */
export class SerialConsole implements ConsolePort {
  private port: InputPort | undefined;
  private readonly listeners = new Set<(bytes: Uint8Array) => void>();

  private output = new Uint8Array(4096);
  private outputLength = 0;

  private readonly input: Uint8Array[] = [];
  private inputOffset = 0;
  private inputLength = 0;

  private readonly decoder = new TextDecoder();
  private transcript = '';
  private unread = '';
  /** How much of `unread` the first expectation has been compared with, in characters. */
  private searched = 0;
  private readonly expectations: Expectation[] = [];
  private ending: string | undefined;

  /** @param wake called when there is something new for the guest, which may be asleep */
  constructor(private readonly wake: () => void) {}

  /** Puts the UART on the other end. */
  connect(port: InputPort): void {
    this.port = port;
  }

  onOutput(listener: (bytes: Uint8Array) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  write(data: Uint8Array | string): void {
    // A copy, since the caller may fill the buffer again before the guest has taken it.
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data.slice();
    if (bytes.length === 0) return;
    this.input.push(bytes);
    this.inputLength += bytes.length;
    this.feed();
    this.wake();
  }

  get queued(): number {
    return this.inputLength;
  }

  expect(pattern: string | RegExp, options: ExpectOptions = {}): Promise<ConsoleMatch> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const expectation: Expectation = {
        pattern: typeof pattern === 'string' ? pattern : stateless(pattern),
        resolve: (match) => {
          clearTimeout(timer);
          resolve(match);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.expectations.push(expectation);
      this.match();
      if (this.ending !== undefined) this.rejectAll(this.ending);
      else if (options.timeoutMs !== undefined && this.expectations.includes(expectation)) {
        timer = setTimeout(() => this.expire(expectation), options.timeoutMs);
      }
    });
  }

  tail(lines: number): string {
    const text = this.transcript.replace(/\r+\n/g, '\n');
    return text.trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** Takes one byte that the guest has printed. */
  transmit(byte: number): void {
    if (this.outputLength === this.output.length) {
      const larger = new Uint8Array(2 * this.output.length);
      larger.set(this.output);
      this.output = larger;
    }
    this.output[this.outputLength++] = byte;
  }

  /** Hands waiting input to the UART for as long as it wants any. */
  feed(): void {
    const { port } = this;
    if (port === undefined) return;
    for (let chunk = this.input[0]; chunk !== undefined; chunk = this.input[0]) {
      const byte = chunk[this.inputOffset];
      if (byte === undefined) {
        this.input.shift();
        this.inputOffset = 0;
        continue;
      }
      if (!port.inputWanted || !port.receive(byte)) return;
      this.inputOffset++;
      this.inputLength--;
    }
  }

  /** Passes on what was printed since the last call: to the listeners, then to pending expectations. */
  flush(): void {
    if (this.outputLength === 0) return;
    const bytes = this.output.slice(0, this.outputLength);
    this.outputLength = 0;
    const text = this.decoder.decode(bytes, { stream: true });
    this.transcript = keepEnd(this.transcript + text, TRANSCRIPT_LIMIT);
    const unread = this.unread + text;
    this.unread = keepEnd(unread, UNREAD_LIMIT);
    this.searched = Math.max(0, this.searched - (unread.length - this.unread.length));
    for (const listener of this.listeners) listener(bytes);
    this.match();
  }

  /** The machine runs (again). */
  open(): void {
    this.ending = undefined;
  }

  /** The machine has ended, `why` in words: nothing more will be printed. */
  end(why: string): void {
    this.ending = why;
    this.rejectAll(why);
  }

  private match(): void {
    for (let first = this.expectations[0]; first !== undefined; first = this.expectations[0]) {
      const found = this.find(first.pattern);
      if (found === undefined) {
        this.searched = this.unread.length;
        return;
      }
      this.expectations.shift();
      this.unread = this.unread.slice(found.before.length + found.text.length);
      this.searched = 0;
      first.resolve(found);
    }
  }

  private find(pattern: string | RegExp): ConsoleMatch | undefined {
    if (typeof pattern === 'string') {
      const from = Math.max(0, this.searched - pattern.length + 1);
      const index = this.unread.indexOf(pattern, from);
      if (index < 0) return undefined;
      return { text: pattern, before: this.unread.slice(0, index), groups: [] };
    }
    const found = pattern.exec(this.unread);
    if (found === null) return undefined;
    const [text, ...groups] = found;
    return { text, before: this.unread.slice(0, found.index), groups };
  }

  private expire(expectation: Expectation): void {
    const index = this.expectations.indexOf(expectation);
    if (index < 0) return;
    this.expectations.splice(index, 1);
    if (index === 0) this.searched = 0;
    expectation.reject(this.disappointed(expectation, 'in time'));
    this.match();
  }

  private rejectAll(why: string): void {
    this.searched = 0;
    for (const expectation of this.expectations.splice(0)) {
      expectation.reject(this.disappointed(expectation, `before ${why}`));
    }
  }

  private disappointed({ pattern }: Expectation, when: string): NodevmError {
    const wanted = typeof pattern === 'string' ? JSON.stringify(pattern) : String(pattern);
    const tail = this.tail(QUOTED_LINES);
    return new NodevmError(
      'E_STATE',
      `console: ${wanted} was not printed ${when}; its last lines:\n${tail}`,
    );
  }
}

/** The same expression without the flags that make exec() remember where it was. */
function stateless(pattern: RegExp): RegExp {
  return new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''));
}

/** The end of `text`: cut to `limit` characters once it is twice as long, so that appending stays cheap. */
function keepEnd(text: string, limit: number): string {
  return text.length > 2 * limit ? text.slice(-limit) : text;
}

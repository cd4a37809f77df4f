import { ConsoleText, type ConsoleMatch } from '../console-text.js';
import type { Limit } from '../limits.js';
import type { BytePort } from '../serial-link.js';

/** How much of the console a transcript keeps, in characters. */
const TRANSCRIPT_LIMIT = 16 * 1024 * 1024;

/** How long to wait for a guest. */
export interface WaitOptions {
  /** Host time in milliseconds; default: until the machine ends. */
  readonly timeout?: number | undefined;
  /** Guest time in milliseconds; default: until the machine ends. */
  readonly guestTimeout?: number | undefined;
  /** Gives up when aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** The console of a virtual machine: the guest's first serial port, as text. */
export class VmConsole {
  private readonly text = new ConsoleText(TRANSCRIPT_LIMIT);
  private readonly streams = new Set<TextStream>();
  private ended = false;

  /** @internal made by the machine */
  constructor(
    private readonly port: BytePort,
    private readonly limitOf: (options: WaitOptions) => Limit | undefined,
  ) {
    const decoder = new TextDecoder();
    port.onOutput((bytes) => {
      const text = decoder.decode(bytes, { stream: true });
      for (const stream of this.streams) stream.push(text);
      this.text.feed(bytes);
    });
  }

  /**
   * Waits until the guest has printed `pattern`, and consumes the output up to the end of the match, so
   * that the next call looks behind it. What was printed before the call counts.
   * @throws NodevmError `E_TIMEOUT`, `E_ABORTED`, or `E_STATE` when the machine ends; the message has
   * the console's last lines
   */
  expect(pattern: string | RegExp, options: WaitOptions = {}): Promise<ConsoleMatch> {
    return this.text.expect(pattern, this.limitOf(options));
  }

  /** Types: queues text or bytes, which the guest takes at its own pace. Nothing is lost. */
  send(data: string | Uint8Array): void {
    this.port.write(data);
  }

  /** Everything the guest has printed, or the last 16 million characters of it. */
  get transcript(): string {
    return this.text.transcript;
  }

  /** The last `lines` lines the guest printed. */
  tail(lines: number): string {
    return this.text.tail(lines);
  }

  /** Calls `listener` with everything the guest prints from now on. Returns how to take it off again. */
  onOutput(listener: (bytes: Uint8Array) => void): () => void {
    return this.port.onOutput(listener);
  }

  /** What the guest prints from now on, in pieces as they come, until the machine ends. */
  [Symbol.asyncIterator](): AsyncIterableIterator<string> {
    const stream = new TextStream((ended) => this.streams.delete(ended));
    if (this.ended) stream.end();
    else this.streams.add(stream);
    return stream;
  }

  /** @internal the machine has ended, `why` in words */
  end(why: string): void {
    this.ended = true;
    this.text.end(why);
    for (const stream of this.streams) stream.end();
    this.streams.clear();
  }
}

/** Pieces of text for one reader, who may be slower than the guest. */
class TextStream implements AsyncIterableIterator<string> {
  private pieces: string[] = [];
  private ended = false;
  private wake: (() => void) | undefined;

  constructor(private readonly onReturn: (stream: TextStream) => void) {}

  push(text: string): void {
    if (text === '') return;
    this.pieces.push(text);
    this.wake?.();
  }

  end(): void {
    this.ended = true;
    this.wake?.();
  }

  async next(): Promise<IteratorResult<string>> {
    while (this.pieces.length === 0 && !this.ended) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    if (this.pieces.length === 0) return { done: true, value: undefined };
    const value = this.pieces.join('');
    this.pieces = [];
    return { done: false, value };
  }

  return(): Promise<IteratorResult<string>> {
    this.onReturn(this);
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

import { ConsoleText, limitOf, type ConsoleMatch, type ExpectOptions } from './console-text.js';
import { SerialLink, type BytePort } from './serial-link.js';

export type { ConsoleMatch, ExpectOptions } from './console-text.js';
export type { InputPort } from './serial-link.js';

/** How much printed text is kept for the tail, in characters. */
const TRANSCRIPT_LIMIT = 64 * 1024;

/** One serial console of a machine, as seen from outside. */
export interface ConsolePort extends BytePort {
  /** Bytes written that the guest has not taken yet. */
  readonly queued: number;
  /**
   * Waits until the guest has printed `pattern`, and consumes the output up to the end of the match,
   * so that the next call looks behind it. Calls are served in the order in which they were made.
   * Under icount the guest stands still until the awaiting code has run, so what that code writes at once
   * arrives at the same instruction in each run.
   * @throws NodevmError with the last lines of the console: `E_TIMEOUT`, or `E_STATE` when the machine ends
   */
  expect(pattern: string | RegExp, options?: ExpectOptions): Promise<ConsoleMatch>;
  /** The last `lines` lines the guest printed. */
  tail(lines: number): string;
}

/** A serial line that people read: a {@link SerialLink} with its text. */
export class SerialConsole extends SerialLink implements ConsolePort {
  private readonly text = new ConsoleText(TRANSCRIPT_LIMIT);

  expect(pattern: string | RegExp, options: ExpectOptions = {}): Promise<ConsoleMatch> {
    return this.text.expect(pattern, limitOf(options));
  }

  tail(lines: number): string {
    return this.text.tail(lines);
  }

  /** The machine runs (again). */
  open(): void {
    this.text.open();
  }

  /** The machine has ended, `why` in words: nothing more will be printed. */
  end(why: string): void {
    this.text.end(why);
  }

  /** The listeners come first: they have seen what an expectation has found. */
  protected override printed(bytes: Uint8Array): void {
    super.printed(bytes);
    this.text.feed(bytes);
  }
}

import { NodevmError, type ErrorCode } from './errors.js';
import { hostLimit, type Limit } from './limits.js';

/** How much text that no `expect()` has consumed is kept, in characters; the oldest goes first. */
const UNREAD_LIMIT = 1024 * 1024;

/** Lines of the console that an error message quotes. */
const QUOTED_LINES = 20;

/** Text in which lines are counted from the end, in characters. */
const TAIL_LIMIT = 64 * 1024;

/** What an `expect()` found. */
export interface ConsoleMatch {
  /** The text that matched. */
  readonly text: string;
  /** The unread text in front of it. */
  readonly before: string;
  /** Capture groups of a RegExp, from the first. */
  readonly groups: readonly (string | undefined)[];
}

/** Options of {@link ConsoleText.expect}. */
export interface ExpectOptions {
  /** Give up after that much host time, in milliseconds; default: only when the machine ends. */
  readonly timeoutMs?: number | undefined;
}

/** A pending `expect()`. */
class Expectation {
  readonly pattern: string | RegExp;
  settled = false;
  private stopLimit: (() => void) | undefined;

  constructor(
    pattern: string | RegExp,
    private readonly onMatch: (match: ConsoleMatch) => void,
    private readonly onFailure: (error: Error) => void,
  ) {
    this.pattern = typeof pattern === 'string' ? pattern : stateless(pattern);
  }

  limitBy(limit: Limit, expired: (when: string, aborted: boolean) => void): void {
    this.stopLimit = limit(expired);
  }

  resolve(match: ConsoleMatch): void {
    this.settle();
    this.onMatch(match);
  }

  reject(error: Error): void {
    this.settle();
    this.onFailure(error);
  }

  private settle(): void {
    this.settled = true;
    this.stopLimit?.();
  }
}

/** The text of a console: what was printed, and those who wait for something to be. */
export class ConsoleText {
  private readonly decoder = new TextDecoder();
  private printed = '';
  private unread = '';
  /** How much of `unread` the first expectation has been compared with, in characters. */
  private searched = 0;
  private readonly expectations: Expectation[] = [];
  private ending: string | undefined;

  /** @param kept how much printed text is kept, in characters; the oldest goes first */
  constructor(private readonly kept: number) {}

  /** Everything printed so far, as far as it is kept. */
  get transcript(): string {
    return this.printed;
  }

  /** Takes bytes that were printed. */
  feed(bytes: Uint8Array): void {
    const text = this.decoder.decode(bytes, { stream: true });
    this.printed = keepEnd(this.printed + text, this.kept);
    const unread = this.unread + text;
    this.unread = keepEnd(unread, UNREAD_LIMIT);
    this.searched = Math.max(0, this.searched - (unread.length - this.unread.length));
    this.match();
  }

  /** Waits for `pattern` and consumes what was printed up to its end; calls are served in order. */
  expect(pattern: string | RegExp, limit?: Limit): Promise<ConsoleMatch> {
    return new Promise((resolve, reject) => {
      const expectation = new Expectation(pattern, resolve, reject);
      this.expectations.push(expectation);
      this.match();
      if (this.ending !== undefined) this.rejectAll(this.ending);
      if (limit === undefined || expectation.settled) return;
      expectation.limitBy(limit, (when, aborted) => this.expire(expectation, when, aborted));
    });
  }

  /** The last `lines` lines printed. */
  tail(lines: number): string {
    const text = this.printed.slice(-TAIL_LIMIT).replace(/\r+\n/g, '\n');
    return text.trimEnd().split('\n').slice(-lines).join('\n');
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

  private expire(expectation: Expectation, when: string, aborted: boolean): void {
    const index = this.expectations.indexOf(expectation);
    if (index < 0) return;
    this.expectations.splice(index, 1);
    if (index === 0) this.searched = 0;
    expectation.reject(this.disappointed(expectation, when, aborted ? 'E_ABORTED' : 'E_TIMEOUT'));
    this.match();
  }

  private rejectAll(why: string): void {
    this.searched = 0;
    for (const expectation of this.expectations.splice(0)) {
      expectation.reject(this.disappointed(expectation, `before ${why}`, 'E_STATE'));
    }
  }

  private disappointed({ pattern }: Expectation, when: string, code: ErrorCode): NodevmError {
    const wanted = typeof pattern === 'string' ? JSON.stringify(pattern) : String(pattern);
    const tail = this.tail(QUOTED_LINES);
    return new NodevmError(
      code,
      `console: ${wanted} was not printed ${when}; its last lines:\n${tail}`,
    );
  }
}

/** The limit that options ask for, undefined for none. */
export function limitOf({ timeoutMs }: ExpectOptions): Limit | undefined {
  return timeoutMs === undefined ? undefined : hostLimit(timeoutMs);
}

/** The same expression without the flags that make exec() remember where it was. */
function stateless(pattern: RegExp): RegExp {
  return new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''));
}

/** The end of `text`: cut to `limit` characters once it is twice as long, so that appending stays cheap. */
function keepEnd(text: string, limit: number): string {
  return text.length > 2 * limit ? text.slice(-limit) : text;
}

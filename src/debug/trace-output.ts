/** Where lines of a trace go: some text, many lines at a time. */
export type TraceSink = (text: string) => void;

/** Characters that are collected before they are passed on. */
const CHUNK = 1 << 16;

/** Milliseconds after which collected lines are passed on. */
const LONGEST_WAIT_MS = 50;

/** How much of a trace is wanted. */
export interface TraceBounds {
  /** Lines after which the trace ends; default none. */
  readonly limit?: number | undefined;
  /** Keep only the last so many lines, and pass them on at the end; default all at once. */
  readonly ring?: number | undefined;
}

/** Collects the lines of a trace, within its bounds. */
export class TraceOutput {
  /** Lines so far. */
  lines = 0;

  private text = '';
  private flushed = 0;
  private readonly kept: string[] = [];

  constructor(
    private readonly sink: TraceSink,
    private readonly bounds: TraceBounds = {},
  ) {}

  /** Whether the limit is reached: nothing more is taken. */
  get full(): boolean {
    return this.lines >= (this.bounds.limit ?? Infinity);
  }

  /** Adds one line. */
  line(line: string): void {
    if (this.full) return;
    const { ring } = this.bounds;
    if (ring === undefined) {
      this.text += `${line}\n`;
      if (this.text.length >= CHUNK) this.flush();
    } else {
      this.kept[this.lines % ring] = line;
    }
    this.lines++;
  }

  /** Passes on what has been collected; a ring stays. */
  flush(): void {
    if (this.text === '') return;
    this.sink(this.text);
    this.text = '';
    this.flushed = performance.now();
  }

  /** The same where the last time was a while ago: who reads along is not kept waiting. */
  flushOld(): void {
    if (this.text !== '' && performance.now() - this.flushed > LONGEST_WAIT_MS) this.flush();
  }

  /** Passes on everything. */
  end(): void {
    const { ring = 0 } = this.bounds;
    const oldest = this.lines > ring ? this.lines % ring : 0;
    for (const line of [...this.kept.slice(oldest), ...this.kept.slice(0, oldest)]) {
      this.text += `${line}\n`;
      if (this.text.length >= CHUNK) this.flush();
    }
    this.kept.length = 0;
    this.flush();
  }
}

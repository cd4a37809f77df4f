/**
 * The kernel's own words, at the start of a line: its time stamp (CONFIG_PRINTK_TIME) and caller
 * (CONFIG_PRINTK_CALLER) may come before them. See panic() in kernel/panic.c.
 */
const STAMP = String.raw`^(?:<\d+>)?(?:\[ *\d+\.\d+\])?(?:\[ *[TC]\d+\])? ?`;
const PANIC = new RegExp(`${STAMP}Kernel panic - not syncing: (.*)`);
const LAST_WORDS = new RegExp(
  String.raw`${STAMP}(?:---\[ end Kernel panic|Rebooting in \d+ seconds\.\.)`,
);

/** Longest line that is looked at; a panic message is a line of at most 1024 bytes. */
const MAX_LINE = 2048;

/** Recognises a kernel panic on a console stream, wherever the stream is cut into chunks. */
export class PanicWatch {
  /** What follows "Kernel panic - not syncing: ", undefined as long as there was no panic. */
  message: string | undefined;
  /** Whether the kernel has said everything it has to say about its panic. */
  finished = false;

  private readonly decoder = new TextDecoder();
  private line = '';

  /** Takes the next bytes of the stream. */
  feed(bytes: Uint8Array): void {
    const lines = (this.line + this.decoder.decode(bytes, { stream: true })).split('\n');
    this.line = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) this.look(line.replace(/\r+$/, ''));
  }

  /** Forgets everything: the guest starts again. */
  reset(): void {
    this.message = undefined;
    this.finished = false;
    this.line = '';
  }

  private look(line: string): void {
    this.message ??= PANIC.exec(line)?.[1];
    if (this.message !== undefined && LAST_WORDS.test(line)) this.finished = true;
  }
}

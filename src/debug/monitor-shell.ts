import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

import type { Monitor } from './monitor.js';

/** What the monitor prints when it waits for a command. */
export const PROMPT = '(nodevm) ';

/** How a {@link MonitorShell} is shown. */
export interface MonitorShellOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** Whether a person types there: line editing, history, completion. */
  readonly terminal: boolean;
  /** The input has ended (Ctrl-D). */
  onEnd(): void;
}

/** A monitor with a prompt, line by line. */
export class MonitorShell {
  private readonly lines: Interface;
  /** Commands are executed one after the other. */
  private queue: Promise<void> = Promise.resolve();

  constructor(
    private readonly monitor: Monitor,
    private readonly options: MonitorShellOptions,
  ) {
    const { input, output, terminal } = options;
    this.lines = createInterface({
      input,
      output,
      terminal,
      prompt: PROMPT,
      completer: (line: string) => [monitor.complete(line), line],
    });
    this.lines.on('line', (line) => {
      this.queue = this.queue.then(() => this.execute(line));
    });
    // Ctrl-C gives up the line; the guest's console is where it would be sent on.
    this.lines.on('SIGINT', () => {
      this.lines.write(null, { ctrl: true, name: 'u' });
    });
    this.lines.on('close', () => options.onEnd());
    this.lines.prompt();
  }

  /** Shows the prompt again, after something else was printed. */
  prompt(): void {
    this.lines.prompt(true);
  }

  /** Takes no more input. */
  close(): void {
    this.lines.close();
  }

  private async execute(line: string): Promise<void> {
    this.options.output.write(await this.monitor.execute(line));
    this.lines.prompt();
  }
}

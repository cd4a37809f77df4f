import type { ConsolePort } from '../index.js';

/** Options of {@link GuestShell}. */
export interface ShellOptions {
  /** Host time to wait for the shell or for a command, in milliseconds; default: until the machine ends. */
  readonly timeoutMs?: number | undefined;
}

/** What a command did. */
export interface ShellResult {
  /** Its output (and the terminal's, such as job messages), lines ended by "\n". */
  readonly output: string;
  /** Its exit status. */
  readonly status: number;
}

/**
 * A POSIX shell on a guest's console. Commands run one after the other; each is put between two marks
 * that the shell prints, so that neither the prompt nor the terminal's echo matters.
 */
export class GuestShell {
  private commands = 0;

  constructor(
    private readonly console: ConsolePort,
    private readonly options: ShellOptions = {},
  ) {}

  /**
   * Runs `command` (one line or several) and waits until it has ended.
   * @throws NodevmError `E_STATE` with the console's last lines, on timeout or when the machine ends
   */
  async sh(command: string): Promise<ShellResult> {
    const id = ++this.commands;
    // The marks are printed in two halves, so that the echo of the command never looks like its result.
    // Marks and command are one compound command: the shell has read (and the terminal echoed) all
    // of it before the first mark is printed.
    this.console.write(
      `{ printf '%s%s\\n' nodevm- begin-${id}\n${command}\n}; ` +
        `printf '%s%s:%d\\n' nodevm- end-${id} $?\n`,
    );
    await this.console.expect(new RegExp(`nodevm-begin-${id}\\r*\\n`), this.options);
    const end = new RegExp(`nodevm-end-${id}:(\\d+)\\r*\\n`);
    const { before, groups } = await this.console.expect(end, this.options);
    return { output: before.replace(/\r+\n/g, '\n'), status: Number(groups[0]) };
  }
}

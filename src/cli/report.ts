import process from 'node:process';

import { NodevmError } from '../errors.js';
import { ExitStatus } from '../exit-status.js';
import type { MachineExit } from '../machine-exit.js';

/** Writes to stderr and waits until the bytes have left, so that the process may end after it. */
function write(text: string): Promise<void> {
  return new Promise((resolve) => {
    process.stderr.write(text, () => resolve());
  });
}

/** Says one sentence of our own on stderr, after `before` (a newline where the cursor needs one). */
export function say(sentence: string, before = ''): Promise<void> {
  return write(`${before}nodevm: ${sentence}\n`);
}

/** An end that a user may not have expected, in words; undefined for one that speaks for itself. */
export function describeExit(exit: MachineExit): string | undefined {
  switch (exit.reason) {
    case 'panic':
      return `the guest kernel panicked: ${exit.message}`;
    case 'triple-fault':
      return 'the guest shut its processor down (triple fault)';
    case 'timeout':
      return `the time limit was reached after ${exit.hostSeconds.toFixed(1)} s`;
    case 'stall':
      return 'the guest printed nothing for as long as --stall allows';
    case 'halt':
      return exit.early ? 'the kernel halted before there was a user space' : undefined;
    case 'poweroff':
    case 'reboot':
    case 'guest-exit':
    case 'stopped':
      return undefined;
  }
}

/** What `--json` prints: how a machine ended, or that none ran. */
type Report = MachineExit | { reason: 'error'; status: number; code: string; message: string };

/** Prints the report of `--json`, one line on stderr. */
export function exitReport(report: Report): Promise<void> {
  return write(`${JSON.stringify(report)}\n`);
}

/**
 * Says what went wrong.
 * @returns the process status, 125
 */
export async function reportError(error: unknown, json: boolean): Promise<number> {
  const known = error instanceof NodevmError;
  const message = known ? error.message : `internal error: ${stackOf(error)}`;
  await say(message);
  const status = ExitStatus.Internal;
  if (json) {
    await exitReport({ reason: 'error', status, code: known ? error.code : 'E_INTERNAL', message });
  }
  return status;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

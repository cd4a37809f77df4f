import { constants } from 'node:os';

/**
 * Process statuses that do not depend on what the guest said. 124 and 125 are those of timeout(1)
 * and of container tools, so that scripts already know them.
 */
export const ExitStatus = {
  /** Clean power-off, `halt -f`, `reboot` under -no-reboot, or Ctrl-A X. */
  Success: 0,
  /** The time limit was reached. */
  Timeout: 124,
  /** nodevm itself failed: usage, a bad image, a host error. */
  Internal: 125,
  /** Triple fault, a reset where none was asked for, or a Linux kernel that halted before user space. */
  TripleFault: 254,
  /** The guest kernel panicked. */
  Panic: 255,
} as const;

/**
 * The status for `value` written to isa-debug-exit, by QEMU's rule `(value << 1) | 1`, cut to the
 * eight bits that a process status has.
 */
export function debugExitStatus(value: number): number {
  return ((value << 1) | 1) & 0xff;
}

/** The status of a run ended by a signal: 128 plus its number, as a POSIX shell reports it. */
export function signalStatus(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** One line of the table that `--help` and the README print. */
export interface ExitStatusRow {
  readonly status: string;
  readonly when: string;
}

/** Every way a run ends, for people; the constants above are the same facts for code. */
export const exitStatusRows: readonly ExitStatusRow[] = [
  { status: '0', when: 'power-off, `halt -f`, `reboot` with `-no-reboot`, or Ctrl-A X' },
  { status: '(v<<1)|1', when: 'the guest wrote v to isa-debug-exit (low 8 bits)' },
  { status: '124', when: 'the time limit of `--timeout` or `--stall` was reached' },
  { status: '125', when: 'nodevm itself failed: usage, a bad image, a host error' },
  { status: '128+n', when: 'ended by signal n' },
  {
    status: '254',
    when: 'triple fault, a reset where none was asked for, or a Linux kernel that halts before user space',
  },
  { status: '255', when: 'kernel panic' },
];

import type { Verdict } from './debug/verdict.js';
import { debugExitStatus, ExitStatus } from './exit-status.js';

/** Why a machine ended. */
export type ExitCause =
  /** ACPI power-off (S5). */
  | { readonly reason: 'poweroff' }
  /** HLT with interrupts off: `halt -f`, or with `early` a Linux kernel that gave up before user space. */
  | { readonly reason: 'halt'; readonly early?: boolean }
  /** The guest reset the machine, and `noReboot` is set. */
  | { readonly reason: 'reboot' }
  /** The guest wrote `value` to isa-debug-exit. */
  | { readonly reason: 'guest-exit'; readonly value: number }
  /** The kernel panicked; `message` is what follows "Kernel panic - not syncing: ". */
  | { readonly reason: 'panic'; readonly message: string }
  /** An exception while delivering a double fault: the processor shut down. */
  | { readonly reason: 'triple-fault' }
  /** `timeoutMs` of host time or `guestTimeoutMs` of guest time are over. */
  | { readonly reason: 'timeout' }
  /** The guest has printed nothing for `stallMs` of guest time. */
  | { readonly reason: 'stall' }
  /** `stop()` or `close()` was called. */
  | { readonly reason: 'stopped' };

/** What every end of a run comes with. */
export interface ExitReport {
  /** Process status by the table in exit-status.ts. */
  readonly status: number;
  /** Guest instructions retired since power-on. */
  readonly instructions: number;
  /** Guest time since power-on in seconds. */
  readonly guestSeconds: number;
  /** Host time that the run took, in seconds. */
  readonly hostSeconds: number;
  /** The last lines of the first serial console. */
  readonly consoleTail: string;
  /** Of a run that ended badly: why, as far as the machine shows. */
  readonly verdict?: Verdict | undefined;
}

/** How a run ended: a typed reason and the report. */
export type MachineExit = ExitCause & ExitReport;

/** The process status that belongs to `cause`. */
export function statusOf(cause: ExitCause): number {
  switch (cause.reason) {
    case 'poweroff':
    case 'reboot':
    case 'stopped':
      return ExitStatus.Success;
    case 'halt':
      return cause.early ? ExitStatus.TripleFault : ExitStatus.Success;
    case 'guest-exit':
      return debugExitStatus(cause.value);
    case 'panic':
      return ExitStatus.Panic;
    case 'triple-fault':
      return ExitStatus.TripleFault;
    case 'timeout':
    case 'stall':
      return ExitStatus.Timeout;
  }
}

/** How a machine ended, in words that go on "the machine ended: ". */
export function verdictOf(exit: ExitCause & Partial<ExitReport>): string {
  switch (exit.reason) {
    case 'poweroff':
      return 'the guest turned it off';
    case 'halt':
      return exit.early ? 'the kernel halted it before user space' : 'the guest halted it';
    case 'reboot':
      return 'the guest rebooted';
    case 'guest-exit':
      return `the guest wrote ${exit.value} to isa-debug-exit`;
    case 'panic':
      return `kernel panic: ${exit.message}`;
    case 'triple-fault':
      return 'the guest shut its processor down (triple fault)';
    case 'timeout':
      return 'the time limit was reached';
    case 'stall':
      return 'the guest printed nothing for too long';
    case 'stopped':
      return 'it was stopped';
  }
}

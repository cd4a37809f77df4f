/** What the kernel itself says of its end: a panic or an oops in its log, wherever its console went. */
import { formatRecord, readKernelLog, type LogRecord } from './printk.js';
import type { GuestView } from './guest-view.js';
import type { Symbols } from './symbols.js';
import type { Findings, Scene, VerdictSection } from './verdict.js';

/** The kernel's own words: panic() in kernel/panic.c. */
const PANIC = /^Kernel panic - not syncing: (.*)/;

/** First lines of what the kernel writes when it has met a bug of its own (arch/x86/kernel/dumpstack.c, mm/fault.c). */
const OOPS =
  /^(?:BUG: |Oops: |general protection fault|invalid opcode: |kernel BUG at |stack segment: |double fault: |divide error: |unable to handle |kernel tried to execute ).*/i;

/** Lines of the log that a report shows. */
const LOG_LINES = 15;

/** Errors of execve() that init meets: errno(3). */
const EXEC_ERRORS: Readonly<Record<string, string>> = {
  '2': 'it, or the interpreter it names, is not in the initramfs',
  '8': 'it is no program for this architecture (ENOEXEC)',
  '13': 'it is not executable (EACCES)',
};

/** A panic in the kernel's log: what follows "Kernel panic - not syncing: "; undefined where there is none. */
export function panicInLog(view: GuestView, symbols: Symbols): string | undefined {
  return panicOf(readKernelLog(view, symbols) ?? []);
}

/** Only the kernel's own messages count: user space can write into the log (facility 1). */
function panicOf(log: readonly LogRecord[]): string | undefined {
  return find(log, PANIC)?.[1];
}

function find(log: readonly LogRecord[], pattern: RegExp): RegExpExecArray | undefined {
  for (const { text, facility } of log) {
    const match = facility === 0 ? pattern.exec(text) : null;
    if (match !== null) return match;
  }
  return undefined;
}

/** The verdict on a panic. */
export function panicFindings(scene: Scene, seenOnConsole?: string): Findings {
  const log = readKernelLog(scene.view, scene.symbols) ?? [];
  const message = panicOf(log) ?? seenOnConsole ?? 'no message';
  const hidden = scene.hasPrinted ? '' : `; no console shows it: ${consoleHint(scene)}`;
  return {
    cause: `the kernel panicked (${message}): ${explainPanic(scene, log, message)}${hidden}`,
    sections: [logSection(log)],
  };
}

/** What a panic's message means, as far as the log shows. */
function explainPanic(scene: Scene, log: readonly LogRecord[], message: string): string {
  if (message.includes('Unable to mount root fs')) return whyNoRoot(scene, log);
  if (/No working init found|Requested init/.test(message)) return whyNoInit(log);
  const killed = /Attempted to kill init! exitcode=0x([0-9a-f]+)/.exec(message)?.[1];
  if (killed !== undefined) return howInitEnded(log, parseInt(killed, 16));
  if (/Out of memory|deadlocked on memory/.test(message)) {
    return 'the guest has too little memory (-m)';
  }
  const oops = find(log, OOPS)?.[0];
  const at = find(log, /^RIP: 0010:(\S+)/)?.[1];
  if (oops === undefined) return `in ${phaseOf(scene)}`;
  return `it began with "${oops}"${at === undefined ? '' : ` in ${at}`}`;
}

const phaseOf = ({ phase }: Scene): string =>
  phase.detail === undefined ? phase.name : `${phase.name} (${phase.detail})`;

function whyNoRoot({ hasInitrd }: Scene, log: readonly LogRecord[]): string {
  if (!hasInitrd) return 'no initramfs was given, and root= names nothing that it has a driver for';
  const unpacking = find(
    log,
    /^(?:Initramfs unpacking failed|rootfs image is not initramfs).*/,
  )?.[0];
  const exec = whyNoExec(log);
  if (unpacking !== undefined) return `it could not unpack the initramfs ("${unpacking}")`;
  if (exec !== undefined) return exec;
  const range = find(log, /^RAMDISK: \[mem (\S+)\]/)?.[1];
  return range === undefined
    ? 'it did not see the initramfs that was given: ramdisk_image and ramdisk_size in boot_params do not lead to it'
    : `it found no /init in the initramfs at ${range}, where ramdisk_image in boot_params has it: the address is wrong, or the archive has none; and root= names nothing that it has a driver for`;
}

function whyNoExec(log: readonly LogRecord[]): string | undefined {
  const [, path, error] = find(log, /^Failed to execute (\S+) \(error -(\d+)\)/) ?? [];
  if (path === undefined || error === undefined) return undefined;
  return `${path} cannot be executed: ${EXEC_ERRORS[error] ?? `error ${error}`}`;
}

function whyNoInit(log: readonly LogRecord[]): string {
  return (
    whyNoExec(log) ??
    'the initramfs has none of /init, /sbin/init, /etc/init, /bin/init and /bin/sh, or they cannot be executed'
  );
}

/** `code` is what wait(2) gives. */
function howInitEnded(log: readonly LogRecord[], code: number): string {
  const signal = code & 0x7f;
  if (signal === 0) return `init ended by itself, with status ${(code >> 8) & 0xff}`;
  const segfault = find(log, /^\S+\[1\]: (?:segfault|trap|general protection).*/)?.[0];
  return `init was killed by signal ${signal}${segfault === undefined ? '' : ` ("${segfault}")`}`;
}

/** Why nothing is on the screen, and what to put on the command line. */
export function consoleHint({ cmdline }: Scene): string {
  const consoles = [...cmdline.matchAll(/(?:^|\s)console=(\S+)/g)].map(([, name = '']) => name);
  if (!consoles.some((name) => name.startsWith('ttyS'))) {
    const named = consoles.length === 0 ? 'has no console=' : `has console=${consoles.join(', ')}`;
    return `the command line ${named}, expected console=ttyS0 (and earlyprintk=serial,ttyS0,115200 for what comes before)`;
  }
  return 'it ended before its console was set up, earlyprintk=serial,ttyS0,115200 on the command line shows what came before';
}

/** The end of the kernel's log. */
export function logSection(log: readonly LogRecord[]): VerdictSection {
  const lines = log.flatMap((record) => formatRecord(record).split('\n'));
  return { title: "end of the kernel's log", lines: lines.slice(-LOG_LINES) };
}

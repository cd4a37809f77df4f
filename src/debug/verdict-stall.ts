/** What a guest hangs on: an endless loop, a port or register that never changes, a sleep that nothing ends. */
import { backtraceFrom, type Backtrace } from './backtrace.js';
import type { Access } from './access-ring.js';
import { readKernelLog } from './printk.js';
import { initTask } from './tasks.js';
import type { Findings, Scene } from './verdict.js';
import { consoleHint, logSection, panicFindings, panicInLog } from './verdict-linux.js';

const RFLAGS_IF = 0x200n;
const HLT = 0xf4;
/** A loop is not longer, in bytes. */
const LOOP_BYTES = 256n;
/** Accesses in a row to one address that make a poll. */
const POLLS = 16;
/** Instructions from one poll to the next, at most. */
const POLL_INSTRUCTIONS = 10_000;
/** Functions that a sleeping task is in whatever it waits for. */
const WAITING =
  /^(?:__schedule|schedule|io_schedule|schedule_timeout|schedule_hrtimeout|__schedule_timeout|msleep|msleep_interruptible|usleep_range|wait_for_completion|__wait_for_common|wait_for_common|do_nanosleep|preempt_schedule)/;

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

/** The verdict on a run that hangs, or that was given too little time. */
export function stallFindings(scene: Scene): Findings {
  const { view, symbols } = scene;
  if (panicInLog(view, symbols) !== undefined) return panicFindings(scene);
  const log = readKernelLog(view, symbols) ?? [];
  const waiting = waitOf(scene);
  const silent =
    !scene.hasPrinted && log.length > 0 ? `; nothing was printed: ${consoleHint(scene)}` : '';
  return {
    cause: waiting.cause + silent,
    backtrace: waiting.backtrace,
    sections: [logSection(log)],
  };
}

/** The verdict on HLT with interrupts off before there is a user space that could have wanted it. */
export function haltFindings(scene: Scene): Findings {
  const { symbols, view, phase } = scene;
  const log = readKernelLog(view, symbols) ?? [];
  const hint = scene.hasPrinted ? '' : `; nothing was printed: ${consoleHint(scene)}`;
  return {
    cause: `the kernel gave up in phase "${phase.name}": HLT with interrupts off at ${symbols.format(view.codeAddress)}${hint}`,
    sections: [logSection(log)],
  };
}

interface Wait {
  readonly cause: string;
  readonly backtrace?: Backtrace | undefined;
}

function waitOf(scene: Scene): Wait {
  if (isHalted(scene)) return haltedWait(scene);
  const poll = pollOf(scene);
  if (poll !== undefined) return { cause: poll };
  const loop = loopOf(scene);
  if (loop !== undefined) return { cause: loop };
  const at = scene.symbols.format(scene.view.codeAddress);
  return { cause: `the guest was still working, in phase "${scene.phase.name}" at ${at}` };
}

/** RIP is behind a HLT while the processor waits. */
function isHalted({ view }: Scene): boolean {
  return view.readUint(view.codeAddress - 1n, 1) === BigInt(HLT);
}

function interruptsOff({ view }: Scene): boolean {
  return (view.register('rflags') & RFLAGS_IF) === 0n;
}

function haltedWait(scene: Scene): Wait {
  const { view, symbols, phase } = scene;
  const at = symbols.format(view.codeAddress - 1n);
  if (interruptsOff(scene)) {
    return { cause: `the processor is in HLT with interrupts off at ${at}: nothing can wake it` };
  }
  const task = initTask(view, symbols);
  if (task !== undefined && phase.name !== 'user') {
    const backtrace = backtraceFrom(view, symbols, task.start);
    const names = backtrace.addresses.map((address) => symbols.resolve(address)?.name ?? '');
    const where = names.find((name) => !WAITING.test(name)) ?? names[0];
    const initcall = names[names.indexOf('do_one_initcall') - 1];
    const within = initcall === undefined ? '' : ` (initcall ${initcall})`;
    return {
      cause: `the kernel is idle: process ${task.pid} (${task.comm}) waits in ${where ?? 'an unknown function'}${within} for something that does not come`,
      backtrace,
    };
  }
  const came = scene.recorder.events().some(({ kind }) => kind === 'interrupt');
  if (!came) {
    return {
      cause: `the guest waits in HLT at ${at} with interrupts on, and none has ever come: no timer is armed, or it is masked (8259, I/O APIC, local APIC)`,
    };
  }
  return { cause: `the guest is idle in phase "${phase.name}": it waits for input or for a timer` };
}

/** A device that is asked again and again. */
function pollOf(scene: Scene): string | undefined {
  const accesses = scene.recorder.accesses().slice(-POLLS);
  const [first] = accesses;
  const last = accesses.at(-1);
  if (first === undefined || last === undefined || accesses.length < POLLS) return undefined;
  const isRead = last.kind === 'in' || last.kind === 'mmio-read';
  const same = accesses.every(
    ({ kind, address }) => kind === last.kind && address === last.address,
  );
  const recent = scene.instructions - first.instructions < POLLS * POLL_INSTRUCTIONS;
  if (!same || !isRead || !recent) return undefined;
  return describePoll(scene, last);
}

function describePoll(scene: Scene, { kind, address, value, size }: Access): string {
  const { symbols, view } = scene;
  const device = scene.deviceAt(kind, address);
  const what = `${kind === 'in' ? 'port' : 'register'} ${hex(address)}`;
  const answer = `reads ${hex(value)} (${size} byte${size === 1 ? '' : 's'}) each time`;
  const who = device === undefined ? 'there is no device at that address' : `that is ${device}`;
  return `the guest polls ${what}, which ${answer}: ${who}; it loops at ${symbols.format(view.codeAddress)}`;
}

/** A loop that the processor has not left for a while. */
function loopOf(scene: Scene): string | undefined {
  const { view, symbols, recorder } = scene;
  const blocks = [...recorder.blocks().slice(-8), view.codeAddress];
  const low = blocks.reduce((a, b) => (a < b ? a : b));
  const high = blocks.reduce((a, b) => (a > b ? a : b));
  if (high - low > LOOP_BYTES || blocks.length < 8) return undefined;
  const off = interruptsOff(scene) ? ' with interrupts off' : '';
  const variable = variableOf(scene, low);
  const on = variable === undefined ? '' : `, on the memory at ${variable}, which does not change`;
  const end = off === '' ? '' : ': nothing but a reset ends it';
  return `the guest is in an endless loop${off} at ${symbols.format(low)}${on}${end}`;
}

/** The memory that the instructions of a loop look at. */
function variableOf({ view, symbols, disassembler }: Scene, start: bigint): string | undefined {
  const bytes = view.read(start, 64);
  const mode = view.codeBits;
  const lines = disassembler.disassemble(bytes, { address: start, mode, count: 6 });
  for (const { text, reference, address } of lines) {
    if (/^j\w+ /.test(text) && reference !== undefined && reference <= address) break;
    if (reference === undefined || /^(?:j\w+|call|lea) /.test(text)) continue;
    const value = view.readUint(reference, 4);
    return `${symbols.format(reference)} (${value === undefined ? 'not mapped' : hex(value)})`;
  }
  const name = symbols.resolve(start)?.name ?? '';
  if (!/spin_lock|queued_spin|mutex_spin/.test(name)) return undefined;
  return `${symbols.format(view.register('rdi'))} (RDI, the lock)`;
}

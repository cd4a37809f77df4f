/** Tasks of the guest's kernel, where it describes struct task_struct (BTF). */
import type { UnwindStart } from './backtrace.js';
import type { GuestView } from './guest-view.js';
import type { Symbols } from './symbols.js';

/** A task that does not run now. */
export interface SleepingTask {
  readonly pid: number;
  readonly comm: string;
  /** Where its stack goes on. */
  readonly start: UnwindStart;
}

/** Bytes of the name, TASK_COMM_LEN. */
const COMM = 16;

/** struct inactive_task_frame (arch/x86/include/asm/switch_to.h): R15, R14, R13, R12, RBX, RBP, return address. */
const FRAME = { bp: 40n, ip: 48n, size: 56n } as const;

/** Process 1, which the kernel starts when it is set up and which becomes init. */
export function initTask(view: GuestView, symbols: Symbols): SleepingTask | undefined {
  const first = symbols.address('init_task');
  const btf = symbols.btf();
  const task = btf?.struct('task_struct')?.offsets;
  const sp = btf?.struct('thread_struct')?.offsets.get('sp');
  const [tasks, pid, comm, thread] = ['tasks', 'pid', 'comm', 'thread'].map((n) => task?.get(n));
  if ([first, sp, tasks, pid, comm, thread].includes(undefined)) return undefined;
  const list = BigInt(tasks ?? 0);
  const next = view.readUint((first ?? 0n) + list, 8);
  if (next === undefined || next === (first ?? 0n) + list) return undefined;
  const at = next - list;
  const stack = view.readUint(at + BigInt((thread ?? 0) + (sp ?? 0)), 8);
  if (stack === undefined) return undefined;
  const ip = view.readUint(stack + FRAME.ip, 8);
  const bp = view.readUint(stack + FRAME.bp, 8);
  if (ip === undefined || bp === undefined) return undefined;
  return {
    pid: Number(view.readUint(at + BigInt(pid ?? 0), 4) ?? 0n),
    comm: view.readText(at + BigInt(comm ?? 0), COMM),
    start: { ip, bp, sp: stack + FRAME.size },
  };
}

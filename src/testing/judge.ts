/** What tests say about machines and commands; the matchers of every test runner come from here. */
import { verdictOf } from '../machine-exit.js';
import { Vm, type ShResult } from '../vm/vm.js';

/** Whether it is so, and what to say when it is not what the test expects. */
export interface Judgement {
  readonly pass: boolean;
  readonly message: string;
}

/** Lines of the console that a message quotes. */
const QUOTED_LINES = 20;

/** Whether the guest gets as far as being set up. */
export async function judgeBooted(vm: Vm): Promise<Judgement> {
  try {
    await vm.booted();
    return { pass: true, message: 'expected the guest not to boot, but it did' };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { pass: false, message: `expected the guest to boot: ${why}` };
  }
}

/** Whether the kernel panics, with a message that matches. */
export async function judgePanic(vm: Vm, pattern: RegExp | string = ''): Promise<Judgement> {
  const exit = await vm.exit;
  const pass =
    exit.reason === 'panic' &&
    (typeof pattern === 'string' ? exit.message.includes(pattern) : pattern.test(exit.message));
  const how = pattern === '' ? 'to panic' : `to panic with ${String(pattern)}`;
  return {
    pass,
    message: `expected the guest ${pass ? `not ${how}` : how}: ${verdictOf(exit)}; its last lines:\n${vm.console.tail(QUOTED_LINES)}`,
  };
}

/** Whether a command, or a machine when it ends, has this status. */
export async function judgeExit(subject: Vm | ShResult, status: number): Promise<Judgement> {
  if (!(subject instanceof Vm)) {
    const pass = subject.status === status;
    return {
      pass,
      message: `expected the command ${pass ? 'not ' : ''}to end with ${status}, it ended with ${subject.status}; stderr:\n${subject.stderr}`,
    };
  }
  const exit = await subject.exit;
  const pass = exit.status === status;
  return {
    pass,
    message: `expected the machine ${pass ? 'not ' : ''}to end with ${status}, it ended with ${exit.status}: ${verdictOf(exit)}; its last lines:\n${subject.console.tail(QUOTED_LINES)}`,
  };
}

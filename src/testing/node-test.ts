/** node:test: hooks that boot a guest, and assertions about it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';

import type { BootOptions } from '../vm/boot-options.js';
import { bootLinux, type ShResult, type Vm } from '../vm/vm.js';
import { guestFromEnvironment } from './environment.js';
import { judgeBooted, judgeExit, judgePanic, type Judgement } from './judge.js';

export { guestFromEnvironment } from './environment.js';

/** What {@link useVm} may be told. */
export interface UseVmOptions {
  /** `suite` shares one guest among the tests of a suite or file (default), `test` boots one for each. */
  readonly scope?: 'suite' | 'test' | undefined;
}

/**
 * Boots a guest before the tests of the suite or file in which it is called, and closes it behind them.
 * @param options what to boot; without it, {@link guestFromEnvironment}
 * @returns a function that gives a test its guest
 */
export function useVm(
  options?: BootOptions | (() => BootOptions | Promise<BootOptions>),
  { scope = 'suite' }: UseVmOptions = {},
): () => Vm {
  let vm: Vm | undefined;
  const boot = async (): Promise<void> => {
    const given = typeof options === 'function' ? await options() : options;
    vm = await bootLinux(given ?? (await guestFromEnvironment()));
  };
  const close = async (): Promise<void> => {
    await vm?.close();
    vm = undefined;
  };
  if (scope === 'suite') {
    before(boot);
    after(close);
  } else {
    beforeEach(boot);
    afterEach(close);
  }
  return () => {
    assert(vm, 'the guest is there within tests only');
    return vm;
  };
}

/** The guest gets as far as being set up. */
export async function assertBooted(vm: Vm): Promise<void> {
  hold(await judgeBooted(vm));
}

/** The kernel panics, with this in its message. */
export async function assertPanics(vm: Vm, pattern?: RegExp | string): Promise<void> {
  hold(await judgePanic(vm, pattern));
}

/** A command, or the machine when it ends, has this status. */
export async function assertExitsWith(subject: Vm | ShResult, status: number): Promise<void> {
  hold(await judgeExit(subject, status));
}

function hold({ pass, message }: Judgement): void {
  assert(pass, message);
}

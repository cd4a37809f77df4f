/** Vitest: a test function with a booted guest, and matchers for it. */
import { expect, test as base } from 'vitest';

import type { BootOptions } from '../vm/boot-options.js';
import { bootLinux, type ShResult, type Vm } from '../vm/vm.js';
import { guestFromEnvironment } from './environment.js';
import { judgeBooted, judgeExit, judgePanic, type Judgement } from './judge.js';

export { guestFromEnvironment } from './environment.js';

/** What {@link vmTest} may be told. */
export interface VmTestOptions {
  /** `file` shares one guest among the tests of a file (default), `test` boots one for each. */
  readonly scope?: 'file' | 'test' | undefined;
}

/**
 * A `test` whose tests have a guest: `test('…', async ({ vm }) => { await vm.sh('true') })`. It is booted
 * when the first test asks for it, and closed behind the last.
 * @param options what to boot; without it, {@link guestFromEnvironment}
 */
export function vmTest(
  options?: BootOptions | (() => BootOptions | Promise<BootOptions>),
  { scope = 'file' }: VmTestOptions = {},
) {
  return base.extend<{ vm: Vm }>({
    vm: [
      // Vitest reads from the pattern that this fixture needs no other.
      // eslint-disable-next-line no-empty-pattern
      async ({}, use) => {
        const given = typeof options === 'function' ? await options() : options;
        await using vm = await bootLinux(given ?? (await guestFromEnvironment()));
        await use(vm);
      },
      { scope },
    ],
  });
}

/** Matchers for machines and for results of commands. */
export interface VmMatchers {
  /** The guest gets as far as being set up. */
  toHaveBooted(): Promise<void>;
  /** The kernel panics, with this in its message. */
  toPanic(pattern?: RegExp | string): Promise<void>;
  /** A command, or the machine when it ends, has this status. */
  toExitWith(status: number): Promise<void>;
}

declare module 'vitest' {
  // The parameter is that of Vitest's own declaration.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any, @typescript-eslint/no-empty-object-type, @typescript-eslint/no-unused-vars
  interface Assertion<T = any> extends VmMatchers {}
}

function verdict({ pass, message }: Judgement): { pass: boolean; message: () => string } {
  return { pass, message: () => message };
}

expect.extend({
  toHaveBooted: async (vm: Vm) => verdict(await judgeBooted(vm)),
  toPanic: async (vm: Vm, pattern?: RegExp | string) => verdict(await judgePanic(vm, pattern)),
  toExitWith: async (subject: Vm | ShResult, status: number) =>
    verdict(await judgeExit(subject, status)),
});

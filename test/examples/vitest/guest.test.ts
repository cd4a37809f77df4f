import { guestFromEnvironment, vmTest } from 'nodevm/vitest';
import { describe, expect } from 'vitest';

/** Guest time that depends on nothing but the guest: a test that passes once passes always. */
const guest = async () => ({ ...(await guestFromEnvironment()), clock: 'icount' as const });

/** One guest for all the tests of this file. */
const test = vmTest(guest);

/** A guest of its own for each test, in a thread of its own. */
const freshTest = vmTest(async () => ({ ...(await guest()), worker: true }), { scope: 'test' });

describe('my kernel', { timeout: 300_000 }, () => {
  test('boots', async ({ vm }) => {
    await expect(vm).toHaveBooted();
    expect(vm.console.transcript).not.toMatch(/\b(BUG|Oops|WARNING)\b/);
  });

  test('is Linux', async ({ vm }) => {
    const result = await vm.sh('uname -s');
    await expect(result).toExitWith(0);
    expect(result.stdout).toBe('Linux\n');
  });

  freshTest('panics when it is told to', async ({ vm }) => {
    await vm.booted();
    vm.console.send('echo c >/proc/sysrq-trigger\n');
    await expect(vm).toPanic(/sysrq/);
    await expect(vm).toExitWith(255);
  });
});

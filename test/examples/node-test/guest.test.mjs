import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assertBooted, assertExitsWith, guestFromEnvironment, useVm } from 'nodevm/node-test';

describe('my kernel', () => {
  const vm = useVm(async () => ({ ...(await guestFromEnvironment()), clock: 'icount' }));

  test('boots', async () => {
    await assertBooted(vm());
  });

  test('is Linux', async () => {
    const result = await vm().sh('uname -s');
    await assertExitsWith(result, 0);
    assert.equal(result.stdout, 'Linux\n');
  });

  test('turns off', async () => {
    vm().console.send('poweroff -f\n');
    await assertExitsWith(vm(), 0);
  });
});

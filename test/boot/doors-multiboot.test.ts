import { describe, expect, it } from 'vitest';

import { Machine } from '../../src/machine.js';
import { BOOT_TIMEOUT_MS } from '../support/boot.js';
import { buildMultibootGuest, type MultibootForm } from '../support/multiboot-guest.js';

const text = (words: string): Uint8Array => Buffer.from(words);

describe.each([1, 2] as const)('multiboot %i', (version) => {
  it.each<MultibootForm>(['elf32', 'elf64', 'raw'])(
    'tells a kernel in the form %s of command line and modules',
    async (form) => {
      await using machine = await Machine.create({
        kernel: buildMultibootGuest(version, form),
        initrd: [text('first'), text('second module')],
        cmdline: 'one "two three"',
        clock: 'icount',
        debugExit: {},
      });
      expect(machine.kernel).toContain(`multiboot ${version}`);
      let output = '';
      machine.console.onOutput((bytes) => (output += Buffer.from(bytes).toString('latin1')));
      const { reason, status } = await machine.run();
      expect({ reason, status }).toEqual({ reason: 'guest-exit', status: (2 << 1) | 1 });
      const magic = version === 1 ? '2badb002' : '36d76289';
      expect(output.split('\n')).toEqual([
        `magic ${magic}`,
        'state 0000000100000000', // protection on, paging off; bss is zero
        'command line one "two three"',
        'module first',
        'module second module',
      ]);
    },
    BOOT_TIMEOUT_MS,
  );
});

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';

import { BOOT_TIMEOUT_MS, createGuest, shellOf } from '../support/boot.js';

describe('symbols out of guest memory', { timeout: BOOT_TIMEOUT_MS }, () => {
  it.each(['direct', '64'] as const)('are those of /proc/kallsyms (%s)', async (bootProtocol) => {
    await using machine = await createGuest({ bootProtocol });
    void machine.run();
    const shell = await shellOf(machine);
    // The guest's own word for all that we found.
    const { output } = await shell.sh("grep -v ']$' /proc/kallsyms | cut -d ' ' -f 1,3 | md5sum");
    const symbols = machine.symbols.kernel()?.symbols;
    const lines = symbols?.names.map((name, n) => {
      return `${symbols.addresses[n]?.toString(16).padStart(16, '0')} ${name}\n`;
    });
    expect(lines?.length).toBeGreaterThan(50_000);
    const md5 = createHash('md5')
      .update(lines?.join('') ?? '')
      .digest('hex');
    expect(output).toContain(md5);

    const panic = machine.symbols.address('panic') ?? 0n;
    expect(machine.symbols.name(panic + 0x12n)).toMatch(/^panic\+0x12\/0x[0-9a-f]+$/);
    expect(machine.symbols.name(0x1234n)).toBeUndefined();
    const banner = machine.symbols.address('linux_banner') ?? 0n;
    expect(machine.view.readText(banner)).toMatch(/^Linux version 6/);
  });

  it('from the first instruction on, at physical addresses', async () => {
    await using machine = await createGuest({ bootProtocol: 'direct' });
    expect(machine.symbols.name(machine.view.codeAddress)).toMatch(/^startup_64\+0x0\//);
  });

  it('the page tables lead where the processor goes', async () => {
    await using machine = await createGuest();
    void machine.run();
    await shellOf(machine);
    const text = machine.symbols.address('_text') ?? 0n;
    for (let page = 0n; page < 0x400_0000n; page += 0x1_2345n) {
      const linear = text + page;
      const gpa = machine.cpu.native.translate(linear);
      expect(machine.view.walk(linear).gpa).toBe(gpa < 0 ? undefined : gpa);
    }
    expect(machine.view.walk(0n).end).toBe('not-present');
  });
});

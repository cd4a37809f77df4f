import { describe, expect, it } from 'vitest';

import { readModules } from '../../src/debug/modules.js';
import { BOOT_TIMEOUT_MS, createGuest } from '../support/boot.js';
import {
  INITRAMFS_TOOLS_IMAGES,
  haveInitramfsToolsImages,
} from '../support/initramfs-tools-images.js';

const { kernel, initrd } = INITRAMFS_TOOLS_IMAGES;

const have = haveInitramfsToolsImages();
describe.skipIf(!have)('symbols of modules', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('are those of /proc/kallsyms', async () => {
    const cmdline = 'console=ttyS0 break=premount';
    await using machine = await createGuest({ kernel, initrd, cmdline });
    void machine.run();
    await machine.console.expect('(initramfs) ');
    machine.console.write(
      "modprobe brd; grep -w brd_probe /proc/kallsyms; grep -c ']$' /proc/kallsyms; echo do''ne\n",
    );
    const { groups } = await machine.console.expect(
      /([0-9a-f]{16}) t brd_probe[^]*?\n(\d+)\r?\ndone/,
    );
    const [address = '', count] = groups;
    expect(machine.symbols.name(BigInt(`0x${address}`) + 3n)).toMatch(
      /^brd_probe\+0x3\/0x[0-9a-f]+ \[brd\]$/,
    );
    const modules = readModules(machine.view, machine.symbols);
    const symbols = modules.reduce((sum, module) => sum + module.symbols.names.length, 0);
    expect(symbols).toBe(Number(count));
  });
});

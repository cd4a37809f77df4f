/** The initramfs that a Debian system boots with, as its own tools make it. */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import { bootLinux, type BootOptions } from '../../src/index.js';
import { packObject } from '../../src/initramfs/index.js';
import { BOOT_TIMEOUT_MS } from '../support/boot.js';
import {
  INITRAMFS_TOOLS_IMAGES,
  haveInitramfsToolsImages,
} from '../support/initramfs-tools-images.js';

const { kernel, initrd, ramDisk } = INITRAMFS_TOOLS_IMAGES;
const OPTIONS: BootOptions = { kernel, clock: 'icount', agent: false };

/** The prompt, and what BusyBox asks the terminal for after it. */
const PROMPT = '(initramfs) ';

const have = haveInitramfsToolsImages();
describe.skipIf(!have)('an initramfs of initramfs-tools', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('reaches its shell, with the modules of its kernel', async () => {
    await using vm = await bootLinux({
      ...OPTIONS,
      initrd,
      append: 'console=ttyS0 break=premount',
    });
    await vm.console.expect('Loading essential drivers ... done.');
    await vm.console.expect('Spawning shell within the initramfs');
    await vm.console.expect(PROMPT);
    vm.console.send('uname -r; ls /lib/modules\n');
    await vm.console.expect(/\n(6\.\S+-cloud-amd64)\r?\n\1\r?\n/);
    await vm.console.expect(PROMPT);
    vm.console.send('modprobe brd rd_nr=1 && grep -w ram0 /proc/partitions\n');
    await vm.console.expect(/\n +1 +0 +16384 ram0\r?\n/);
    await vm.console.expect(PROMPT);
    vm.console.send('poweroff -f\n');
    expect(await vm.exit).toMatchObject({ reason: 'poweroff' });
  });

  it('mounts an ext2 image on the RAM disk as the root, and starts its init', async () => {
    // Its init runs what is in conf.d before it looks for the root.
    const settings = packObject({
      '/conf/conf.d/ram-disk': 'modprobe brd rd_nr=1\ncat /root.ext2 >/dev/ram0\n',
      '/root.ext2': await readFile(ramDisk),
    });
    await using vm = await bootLinux({
      ...OPTIONS,
      initrd: [initrd, settings],
      append: 'console=ttyS0 root=/dev/ram0 rw',
    });
    await vm.console.expect(/\n\/dev\/ram0 \/ ext2 rw,/);
    await vm.console.expect(/\nwritten\r?\n/);
    expect(await vm.exit).toMatchObject({ reason: 'poweroff' });
  });
});

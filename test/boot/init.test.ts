import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

import { bootLinux, defaultImages, type BootOptions, type Vm } from '../../src/index.js';
import {
  entriesOf,
  nod,
  packInitramfs,
  readInitramfs,
  type InitramfsObject,
} from '../../src/initramfs/index.js';
import { BOOT_TIMEOUT_MS } from '../support/boot.js';

/** The default guest with other entries, and without those that `hidden` matches. */
async function bootWith(
  object: InitramfsObject,
  hidden: RegExp,
  options: Partial<BootOptions> = {},
): Promise<Vm> {
  const { kernel, initrd } = await defaultImages();
  const entries = readInitramfs(await readFile(initrd));
  const others = entries.filter(({ path }) => !hidden.test(path));
  const archive = packInitramfs([...others, ...entriesOf(object)]);
  return bootLinux({ kernel, initrd: archive, clock: 'icount', ...options });
}

/** The default guest with another /init. */
async function bootWithInit(init: string, options: Partial<BootOptions> = {}): Promise<Vm> {
  return bootWith({ '/init': init }, /^init$/, options);
}

describe('ways to the first process', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('rdinit= names it', async () => {
    const { kernel, initrd } = await defaultImages();
    const append = 'console=ttyS0 rdinit=/bin/busybox -- sh -c "echo pid $$; exec /bin/busybox sh"';
    await using vm = await bootLinux({ kernel, initrd, append, clock: 'icount' });
    await vm.console.expect(/pid 1\r?\n/);
    expect((await vm.sh('echo up')).stdout).toBe('up\n');
  });

  it('switch_root moves it to another root, and commands go there too', async () => {
    await using vm = await bootWithInit(`#!/bin/busybox sh
/bin/busybox --install -s
mkdir /new
mount -t tmpfs new /new
mkdir /new/bin /new/proc /new/dev
cp /bin/busybox /new/bin
ln -s busybox /new/bin/sh
mount -t proc proc /new/proc
mount -t devtmpfs dev /new/dev
echo new >/new/which
exec switch_root /new /bin/busybox sh -c 'echo "in the new root"; exec sh'
`);
    await vm.console.expect('in the new root');
    const { stdout } = await vm.sh('cat /which; busybox readlink /proc/1/exe; busybox ls /');
    expect(stdout).toBe('new\n/bin/busybox\nbin\ndev\nproc\nwhich\n');
    await vm.push(Buffer.from('pushed'), '/pushed');
    expect(Buffer.from(await vm.pull('/pushed')).toString()).toBe('pushed');
  });

  it('one that takes a break is waited for by what it prints', async () => {
    const init = `#!/bin/busybox sh
/bin/busybox sleep 3
/bin/busybox --install -s
echo it is ready
exec sh
`;
    await using vm = await bootWithInit(init, { ready: /it is ready/ });
    expect(await vm.sh('ls -l /bin/sh | grep -c busybox')).toMatchObject({ stdout: '1\n' });
  });

  it('a kernel without an agent says so', async () => {
    const { kernel, initrd } = await defaultImages();
    await using vm = await bootLinux({ kernel, initrd, clock: 'icount', agent: false });
    await expect(vm.sh('true')).rejects.toThrow('without its agent');
    const booting = vm.booted();
    await booting;
    vm.console.send('poweroff -f\n');
    expect(await vm.exit).toMatchObject({ reason: 'poweroff' });
    const noPort = '8250.nr_uarts=1 console=ttyS0';
    await using deaf = await bootLinux({ kernel, initrd, clock: 'icount', append: noPort });
    await expect(deaf.sh('true')).rejects.toThrow(/agent did not start.*COM2/);
  });
});

// Debian's kernels have only the default one, usr/default_cpio_list: /dev, /dev/console and /root.
describe('an initramfs built into the kernel', { timeout: BOOT_TIMEOUT_MS }, () => {
  const init = `#!/bin/busybox sh
/bin/busybox stat -c '%n: %F, %a, %u:%g, %t:%T' /dev/console /root
/bin/busybox cat /root
/bin/busybox poweroff -f
`;
  /** What the built-in archive has. */
  const hidden = /^(init|dev|dev\/console|root)$/;
  const options = { agent: false };

  it('is there where ours has nothing', async () => {
    await using vm = await bootWith({ '/init': init }, hidden, options);
    await vm.console.expect('/dev/console: character special file, 600, 0:0, 5:1');
    await vm.console.expect('/root: directory, 700, 0:0, 0:0');
    expect(await vm.exit).toMatchObject({ reason: 'poweroff' });
  });

  it('gives way to ours, even a directory to a file', async () => {
    const ours: InitramfsObject = {
      '/dev/console': nod('c', 5, 1, { mode: 0o620, gid: 5 }),
      '/root': 'a file of ours\n',
      '/init': init,
    };
    await using vm = await bootWith(ours, hidden, options);
    await vm.console.expect('/dev/console: character special file, 620, 0:5, 5:1');
    await vm.console.expect('/root: regular file, 644, 0:0, 0:0');
    await vm.console.expect('a file of ours');
    expect(await vm.exit).toMatchObject({ reason: 'poweroff' });
  });
});

import { describe, expect, it } from 'vitest';

import { defaultImages, imagePaths } from '../../src/images.js';
import { Machine, type MachineConfig } from '../../src/index.js';
import { BOOT_TIMEOUT_MS, shellOf } from '../support/boot.js';
import {
  biosImage,
  grubAsKernel,
  grubFloppy,
  haveBiosImages,
  linuxDisk,
} from '../support/bios-images.js';
import { INITRD_I386, doorKernel, haveImages } from '../support/door-images.js';

/*
 * Boot programs measure time by polling the timer's ports for tens of milliseconds. With a clock made of
 * instructions that is tens of millions of them; the host's clock is used instead.
 */

/** Runs a machine until all of `texts` were printed, one after the other, and says what was loaded. */
async function until(config: MachineConfig, ...texts: (string | RegExp)[]): Promise<string> {
  await using machine = await Machine.create(config);
  const ended = machine.run();
  for (const text of texts) await machine.console.expect(text);
  machine.stop();
  expect((await ended).reason).toBe('stopped');
  return machine.kernel;
}

describe.each([
  ['686', doorKernel('686'), INITRD_I386],
  ['686-pae', doorKernel('686-pae'), INITRD_I386],
  ['rt-686-pae', doorKernel('rt-686-pae'), INITRD_I386],
  ['amd64', imagePaths('amd64').kernel, undefined],
  ['rt-amd64', doorKernel('rt-amd64'), undefined],
])("Debian's %s kernel", (flavour, kernel, initrd32) => {
  it.skipIf(!haveImages(kernel, INITRD_I386))(
    'boots through its 16-bit setup code',
    async () => {
      const initrd = initrd32 ?? (await defaultImages()).initrd;
      const cmdline = 'console=ttyS0 cryptomgr.notests';
      await using machine = await Machine.create({ kernel, initrd, cmdline, bootProtocol: '16' });
      const ended = machine.run();
      const shell = await shellOf(machine);
      expect((await shell.sh('uname -r')).output).toContain(flavour);
      machine.stop();
      await ended;
    },
    BOOT_TIMEOUT_MS,
  );
});

describe.each(['memtest86+x64.bin', 'memtest86+ia32.bin'])('%s', (name) => {
  it.skipIf(!haveBiosImages(name))(
    'tests memory, entered by its 16-bit setup code',
    async () => {
      const config: MachineConfig = {
        kernel: biosImage(name),
        bootProtocol: '16',
        cmdline: 'console=ttyS0,115200',
      };
      await until(config, 'Memtest86+ v', 'Address test, walking ones');
    },
    BOOT_TIMEOUT_MS,
  );
});

describe.skipIf(!haveBiosImages('ipxe.lkrn'))('ipxe.lkrn', () => {
  it('reaches its shell and takes commands by INT 16h', async () => {
    const config = { kernel: biosImage('ipxe.lkrn'), cmdline: 'shell' };
    await using machine = await Machine.create(config);
    const ended = machine.run();
    await machine.console.expect('iPXE> ');
    machine.console.write('echo ${platform} ${buildarch}\r');
    await machine.console.expect('pcbios i386');
    machine.stop();
    await ended;
  });
});

const haveGrub = haveBiosImages('boot.img', 'lnxboot.img', 'grub-shell.img', 'grub-linux.img');

describe.skipIf(!haveGrub)('GRUB', () => {
  it('starts from the boot sector of a floppy', async () => {
    const loaded = await until({ fda: grubFloppy() }, 'GRUB has started', 'grub> ');
    expect(loaded).toContain('boot sector');
  });

  it('starts as a kernel, by lnxboot', async () => {
    const loaded = await until({ kernel: grubAsKernel() }, 'GRUB has started', 'grub> ');
    expect(loaded).toContain('16-bit');
  });

  it.skipIf(!haveBiosImages('memdisk'))(
    "starts from a floppy in memory, by syslinux's memdisk",
    () =>
      until(
        { kernel: biosImage('memdisk'), initrd: grubFloppy() },
        'Disk is fd0, 1440 K, C/H/S = 80/2/18',
        'GRUB has started',
        'grub> ',
      ),
  );

  it(
    'starts Linux from a disk, and Linux reaches its shell',
    async () => {
      const { kernel, initrd } = await defaultImages();
      const hda = linuxDisk(kernel, initrd);
      await using machine = await Machine.create({ hda });
      const ended = machine.run();
      const shell = await shellOf(machine);
      expect((await shell.sh('uname -m')).output).toContain('x86_64');
      machine.stop();
      await ended;
    },
    BOOT_TIMEOUT_MS,
  );
});

describe.each(['bios.bin', 'bios-256k.bin'])('SeaBIOS, %s', (name) => {
  it.skipIf(!haveBiosImages(name))('starts, and looks for something to boot', async () => {
    await using machine = await Machine.create({ bios: biosImage(name) });
    const log: number[] = [];
    let found: () => void = () => undefined;
    const searched = new Promise<void>((resolve) => (found = resolve));
    machine.onDebugOutput((byte) => {
      log.push(byte);
      if (Buffer.from(log).includes('No bootable device')) found();
    });
    const ended = machine.run();
    await Promise.race([searched, ended]);
    machine.stop();
    await ended;
    const text = Buffer.from(log).toString('latin1');
    expect(text).toMatch(/^SeaBIOS \(version /);
    expect(text).toContain('RamSize: 0x20000000 [cmos]');
    expect(text).toContain('No bootable device');
  });
});

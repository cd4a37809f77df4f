import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';

import { defaultImages, findImages } from '../../src/images.js';
import { Machine, type MachineConfig } from '../../src/index.js';
import { unpackPayload } from '../../src/loader/payload.js';
import type { BootProtocol } from '../../src/loader/protocol.js';
import { parseKernel } from '../../src/loader/setup-header.js';
import { BOOT_TIMEOUT_MS, createGuest, shellOf } from '../support/boot.js';
import { DOOR_IMAGES, INITRD_I386, doorKernel, haveImages } from '../support/door-images.js';

/** The self-tests of ciphers take 32-bit kernels longer than all the rest of a boot. */
const QUICK = 'console=ttyS0 cryptomgr.notests';

/** Boots to the prompt. @returns what the shell answers to `command` */
async function answer(config: Partial<MachineConfig>, command: string): Promise<string> {
  await using machine = await createGuest(config);
  const ended = machine.run();
  const shell = await shellOf(machine);
  const { output } = await shell.sh(command);
  machine.stop();
  await ended;
  return output;
}

describe('the default guest', () => {
  it.each<BootProtocol>(['direct', '64', '32', 'pvh'])(
    'boots through the door %s',
    async (bootProtocol) => {
      expect(await answer({ bootProtocol }, 'uname -m')).toContain('x86_64');
    },
    BOOT_TIMEOUT_MS,
  );

  it(
    'is unpacked by the host unless asked otherwise, at another place each time',
    async () => {
      const places = 'grep -m1 " T _stext" /proc/kallsyms; grep "Kernel code" /proc/iomem';
      await using machine = await createGuest();
      expect(machine.kernel).toMatch(/^Linux 6\..* unpacked by the host$/);
      const random = await answer({}, places);
      const fixed = await answer({ cmdline: `${QUICK} nokaslr` }, places);
      expect(fixed).toContain('ffffffff81000000');
      expect(fixed).toContain('01000000-');
      expect(random).not.toContain('ffffffff81000000');
      expect(random).not.toContain('  01000000-');
      const again = await answer({ entropySeed: 2n }, places);
      expect(again).not.toBe(random);
    },
    BOOT_TIMEOUT_MS,
  );

  it(
    'takes an initramfs above 4 GiB',
    async () => {
      const log = await answer({ memory: 4 * 2 ** 30 }, 'dmesg | grep RAMDISK');
      expect(log).toMatch(/RAMDISK: \[mem 0x13/);
    },
    BOOT_TIMEOUT_MS,
  );
});

describe('a vmlinux', () => {
  let kernel: Uint8Array;
  beforeAll(async () => {
    const images = await defaultImages();
    kernel = unpackPayload(parseKernel(readFileSync(images.kernel)));
  });

  it.each<[BootProtocol | undefined, RegExp]>([
    ['64', /entered at e_entry with boot_params/],
    [undefined, /by its PVH note/],
  ])(
    'boots with boot protocol %s',
    async (bootProtocol, description) => {
      await using machine = await createGuest({ kernel, bootProtocol });
      expect(machine.kernel).toMatch(description);
      expect(await answer({ kernel, bootProtocol }, 'uname -m')).toContain('x86_64');
    },
    BOOT_TIMEOUT_MS,
  );
});

const amd64 = await findImages('amd64');
describe.skipIf(amd64 === undefined)("Debian's amd64 kernel", () => {
  it.each<BootProtocol>(['direct', '64', '32'])(
    'boots through the door %s',
    async (bootProtocol) => {
      const config = { ...amd64, bootProtocol, cmdline: QUICK };
      expect(await answer(config, 'uname -m')).toContain('x86_64');
    },
    BOOT_TIMEOUT_MS,
  );
});

const haveRt = haveImages(doorKernel('rt-amd64'));
describe.skipIf(!haveRt)("Debian's rt-amd64 kernel", () => {
  it.each<BootProtocol>(['direct', '64'])(
    'boots through the door %s',
    async (bootProtocol) => {
      const config = { kernel: doorKernel('rt-amd64'), bootProtocol, cmdline: QUICK };
      expect(await answer(config, 'uname -v')).toContain('PREEMPT_RT');
    },
    BOOT_TIMEOUT_MS,
  );
});

describe.each(['686', '686-pae', 'rt-686-pae'])("Debian's %s kernel", (flavour) => {
  const kernel = doorKernel(flavour);
  const have = haveImages(kernel, INITRD_I386);
  it.skipIf(!have).each<BootProtocol>(['direct', '32'])(
    'boots through the door %s',
    async (bootProtocol) => {
      const config = { kernel, initrd: INITRD_I386, bootProtocol, cmdline: QUICK };
      expect(await answer(config, 'uname -m')).toContain('i686');
    },
    BOOT_TIMEOUT_MS,
  );
});

describe.each<[string, BootProtocol]>([
  ['memtest86+x64.bin', '64'],
  ['memtest86+x64.bin', '32'],
  ['memtest86+ia32.bin', '32'],
])('%s', (name, bootProtocol) => {
  const kernel = join(DOOR_IMAGES, name);
  it.skipIf(!haveImages(kernel))(
    `tests memory, entered by ${bootProtocol}`,
    async () => {
      await using machine = await Machine.create({ kernel, bootProtocol });
      const ended = machine.run();
      await machine.console.expect('Memtest86+ v');
      await machine.console.expect('Address test, walking ones');
      machine.stop();
      expect((await ended).reason).toBe('stopped');
    },
    BOOT_TIMEOUT_MS,
  );
});

import { describe, expect, it } from 'vitest';

import { Machine, type MachineConfig } from '../../src/index.js';
import { BOOT_TIMEOUT_MS, createGuest, shellOf } from '../support/boot.js';
import { buildServicesDrive, haveAssembler } from '../support/bios-guest.js';
import { makeKernel } from '../support/kernel-fixture.js';

const MiB = 2 ** 20;
const FLOPPY_SECTORS = 2880;
/** bios-services.s knows this number. */
const DISK_SECTORS = 4096;

/** A machine without a kernel. */
function startFirmware(config: MachineConfig): Promise<Machine> {
  return Machine.create({ clock: 'icount', memory: 32 * MiB, ...config });
}

describe.skipIf(!haveAssembler())('the services of the ROM', () => {
  it.each([
    ['fda', FLOPPY_SECTORS],
    ['hda', DISK_SECTORS],
  ])(
    'answer a boot sector on %s',
    async (drive, sectors) => {
      await using machine = await startFirmware({ [drive]: buildServicesDrive(sectors) });
      const ended = machine.run();
      const { before } = await machine.console.expect('keys?\r\n');
      machine.console.write('a\x1b[A\rq');
      const { before: keys } = await machine.console.expect('done\r\n');
      await ended;
      expect(before.split('\r\n').filter((line) => line.startsWith('FAIL'))).toEqual([]);
      expect(before.match(/^ok /gm)?.length).toBeGreaterThan(35);
      // Scan code and character of each key: the letter, cursor up, Enter, the letter.
      expect(keys.trim().split('\r\n')).toEqual(['00001e61', '00004800', '00001c0d', '00001071']);
    },
    BOOT_TIMEOUT_MS,
  );

  it('keeps what the guest writes to bytes from the bytes', async () => {
    const image = buildServicesDrive(DISK_SECTORS);
    const before = image.slice();
    await using machine = await startFirmware({ hda: image });
    const ended = machine.run();
    await machine.console.expect('13/43 what was written');
    machine.stop();
    await ended;
    expect(Buffer.compare(image, before)).toBe(0);
  });
});

describe('the ROM', () => {
  it('says so when a boot sector has nothing to start', async () => {
    const image = new Uint8Array(512);
    image.set([0xcd, 0x18]); // int 0x18
    image.set([0x55, 0xaa], 510);
    await using machine = await startFirmware({ hda: image });
    const exit = await machine.run();
    expect(exit).toMatchObject({ reason: 'halt' });
    expect(exit.consoleTail).toContain('no bootable drive');
  });

  it('is not started for drives that have no boot sector', async () => {
    const drives = { fda: new Uint8Array(512), hda: new Uint8Array(512) };
    await expect(startFirmware(drives)).rejects.toThrow(/does not end in 55 aa/);
    await expect(startFirmware({})).rejects.toThrow(/kernel is missing/);
  });

  it('says where an invalid opcode is', async () => {
    const image = new Uint8Array(512);
    image.set([0x0f, 0x0b], 0); // UD2
    image.set([0x55, 0xaa], 510);
    await using machine = await startFirmware({ fda: image });
    const exit = await machine.run();
    expect(exit.consoleTail).toContain('invalid opcode at 0000:7C00');
  });

  it('starts again from the drive after a reset', async () => {
    const image = new Uint8Array(512);
    // mov ax, 0x0e21; int 0x10; mov dx, 0xcf9; mov al, 6; out dx, al; hlt
    image.set([0xb8, 0x21, 0x0e, 0xcd, 0x10, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xf4]);
    image.set([0x55, 0xaa], 510);
    await using machine = await startFirmware({ fda: image });
    const ended = machine.run();
    await machine.console.expect('!');
    await machine.console.expect('!');
    machine.stop();
    await ended;
  });
});

describe('the 16-bit door', () => {
  // Setup code: mov ax, ds; cmp ax, 0x9000; jne +5; mov ax, 0x0e21; int 0x10; cli; hlt
  const SETUP = [
    0x8c, 0xd8, 0x3d, 0x00, 0x90, 0x75, 0x05, 0xb8, 0x21, 0x0e, 0xcd, 0x10, 0xfa, 0xf4,
  ];

  it.each<[string, Parameters<typeof makeKernel>[0]]>([
    ['a zImage of protocol 2.01', { loadflags: 0, version: 0x0201 }],
    ['a kernel from before 2.00', { header: 0, version: 0, loadflags: 0 }],
  ])('enters the setup code of %s', async (_what, fields) => {
    const kernel = makeKernel(fields);
    kernel.set([0xe9, 0xfd, 0x00], 0x200); // jmp to 0x300 of the file
    kernel.set(SETUP, 0x300);
    await using machine = await startFirmware({ kernel });
    const exit = await machine.run();
    expect(machine.kernel).toContain('16-bit setup code');
    expect(exit).toMatchObject({ reason: 'halt', consoleTail: '!' });
  });

  it(
    'boots the default guest, which asks the ROM for its memory',
    async () => {
      await using machine = await createGuest({ bootProtocol: '16' });
      expect(machine.kernel).toContain('16-bit setup code');
      const ended = machine.run();
      const shell = await shellOf(machine);
      const { output } = await shell.sh('dmesg | grep -e e820: -e RSDP; uname -m');
      machine.stop();
      await ended;
      expect(output).toContain('BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable');
      expect(output).toContain('BIOS-e820: [mem 0x0000000000100000-0x000000001fffffff] usable');
      expect(output).toContain('ACPI: RSDP 0x00000000000E0000');
      expect(output).toContain('x86_64');
    },
    BOOT_TIMEOUT_MS,
  );
});

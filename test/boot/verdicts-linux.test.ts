import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';

import { packInitramfs } from '../../src/initramfs/cpio.js';
import { Machine, type MachineConfig, type MachineExit } from '../../src/index.js';
import { BOOT_PARAMS } from '../../src/layout.js';
import { BOOT_TIMEOUT_MS, createGuest } from '../support/boot.js';
import { makeElf } from '../support/elf-fixture.js';

/** Offset of ramdisk_image in boot_params: Documentation/arch/x86/boot.rst. */
const RAMDISK_IMAGE = 0x218;
/** e_machine of an ELF file, and its value for AArch64. */
const E_MACHINE = 0x12;
const EM_AARCH64 = 183;

/** Boots the default kernel with these changes to its end. */
async function boot(config: Partial<MachineConfig>, prepare = (_machine: Machine) => {}) {
  await using machine = await createGuest({ cmdline: 'console=ttyS0 panic=-1', ...config });
  prepare(machine);
  return await machine.run();
}

function archive(init: Uint8Array, mode = 0o755): Uint8Array {
  return packInitramfs([{ type: 'file', path: 'init', mode, data: init }]);
}

/** A program that reads from address 0. */
async function crashingProgram(): Promise<Uint8Array> {
  const directory = await mkdtemp(join(tmpdir(), 'nodevm-init-'));
  const [object, program] = [join(directory, 'object'), join(directory, 'program')];
  try {
    const source = '.globl _start\n_start: mov 0, %rax\n';
    execFileSync('as', ['--64', '-o', object, '-'], { input: source });
    execFileSync('ld', ['-o', program, object]);
    return readFileSync(program);
  } finally {
    await rm(directory, { recursive: true });
  }
}

function section({ verdict }: MachineExit, title: string): string {
  return verdict?.sections.find((part) => part.title.startsWith(title))?.lines.join('\n') ?? '';
}

describe('the verdict on a panic', { timeout: BOOT_TIMEOUT_MS }, () => {
  let crashing: Uint8Array;
  beforeAll(async () => {
    crashing = await crashingProgram();
  });

  it('without a console: found in memory', async () => {
    const exit = await boot({ initrd: [], cmdline: 'console=tty0 panic=-1' });
    expect(exit).toMatchObject({ reason: 'panic', status: 255, consoleTail: '' });
    expect(exit.verdict?.cause).toMatch(
      /^the kernel panicked \(VFS: Unable to mount root fs on unknown-block\(0,0\)\): no initramfs was given, .*; no console shows it: the command line has console=tty0, expected console=ttyS0/,
    );
    expect(exit.verdict?.phase).toBe('init');
    expect(section(exit, "end of the kernel's log")).toMatch(
      /^\[ {4}\d\.\d{6}\] Kernel panic - not/m,
    );
    expect(section(exit, 'backtrace (ORC)')).toMatch(/\(panic\+0x[^]*\(kernel_init\+0x/);
  });

  it('with an initramfs without /init', async () => {
    const data = new Uint8Array(8);
    const { verdict } = await boot({
      initrd: packInitramfs([{ type: 'file', path: 'hello', mode: 0o755, data }]),
    });
    expect(verdict?.cause).toMatch(
      /found no \/init in the initramfs at 0x\w+-0x\w+, .*the address is wrong, or the archive has none/,
    );
  });

  it('with an /init that cannot be executed', async () => {
    const { verdict } = await boot({ initrd: archive(crashing, 0o644) });
    expect(verdict?.cause).toMatch(/\/init cannot be executed: it is not executable \(EACCES\)/);
  });

  it('with an init for another architecture', async () => {
    const foreign = Uint8Array.from(crashing);
    foreign[E_MACHINE] = EM_AARCH64;
    const { verdict } = await boot({ initrd: archive(foreign) });
    expect(verdict?.cause).toMatch(
      /\/init cannot be executed: it is no program for this architecture/,
    );
  });

  it('with an init that crashes', async () => {
    const { verdict } = await boot({ initrd: archive(crashing) });
    expect(verdict?.cause).toMatch(/init was killed by signal 11 \("init\[1\]: segfault at 0 ip/);
    expect(verdict?.phase).toBe('user');
  });

  it('with the initramfs at a wrong address', async () => {
    const { verdict } = await boot({ initrd: archive(crashing) }, ({ memory }) =>
      memory.writeU32(BOOT_PARAMS + RAMDISK_IMAGE, 0x1000_0000),
    );
    expect(verdict?.cause).toMatch(
      /found no \/init in the initramfs at 0x10000000-0x1000\w{4}, where ramdisk_image in boot_params has it: the address is wrong/,
    );
  });
});

describe('the verdict on a kernel that waits', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('names what waits for hardware that is not there', async () => {
    const cmdline = 'console=ttyS0 root=/dev/vda rootwait';
    const exit = await boot({ initrd: [], cmdline, stallMs: 3000 });
    expect(exit).toMatchObject({ reason: 'stall', status: 124 });
    expect(exit.verdict?.cause).toMatch(
      /^the kernel is idle: process 1 \(swapper\/0\) waits in (?:prepare_namespace|wait_for_root)/,
    );
    expect(section(exit, 'backtrace (ORC)')).toMatch(/prepare_namespace[^]*kernel_init/);
  });
});

describe('a kernel for another architecture', () => {
  it('is refused by name', async () => {
    const kernel = makeElf();
    kernel[E_MACHINE] = EM_AARCH64;
    await expect(Machine.create({ kernel })).rejects.toThrow(
      'e_machine of the ELF file is 183, expected 62',
    );
  });
});

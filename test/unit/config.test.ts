import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { resolveConfig, type MachineConfig } from '../../src/config.js';

const MiB = 1024 * 1024;
const kernel = Uint8Array.of(1, 2, 3);
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodevm-config-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('resolveConfig', () => {
  it('fills in the defaults', async () => {
    const config = await resolveConfig({ kernel });
    expect(config).toMatchObject({
      kernel,
      initrds: [],
      cmdline: 'console=ttyS0',
      memory: 512 * MiB,
      clock: 'host',
      serialPorts: 1,
      noReboot: false,
    });
    expect(config.debugExit).toBeUndefined();
    expect(config.timeoutMs).toBeUndefined();
    expect(Math.abs(config.epochMs - Date.now())).toBeLessThan(60_000);
  });

  it('starts an icount machine at a fixed time', async () => {
    const config = await resolveConfig({ kernel, clock: 'icount' });
    expect(new Date(config.epochMs).toISOString()).toBe('2026-01-01T00:00:00.000Z');
  });

  it('reads files, and keeps the order of archives', async () => {
    const path = join(folder, 'first');
    writeFileSync(path, 'cpio');
    const config = await resolveConfig({ kernel, initrd: [path, Uint8Array.of(7)] });
    expect(config.initrds.map((bytes) => [...bytes])).toEqual([[99, 112, 105, 111], [7]]);
    expect((await resolveConfig({ kernel: path })).kernel).toHaveLength(4);
    expect((await resolveConfig({ kernel, initrd: path })).initrds).toHaveLength(1);
  });

  it('places isa-debug-exit where QEMU does', async () => {
    expect((await resolveConfig({ kernel, debugExit: {} })).debugExit).toEqual({
      iobase: 0xf4,
      iosize: 4,
    });
  });

  const bad: [string, Partial<MachineConfig>, string, RegExp][] = [
    [
      'too little memory',
      { memory: 31 * MiB },
      'E_MEMORY_SIZE',
      /is 32505856 bytes, expected .*32 MiB/,
    ],
    ['too much memory', { memory: 2 ** 34 + 4096 }, 'E_MEMORY_SIZE', /to 16 GiB/],
    ['half a page', { memory: 64 * MiB + 1 }, 'E_MEMORY_SIZE', /multiple of 4096/],
    ['no number', { memory: NaN }, 'E_MEMORY_SIZE', /NaN/],
    ['an engine of its own', { accel: 'kvm' as 'jit' }, 'E_USAGE', /accel is kvm/],
    ['translated code in no memory', { jitCache: 0 }, 'E_USAGE', /jitCache is 0/],
    ['a clock of its own', { clock: 'sundial' as 'host' }, 'E_USAGE', /clock is sundial/],
    ['no serial port', { serialPorts: 0 }, 'E_USAGE', /serialPorts is 0, expected .* 1 to 4/],
    ['a fifth serial port', { serialPorts: 5 }, 'E_USAGE', /serialPorts is 5/],
    ['a NUL in the command line', { cmdline: 'a\0b' }, 'E_USAGE', /NUL/],
    ['no time at all', { timeoutMs: 0 }, 'E_USAGE', /timeoutMs is 0/],
    ['an exit port too high', { debugExit: { iobase: 0xffff } }, 'E_USAGE', /iobase is 65535/],
    ['an exit port of no size', { debugExit: { iosize: 0 } }, 'E_USAGE', /iosize is 0/],
    ['no such file', { kernel: '/nonexistent/bzImage' }, 'E_FILE', /kernel \/non.*: no such file/],
    ['a directory', { kernel: tmpdir() }, 'E_FILE', /kernel .*is a directory/],
  ];

  it.each(bad)('refuses %s', async (_name, fields, code, message) => {
    const refused = resolveConfig({ kernel, ...fields });
    await expect(refused).rejects.toMatchObject({ code });
    await expect(refused).rejects.toThrow(message);
  });
});

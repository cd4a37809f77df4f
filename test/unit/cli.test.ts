import { describe, expect, it } from 'vitest';

import {
  ignoredFlags,
  ignoredWithArgument,
  optionRows,
  parseCommandLine,
} from '../../src/cli/options.js';
import type { CliOptions } from '../../src/cli/options.js';
import { NodevmError } from '../../src/errors.js';

const MIB = 1024 * 1024;

function parse(...argv: string[]): CliOptions {
  const request = parseCommandLine(argv, '1.2.3');
  if (request.kind !== 'run') throw new Error(`not a run: ${request.text}`);
  return request.options;
}

function usageMessage(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof NodevmError && error.code === 'E_USAGE') return error.message;
    throw error;
  }
  throw new Error('accepted');
}

describe('options', () => {
  it('has defaults', () => {
    expect(parse()).toMatchObject({
      kernel: undefined,
      bootProtocol: undefined,
      fda: undefined,
      hda: undefined,
      bios: undefined,
      initrd: [],
      append: 'console=ttyS0',
      memory: 512 * MIB,
      serial: [],
      debugExit: undefined,
      noReboot: false,
      timeoutMs: undefined,
      stallMs: undefined,
      ready: undefined,
      clock: 'host',
      verbose: false,
      accel: 'auto',
      jitCache: 64 * 2 ** 20,
      profileJit: false,
      cpu: 'max',
      json: false,
      verdict: true,
      ignored: new Set(),
      given: new Set(),
    });
  });

  it('takes long names with one dash and with two, with = as well', () => {
    expect(parse('-kernel', 'k', '-no-reboot')).toEqual(parse('--kernel=k', '--no-reboot'));
    expect(parse('-kernel', 'k').kernel).toBe('k');
    expect(parse('-no-reboot').noReboot).toBe(true);
  });

  it('knows the ways to enter a kernel', () => {
    expect(parse('--boot-protocol', '32').bootProtocol).toBe('32');
    expect(() => parse('--boot-protocol', 'efi')).toThrow(/"efi": expected one of direct, 64, 32/);
    expect(parse('-v').verbose).toBe(true);
    expect(parse('--verbose').verbose).toBe(true);
  });

  it('takes the next word as the argument whatever it looks like', () => {
    expect(parse('-append', '--json').append).toBe('--json');
    expect(parse('-append', '--json').json).toBe(false);
    expect(parse('-append', '-kernel', '-kernel', '-m').kernel).toBe('-m');
    expect(parse('-append', 'root=/dev/ram0 a="b c"\n').append).toBe('root=/dev/ram0 a="b c"\n');
    expect(parse('-append', '').append).toBe('');
  });

  it('collects archives and serial ports in order', () => {
    expect(parse('-initrd', 'a', '--initrd', 'b').initrd).toEqual(['a', 'b']);
    expect(parse('-serial', 'mon:stdio', '-serial', 'file:x:y', '-serial', 'null').serial).toEqual([
      { kind: 'stdio' },
      { kind: 'file', path: 'x:y' },
      { kind: 'null' },
    ]);
  });

  it.each([
    ['512', 512],
    ['512M', 512],
    ['64m', 64],
    ['1G', 1024],
    ['1.5G', 1536],
    ['size=2g', 2048],
    ['65536K', 64],
  ])('-m %s is %i MiB', (value, mib) => {
    expect(parse('-m', value).memory).toBe(mib * MIB);
  });

  it.each([
    ['60s', 60_000],
    ['60', 60_000],
    ['500ms', 500],
    ['1.5m', 90_000],
    ['1h', 3_600_000],
    ['0.1ms', 1],
  ])('--timeout %s is %i ms', (value, ms) => {
    expect(parse('--timeout', value).timeoutMs).toBe(ms);
  });

  it('reads isa-debug-exit with QEMU’s defaults', () => {
    expect(parse('-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04').debugExit).toEqual({
      iobase: 0xf4,
      iosize: 4,
    });
    expect(parse('-device', 'isa-debug-exit').debugExit).toEqual({ iobase: 0x501, iosize: 2 });
  });

  it('accepts one processor in each of QEMU’s spellings', () => {
    for (const value of ['1', 'cpus=1', '1,sockets=1']) parse('-smp', value);
  });

  it.each([
    [['--frobnicate'], 'unknown option --frobnicate'],
    [['disk.img'], 'unexpected argument "disk.img"'],
    [['-drive', 'file=x'], 'unknown option -drive'],
    [['-'], 'unknown option -'],
    [['--'], 'unknown option --'],
    [['-kernel'], '-kernel needs an argument'],
    [['--json=1'], '--json "--json=1": expected no argument'],
    [['-m', 'lots'], '-m "lots": expected a size'],
    [['-m', '-1'], '-m "-1": expected a size'],
    [['-m', '0.3K'], '-m "0.3K": expected a size'],
    [['-m', '1constructor'], 'expected a size'],
    [['-smp', '4'], '--smp "4": expected 1'],
    [['-smp', 'cpus=2,cores=2'], '--smp "cpus=2,cores=2": expected 1'],
    [['-serial', 'pty'], '--serial "pty": expected stdio, null, none or file:PATH'],
    [['-serial', 'file:'], '--serial "file:": expected'],
    [['-serial', 'stdio', '-serial', 'stdio'], 'stdio for one serial port only'],
    [Array<string[]>(5).fill(['-serial', 'null']).flat(), 'at most four serial ports'],
    [['-device', 'e1000'], '--device "e1000": expected isa-debug-exit'],
    [['-device', 'isa-debug-exit,irq=3'], 'iobase=PORT and iosize=BYTES'],
    [['-device', 'isa-debug-exit,iobase=zero'], 'iobase=PORT and iosize=BYTES'],
    [['--timeout', '0'], '--timeout "0": expected a time'],
    [['--timeout', '60 s'], '--timeout "60 s": expected a time'],
    [['--timeout', '999h'], '--timeout "999h": expected a time'],
    [['--clock', 'tsc'], '--clock "tsc": expected host or icount'],
    [['-nic', 'user'], '--nic "user": expected none'],
  ])('refuses %j', (argv, message) => {
    expect(usageMessage(...argv)).toContain(message);
  });

  it('knows its own engines', () => {
    expect(parse('-accel', 'jit').accel).toBe('jit');
    expect(parse('--accel=interp')).toMatchObject({ accel: 'interp', ignored: new Set() });
    expect(usageMessage('-accel', 'warp')).toContain('expected interp, jit or auto');
  });

  it('collects QEMU flags that mean nothing here, each once', () => {
    const argv = ['-enable-kvm', '-machine', 'q35', '--enable-kvm', '-accel', 'tcg'];
    expect([...parse(...argv).ignored]).toEqual(['--enable-kvm', '--machine q35', '--accel tcg']);
  });

  it('says nothing about flags that ask for what is so anyway', () => {
    const argv = [
      '-nographic',
      '-display',
      'none',
      '-monitor',
      'none',
      '-nodefaults',
      '-nic',
      'none',
    ];
    expect(parse(...argv).ignored.size).toBe(0);
    expect([...parse('-display', 'gtk').ignored]).toEqual(['--display gtk']);
  });
});

describe('--help and --version', () => {
  const print = (...argv: string[]) => {
    const request = parseCommandLine(argv, '1.2.3');
    return request.kind === 'print' ? request.text : '';
  };

  it('prints the version', () => {
    expect(print('--version')).toBe('1.2.3\n');
    expect(print('-version')).toBe('1.2.3\n');
  });

  it('lists each option of the table with its default, and each ignored flag', () => {
    const help = print('--help').replace(/\s+/g, ' ');
    for (const { name, argument, fallback, help: words } of optionRows) {
      const dashes = name.length === 1 ? '-' : '--';
      expect(help).toContain(
        argument === undefined ? `${dashes}${name} ` : `${dashes}${name} <${argument}> `,
      );
      expect(help).toContain(fallback === undefined ? words : `${words} (default: ${fallback})`);
    }
    for (const name of [...ignoredFlags, ...ignoredWithArgument])
      expect(help).toContain(`-${name}`);
    expect(print('-h')).toBe(print('--help'));
  });

  it('has no name twice', () => {
    const names = [...optionRows.map(({ name }) => name), ...ignoredFlags, ...ignoredWithArgument];
    expect(new Set(names).size).toBe(names.length);
  });
});

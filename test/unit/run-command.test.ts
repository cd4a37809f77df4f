import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

import { withEnvironment } from '../../src/cli/environment.js';
import { parseCommandLine, type CliOptions } from '../../src/cli/options.js';
import { refuseMeaningless, shellQuoted, splitCommand } from '../../src/cli/run-command.js';

describe('the command of nodevm run', () => {
  it('is what follows the first "--"', () => {
    expect(splitCommand(['-m', '1G', '--', 'ls', '--', '-l'])).toEqual([
      ['-m', '1G'],
      ['ls', '--', '-l'],
    ]);
  });

  it('must be there, unless help is asked for', () => {
    expect(() => splitCommand(['-m', '1G'])).toThrow('there is no command');
    expect(() => splitCommand(['--'])).toThrow('there is no command');
    expect(splitCommand(['--help'])).toEqual([['--help'], []]);
  });

  it('reaches a shell word for word', () => {
    const words = ['a b', "it's", '$HOME', '*', '', '\n', '"', '\\'];
    const script = `printf '%s\\0' ${words.map(shellQuoted).join(' ')}`;
    const printed = execFileSync('sh', ['-c', script], { encoding: 'utf8' });
    expect(printed.split('\0').slice(0, -1)).toEqual(words);
  });
});

const parse = (...words: string[]): CliOptions => {
  const request = parseCommandLine(words, '1');
  if (request.kind !== 'run') throw new Error('nothing to run');
  return request.options;
};

describe('an option that would do nothing for nodevm run', () => {
  it.each([
    ['--fda', 'disk.img'],
    ['-d', 'int'],
    ['-D', 'trace.txt'],
    ['--cpu-profile', 'x.cpuprofile'],
    ['-s'],
    ['-S'],
    ['--core', 'core'],
    ['--boot-protocol', '16'],
    ['--serial', 'stdio'],
    ['--serial', 'none'],
    ['--serial', 'null', '--serial', 'file:com2'],
  ])('is refused: %s %s', (...words) => {
    const refused = new RegExp(`^${words[0]}\\b.* is not for nodevm run, expected `);
    expect(() => refuseMeaningless(parse(...words))).toThrow(refused);
  });

  it('is not one that does, or that asks for what is so anyway', () => {
    const words = ['-m', '1G', '--serial', 'file:log', '-monitor', 'none', '-gdb', 'none'];
    expect(() => refuseMeaningless(parse(...words))).not.toThrow();
    expect(() => refuseMeaningless(parse('--serial', 'null', '-nographic'))).not.toThrow();
  });
});

describe('the environment', () => {
  const env = { NODEVM_KERNEL: 'k', NODEVM_INITRD: 'a:b', NODEVM_TIMEOUT: '5s' };

  it('says what the options leave open', () => {
    const expected = { kernel: 'k', initrd: ['a', 'b'], timeoutMs: 5000 };
    expect(withEnvironment(parse(), env)).toMatchObject(expected);
    expect(withEnvironment(parse(), {})).toMatchObject({ kernel: undefined, initrd: [] });
  });

  it('gives way to the options', () => {
    const options = parse('-kernel', 'K', '-initrd', 'I', '--timeout', '1s');
    const expected = { kernel: 'K', initrd: ['I'], timeoutMs: 1000 };
    expect(withEnvironment(options, env)).toMatchObject(expected);
  });
});

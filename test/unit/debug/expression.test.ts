import { describe, expect, it } from 'vitest';

import { evaluate } from '../../../src/debug/expression.js';
import { parseEndpoint } from '../../../src/debug/endpoint.js';

const names = {
  register: (name: string) => (name === 'rip' ? 0x1000n : undefined),
  symbol: (name: string) => (name === 'start_kernel' ? 0xffff_ffff_8100_0000n : undefined),
};

describe('expressions of the monitor', () => {
  it.each([
    ['0x10 + 2 * 3', 0x16n],
    ['($rip | 0xf) - 1', 0x100en],
    ['start_kernel+0x12', 0xffff_ffff_8100_0012n],
    ['-1', 0xffff_ffff_ffff_ffffn],
    ['~0 >> 60', 15n],
    ['1 << 4 | 7 & 6 ^ 1', 0x17n],
    ['7 / 2 % 2', 1n],
    ['(0 - 1) / 2', 0x7fff_ffff_ffff_ffffn],
  ])('%s', (text, value) => {
    expect(evaluate(text, names)).toBe(value);
  });

  it.each([
    '',
    '1 +',
    '(1',
    '1)',
    '$nothing',
    'nothing',
    '1 2',
    '1 / 0',
    '1 @ 2',
    '('.repeat(5000),
  ])('refuses %j', (text) => {
    expect(() => evaluate(text, names)).toThrow(/expected/);
  });
});

describe('listeners', () => {
  it('are spelt as in QEMU', () => {
    expect(parseEndpoint('tcp::1234')).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 1234 });
    expect(parseEndpoint('tcp:0.0.0.0:0,server,nowait')).toEqual({
      kind: 'tcp',
      host: '0.0.0.0',
      port: 0,
    });
    expect(parseEndpoint('tcp:[::1]:80')).toEqual({ kind: 'tcp', host: '::1', port: 80 });
    expect(parseEndpoint('unix:/tmp/x,server=on')).toEqual({ kind: 'unix', path: '/tmp/x' });
    for (const bad of ['', '1234', 'tcp:1234', 'tcp::65536', 'unix:', 'udp::1']) {
      expect(parseEndpoint(bad)).toBeUndefined();
    }
  });
});

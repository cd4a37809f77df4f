import { describe, expect, it } from 'vitest';

import { debugExitStatus, exitStatusRows, signalStatus } from '../../src/exit-status.js';

describe('exit statuses', () => {
  it.each([
    [0, 1],
    [0x10, 0x21],
    [0x7f, 0xff],
    [0x80, 1],
    [0xffff_ffff, 0xff],
  ])('isa-debug-exit value %i gives %i', (value, status) => {
    expect(debugExitStatus(value)).toBe(status);
  });

  it('gives 128 plus the number of a signal', () => {
    expect(signalStatus('SIGTERM')).toBe(143);
    expect(signalStatus('SIGHUP')).toBe(129);
    expect(signalStatus('SIGPIPE')).toBe(141);
  });

  it('lists each status once', () => {
    const statuses = exitStatusRows.map(({ status }) => status);
    expect(new Set(statuses).size).toBe(statuses.length);
  });
});

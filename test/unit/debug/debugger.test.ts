import { describe, expect, it } from 'vitest';

import { Debugger, type Breakpoint } from '../../../src/debug/debugger.js';
import { GuestView } from '../../../src/debug/guest-view.js';
import { Bench } from '../../support/bench.js';

describe('Debugger', () => {
  const { native, memory } = new Bench({}, [0xf4]);
  const view = new GuestView(native, memory);
  const guest = new Debugger({ native, view, wake: () => undefined });

  // As JavaScript may well say, for a symbol that is not there (yet).
  it.each([undefined, 0x1000])('refuses %s for an address', (address) => {
    const breakpoint = { kind: 'linear', address } as unknown as Breakpoint;
    expect(() => guest.add(breakpoint)).toThrow(`address of a breakpoint is ${address}, expected`);
    expect(guest.list()).toEqual([]);
  });

  it('refuses a watchpoint of no length', () => {
    const breakpoint: Breakpoint = { kind: 'write', address: 0x1000n, length: 0 };
    expect(() => guest.add(breakpoint)).toThrow('length of a watchpoint is 0, expected');
  });
});

import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { buildGuest, guestNames, GuestRunner, type GuestResult } from '../support/guest-runner.js';

/** These end in shutdown, all the others by the exit device. */
const isTripleFault = (name: string): boolean => name.startsWith('triple');

function run(name: string): GuestResult {
  return new GuestRunner(readFileSync(buildGuest(name))).run();
}

/** What a guest says at its end when every one of `count` checks has passed. */
function summary(count: number): string {
  return `done: checks ${count.toString(16).padStart(8, '0')} failed 00000000`;
}

describe('bare-metal guests', () => {
  it.each(guestNames().filter((name) => !isTripleFault(name)))('%s', (name) => {
    const { end, value, lines } = run(name);
    const passed = lines.filter((line) => line.startsWith('ok '));
    expect(lines.filter((line) => !line.startsWith('ok '))).toEqual([summary(passed.length)]);
    expect({ end, value }).toEqual({ end: 'exit', value: 0 });
    expect(passed).not.toEqual([]);
  });

  it.each(guestNames().filter(isTripleFault))('%s is shutdown', (name) => {
    expect(run(name)).toEqual({
      end: 'shutdown',
      value: -1,
      lines: ['ok before the triple fault'],
    });
  });
});

describe('the runner', () => {
  const result = (...code: number[]): GuestResult => new GuestRunner(Uint8Array.from(code)).run();

  it('reports what the guest writes to the exit device', () => {
    // mov al, 7; out 0xf4, al
    expect(result(0xb0, 7, 0xe6, 0xf4)).toEqual({ end: 'exit', value: 7, lines: [] });
  });

  it('tells a guest that sleeps for good from one that hangs', () => {
    expect(result(0xfa, 0xf4).end).toBe('halt'); // cli; hlt
    expect(result(0xeb, 0xfe).end).toBe('limit'); // jmp to itself
  });
});

import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { eventText } from '../../src/debug/event-text.js';
import { INTERPRETER, TRANSLATOR, type EngineOptions } from '../support/engines.js';
import { buildGuest, GuestRunner } from '../support/guest-runner.js';

function runGuest(name: string, engine: EngineOptions): GuestRunner {
  const runner = new GuestRunner(readFileSync(buildGuest(name)), engine);
  runner.run();
  return runner;
}

describe.each([INTERPRETER, TRANSLATOR])('the flight recorder under %s', (_name, engine) => {
  it('keeps the chain of a triple fault', () => {
    const events = runGuest('triple', engine).recorder.events();
    const chain = events.slice(-5);
    expect(chain.map((event) => eventText(event).replace(/ at 0x.*/, ''))).toEqual([
      'exception #UD',
      'nested-fault #GP error=0x33 (IDT entry 0x6, external event)',
      'nested-fault #GP error=0x6b (IDT entry 0xd, external event)',
      'nested-fault #GP error=0x43 (IDT entry 0x8, external event)',
      'triple fault: #DF could not be delivered',
    ]);
    const [first] = chain;
    expect(first).toMatchObject({ mode: '64', cpl: 0 });
    expect(events).toContainEqual(expect.objectContaining({ kind: 'far-jump', targetMode: '64' }));
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'msr-write', index: 0xc000_0080 }),
    );
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'control-register', register: 3 }),
    );
  });

  it('keeps the accesses to devices in their order', () => {
    // mov al, 7; out 0xf4, al
    const runner = new GuestRunner(Uint8Array.of(0xb0, 7, 0xe6, 0xf4), engine);
    runner.run();
    expect(runner.recorder.accesses()).toEqual([
      { kind: 'out', instructions: 2, address: 0xf4, size: 1, value: 7n },
    ]);
    const [reset, , last] = runner.recorder.dump('text');
    expect(reset).toMatch(/^0: reset/);
    expect(last).toBe('2: out 0xf4 size=1 <- 0x7');
    expect(JSON.parse(runner.recorder.dump('jsonl', { last: 1 })[0]!)).toEqual({
      kind: 'out',
      instructions: 2,
      address: 0xf4,
      size: 1,
      value: '0x7',
    });
  });
});

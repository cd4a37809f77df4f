/** Under icount nothing that is to be seen of a boot depends on the engine: traces, breakpoints, single steps. */
import { describe, expect, it } from 'vitest';

import { startTrace } from '../../src/debug/trace.js';
import { parseTrigger } from '../../src/debug/trace-triggers.js';
import { BOOT_TIMEOUT_MS, createGuest } from '../support/boot.js';

/** Guest milliseconds, which are millions of instructions: initcalls run, and code is hot. */
const LENGTH = 150;
const STEPS = 300;

async function observe(accel: 'interp' | 'jit') {
  await using machine = await createGuest({ accel, guestTimeoutMs: LENGTH });
  const text = { events: '', blocks: '' };
  const events = { items: ['int', 'irq', 'msr', 'io', 'mmio'] };
  const traces = [await startTrace(machine, events, (part) => (text.events += part))];
  const from = parseTrigger('trace-from', 'do_one_initcall');
  const blocks = { items: ['exec', 'mem', 'cpu'], from, limit: 2000 };
  traces.push(await startTrace(machine, blocks, (part) => (text.blocks += part)));

  const guest = machine.debugger;
  guest.interrupt();
  const running = machine.run();
  const stops: unknown[] = [];
  const note = () =>
    stops.push([machine.cpu.instructions, guest.pc, guest.getRegister('rsp')].map(String).join());
  for (const name of ['start_kernel', 'kmem_cache_alloc', 'do_one_initcall']) {
    const address = machine.symbols.address(name) ?? 0n;
    const remove = guest.add({ kind: 'linear', address });
    for (let hit = 0; hit < 3 && (hit === 0 || name !== 'start_kernel'); hit++) {
      await guest.continue();
      note();
    }
    for (let step = 0; step < STEPS; step++) {
      await guest.step();
      note();
    }
    remove();
  }
  guest.resume();
  const { instructions } = await running;
  for (const trace of traces) trace.stop();
  return { stops, text, instructions, translates: machine.cpu.translates };
}

describe('a boot under both engines', { timeout: BOOT_TIMEOUT_MS }, () => {
  it('meets the same breakpoints, steps and events at the same instructions', async () => {
    const { translates: no, ...interpreted } = await observe('interp');
    const { translates: yes, ...translated } = await observe('jit');
    expect([no, yes]).toEqual([false, true]);
    expect(interpreted.stops.length).toBe(7 + 3 * STEPS);
    expect(translated.stops).toEqual(interpreted.stops);
    expect(interpreted.text.events.split('\n').length).toBeGreaterThan(1000);
    expect(interpreted.text.blocks.split('\n').length).toBeGreaterThan(2000);
    expect(translated).toEqual(interpreted);
  });
});

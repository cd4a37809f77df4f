import { describe, expect, it } from 'vitest';

import type { TraceEvent } from '../../src/debug/boot-profile.js';
import { startBootProfile, startCpuProfile } from '../../src/debug/profile.js';
import { parseFilter } from '../../src/debug/trace-filter.js';
import { parseTrigger } from '../../src/debug/trace-triggers.js';
import { startTrace, type TraceOptions } from '../../src/debug/trace.js';
import { BOOT_TIMEOUT_MS, createGuest } from '../support/boot.js';

/** Guest milliseconds, which are millions of instructions: the kernel has an IDT by then. */
const BEGINNING = 20;

async function beginning(options?: TraceOptions) {
  await using machine = await createGuest({ guestTimeoutMs: BEGINNING });
  let text = '';
  const trace = options && (await startTrace(machine, options, (part) => (text += part)));
  const { instructions } = await machine.run();
  trace?.stop();
  const registers = ['rip', 'rsp', 'rax', 'cr3'] as const;
  const state = registers.map((name) => machine.cpu.native.getRegister(name));
  return { end: [instructions, ...state], lines: text.split('\n').slice(0, -1) };
}

describe('a trace of a boot', () => {
  it(
    'names functions, begins where it is told, and leaves the guest as it is',
    { timeout: BOOT_TIMEOUT_MS },
    async () => {
      const { end } = await beginning();
      const light = await beginning({ items: ['boot', 'int', 'msr'] });
      expect(light.end).toEqual(end);
      expect(light.lines[0]).toMatch(/boot: kernel at |msr: /);
      expect(light.lines.join('\n')).toMatch(
        /int: exception #PF error=0x0 \(not present, read, supervisor\) cr2=\S+ at \S+ <\w+\+0x/,
      );
      const code = await beginning({
        items: ['in_asm', 'exec'],
        filter: parseFilter('start_kernel'),
        from: parseTrigger('trace-from', 'start_kernel'),
        limit: 4,
      });
      expect(code.end).toEqual(end);
      expect(code.lines[0]).toMatch(/in_asm: IN: start_kernel\+0x0\//);
      expect(code.lines.some((line) => / exec: block at \S+ <start_kernel\+0x0\//.test(line))).toBe(
        true,
      );
    },
  );
});

it(
  'profiles of a boot have its phases, initcalls, interrupts, devices and functions',
  { timeout: BOOT_TIMEOUT_MS },
  async () => {
    await using machine = await createGuest();
    const boot = startBootProfile(machine);
    const cpu = startCpuProfile(machine);
    const booted = machine.console.expect('clocksource: Switched');
    void machine.run();
    await booted;
    machine.stop();
    await machine.exited;

    const { traceEvents } = JSON.parse(boot.finish().file) as { traceEvents: TraceEvent[] };
    const track = (name: string) => {
      const { tid } = traceEvents.find(({ ph, args }) => ph === 'M' && args?.name === name)!;
      return traceEvents.filter((event) => event.ph === 'X' && event.tid === tid);
    };
    expect(track('phases').map(({ name }) => name)).toEqual(['kernel', 'initcalls']);
    expect(track('initcalls (sampled)').map(({ name }) => name)).toContain('acpi_init');
    expect(track('interrupts').length).toBeGreaterThan(10);
    expect(track('exceptions').map(({ name }) => name)).toContain('#PF');
    expect(track('serial0').length).toBeGreaterThan(10);

    const { file, summary } = cpu.finish();
    const profile = JSON.parse(file) as { samples: number[]; timeDeltas: number[] };
    expect(profile.samples.length).toBe(profile.timeDeltas.length);
    expect(file).toContain('"functionName":"start_kernel"');
    expect(summary.length).toBeGreaterThan(5);
  },
);

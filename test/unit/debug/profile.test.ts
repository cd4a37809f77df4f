import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { BootProfile, type TraceEvent } from '../../../src/debug/boot-profile.js';
import { PhaseWatch } from '../../../src/debug/phase-watch.js';
import { CpuProfile } from '../../../src/debug/cpu-profile.js';
import type { CpuEvent } from '../../../src/debug/events.js';
import { writeWhole } from '../../../src/debug/profile-file.js';
import { AddressSpace } from '../../../src/bus/bus.js';
import { DelayPort } from '../../../src/devices/debug-ports.js';
import { ExitReason } from '../../../src/native.js';

const KERNEL = 0xffff_ffff_8100_0000n;

describe('a boot profile', () => {
  const ports = new AddressSpace('port', 0x1_0000);
  ports.insert(0xed, 1, new DelayPort());
  let stack: readonly string[];
  let profile: BootProfile;
  let phases: PhaseWatch;

  beforeEach(() => {
    stack = [];
    phases = new PhaseWatch('kernel');
    profile = new BootProfile({
      ports,
      mmio: new AddressSpace('mmio', 2 ** 52),
      phases,
      stack: () => stack,
      look: () => undefined,
    });
  });

  const at = (instructions: number) => ({ instructions, address: KERNEL, cpl: 0 }) as const;
  const interrupt = (instructions: number): CpuEvent => ({
    ...at(instructions),
    mode: '64',
    kind: 'interrupt',
    vector: 0x30,
    source: 'apic',
  });
  const iret = (instructions: number, target = KERNEL, targetCpl = 0): CpuEvent => ({
    ...at(instructions),
    mode: '64',
    kind: 'iret',
    vector: 0,
    target,
    selector: 0x10,
    targetCpl,
    targetMode: '64',
  });
  const tracks = () => {
    const { traceEvents } = JSON.parse(profile.finish()) as { traceEvents: TraceEvent[] };
    const names = new Map(
      traceEvents.filter(({ ph }) => ph === 'M').map(({ tid, args }) => [tid, args?.name]),
    );
    return traceEvents
      .filter(({ ph }) => ph === 'X')
      .map(({ tid, name, ts, dur }) => [names.get(tid), name, ts, dur]);
  };

  it('places events between two returns of the processor in proportion', () => {
    profile.returned(0, 0);
    profile.event(interrupt(100));
    profile.event(iret(300));
    // Twice as slow as an instruction a nanosecond.
    profile.returned(1000, 2000);
    expect(tracks()).toContainEqual(['interrupts', 'vector 0x30', 0.2, 0.4]);
  });

  it('matches an IRET with the handler that was entered from where it goes', () => {
    profile.returned(0, 0);
    profile.event(interrupt(100));
    profile.event(iret(150, 0x400000n, 3));
    profile.event(iret(200));
    profile.returned(1000, 1000);
    expect(tracks().filter(([track]) => track === 'interrupts')).toEqual([
      ['interrupts', 'vector 0x30', 0.1, 0.1],
    ]);
  });

  it('has phases without gaps, and initcalls by samples', () => {
    profile.returned(0, 0);
    stack = ['strlen', 'acpi_init', 'do_one_initcall', 'kernel_init', 'ret_from_fork'];
    profile.returned(1_000_000, 1e6);
    profile.returned(2_000_000, 2e6);
    profile.event(iret(2_500_000, 0x400000n, 3));
    profile.returned(3_000_000, 3e6);
    expect(tracks().slice(0, 4)).toEqual([
      ['phases', 'kernel', 0, 1000],
      ['phases', 'initcalls', 1000, 1500],
      ['phases', 'user', 2500, 500],
      ['initcalls (sampled)', 'acpi_init', 0, 2000],
    ]);
    expect(profile.summary()).toContain('      2.0 ms  acpi_init');
  });

  it('joins accesses to a device that are close together', () => {
    profile.returned(0, 0);
    for (const instructions of [10, 20, 500_000]) {
      profile.access({ kind: 'out', instructions, address: 0xed, size: 1, value: 0n });
    }
    profile.returned(1_000_000, 1e6);
    expect(tracks().filter(([track]) => track === 'delay-port')).toEqual([
      ['delay-port', 'delay-port', 0.01, 0.01],
      ['delay-port', 'delay-port', 500, 0],
    ]);
  });
});

it('a CPU profile has samples for all of the time, and callers', () => {
  let stack = ['memcpy', 'start_kernel'];
  const profile = new CpuProfile(() => stack);
  profile.returned(1_000_000, 1e6, ExitReason.Budget);
  profile.returned(1_500_000, 1.5e6, ExitReason.PortWrite);
  stack = ['default_idle', 'start_kernel'];
  profile.returned(2_000_000, 2e6, ExitReason.Halt);
  profile.returned(2_000_100, 5e6, ExitReason.Budget);
  const { nodes, samples, timeDeltas, endTime } = JSON.parse(profile.finish()) as {
    nodes: { id: number; callFrame: { functionName: string }; children: number[] }[];
    samples: number[];
    timeDeltas: number[];
    endTime: number;
  };
  const nameOf = (id: number) => nodes.find((node) => node.id === id)?.callFrame.functionName;
  expect(samples.map(nameOf)).toEqual(['memcpy', 'default_idle', '(idle)']);
  expect(timeDeltas).toEqual([1000, 1000, 3000]);
  expect(endTime).toBe(5000);
  const caller = nodes.find(({ callFrame }) => callFrame.functionName === 'start_kernel');
  expect(caller?.children.map(nameOf)).toEqual(['memcpy', 'default_idle']);
  expect(profile.summary()[1]).toBe('  60.0 %       3.0 ms  (idle)');
});

describe('a profile on disk', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nodevm-profile-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is written whole', async () => {
    await writeWhole('cpu-profile', join(folder, 'a'), '{}');
    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('{}');
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('or not at all', async () => {
    await expect(writeWhole('cpu-profile', folder, '{}')).rejects.toThrow(
      /^--cpu-profile ".*": cannot be written: /,
    );
    expect(await readdir(folder)).toEqual([]);
  });
});

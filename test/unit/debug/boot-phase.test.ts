import { describe, expect, it } from 'vitest';

import { BOOT_PHASES, phaseAt, phaseOfStack } from '../../../src/debug/boot-phase.js';
import { firstPhase, PhaseWatch } from '../../../src/debug/phase-watch.js';

describe('the phase of a boot', () => {
  it.each([
    ['setup', 0x7c00n, 0, 'real'],
    ['setup', 0x9_0000n, 3, 'v86'],
    ['decompressor', 0x100_0200n, 0, '64'],
    ['decompressor', 0x100_0000n, 0, '32'],
    ['kernel', 0xc100_0000n, 0, '32'],
    ['kernel', 0xffff_ffff_8100_0000n, 0, '64'],
    ['user', 0x40_1000n, 3, '64'],
  ] as const)('is %s at %i, CPL %i, in %s mode', (phase, address, cpl, mode) => {
    expect(phaseAt(address, cpl, mode)).toBe(phase);
  });

  it('is told by what process 1 does', () => {
    const ofProcess1 = ['kernel_init_freeable', 'kernel_init', 'ret_from_fork'];
    const initcall = ['acpi_scan', 'acpi_init', 'do_one_initcall', ...ofProcess1];
    expect(phaseOfStack(initcall)).toEqual({ name: 'initcalls', detail: 'acpi_init' });
    expect(phaseOfStack(['smp_init', ...ofProcess1])).toBeUndefined();
    expect(phaseOfStack(['prepare_namespace', ...ofProcess1])).toEqual({ name: 'init' });
    expect(phaseOfStack(['panic', 'kernel_init', 'ret_from_fork'])).toEqual({ name: 'init' });
    expect(phaseOfStack([])).toBeUndefined();
  });

  it('goes on only, through one list', () => {
    const watch = new PhaseWatch(firstPhase('16', false));
    const seen = BOOT_PHASES.filter((phase) => watch.reach(phase));
    expect(seen).toEqual(BOOT_PHASES.slice(1));
    expect(watch.see(0x100_0000n, 0, '64')).toBe(false);
    expect(watch.phase).toBe('user');
  });
});

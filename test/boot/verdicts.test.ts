import { describe, expect, it } from 'vitest';

import { Machine, type MachineConfig, type MachineExit } from '../../src/index.js';
import { buildBrokenGuest, type Defect } from '../support/broken-guest.js';

/** Runs a broken guest to its end. */
async function runBroken(
  defect: Defect,
  config: Partial<MachineConfig> = {},
): Promise<MachineExit> {
  const kernel = buildBrokenGuest(defect);
  await using machine = await Machine.create({ kernel, clock: 'icount', ...config });
  return await machine.run();
}

/** The lines of a section of a verdict. */
function sectionOf({ verdict }: MachineExit, title: RegExp): string {
  return verdict?.sections.find((section) => title.test(section.title))?.lines.join('\n') ?? '';
}

describe('the verdict on a triple fault', () => {
  it.each<[Defect, RegExp]>([
    [
      'bad_gdt',
      /^#GP \(general protection\) at 0x\w+ \(load_data_segment\+0x0\/0x\w+\): GDT entry 3 \(selector 0x18\) lies beyond the GDT's limit \(base 0x\w+, limit 0x7\); #GP has no handler: IDT entry 13 /,
    ],
    [
      'missing_idt_entry',
      /^#UD \(invalid opcode\) at 0x\w+ \(the_instruction\+0x0\/0x\w+\) \(ud2\); #UD has no handler: IDT entry 6 at 0x\w+ is empty; nor has the double fault: IDT entry 8 at 0x\w+ is empty$/,
    ],
    [
      'unmapped_stack',
      /^the stack is not there: RSP is 0x80000000, and 0x7ffffff8 its PDPTE, which stands for 1 GiB, is not present \(at 0x\w+ \(the_push/,
    ],
    [
      'jump_into_nothing',
      /^execution went to 0xdeadbeef000, which .*is not present, called from 0x\w+ \(case_start/,
    ],
    ['nx_violation', /^execution went to 0x10010, which is mapped no-execute \(XD of PTE 16 at /],
    [
      'null_call',
      /^a call or jump went through a null pointer, to 0x0, called from 0x\w+ \(call_the_driver\+0x2/,
    ],
    ['early_interrupt', /^interrupt 32 came at 0x\w+ \(wait_for_it\+0x0.*before the IDT was ready/],
  ])('%s', async (defect, cause) => {
    const exit = await runBroken(defect);
    expect(exit).toMatchObject({ reason: 'triple-fault', status: 254 });
    expect(exit.verdict?.cause).toMatch(cause);
    expect(exit.verdict?.phase).toBe('guest code');
    expect(sectionOf(exit, /^exceptions/)).toMatch(/shutdown$/);
    expect(sectionOf(exit, /^registers/)).toContain('GDTR');
  });

  it('decodes error codes, walks the tables and disassembles', async () => {
    const exit = await runBroken('unmapped_stack');
    expect(sectionOf(exit, /^exceptions/)).toContain(
      'error code 0x2 (not present, W/R: write, supervisor)',
    );
    expect(sectionOf(exit, /^page walk of 0x7ffffff8/)).toMatch(/PDPTE 1 at 0x\w+ = 0$/m);
    expect(sectionOf(exit, /^code/)).toMatch(/^\w+: 50 +push rax/);
    expect(sectionOf(exit, /^last events/)).not.toBe('');
  });

  it('is left out where nobody wants it', async () => {
    expect((await runBroken('null_call', { verdict: false })).verdict).toBeUndefined();
  });
});

describe('the verdict on a guest that hangs', () => {
  it.each<[Defect, RegExp]>([
    [
      'spins_with_interrupts_off',
      /^the guest is in an endless loop with interrupts off at 0x\w+ \(forever\+0x0\/0x\w+\): nothing but a reset ends it$/,
    ],
    [
      'spins_on_a_lock',
      /^the guest is in an endless loop with interrupts off at 0x\w+ \(take_the_lock.*, on the memory at 0x\w+ \(the_lock\+0x0\/0x\w+\) \(0x1\), which does not change/,
    ],
    [
      'polls_a_port',
      /^the guest polls port 0x1f7, which reads 0xff \(1 byte\) each time: there is no device at that address; it loops at 0x\w+ \(wait_for_disk/,
    ],
    [
      'polls_a_register',
      /^the guest polls register 0xfed40000, which reads 0xffffffff \(4 bytes\)/,
    ],
    ['lost_timer', /^the guest waits in HLT at 0x\w+ \(wait_for_timer.*none has ever come/],
  ])('%s', async (defect, cause) => {
    const exit = await runBroken(defect, { guestTimeoutMs: 3 });
    expect(exit).toMatchObject({ reason: 'timeout', status: 124 });
    expect(exit.verdict?.cause).toMatch(cause);
    const stalled = await runBroken(defect, { stallMs: 2 });
    expect(stalled).toMatchObject({ reason: 'stall', status: 124 });
    expect(stalled.verdict?.cause).toMatch(cause);
  });
});

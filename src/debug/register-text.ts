/** The registers as people read them in a report. */
import type { GuestView } from './guest-view.js';
import type { Symbols } from './symbols.js';

const GENERAL = [
  ...(['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp'] as const),
  ...(['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const),
];

/** Bits by name, from the least significant: SDM volume 3, "Control Registers", and volume 1, "EFLAGS Register". */
const FLAGS = 'CF,,PF,,AF,,ZF,SF,TF,IF,DF,OF,,,NT,,RF,VM,AC,VIF,VIP,ID'.split(',');
const CR0 = 'PE,MP,EM,TS,ET,NE,,,,,,,,,,,WP,,AM,,,,,,,,,,,NW,CD,PG'.split(',');
const CR4 =
  'VME,PVI,TSD,DE,PSE,PAE,MCE,PGE,PCE,OSFXSR,OSXMMEXCPT,UMIP,LA57,VMXE,SMXE,,FSGSBASE,PCIDE,OSXSAVE,,SMEP,SMAP,PKE'.split(
    ',',
  );
const EFER = 'SCE,,,,,,,,LME,,LMA,NXE'.split(',');

function bitsOf(value: bigint, names: readonly string[]): string {
  const set = names.filter((name, bit) => name !== '' && ((value >> BigInt(bit)) & 1n) === 1n);
  return set.join(' ');
}

/** All registers, some to a line. */
export function describeRegisters(view: GuestView, symbols: Symbols): string[] {
  const digits = view.longMode ? 16 : 8;
  const pad = (value: bigint): string => value.toString(16).padStart(digits, '0');
  const count = view.longMode ? GENERAL.length : 8;
  const prefix = view.longMode ? '' : 'E';
  const nameOf = (name: string): string =>
    prefix === '' ? name.toUpperCase() : `E${name.slice(1).toUpperCase()}`;
  const general = GENERAL.slice(0, count).map(
    (name) => `${nameOf(name).padStart(3)} ${pad(view.register(name))}`,
  );
  const lines: string[] = [];
  for (let n = 0; n < general.length; n += 4) lines.push(general.slice(n, n + 4).join('  '));
  const control = (name: 'cr0' | 'cr4' | 'efer', names: readonly string[]): string => {
    const value = view.register(name);
    return `${name.toUpperCase()} ${value.toString(16)} (${bitsOf(value, names)})`;
  };
  const flags = view.register('rflags');
  const segments = (['cs', 'ss', 'ds', 'es', 'fs', 'gs', 'tr'] as const).map((name) => {
    const { selector, base } = view.segment(name);
    const start = base === 0n ? '' : `:${base.toString(16)}`;
    return `${name.toUpperCase()} ${selector.toString(16)}${start}`;
  });
  const table = (name: 'gdtr' | 'idtr'): string => {
    const base = view.register(`${name}Base`).toString(16);
    return `${name.toUpperCase()} ${base}+${view.register(`${name}Limit`).toString(16)}`;
  };
  return [
    `${nameOf('rip')} ${symbols.format(view.register('rip'))}  CPL ${view.cpl}, ${view.codeBits}-bit code`,
    ...lines,
    `${nameOf('rflags')} ${flags.toString(16)} (${bitsOf(flags, FLAGS)})`,
    `${control('cr0', CR0)}  CR2 ${view.register('cr2').toString(16)}  CR3 ${view.register('cr3').toString(16)}`,
    `${control('cr4', CR4)}  ${control('efer', EFER)}`,
    segments.join('  '),
    `${table('gdtr')}  ${table('idtr')}`,
  ];
}

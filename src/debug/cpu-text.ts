import type { RegisterName, SegmentName } from '../native.js';
import type { GuestView } from './guest-view.js';

const GENERAL: readonly (readonly RegisterName[])[] = [
  ['rax', 'rbx', 'rcx', 'rdx'],
  ['rsi', 'rdi', 'rbp', 'rsp'],
  ['r8', 'r9', 'r10', 'r11'],
  ['r12', 'r13', 'r14', 'r15'],
];
const SEGMENTS: readonly SegmentName[] = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'];

/** RFLAGS bits that have a letter in such dumps, from the highest: SDM volume 1, "EFLAGS Register". */
const FLAGS: readonly (readonly [bit: number, letter: string])[] = [
  [11, 'O'],
  [10, 'D'],
  [9, 'I'],
  [8, 'T'],
  [7, 'S'],
  [6, 'Z'],
  [4, 'A'],
  [2, 'P'],
  [0, 'C'],
];

const padded = (value: bigint | number, digits = 16): string =>
  value.toString(16).padStart(digits, '0');

/** The registers of the processor as lines, in the form that QEMU users know. */
export function cpuLines(view: GuestView): string[] {
  const { register } = view;
  const field = (name: RegisterName): string =>
    `${name.toUpperCase().padEnd(3)}=${padded(register(name))}`;
  const rflags = register('rflags');
  const letters = FLAGS.map(([bit, letter]) => ((rflags >> BigInt(bit)) & 1n ? letter : '-'));
  return [
    ...GENERAL.map((names) => names.map(field).join(' ')),
    `RIP=${padded(register('rip'))} RFL=${padded(rflags, 8)} [${letters.join('')}] CPL=${view.cpl}`,
    ...SEGMENTS.map((name) => {
      const { selector, base, limit, access } = view.segment(name);
      return `${name.toUpperCase().padEnd(4)}=${padded(selector, 4)} ${padded(base)} ${padded(limit, 8)} ${padded(access, 4)}`;
    }),
    `CR0=${padded(register('cr0'), 8)} CR2=${padded(register('cr2'))} CR3=${padded(register('cr3'))} CR4=${padded(register('cr4'), 8)} EFER=${padded(register('efer'))}`,
  ];
}

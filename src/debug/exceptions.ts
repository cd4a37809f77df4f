/** Exceptions in words: SDM volume 3, "Exception and Interrupt Reference". */

const NAMES: readonly (readonly [string, string] | undefined)[] = [
  ['#DE', 'divide error'],
  ['#DB', 'debug exception'],
  ['NMI', 'non-maskable interrupt'],
  ['#BP', 'breakpoint'],
  ['#OF', 'overflow'],
  ['#BR', 'bound range exceeded'],
  ['#UD', 'invalid opcode'],
  ['#NM', 'device not available'],
  ['#DF', 'double fault'],
  undefined,
  ['#TS', 'invalid TSS'],
  ['#NP', 'segment not present'],
  ['#SS', 'stack-segment fault'],
  ['#GP', 'general protection'],
  ['#PF', 'page fault'],
  undefined,
  ['#MF', 'x87 floating-point error'],
  ['#AC', 'alignment check'],
  ['#MC', 'machine check'],
  ['#XM', 'SIMD floating-point exception'],
];

/** Vectors that are named in code. */
export const VECTOR = { DF: 8, TS: 10, NP: 11, SS: 12, GP: 13, PF: 14 } as const;

/** Bits of a page fault's error code: SDM volume 3, "Page-Fault Exception (#PF)". */
export const PAGE_FAULT = { P: 1, WR: 2, US: 4, RSVD: 8, ID: 16 } as const;

/** `#GP (general protection)`, or `interrupt 32`. */
export function nameOfVector(vector: number): string {
  const name = NAMES[vector];
  return name === undefined ? `interrupt ${vector}` : `${name[0]} (${name[1]})`;
}

/** `#GP`, or `interrupt 32`. */
export function mnemonicOf(vector: number): string {
  return NAMES[vector]?.[0] ?? `interrupt ${vector}`;
}

/** What an error code says, bit by bit. */
export function describeErrorCode(vector: number, code: number): string {
  if (vector === VECTOR.PF) return describePageFault(code);
  const hasSelector = [VECTOR.TS, VECTOR.NP, VECTOR.SS, VECTOR.GP].some((v) => v === vector);
  return hasSelector && code !== 0 ? describeSelectorError(code) : '';
}

function describePageFault(code: number): string {
  const words = [
    (code & PAGE_FAULT.P) !== 0 ? 'P: page present, access denied' : 'not present',
    (code & PAGE_FAULT.WR) !== 0 ? 'W/R: write' : (code & PAGE_FAULT.ID) !== 0 ? '' : 'read',
    (code & PAGE_FAULT.ID) !== 0 ? 'I/D: instruction fetch' : '',
    (code & PAGE_FAULT.US) !== 0 ? 'U/S: user' : 'supervisor',
    (code & PAGE_FAULT.RSVD) !== 0 ? 'RSVD: reserved bit' : '',
  ];
  return words.filter((word) => word !== '').join(', ');
}

/** What an error code of a segment refers to: SDM volume 3, "Error Code". */
export interface SelectorError {
  readonly table: 'GDT' | 'LDT' | 'IDT';
  readonly index: number;
  /** The event came from outside the program. */
  readonly external: boolean;
}

/** Takes an error code of #TS, #NP, #SS or #GP apart. */
export function selectorErrorOf(code: number): SelectorError {
  const table = (code & 2) !== 0 ? 'IDT' : (code & 4) !== 0 ? 'LDT' : 'GDT';
  return { table, index: (code & 0xffff) >> 3, external: (code & 1) !== 0 };
}

function describeSelectorError(code: number): string {
  const { table, index, external } = selectorErrorOf(code);
  return `${table} entry ${index}${external ? ', EXT: event from outside the program' : ''}`;
}

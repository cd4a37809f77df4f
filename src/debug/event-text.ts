import type { Access } from './access-ring.js';
import type { Symbolizer } from './disassembler.js';
import type { CpuEvent } from './events.js';

/** SDM volume 3, table "Protected-Mode Exceptions and Interrupts". */
const EXCEPTIONS: readonly (string | undefined)[] = [
  '#DE',
  '#DB',
  'NMI',
  '#BP',
  '#OF',
  '#BR',
  '#UD',
  '#NM',
  '#DF',
  undefined,
  '#TS',
  '#NP',
  '#SS',
  '#GP',
  '#PF',
  undefined,
  '#MF',
  '#AC',
  '#MC',
  '#XM',
  '#VE',
  '#CP',
];

/** SDM volume 4, "IA-32 Architectural MSRs"; those that a boot uses. */
const MSRS: Readonly<Record<number, string>> = {
  0x10: 'IA32_TIME_STAMP_COUNTER',
  0x1b: 'IA32_APIC_BASE',
  0x3a: 'IA32_FEATURE_CONTROL',
  0x3b: 'IA32_TSC_ADJUST',
  0x48: 'IA32_SPEC_CTRL',
  0x49: 'IA32_PRED_CMD',
  0x8b: 'IA32_BIOS_SIGN_ID',
  0xfe: 'IA32_MTRRCAP',
  0x10a: 'IA32_ARCH_CAPABILITIES',
  0x10b: 'IA32_FLUSH_CMD',
  0x174: 'IA32_SYSENTER_CS',
  0x175: 'IA32_SYSENTER_ESP',
  0x176: 'IA32_SYSENTER_EIP',
  0x179: 'IA32_MCG_CAP',
  0x17a: 'IA32_MCG_STATUS',
  0x1a0: 'IA32_MISC_ENABLE',
  0x1d9: 'IA32_DEBUGCTL',
  0x277: 'IA32_PAT',
  0x2ff: 'IA32_MTRR_DEF_TYPE',
  0x6e0: 'IA32_TSC_DEADLINE',
  0x808: 'IA32_X2APIC_TPR',
  0x80b: 'IA32_X2APIC_EOI',
  0x80f: 'IA32_X2APIC_SIVR',
  0x830: 'IA32_X2APIC_ICR',
  0x832: 'IA32_X2APIC_LVT_TIMER',
  0x838: 'IA32_X2APIC_INIT_COUNT',
  0xda0: 'IA32_XSS',
  0xc0000080: 'IA32_EFER',
  0xc0000081: 'IA32_STAR',
  0xc0000082: 'IA32_LSTAR',
  0xc0000083: 'IA32_CSTAR',
  0xc0000084: 'IA32_FMASK',
  0xc0000100: 'IA32_FS_BASE',
  0xc0000101: 'IA32_GS_BASE',
  0xc0000102: 'IA32_KERNEL_GS_BASE',
  0xc0000103: 'IA32_TSC_AUX',
};

/** Error code bits of #PF: SDM volume 3, "Page-Fault Error Code". Set and clear. */
const PAGE_FAULT_BITS: readonly (readonly [bit: number, set: string, clear: string])[] = [
  [1, 'protection', 'not present'],
  [2, 'write', 'read'],
  [4, 'user', 'supervisor'],
  [8, 'reserved bit', ''],
  [16, 'fetch', ''],
];

const PAGE_FAULT = 14;
/** Exceptions whose error code names a selector: #TS, #NP, #SS, #GP. */
const SELECTOR_FAULTS = new Set([10, 11, 12, 13]);

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

/** What exception `vector` is called, `#PF`; vectors without a name by number. */
export function exceptionName(vector: number): string {
  return EXCEPTIONS[vector] ?? `exception ${hex(vector)}`;
}

/** What MSR `index` is called in the manual, or its number. */
export function msrName(index: number): string {
  return MSRS[index] ?? `MSR ${hex(index)}`;
}

/** The bits of an error code in words, by SDM volume 3, "Error Code" and "Page-Fault Error Code". */
export function errorCodeText(vector: number, code: number): string {
  if (vector === PAGE_FAULT) {
    return PAGE_FAULT_BITS.map(([bit, set, clear]) => ((code & bit) !== 0 ? set : clear))
      .filter((word) => word !== '')
      .join(', ');
  }
  if (!SELECTOR_FAULTS.has(vector) || code === 0) return '';
  const external = (code & 1) !== 0 ? ', external event' : '';
  if ((code & 2) !== 0) return `IDT entry ${hex((code >> 3) & 0xff)}${external}`;
  return `selector ${hex(code & 0xfffc)} (${(code & 4) !== 0 ? 'LDT' : 'GDT'})${external}`;
}

/** An address, and its name where it has one. */
export function addressText(address: bigint, symbolize: Symbolizer | undefined): string {
  const name = symbolize?.(address);
  return name === undefined ? hex(address) : `${hex(address)} <${name}>`;
}

/** An event in words, without its instruction count. */
export function eventText(event: CpuEvent, symbolize?: Symbolizer): string {
  const at = `at ${addressText(event.address, symbolize)} cpl=${event.cpl}`;
  switch (event.kind) {
    case 'reset':
      return 'reset';
    case 'exception':
    case 'nested-fault':
      return `${event.kind} ${faultText(event, symbolize)} ${at}`;
    case 'interrupt':
      return `interrupt ${hex(event.vector)} from ${event.source} ${at}`;
    case 'triple-fault':
      return `triple fault: ${exceptionName(event.vector)} could not be delivered ${at}`;
    case 'software-interrupt':
      return `int ${hex(event.vector)} to ${targetText(event, symbolize)} ${at}`;
    case 'iret':
    case 'far-jump':
    case 'far-call':
    case 'far-return':
      return `${event.kind} to ${targetText(event, symbolize)} ${at}`;
    case 'control-register':
      return `cr${event.register}=${hex(event.value)} (low half was ${hex(event.oldLow)}) ${at}`;
    case 'msr-read':
      return `rdmsr ${msrName(event.index)} = ${hex(event.value)} ${at}`;
    case 'msr-write':
      return `wrmsr ${msrName(event.index)} = ${hex(event.value)} ${at}`;
    case 'msr-refused':
      return event.write
        ? `wrmsr ${msrName(event.index)} = ${hex(event.value)} refused ${at}`
        : `rdmsr ${msrName(event.index)} refused ${at}`;
    case 'block':
    case 'decode':
      return `${event.kind} ${at} mode=${event.mode} gpa=${hex(event.gpa)} instructions=${event.count} bytes=${event.bytes}`;
    case 'load':
    case 'store':
      return `${event.kind} ${addressText(event.address, symbolize)} gpa=${hex(event.gpa)} size=${event.size} value=${hex(event.value)} cpl=${event.cpl}`;
    case 'tlb-fill':
      return `walk ${addressText(event.address, symbolize)} -> gpa ${hex(event.gpa)} ${event.write ? 'write' : 'read or fetch'} cpl=${event.cpl}`;
    case 'tlb-flush':
      if (event.address !== 0n) return `invlpg ${addressText(event.address, symbolize)}`;
      return `tlb flush ${event.global ? 'of everything' : 'of what is not global'}`;
  }
}

function faultText(
  event: Extract<CpuEvent, { errorCode: number | undefined }>,
  symbolize: Symbolizer | undefined,
): string {
  const { vector, errorCode, cr2 } = event;
  const words = [exceptionName(vector)];
  if (errorCode !== undefined) {
    const meaning = errorCodeText(vector, errorCode);
    words.push(`error=${hex(errorCode)}${meaning === '' ? '' : ` (${meaning})`}`);
  }
  if (cr2 !== undefined) words.push(`cr2=${addressText(cr2, symbolize)}`);
  return words.join(' ');
}

function targetText(
  event: Extract<CpuEvent, { target: bigint }>,
  symbolize: Symbolizer | undefined,
): string {
  return `cs=${hex(event.selector)} ${addressText(event.target, symbolize)} cpl=${event.targetCpl} mode=${event.targetMode}`;
}

/** An access to a device in words. */
export function accessText({ kind, address, size, value }: Access, device?: string): string {
  const where = device === undefined ? '' : `${device} `;
  const arrow = kind === 'in' || kind === 'mmio-read' ? '->' : '<-';
  return `${kind} ${where}${hex(address)} size=${size} ${arrow} ${hex(value)}`;
}

/** Event or access as one line of JSON: 64-bit numbers as hexadecimal strings, symbols beside addresses. */
export function toJson(
  event: CpuEvent | Access,
  symbolize?: Symbolizer,
  more: Readonly<Record<string, string>> = {},
): string {
  const fields: Record<string, unknown> & { symbol?: string } = { ...event, ...more };
  const name = typeof event.address === 'bigint' ? symbolize?.(event.address) : undefined;
  if (name !== undefined) fields.symbol = name;
  return JSON.stringify(fields, (_key, value: unknown) =>
    typeof value === 'bigint' ? hex(value) : value,
  );
}

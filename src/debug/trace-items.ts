import { RecordKind } from '../native.js';
import type { CpuEventKind } from './events.js';

/** One item of `-d`. */
export interface TraceItem {
  readonly name: string;
  readonly help: string;
  /** What it wants of the processor. */
  readonly kinds: readonly RecordKind[];
  /** The events that it prints. */
  readonly events: readonly CpuEventKind[];
}

const EXCEPTIONS = [RecordKind.Exception, RecordKind.NestedFault, RecordKind.Shutdown] as const;
const FAR = [
  RecordKind.FarJump,
  RecordKind.FarCall,
  RecordKind.FarReturn,
  RecordKind.InterruptReturn,
] as const;

/** The items of `-d` but devices' names; those that QEMU has are spelt as there. */
export const traceItems: readonly TraceItem[] = [
  {
    name: 'in_asm',
    help: 'disassembly of each block of code when it is first decoded',
    kinds: [RecordKind.Decode],
    events: ['decode'],
  },
  {
    name: 'exec',
    help: 'each block that runs',
    kinds: [RecordKind.Block],
    events: ['block'],
  },
  {
    name: 'int',
    help: 'exceptions, interrupts, INT n',
    kinds: [...EXCEPTIONS, RecordKind.Interrupt, RecordKind.SoftwareInterrupt],
    events: ['exception', 'nested-fault', 'interrupt', 'software-interrupt', 'triple-fault'],
  },
  {
    name: 'cpu',
    help: 'registers before each block that runs',
    kinds: [],
    events: [],
  },
  {
    name: 'mmu',
    help: 'page walks, TLB flushes, control registers',
    kinds: [RecordKind.TlbFill, RecordKind.TlbFlush, RecordKind.ControlRegister],
    events: ['tlb-fill', 'tlb-flush', 'control-register'],
  },
  {
    name: 'pcall',
    help: 'far jumps, calls and returns, IRET',
    kinds: FAR,
    events: ['far-jump', 'far-call', 'far-return', 'iret'],
  },
  {
    name: 'cpu_reset',
    help: 'resets of the processor',
    kinds: [RecordKind.Reset],
    events: ['reset'],
  },
  {
    name: 'unimp',
    help: 'MSRs that do not exist or do not take a value',
    kinds: [RecordKind.MsrRefused],
    events: ['msr-refused'],
  },
  {
    name: 'guest_errors',
    help: 'accesses to ports and addresses where there is no device; triple faults',
    kinds: [RecordKind.Shutdown],
    events: ['triple-fault'],
  },
  { name: 'io', help: 'port accesses', kinds: [], events: [] },
  { name: 'mmio', help: 'accesses to devices in memory', kinds: [], events: [] },
  {
    name: 'mem',
    help: 'data accesses of instructions, with values',
    kinds: [RecordKind.Load, RecordKind.Store],
    events: ['load', 'store'],
  },
  {
    name: 'irq',
    help: 'interrupt lines, and the interrupts that the processor takes',
    kinds: [RecordKind.Interrupt],
    events: ['interrupt'],
  },
  {
    name: 'msr',
    help: 'RDMSR and WRMSR',
    kinds: [RecordKind.MsrRead, RecordKind.MsrWrite, RecordKind.MsrRefused],
    events: ['msr-read', 'msr-write', 'msr-refused'],
  },
  {
    name: 'boot',
    help: 'phases of the boot: setup, decompressor, kernel, user',
    kinds: [],
    events: [],
  },
];

/** The devices of a machine with everything in it, which are items of `-d` as well; a test compares. */
export const traceDevices: readonly string[] = [
  'acpi-pm',
  'cmos',
  'debug-console',
  'delay-port',
  'elcr',
  'firmware-disk',
  'hpet',
  'i8042',
  'i8042-command',
  'ioapic',
  'isa-debug-exit',
  'numeric-error',
  'pci-config-address',
  'pci-config-data',
  'pic0',
  'pic1',
  'pit',
  'port61',
  'port92',
  'post-code',
  'rom',
  'serial0',
  'serial1',
  'serial2',
  'serial3',
];

/** What `-d help` prints. */
export function traceHelp(): string {
  const rows = traceItems.map(({ name, help }) => `  ${name.padEnd(14)} ${help}`);
  return [
    'Items of -d, joined by commas:',
    ...rows,
    '  and accesses to a device, by its name:',
    `  ${traceDevices.join(' ')}`,
    '',
  ].join('\n');
}

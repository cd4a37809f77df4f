/** What `info TOPIC` of the monitor shows. */
import type { Device, StateValue } from '../bus/device.js';
import type { Machine } from '../machine.js';
import type { RegisterName, SegmentName } from '../native.js';
import { mappings, type Mapping } from './mappings.js';

/** Prints one topic, line ends included. */
export type InfoTopic = (machine: Machine, version: string) => string;

const EFLAGS = ['O', 'D', 'S', 'Z', 'A', 'P', 'C'] as const;
const EFLAGS_BITS = [11n, 10n, 7n, 6n, 4n, 2n, 0n] as const;

const GENERAL: readonly (readonly RegisterName[])[] = [
  ['rax', 'rbx', 'rcx', 'rdx'],
  ['rsi', 'rdi', 'rbp', 'rsp'],
  ['r8', 'r9', 'r10', 'r11'],
  ['r12', 'r13', 'r14', 'r15'],
];
const SEGMENTS: readonly SegmentName[] = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

/** More lines than this are nobody's to read. */
const MOST_MAPPINGS = 20_000;

/** The topics by name. */
export const infoTopics: ReadonlyMap<string, InfoTopic> = new Map<string, InfoTopic>([
  ['registers', registers],
  ['mem', (machine) => list(machine, memLines)],
  ['tlb', (machine) => list(machine, tlbLines)],
  ['pic', ({ devices }) => devices.filter(named(/^pic/)).map(stateOf).join('')],
  ['lapic', lapic],
  ['ioapic', ioapic],
  ['irq', irq],
  ['devices', devices],
  ['roms', (machine) => `kernel: ${machine.kernel}\n${ranges(machine, /rom/)}`],
  ['breakpoints', breakpoints],
  ['status', ({ debugger: guest }) => `VM status: ${status(guest.stopped?.kind)}\n`],
  ['version', (_machine, version) => `nodevm ${version}\n`],
]);

function registers({ debugger: guest }: Machine): string {
  const value = (name: RegisterName, digits = 16): string =>
    `${name.toUpperCase().padEnd(3)}=${hex(guest.getRegister(name), digits)}`;
  const flags = guest.getRegister('rflags');
  const letters = EFLAGS.map((letter, n) =>
    flags & (1n << (EFLAGS_BITS[n] ?? 0n)) ? letter : '-',
  );
  const fpu = new DataView(guest.readFpu().buffer);
  return [
    ...GENERAL.map((row) => row.map((name) => value(name)).join(' ')),
    `${value('rip')} RFL=${hex(flags, 8)} [${letters.join('')}] CPL=${guest.view.cpl} HLT=${guest.halted ? 1 : 0} (${guest.view.codeBits} bit code)`,
    ...SEGMENTS.map((name) => segment(guest.getSegment(name), name.toUpperCase())),
    segment(guest.getSegment('ldtr'), 'LDT'),
    segment(guest.getSegment('tr'), 'TR'),
    table('GDT', guest.getRegister('gdtrBase'), guest.getRegister('gdtrLimit')),
    table('IDT', guest.getRegister('idtrBase'), guest.getRegister('idtrLimit')),
    [value('cr0', 8), value('cr2'), value('cr3'), value('cr4', 8)].join(' '),
    (['dr0', 'dr1', 'dr2', 'dr3'] as const).map((name) => value(name)).join(' '),
    [value('dr6'), value('dr7')].join(' '),
    `EFER=${hex(guest.getRegister('efer'), 16)}`,
    `FCW=${hex(fpu.getUint16(0, true), 4)} FSW=${hex(fpu.getUint16(2, true), 4)} FTW=${hex(fpu.getUint8(4), 2)} MXCSR=${hex(fpu.getUint32(24, true), 8)}`,
    '',
  ].join('\n');
}

function segment(
  {
    selector,
    base,
    limit,
    access,
  }: { selector: number; base: bigint; limit: number; access: number },
  name: string,
): string {
  return `${name.padEnd(3)}=${hex(selector, 4)} ${hex(base, 16)} ${hex(limit, 8)} ${hex(access << 8, 8)}`;
}

function table(name: string, base: bigint, limit: bigint): string {
  return `${name}=     ${hex(base, 16)} ${hex(limit, 8)}`;
}

function list(machine: Machine, lines: (all: Iterable<Mapping>) => Iterable<string>): string {
  if (machine.view.paging.format === 'none') return 'PG disabled\n';
  const shown: string[] = [];
  for (const line of lines(mappings(machine.view))) {
    if (shown.length === MOST_MAPPINGS) return `${shown.join('')}…\n`;
    shown.push(line);
  }
  return shown.join('');
}

/** Neighbours with the same rights are one range. */
function* memLines(all: Iterable<Mapping>): Iterable<string> {
  let open: { start: bigint; end: bigint; rights: string } | undefined;
  for (const { linear, bytes, user, writable, executable } of all) {
    const rights = `${user ? 'u' : '-'}r${writable ? 'w' : '-'}${executable ? 'x' : '-'}`;
    if (open?.end === linear && open.rights === rights) {
      open.end += bytes;
      continue;
    }
    if (open) yield memLine(open);
    open = { start: linear, end: linear + bytes, rights };
  }
  if (open) yield memLine(open);
}

function memLine({ start, end, rights }: { start: bigint; end: bigint; rights: string }): string {
  return `${hex(start, 16)}-${hex(end, 16)} ${hex(end - start, 16)} ${rights}\n`;
}

function* tlbLines(all: Iterable<Mapping>): Iterable<string> {
  for (const { linear, gpa, bytes, user, writable, executable } of all) {
    const flags = `${executable ? 'X' : '-'}${bytes > 4096n ? 'P' : '-'}${user ? 'U' : '-'}${writable ? 'W' : '-'}`;
    yield `${hex(linear, 16)}: ${hex(gpa, 16)} ${flags}\n`;
  }
}

/** Registers of the local APIC by their offsets: SDM volume 3, table "Local APIC Register Address Map". */
const LAPIC_REGISTERS: readonly (readonly [name: string, offset: number])[] = [
  ['ID', 0x20],
  ['VERSION', 0x30],
  ['TPR', 0x80],
  ['PPR', 0xa0],
  ['LDR', 0xd0],
  ['DFR', 0xe0],
  ['SVR', 0xf0],
  ['ESR', 0x280],
  ['ICR', 0x300],
  ['LVT TIMER', 0x320],
  ['LVT THERMAL', 0x330],
  ['LVT PMI', 0x340],
  ['LVT LINT0', 0x350],
  ['LVT LINT1', 0x360],
  ['LVT ERROR', 0x370],
  ['TIMER INITIAL', 0x380],
  ['TIMER CURRENT', 0x390],
  ['TIMER DIVIDE', 0x3e0],
];
const LAPIC_ISR = 0x100;
const LAPIC_IRR = 0x200;

function lapic(machine: Machine): string {
  const { native } = machine.cpu;
  const lines = LAPIC_REGISTERS.map(
    ([name, offset]) => `${name.padEnd(14)} 0x${hex(native.readApic(offset), 8)}\n`,
  );
  return `${lines.join('')}${vectorLine(machine, 'ISR', LAPIC_ISR)}${vectorLine(machine, 'IRR', LAPIC_IRR)}`;
}

/** A set of 256 vectors: eight registers, 16 bytes apart. */
function vectorLine({ cpu }: Machine, name: string, offset: number): string {
  const vectors: string[] = [];
  for (let vector = 0; vector < 256; vector++) {
    const word = cpu.native.readApic(offset + 16 * (vector >> 5));
    if ((word >>> (vector & 31)) & 1) vectors.push(`0x${vector.toString(16)}`);
  }
  return `${name.padEnd(14)} ${vectors.length === 0 ? '(none)' : vectors.join(' ')}\n`;
}

const DELIVERY_MODES = ['fixed', 'lowest', 'SMI', '(3)', 'NMI', 'INIT', '(6)', 'ExtINT'];

/** The redirection table: 82093AA data sheet, "I/O Redirection Table Registers". */
function ioapic({ devices }: Machine): string {
  const state = devices.find(named(/^io-?apic/))?.save();
  const low = numbersOf(state?.low);
  const high = numbersOf(state?.high);
  return low
    .map((entry, pin) => {
      const mode = DELIVERY_MODES[(entry >> 8) & 7] ?? '';
      const words = [
        `pin ${String(pin).padEnd(2)} 0x${hex(high[pin] ?? 0, 8)}${hex(entry, 8)}`,
        `vec=${entry & 0xff}`,
        `dest=${((high[pin] ?? 0) >>> 24).toString()}`,
        entry & (1 << 11) ? 'logical' : 'physical',
        mode,
        entry & (1 << 15) ? 'level' : 'edge',
        entry & (1 << 13) ? 'active-low' : 'active-high',
        ...(entry & (1 << 16) ? ['masked'] : []),
        ...(entry & (1 << 14) ? ['remote-irr'] : []),
      ];
      return `${words.join(' ')}\n`;
    })
    .join('');
}

function irq(machine: Machine): string {
  const chips = machine.devices.filter(named(/^pic/)).flatMap((device) => {
    const { irr, isr, imr } = device.save();
    if (typeof irr !== 'number' || typeof isr !== 'number' || typeof imr !== 'number') return [];
    return [`${device.name}: irr=${hex(irr, 2)} isr=${hex(isr, 2)} imr=${hex(imr, 2)}\n`];
  });
  const { eventsDelivered } = machine.cpu.native.statistics();
  return `${chips.join('')}lapic: ${vectorLine(machine, 'irr', LAPIC_IRR)}lapic: ${vectorLine(machine, 'isr', LAPIC_ISR)}exceptions and interrupts delivered: ${eventsDelivered ?? 0}\n`;
}

function devices(machine: Machine): string {
  return ranges(machine, /./);
}

function ranges({ buses }: Machine, name: RegExp): string {
  return Object.entries(buses)
    .flatMap(([kind, bus]) =>
      bus
        .ranges()
        .filter(({ device }) => name.test(device.name))
        .map(({ base, length, device }) => {
          const digits = kind === 'ports' ? 4 : 16;
          return `${kind.padEnd(5)} ${hex(base, digits)}-${hex(base + length - 1, digits)} ${device.name}\n`;
        }),
    )
    .join('');
}

function breakpoints({ debugger: guest, symbols }: Machine): string {
  const lines = guest.list().map((breakpoint) => {
    const length = 'length' in breakpoint ? `, ${breakpoint.length} bytes` : '';
    const { kind, address } = breakpoint;
    const where = kind === 'physical' ? `0x${address.toString(16)}` : symbols.format(address);
    return `${kind} ${where}${length}\n`;
  });
  return lines.length === 0 ? 'no breakpoints\n' : lines.join('');
}

function status(stop: string | undefined): string {
  if (stop === undefined) return 'running';
  return stop === 'interrupt' ? 'paused' : `paused (${stop})`;
}

function stateOf(device: Device): string {
  const fields = Object.entries(device.save()).map(([name, value]) => {
    return `${name}=${typeof value === 'number' ? hex(value, 2) : JSON.stringify(value)}`;
  });
  return `${device.name}: ${fields.join(' ')}\n`;
}

function named(pattern: RegExp): (device: { readonly name: string }) => boolean {
  return ({ name }) => pattern.test(name);
}

function numbersOf(value: StateValue | undefined): number[] {
  return Array.isArray(value) ? value.map(Number) : [];
}

function hex(value: number | bigint, digits: number): string {
  const unsigned = typeof value === 'number' && value < 0 ? value >>> 0 : value;
  return unsigned.toString(16).padStart(digits, '0');
}

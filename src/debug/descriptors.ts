/** Segment descriptors and gates of a guest, and what is wrong with them: SDM volume 3, "Segment Descriptors". */
import type { GuestView } from './guest-view.js';
import { explainRefusal } from './page-tables.js';

const SYSTEM_TYPES = [
  ...['reserved', '16-bit TSS', 'LDT', 'busy 16-bit TSS', '16-bit call gate', 'task gate'],
  ...['16-bit interrupt gate', '16-bit trap gate', 'reserved', 'TSS', 'reserved', 'busy TSS'],
  ...['call gate', 'reserved', 'interrupt gate', 'trap gate'],
];
const TASK_GATE = 5;
/** Interrupt and trap gates, of 16 bits and of 32 or 64. */
const HANDLER_GATES = [6, 7, 14, 15];

/** A descriptor as it lies in memory. */
export interface Descriptor {
  readonly low: bigint;
  /** Second half of descriptors of 16 bytes. */
  readonly high: bigint;
  readonly type: number;
  /** S: a code or data segment. */
  readonly isSegment: boolean;
  readonly dpl: number;
  readonly present: boolean;
  readonly isCode: boolean;
  /** L: 64-bit code. */
  readonly long: boolean;
  /** D/B. */
  readonly big: boolean;
}

/** A descriptor, or why there is none, in a sentence. */
export type Lookup<T> = { readonly found: T } | { readonly trouble: string };

/** A gate of the IDT. */
export interface Gate {
  readonly descriptor: Descriptor;
  readonly selector: number;
  readonly offset: bigint;
  /** Number of the stack in the TSS's interrupt stack table, 0 for none. */
  readonly ist: number;
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

/** Takes the words of a descriptor apart. */
export function descriptorOf(low: bigint, high = 0n): Descriptor {
  const access = Number((low >> 40n) & 0xffffn);
  return {
    low,
    high,
    type: access & 15,
    isSegment: (access & 0x10) !== 0,
    dpl: (access >> 5) & 3,
    present: (access & 0x80) !== 0,
    isCode: (access & 0x18) === 0x18,
    long: (access & 0x2000) !== 0,
    big: (access & 0x4000) !== 0,
  };
}

/** A descriptor in a few words. */
export function describeDescriptor(descriptor: Descriptor): string {
  const { low, type, isSegment, isCode, long, big, dpl, present } = descriptor;
  if (low === 0n) return 'empty';
  const size = long ? '64-bit' : big ? '32-bit' : '16-bit';
  const kind = isSegment
    ? `${isCode ? `${size} code` : (type & 2) !== 0 ? 'writable data' : 'read-only data'} segment`
    : (SYSTEM_TYPES[type] ?? 'reserved');
  return `${kind}, DPL ${dpl}, ${present ? 'present' : 'not present'}`;
}

/** Why the processor cannot read memory of its own accord; undefined where it can. */
function unreadable(view: GuestView, linear: bigint, what: string): string | undefined {
  const walk = view.walk(linear);
  const refusal = explainRefusal(walk, { write: false, user: false, fetch: false });
  if (refusal !== undefined) return `${what} at ${hex(linear)} ${refusal}`;
  return view.translate(linear) === undefined
    ? `${what} at ${hex(linear)} lies where there is no RAM`
    : undefined;
}

/** The descriptor that a selector names. */
export function lookUpSelector(view: GuestView, selector: number): Lookup<Descriptor> {
  if ((selector & 0xfffc) === 0) return { trouble: 'the selector is null' };
  const isLocal = (selector & 4) !== 0;
  const ldt = view.segment('ldtr');
  const base = isLocal ? ldt.base : view.register('gdtrBase');
  const limit = isLocal ? ldt.limit : Number(view.register('gdtrLimit'));
  const table = isLocal ? 'LDT' : 'GDT';
  const what = `${table} entry ${selector >> 3} (selector ${hex(selector)})`;
  if ((selector | 7) > limit) {
    return {
      trouble: `${what} lies beyond the ${table}'s limit (base ${hex(base)}, limit ${hex(limit)})`,
    };
  }
  const linear = base + BigInt(selector & ~7);
  const trouble = unreadable(view, linear, what);
  if (trouble !== undefined) return { trouble };
  return { found: descriptorOf(view.readUint(linear, 8) ?? 0n) };
}

/** The gate of a vector, as far as it can be used. */
export function lookUpGate(view: GuestView, vector: number): Lookup<Gate> {
  const size = view.longMode ? 16 : 8;
  const base = view.register('idtrBase');
  const limit = Number(view.register('idtrLimit'));
  const what = `IDT entry ${vector}`;
  if (vector * size + size - 1 > limit) {
    const loaded = `(base ${hex(base)}, limit ${hex(limit)})`;
    return { trouble: `${what} lies beyond the IDT's limit ${loaded}` };
  }
  const linear = base + BigInt(vector * size);
  const trouble = unreadable(view, linear, what);
  if (trouble !== undefined) return { trouble };
  const low = view.readUint(linear, 8) ?? 0n;
  const high = size === 16 ? (view.readUint(linear + 8n, 8) ?? 0n) : 0n;
  const gate = gateOf(descriptorOf(low, high));
  const { type, isSegment, present } = gate.descriptor;
  const place = `${what} at ${hex(linear)}`;
  if (low === 0n) return { trouble: `${place} is empty` };
  const usable = HANDLER_GATES.includes(type) || (type === TASK_GATE && !view.longMode);
  if (isSegment || !usable) {
    return { trouble: `${place} is no gate (${describeDescriptor(gate.descriptor)})` };
  }
  return present ? { found: gate } : { trouble: `${place} is not present (${hex(low)})` };
}

function gateOf(descriptor: Descriptor): Gate {
  const { low, high } = descriptor;
  return {
    descriptor,
    selector: Number((low >> 16n) & 0xffffn),
    offset: (low & 0xffffn) | ((low >> 32n) & 0xffff_0000n) | ((high & 0xffff_ffffn) << 32n),
    ist: Number((low >> 32n) & 7n),
  };
}

/** What keeps a handler's code segment from being entered; undefined where nothing does. */
function codeTrouble(view: GuestView, gate: Gate): string | undefined {
  const lookup = lookUpSelector(view, gate.selector);
  if ('trouble' in lookup) return lookup.trouble;
  const { found } = lookup;
  const what = `the handler's code segment ${hex(gate.selector)} is`;
  if (!found.isCode) return `${what} no code segment (${describeDescriptor(found)})`;
  if (!found.present) return `${what} not present (${describeDescriptor(found)})`;
  if (view.longMode && !found.long) return `${what} not 64-bit code (${describeDescriptor(found)})`;
  return undefined;
}

/** Offsets in a TSS: SDM volume 3, "Task-State Segment (TSS)" and "64-Bit TSS". */
const TSS32_ESP0 = 4;
const TSS64_RSP0 = 4;
const TSS64_IST1 = 0x24;

/** Where a handler's frame would be pushed to. */
function handlerStack(view: GuestView, gate: Gate): Lookup<bigint> {
  const inner = view.cpl > (lookUpDpl(view, gate.selector) ?? 0);
  if (!view.longMode) {
    return inner ? fromTss(view, TSS32_ESP0, 4) : { found: view.stackAddress };
  }
  if (gate.ist !== 0) return fromTss(view, TSS64_IST1 + 8 * (gate.ist - 1), 8);
  return inner ? fromTss(view, TSS64_RSP0, 8) : { found: view.register('rsp') };
}

function lookUpDpl(view: GuestView, selector: number): number | undefined {
  const lookup = lookUpSelector(view, selector);
  return 'found' in lookup ? lookup.found.dpl : undefined;
}

function fromTss(view: GuestView, offset: number, size: 4 | 8): Lookup<bigint> {
  const { base, limit, selector } = view.segment('tr');
  if (offset + size - 1 > limit) {
    return {
      trouble: `the TSS (selector ${hex(selector)}, limit ${hex(limit)}) has no stack for it`,
    };
  }
  const trouble = unreadable(view, base + BigInt(offset), 'the TSS');
  if (trouble !== undefined) return { trouble };
  return { found: view.readUint(base + BigInt(offset), size) ?? 0n };
}

/** The most that an exception pushes in long mode: SS, RSP, RFLAGS, CS, RIP and the error code. */
const FRAME = 48n;

function stackTrouble(view: GuestView, gate: Gate): string | undefined {
  const stack = handlerStack(view, gate);
  if ('trouble' in stack) return stack.trouble;
  const top = view.longMode ? stack.found & ~15n : stack.found;
  const source = gate.ist === 0 ? '' : ` (IST ${gate.ist})`;
  for (const linear of [top - 1n, top - FRAME]) {
    const walk = view.walk(BigInt.asUintN(view.longMode ? 64 : 32, linear));
    const refusal = explainRefusal(walk, { write: true, user: false, fetch: false });
    if (refusal !== undefined) return `the stack for it at ${hex(top)}${source} ${refusal}`;
    const { gpa } = walk;
    if (gpa !== undefined && !view.memory.contains(gpa, 1)) {
      return `the stack for it at ${hex(top)}${source} lies where there is no RAM`;
    }
  }
  return undefined;
}

/**
 * What keeps the handler of a vector from being entered as things stand: a table, the gate, its code segment
 * or the stack.
 * @returns a sentence, or undefined where nothing does
 */
export function deliveryTrouble(view: GuestView, vector: number): string | undefined {
  if (!view.protectedMode) return vectorTableTrouble(view, vector);
  const lookup = lookUpGate(view, vector);
  if ('trouble' in lookup) return lookup.trouble;
  return codeTrouble(view, lookup.found) ?? stackTrouble(view, lookup.found);
}

/** Real mode: SDM volume 3, "Interrupt and Exception Handling" in the chapter on 8086 emulation. */
function vectorTableTrouble(view: GuestView, vector: number): string | undefined {
  const limit = Number(view.register('idtrLimit'));
  if (vector * 4 + 3 <= limit) return undefined;
  return `entry ${vector} lies beyond the interrupt vector table's limit (${hex(limit)})`;
}

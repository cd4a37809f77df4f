/** Why a processor shut down: SDM volume 3, "Interrupt 8 - Double Fault Exception (#DF)". */
import { isAfterCall } from './backtrace.js';
import { deliveryTrouble, describeDescriptor, lookUpSelector } from './descriptors.js';
import type { CpuEvent } from './events.js';
import {
  describeErrorCode,
  mnemonicOf,
  nameOfVector,
  PAGE_FAULT,
  selectorErrorOf,
  VECTOR,
} from './exceptions.js';
import { describeWalk, explainRefusal } from './page-tables.js';
import type { Findings, Scene, VerdictSection } from './verdict.js';

type Fault = CpuEvent & { readonly kind: 'exception' | 'nested-fault' | 'interrupt' };

/** Addresses that come from a null pointer and an offset. */
const NULL_PAGE = 0x1000n;
/** A push goes that far below the stack pointer at most: the frame of an exception, aligned. */
const PUSHED = 64n;

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

/** What the flight recorder, the tables and the stack tell about a triple fault. */
export function tripleFaultFindings(scene: Scene): Findings {
  const chain = chainOf(scene.recorder.events());
  const [first] = chain;
  if (first === undefined) {
    return { cause: 'the processor shut down, and nothing is recorded of why', sections: [] };
  }
  const troubles = troublesOf(scene, first);
  const cause = isDeliberate(scene)
    ? `the kernel reset the machine by a triple fault, as it does for a reboot (${scene.symbols.format(first.address)})`
    : `${whatHappened(scene, first)}; ${whyNotHandled(first, troubles)}`;
  return {
    cause,
    sections: [
      { title: 'exceptions', lines: describeChain(scene, chain, troubles) },
      ...walkSections(scene, chain),
    ],
  };
}

/** The events from the one that started it to shutdown. */
function chainOf(events: readonly CpuEvent[]): readonly Fault[] {
  const end = events.findLastIndex(({ kind }) => kind === 'triple-fault');
  const chain: Fault[] = [];
  for (let n = end - 1; n >= 0; n--) {
    const event = events[n] as CpuEvent;
    if (event.kind === 'nested-fault') {
      chain.unshift(event);
    } else {
      if (event.kind === 'exception' || event.kind === 'interrupt') chain.unshift(event);
      break;
    }
  }
  return chain;
}

/** What stands in the way of the handlers of the first event and of the double fault. */
interface Troubles {
  readonly first: string | undefined;
  readonly doubleFault: string | undefined;
}

function troublesOf({ view }: Scene, { vector }: Fault): Troubles {
  return {
    first: deliveryTrouble(view, vector),
    doubleFault: vector === VECTOR.DF ? undefined : deliveryTrouble(view, VECTOR.DF),
  };
}

/** Linux reboots by INT3 with an empty IDT where all else fails: native_machine_emergency_restart(). */
function isDeliberate({ symbols, backtrace }: Scene): boolean {
  const names = backtrace.addresses.slice(0, 6).map((a) => symbols.resolve(a)?.name ?? '');
  return names.some((name) =>
    /^native_machine_emergency_restart|^native_machine_restart/.test(name),
  );
}

function whyNotHandled({ vector }: Fault, { first, doubleFault }: Troubles): string {
  const name = mnemonicOf(vector);
  if (first === undefined) return `the handler of ${name} could not be entered`;
  if (doubleFault === undefined) return `${name} has no handler: ${first}`;
  return `${name} has no handler: ${first}; nor has the double fault: ${doubleFault}`;
}

/** The first event in words, with the reason where that can be seen. */
function whatHappened(scene: Scene, event: Fault): string {
  const { symbols } = scene;
  const at = symbols.format(event.address);
  if (event.kind === 'interrupt') {
    return `interrupt ${event.vector} came at ${at} with no way to handle it: interrupts were enabled (RFLAGS.IF) before the IDT was ready`;
  }
  if (event.vector === VECTOR.PF) return pageFault(scene, event, at);
  if (event.errorCode !== undefined && event.errorCode !== 0 && event.vector !== VECTOR.DF) {
    return `${nameOfVector(event.vector)} at ${at}: ${badSelector(scene, event.errorCode)}`;
  }
  return `${nameOfVector(event.vector)} at ${at}${instructionAt(scene, event.address)}`;
}

function instructionAt({ view, disassembler }: Scene, address: bigint): string {
  const bytes = view.read(address, 15);
  const mode = view.codeBits;
  const [instruction] = disassembler.disassemble(bytes, { address, mode, count: 1 });
  if (instruction === undefined) return '';
  const code = Buffer.from(instruction.bytes).toString('hex');
  return instruction.text === '(bad)' ? ` (bytes ${code})` : ` (${instruction.text})`;
}

function pageFault(
  scene: Scene,
  event: Fault & { kind: 'exception' | 'nested-fault' },
  at: string,
) {
  const { view, symbols } = scene;
  const linear = event.cr2 ?? 0n;
  const code = event.errorCode ?? 0;
  const fetch = linear === event.address;
  const access = {
    write: (code & PAGE_FAULT.WR) !== 0,
    user: (code & PAGE_FAULT.US) !== 0,
    fetch: fetch || (code & PAGE_FAULT.ID) !== 0,
  };
  const why = explainRefusal(view.walk(linear), access) ?? 'is mapped by now';
  if (access.fetch) {
    const from = callerOf(scene);
    const called = from === undefined ? '' : `, called from ${from}`;
    if (linear < NULL_PAGE)
      return `a call or jump went through a null pointer, to ${hex(linear)}${called}`;
    return `execution went to ${symbols.format(linear)}, which ${why}${called}`;
  }
  const rsp = view.stackAddress;
  if (access.write && linear < rsp && rsp - linear <= PUSHED) {
    return `the stack is not there: RSP is ${hex(rsp)}, and ${hex(linear)} ${why} (at ${at})`;
  }
  const verb = access.write ? 'write to' : 'read of';
  const pointer = linear < NULL_PAGE ? ' (a null pointer and an offset)' : '';
  return `${verb} ${symbols.format(linear)}${pointer}, which ${why}, at ${at}`;
}

/** Who called what could not be executed: the return address on the stack. */
function callerOf({ view, symbols }: Scene): string | undefined {
  const size = view.codeBits === 64 ? 8 : view.codeBits === 32 ? 4 : 2;
  const address = view.readUint(view.stackAddress, size);
  if (address === undefined || !isAfterCall(view, address)) return undefined;
  return symbols.format(address);
}

function badSelector({ view }: Scene, code: number): string {
  const { table, index } = selectorErrorOf(code);
  if (table === 'IDT') return `its IDT entry ${index} was asked for`;
  const lookup = lookUpSelector(view, (code & 0xfffc) >>> 0);
  if ('trouble' in lookup) return lookup.trouble;
  return `${table} entry ${index} (selector ${hex(code & 0xfffc)}) is ${describeDescriptor(lookup.found)}`;
}

function describeChain({ symbols }: Scene, chain: readonly Fault[], troubles: Troubles): string[] {
  const lines = chain.flatMap((event, n) => {
    const code = event.kind === 'interrupt' ? undefined : event.errorCode;
    const cr2 = event.kind === 'interrupt' ? undefined : event.cr2;
    const words = code === undefined ? '' : describeErrorCode(event.vector, code);
    const parts = [
      nameOfVector(event.vector),
      ...(n === 0 ? [`at ${symbols.format(event.address)}`] : []),
      ...(code === undefined ? [] : [`error code ${hex(code)}${words && ` (${words})`}`]),
      ...(cr2 === undefined ? [] : [`CR2 ${symbols.format(cr2)}`]),
    ];
    const trouble = n === 0 ? troubles.first : n === 1 ? troubles.doubleFault : undefined;
    const line = `${n === 0 ? '' : 'while entering its handler: '}${parts.join(', ')}`;
    return trouble === undefined ? [line] : [line, `  ${n === 0 ? '' : 'makes #DF: '}${trouble}`];
  });
  return [...lines, 'shutdown'];
}

/** How the addresses of page faults were looked up. */
function walkSections({ view }: Scene, chain: readonly Fault[]): VerdictSection[] {
  const addresses = chain.flatMap((event) =>
    event.kind !== 'interrupt' && event.cr2 !== undefined ? [event.cr2] : [],
  );
  return [...new Set(addresses)].map((linear) => ({
    title: `page walk of ${hex(linear)}`,
    lines: describeWalk(view.walk(linear)),
  }));
}

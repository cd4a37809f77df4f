/** What a run that ended badly says about itself. */
import type { AccessKind } from './access-ring.js';
import type { GuestView } from './guest-view.js';
import type { FlightRecorder } from './recorder.js';
import type { Symbols } from './symbols.js';
import type { ExitCause } from '../machine-exit.js';
import { backtraceOf, describeBacktrace, type Backtrace } from './backtrace.js';
import { bootPhaseOf, describePhase, type FoundPhase } from './boot-phase.js';
import { Disassembler } from './disassembler.js';
import { describeRegisters } from './register-text.js';
import { panicFindings } from './verdict-linux.js';
import { haltFindings, stallFindings } from './verdict-stall.js';
import { tripleFaultFindings } from './verdict-triple-fault.js';

/** A part of a report. */
export interface VerdictSection {
  readonly title: string;
  readonly lines: readonly string[];
}

/** The report on a run that ended badly. */
export interface Verdict {
  /** The probable cause in one sentence. */
  readonly cause: string;
  /** How far the guest had come. */
  readonly phase: string;
  /** What the cause was concluded from. */
  readonly sections: readonly VerdictSection[];
}

/** What a verdict is found from: the machine as it stands. */
export interface Evidence {
  readonly view: GuestView;
  readonly symbols: Symbols;
  readonly recorder: FlightRecorder;
  /** Whether a Linux kernel was loaded. */
  readonly isLinux: boolean;
  readonly cmdline: string;
  /** Whether the guest has ever printed on its consoles. */
  readonly hasPrinted: boolean;
  /** Whether the kernel was given an initramfs. */
  readonly hasInitrd: boolean;
  /** Instructions retired. */
  readonly instructions: number;
  /** The name of the device at a port or a guest physical address, undefined where there is none. */
  deviceAt(kind: AccessKind, address: number): string | undefined;
}

/** What the kinds of verdict add to the common parts. */
export interface Findings {
  readonly cause: string;
  readonly sections: readonly VerdictSection[];
  /** The backtrace where it is another than that of the running instruction. */
  readonly backtrace?: Backtrace | undefined;
}

/** What all kinds of verdict work with. */
export interface Scene extends Evidence {
  readonly backtrace: Backtrace;
  readonly phase: FoundPhase;
  readonly disassembler: Disassembler;
}

/** Bytes of code that a report shows. */
const CODE_BYTES = 48;
const CODE_LINES = 6;
/** The last events of the flight recorder that a report shows. */
const EVENTS = 12;

/** Finds out why a run ended so; undefined for an end that speaks for itself. */
export async function findVerdict(
  cause: ExitCause,
  evidence: Evidence,
): Promise<Verdict | undefined> {
  const find = kinds[cause.reason];
  const isWanted = cause.reason === 'halt' && cause.early !== true;
  if (find === undefined || isWanted) return undefined;
  const message = 'message' in cause ? cause.message : undefined;
  const { view, symbols } = evidence;
  const backtrace = backtraceOf(view, symbols);
  const scene: Scene = {
    ...evidence,
    backtrace,
    phase: bootPhaseOf(view, symbols, backtrace, evidence.isLinux),
    disassembler: await Disassembler.load(),
  };
  const findings = find(scene, message);
  if (findings === undefined) return undefined;
  return {
    cause: findings.cause,
    phase: describePhase(scene.phase),
    sections: [...findings.sections, ...commonSections(scene, findings)].filter(
      ({ lines }) => lines.length > 0,
    ),
  };
}

/** `message` is what the kernel said on a console, if it panicked there. */
type Find = (scene: Scene, message: string | undefined) => Findings | undefined;

const kinds: Partial<Record<ExitCause['reason'], Find>> = {
  'triple-fault': tripleFaultFindings,
  panic: panicFindings,
  stall: stallFindings,
  timeout: stallFindings,
  halt: haltFindings,
};

function commonSections(scene: Scene, findings: Findings): VerdictSection[] {
  const { view, symbols, recorder } = scene;
  const backtrace = findings.backtrace ?? scene.backtrace;
  return [
    { title: 'registers', lines: describeRegisters(view, symbols) },
    { title: 'code', lines: describeCode(scene) },
    {
      title: `backtrace (${backtrace.method})`,
      lines: describeBacktrace(backtrace, symbols),
    },
    {
      title: 'last events',
      lines: recorder.dump('text', { last: EVENTS, symbolize: symbols.name }),
    },
  ];
}

/** The instructions at RIP. */
export function describeCode({ view, symbols, disassembler }: Scene): string[] {
  const address = view.codeAddress;
  const bytes = view.read(address, CODE_BYTES);
  if (bytes.length === 0) return [];
  const mode = view.codeBits;
  const base = mode === 64 ? 0n : view.segment('cs').base;
  const instructions = disassembler.disassemble(bytes, {
    address,
    mode,
    base,
    symbolize: symbols.name,
    count: CODE_LINES,
  });
  return instructions.map(({ address: at, bytes: code, text }) => {
    return `${at.toString(16)}: ${Buffer.from(code).toString('hex').padEnd(22)} ${text}`;
  });
}

/** A verdict as text, without a newline at the end. */
export function formatVerdict({ cause, phase, sections }: Verdict): string {
  const parts = sections.map(({ title, lines }) => [
    `  ${title}:`,
    ...lines.map((line) => `    ${line}`),
  ]);
  return [`cause: ${cause}`, `  boot phase: ${phase}`, ...parts.flat()].join('\n');
}

import { Command, CommanderError } from 'commander';

import { DEFAULT_CMDLINE, DEFAULT_JIT_CACHE, DEFAULT_MEMORY } from '../config.js';
import { DEFAULT_CPU, describeModels } from '../cpu-model.js';
import type { Endpoint } from '../debug/endpoint.js';
import { NodevmError } from '../errors.js';
import { exitStatusRows } from '../exit-status.js';
import { loadNative } from '../native-loader.js';
import type { BootProtocol } from '../loader/protocol.js';
import type { Accel } from '../config.js';
import type { ClockSource } from '../native.js';
import { traceHelp } from '../debug/trace-items.js';
import { profileRows, type ProfileCliOptions } from './profile.js';
import { noTrace, traceRows, type TraceCliOptions } from './trace.js';
import {
  checkProcessors,
  dashed,
  parseBootProtocol,
  parseDevice,
  parseDuration,
  parseListener,
  parseMemorySize,
  parseSerial,
  usageError,
} from './values.js';
import type { DebugExitOption, SerialTarget } from './values.js';

/** What the command line asks for, before any file is opened. */
export interface CliOptions {
  /** Path of the kernel; the default guest's where undefined. */
  kernel: string | undefined;
  /** How the kernel is entered; the best way it offers where undefined. */
  bootProtocol: BootProtocol | undefined;
  /** Path of the kernel's symbols. */
  symbols: string | undefined;
  /** Paths of the drives' images and of a foreign ROM. */
  fda: string | undefined;
  hda: string | undefined;
  bios: string | undefined;
  /** Paths of the initramfs archives, in order. */
  initrd: string[];
  /** Kernel command line. */
  append: string;
  /** Guest RAM in bytes. */
  memory: number;
  /** COM1 to COM4, in order; COM1 is stdio when empty. */
  serial: SerialTarget[];
  debugExit: DebugExitOption | undefined;
  /** Where gdb and the monitor are served. */
  gdb: Endpoint | undefined;
  monitor: Endpoint | undefined;
  /** Whether the guest waits for a debugger before its first instruction. */
  startStopped: boolean;
  noReboot: boolean;
  /** Host milliseconds, or no limit. */
  timeoutMs: number | undefined;
  /** Guest milliseconds without output, or no limit. */
  stallMs: number | undefined;
  /** Text on the console that says that the guest is set up; for `nodevm run` and `nodevm test`. */
  ready: string | undefined;
  clock: ClockSource;
  verbose: boolean;
  accel: Accel;
  /** Processor model. */
  cpu: string;
  json: boolean;
  /** Bytes for translated code. */
  jitCache: number;
  profileJit: boolean;
  trace: TraceCliOptions;
  /** Whether to look into a run that ends badly. */
  verdict: boolean;
  /** Path of the core file of a run that ends badly. */
  core: string | undefined;
  profile: ProfileCliOptions;
  /** QEMU flags that were accepted and mean nothing here, as they were written; each once. */
  ignored: Set<string>;
  /** Names of the {@link optionRows} that were given. */
  given: Set<string>;
}

/** One option: parsing, `--help` and the README's table are all made from these rows. */
export interface OptionRow {
  /** Long name without dashes (one letter for `-m`); written with one or two dashes. */
  readonly name: string;
  /** What the argument is called; a flag where undefined. */
  readonly argument?: string;
  /** The default as a user would write it. */
  readonly fallback?: string;
  readonly help: string;
  /** Takes the argument (empty for a flag). Throws NodevmError `E_USAGE`. */
  apply(options: CliOptions, value: string): void;
}

/** The options that do something, in the order in which help shows them. */
export const optionRows: readonly OptionRow[] = [
  {
    name: 'kernel',
    argument: 'file',
    help: 'kernel to boot: Linux bzImage or vmlinux (ELF), or a multiboot kernel; without it, the default guest made by `npm run images`',
    apply: (options, value) => (options.kernel = value),
  },
  {
    name: 'symbols',
    argument: 'file',
    help: 'System.map or vmlinux of the kernel, where its own table of symbols does not do',
    apply: (options, value) => (options.symbols = value),
  },
  {
    name: 'boot-protocol',
    argument: 'door',
    help: 'how the kernel is entered: 16, 32, 64, pvh, multiboot, or direct (the host unpacks it); default the best it has',
    apply: (options, value) => (options.bootProtocol = parseBootProtocol(value)),
  },
  {
    name: 'fda',
    argument: 'file',
    help: 'raw floppy image; without a kernel, its boot sector is started',
    apply: (options, value) => (options.fda = value),
  },
  {
    name: 'hda',
    argument: 'file',
    help: 'raw disk image, which BIOS services reach (no controller that Linux knows); without a kernel, its boot sector is started',
    apply: (options, value) => (options.hda = value),
  },
  {
    name: 'bios',
    argument: 'file',
    help: 'another ROM to start instead; what it writes to debug port 0x402 goes to stderr',
    apply: (options, value) => (options.bios = value),
  },
  {
    name: 'initrd',
    argument: 'file',
    help: 'initramfs archive; may be repeated, the kernel unpacks them in order',
    apply: (options, value) => options.initrd.push(value),
  },
  {
    name: 'append',
    argument: 'text',
    fallback: DEFAULT_CMDLINE,
    help: 'kernel command line',
    apply: (options, value) => (options.append = value),
  },
  {
    name: 'm',
    argument: 'size',
    fallback: `${DEFAULT_MEMORY / 2 ** 20}M`,
    help: 'guest RAM, in MiB or with a unit (512, 512M, 1G), from 32M to 16G',
    apply: (options, value) => (options.memory = parseMemorySize(value)),
  },
  {
    name: 'smp',
    argument: 'n',
    fallback: '1',
    help: 'number of processors; only 1 so far',
    apply: (_options, value) => checkProcessors(value),
  },
  {
    name: 'serial',
    argument: 'target',
    fallback: 'stdio',
    help: 'stdio, null, none or file:PATH; may be repeated, for COM1 to COM4',
    apply: addSerial,
  },
  {
    name: 'device',
    argument: 'device',
    help: 'isa-debug-exit,iobase=PORT,iosize=BYTES: a port through which the guest ends the run',
    apply: (options, value) => (options.debugExit = parseDevice(value)),
  },
  {
    name: 's',
    help: 'serve gdb at tcp::1234',
    apply: (options) => (options.gdb = parseListener('s', 'tcp::1234')),
  },
  {
    name: 'S',
    help: 'stop before the first instruction, until a debugger or the monitor lets the guest go',
    apply: (options) => (options.startStopped = true),
  },
  {
    name: 'gdb',
    argument: 'listener',
    help: 'serve gdb at tcp:[host]:port or unix:path; without a host on the loopback interface only, port 0 is any',
    apply: (options, value) => {
      options.gdb = value === 'none' ? undefined : parseListener('gdb', value);
    },
  },
  {
    name: 'monitor',
    argument: 'listener',
    help: 'serve the monitor at tcp:[host]:port or unix:path; at a terminal it is behind Ctrl-A C',
    apply: setMonitor,
  },
  {
    name: 'no-reboot',
    help: 'end the run when the guest reboots',
    apply: (options) => (options.noReboot = true),
  },
  {
    name: 'nographic',
    help: 'serial console on the terminal, which is always so here',
    apply: () => undefined,
  },
  {
    name: 'timeout',
    argument: 'time',
    help: 'end the run with status 124 after this much host time (60s, 500ms, 2m)',
    apply: (options, value) => (options.timeoutMs = parseDuration(value)),
  },
  {
    name: 'stall',
    argument: 'time',
    help: 'end the run with status 124 when the guest prints nothing for this much guest time',
    apply: (options, value) => (options.stallMs = parseDuration(value, 'stall')),
  },
  {
    name: 'ready',
    argument: 'text',
    help: 'nodevm run: text on the console that says the guest is set up, where its init takes breaks',
    apply: (options, value) => (options.ready = value),
  },
  {
    name: 'clock',
    argument: 'source',
    fallback: 'host',
    help: 'what guest time is made of: host time, or icount (retired instructions; same inputs, same run)',
    apply: setClock,
  },
  {
    name: 'verbose',
    help: 'say on stderr what is booted and how; also -v',
    apply: (options) => (options.verbose = true),
  },
  {
    name: 'accel',
    argument: 'engine',
    fallback: 'auto',
    help: 'interp, jit (hot code translated to host code), or auto: jit on x86-64 Linux hosts, else interp',
    apply: setAccel,
  },
  {
    name: 'cpu',
    argument: 'model',
    fallback: DEFAULT_CPU,
    help: 'processor: max, v1 to v4 or a name, with ,+feature and ,-feature; help lists them',
    apply: (options, value) => (options.cpu = value),
  },
  {
    name: 'jit-cache',
    argument: 'size',
    fallback: `${DEFAULT_JIT_CACHE / 2 ** 20}M`,
    help: 'memory for translated code, from 1M to 1G; when it is full, all of it is dropped',
    apply: (options, value) => (options.jitCache = parseMemorySize(value, 'jit-cache')),
  },
  {
    name: 'profile-jit',
    help: 'say on stderr, at the end, where host time went, and which instructions went to the interpreter',
    apply: (options) => (options.profileJit = true),
  },
  {
    name: 'json',
    help: 'print how the run ended as one line of JSON on stderr',
    apply: (options) => (options.json = true),
  },
  ...traceRows,
  {
    name: 'no-verdict',
    help: 'do not look into why a run ended badly (triple fault, panic, stall, timeout)',
    apply: (options) => (options.verdict = false),
  },
  {
    name: 'core',
    argument: 'file',
    help: 'write an ELF core file, for gdb and crash, when a run ends badly',
    apply: (options, value) => (options.core = value),
  },
  ...profileRows,
];

function addSerial(options: CliOptions, value: string): void {
  const target = parseSerial(value);
  if (options.serial.length === 4) throw usageError('serial', value, 'at most four serial ports');
  if (target.kind === 'stdio' && options.serial.some(({ kind }) => kind === 'stdio')) {
    throw usageError('serial', value, 'stdio for one serial port only');
  }
  options.serial.push(target);
}

function setMonitor(options: CliOptions, value: string): void {
  // QEMU's other places for it: at a terminal it is there anyway.
  if (value === 'none' || value === 'null') return;
  if (value === 'stdio' || value === 'vc') options.ignored.add(`--monitor ${value}`);
  else options.monitor = parseListener('monitor', value);
}

function setClock(options: CliOptions, value: string): void {
  if (value !== 'host' && value !== 'icount') throw usageError('clock', value, 'host or icount');
  options.clock = value;
}

function setAccel(options: CliOptions, value: string): void {
  if (value === 'interp' || value === 'jit' || value === 'auto') options.accel = value;
  // QEMU's own (kvm, tcg, tcg,thread=single, ...) stand in many scripts.
  else if (/^(kvm|tcg|hvf|whpx|xen)\b/.test(value)) options.ignored.add(`--accel ${value}`);
  else throw usageError('accel', value, 'interp, jit or auto');
}

/**
 * QEMU flags that are accepted because scripts carry them, and that change nothing here. Flags whose
 * absence would change what the guest sees (disks, networks) are not among them: those are errors.
 */
export const ignoredFlags: readonly string[] = [
  'enable-kvm',
  'no-acpi',
  'no-fd-bootchk',
  'no-hpet',
  'no-user-config',
  'nodefaults',
  'usb',
];

/** Likewise, with an argument. */
export const ignoredWithArgument: readonly string[] = [
  'M',
  'boot',
  'display',
  'global',
  'icount',
  'k',
  'machine',
  'msg',
  'name',
  'net',
  'nic',
  'overcommit',
  'parallel',
  'rtc',
  'sandbox',
  'smbios',
  'uuid',
  'vga',
];

/** Flags that ask for exactly what nodevm is anyway; naming them on stderr would be noise. */
const alreadySo = new Set(['nodefaults', 'no-user-config']);
const noneIsAlreadySo = new Set(['display', 'net', 'nic', 'parallel', 'vga']);

function applyIgnored(name: string, value: string, options: CliOptions): void {
  if ((name === 'net' || name === 'nic') && value !== 'none') {
    throw usageError(name, value, 'none: there is no network device so far');
  }
  if (alreadySo.has(name) || (noneIsAlreadySo.has(name) && value === 'none')) return;
  options.ignored.add(value === '' ? dashed(name) : `${dashed(name)} ${value}`);
}

/** What a command line means: boot something, or print a text and end with status 0. */
export type CliRequest =
  | { readonly kind: 'run'; readonly options: CliOptions }
  | { readonly kind: 'print'; readonly text: string };

const takesArgument = new Map<string, boolean>([
  ...optionRows.map((row): [string, boolean] => [row.name, row.argument !== undefined]),
  ...ignoredFlags.map((name): [string, boolean] => [name, false]),
  ...ignoredWithArgument.map((name): [string, boolean] => [name, true]),
  ['help', false],
  ['version', false],
]);

const shortNames = new Map([
  ['h', 'help'],
  ['v', 'verbose'],
]);

/**
 * Rewrites QEMU's spelling to commander's: two dashes for long names, and the argument joined to the
 * option, since QEMU takes the next word whatever it looks like (`-append -s`).
 */
function normalise(argv: readonly string[]): string[] {
  const words: string[] = [];
  const rest = argv[Symbol.iterator]();
  for (const word of rest) {
    const [, written = '', joined] = /^--?([A-Za-z][\w-]*)(=[^]*)?$/.exec(word) ?? [];
    const name = shortNames.get(written) ?? written;
    const withArgument = takesArgument.get(name);
    if (withArgument === undefined) {
      throw new NodevmError('E_USAGE', `${unknownWord(word)}; see nodevm --help`);
    }
    if (!withArgument && joined !== undefined) throw usageError(name, word, 'no argument');
    const long = `--${name}`;
    if (!withArgument) {
      words.push(long);
      continue;
    }
    const value = joined?.slice(1) ?? nextWord(rest);
    if (value === undefined) throw new NodevmError('E_USAGE', `${word} needs an argument`);
    words.push(`${long}=${value}`);
  }
  return words;
}

function nextWord(words: Iterator<string>): string | undefined {
  const next = words.next();
  return next.done === true ? undefined : next.value;
}

function unknownWord(word: string): string {
  return word.startsWith('-')
    ? `unknown option ${word}`
    : `unexpected argument ${JSON.stringify(word)}: the kernel is given with --kernel, a disk image with --hda`;
}

function createProgram(version: string, options: CliOptions): Command {
  const program = new Command('nodevm')
    .usage('[options]')
    .description('Boots a Linux kernel in an x86-64 virtual machine, with its console here.')
    .version(version, '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .configureHelp({ optionTerm: (option) => option.flags.replace(/^--(?=\w\b)/, '-') })
    .addHelpText('after', helpEpilogue())
    .configureOutput({ writeOut: () => undefined, writeErr: () => undefined })
    .exitOverride();
  for (const row of optionRows) {
    program.option(flagsOf(row.name, row.argument), helpOf(row));
    program.on(`option:${row.name}`, (value?: string) => {
      options.given.add(row.name);
      row.apply(options, value ?? '');
    });
  }
  for (const name of [...ignoredFlags, ...ignoredWithArgument]) {
    const option = program.createOption(
      flagsOf(name, ignoredWithArgument.includes(name) ? 'x' : undefined),
    );
    program.addOption(option.hideHelp());
    program.on(`option:${name}`, (value?: string) => applyIgnored(name, value ?? '', options));
  }
  return program;
}

const flagsOf = (name: string, argument: string | undefined) =>
  argument === undefined ? `--${name}` : `--${name} <${argument}>`;

const helpOf = (row: OptionRow) =>
  row.fallback === undefined ? row.help : `${row.help} (default: ${row.fallback})`;

function helpEpilogue(): string {
  const statuses = exitStatusRows.map(({ status, when }) => `  ${status.padEnd(10)} ${when}`);
  return [
    '',
    'Options are spelt with one dash or two. QEMU flags that mean nothing here are accepted and named',
    `once on stderr: ${[...ignoredFlags, ...ignoredWithArgument].map(dashed).join(' ')}`,
    '',
    'nodevm inspect FILE says what a kernel or an initramfs is.',
    'nodevm dmesg MONITOR prints the log of a kernel that runs, nodevm dump MONITOR FILE writes a core file of it.',
    'nodevm run [options] -- command runs a command in the guest and ends with its status.',
    'nodevm test file runs a matrix of kernels, archives and commands; see nodevm test --help.',
    'nodevm initramfs makes, shows, checks and changes initramfs archives; see nodevm initramfs --help.',
    '',
    'At a terminal: Ctrl-A X ends the run, Ctrl-A C is the monitor, Ctrl-A H helps, Ctrl-A Ctrl-A sends Ctrl-A.',
    '',
    'Exit status:',
    ...statuses,
  ].join('\n');
}

/**
 * Parses a command line.
 * @param argv the words after the program's name
 * @param version what `--version` prints
 * @throws NodevmError `E_USAGE`
 */
export function parseCommandLine(argv: readonly string[], version: string): CliRequest {
  const options: CliOptions = {
    kernel: undefined,
    symbols: undefined,
    bootProtocol: undefined,
    fda: undefined,
    hda: undefined,
    bios: undefined,
    initrd: [],
    append: DEFAULT_CMDLINE,
    memory: DEFAULT_MEMORY,
    serial: [],
    debugExit: undefined,
    gdb: undefined,
    monitor: undefined,
    startStopped: false,
    noReboot: false,
    timeoutMs: undefined,
    stallMs: undefined,
    ready: undefined,
    clock: 'host',
    verbose: false,
    accel: 'auto',
    cpu: DEFAULT_CPU,
    json: false,
    jitCache: DEFAULT_JIT_CACHE,
    profileJit: false,
    trace: noTrace(),
    verdict: true,
    core: undefined,
    profile: { boot: undefined, cpu: undefined },
    ignored: new Set(),
    given: new Set(),
  };
  const program = createProgram(version, options);
  let text = '';
  program.configureOutput({ writeOut: (part) => (text += part) });
  try {
    program.parse(normalise(argv), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { kind: 'print', text };
    throw new NodevmError('E_USAGE', error.message.replace(/^error: /, ''), { cause: error });
  }
  if (options.cpu === 'help' || options.cpu === '?') {
    return { kind: 'print', text: describeModels(loadNative().cpuFeatures) };
  }
  if (options.trace.items.includes('help')) return { kind: 'print', text: traceHelp() };
  return { kind: 'run', options };
}

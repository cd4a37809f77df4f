/**
 * The monitor: commands for people who look at a machine, with QEMU's spelling. The same ones serve a terminal
 * (Ctrl-A C), a socket (`--monitor`) and gdb's `monitor`.
 */
import { NodevmError } from '../errors.js';
import type { Machine } from '../machine.js';
import type { RegisterName } from '../native.js';
import { backtraceOf, describeBacktrace } from './backtrace.js';
import { parseEndpoint, type Endpoint } from './endpoint.js';
import { evaluate } from './expression.js';
import { infoTopics } from './monitor-info.js';
import { dumpMemory, formatNumber, NUMBER_LETTERS } from './monitor-memory.js';

/** What the commands act on. */
export interface MonitorHost {
  readonly machine: Machine;
  readonly version: string;
  /** Starts a gdb server and says where. */
  startGdbServer(endpoint: Endpoint): Promise<string>;
  /** Ends the machine. */
  quit(): void;
}

interface Command {
  readonly name: string;
  /** Other spellings. */
  readonly aliases?: readonly string[];
  readonly argument?: string;
  readonly help: string;
  /** What it prints, line ends included. */
  run(host: MonitorHost, argument: string): Promise<string> | string;
}

const DEFAULT_GDB_PORT = 1234;

/** Registers that `$name` reads, besides those of {@link RegisterName}. */
const REGISTER_ALIASES: Readonly<Record<string, RegisterName>> = {
  eflags: 'rflags',
  sp: 'rsp',
  fp: 'rbp',
  gdt: 'gdtrBase',
  idt: 'idtrBase',
};

const SEGMENT = /^([cdefgs]s)(_base)?$/;
const PLAIN_REGISTERS: ReadonlySet<string> = new Set<RegisterName>([
  ...(['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'rsp', 'rip', 'rflags'] as const),
  ...(['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const),
  ...([
    'cr0',
    'cr2',
    'cr3',
    'cr4',
    'cr8',
    'efer',
    'dr0',
    'dr1',
    'dr2',
    'dr3',
    'dr6',
    'dr7',
  ] as const),
]);

const commands: readonly Command[] = [
  {
    name: 'help',
    aliases: ['?'],
    argument: '[command]',
    help: 'say what commands there are',
    run: (_host, name) => helpText(name),
  },
  {
    name: 'info',
    argument: 'topic',
    help: `show ${[...infoTopics.keys()].join(', ')}`,
    run: ({ machine, version }, topic) => {
      const show = infoTopics.get(topic);
      if (show !== undefined) return show(machine, version);
      throw wrong('info', topic, `one of ${[...infoTopics.keys()].join(', ')}`);
    },
  },
  {
    name: 'x',
    argument: '/FMT address',
    help: 'show memory by linear address; FMT is a count, one of x d u o c i s, and a size of b h w g',
    run: ({ machine }, argument) => dumpMemory(machine, argument, false, valueIn(machine)),
  },
  {
    name: 'xp',
    argument: '/FMT address',
    help: 'the same by guest physical address',
    run: ({ machine }, argument) => dumpMemory(machine, argument, true, valueIn(machine)),
  },
  {
    name: 'p',
    aliases: ['print'],
    argument: '[/x|/d|/u|/o|/c] expression',
    help: 'compute with numbers, $registers and symbols',
    run: ({ machine }, argument) => print(machine, argument),
  },
  {
    name: 'symbol',
    argument: 'name|address',
    help: 'the address of a kernel symbol, or the symbol at an address',
    run: ({ machine }, argument) => showSymbol(machine, argument),
  },
  {
    name: 'kaslr',
    help: 'where the kernel is, and how far from where it was linked',
    run: ({ machine }) => kaslr(machine),
  },
  {
    name: 'bt',
    aliases: ['backtrace'],
    help: 'who called whom: by ORC tables, frame pointers or a scan of the stack',
    run: ({ machine: { view, symbols } }) => {
      const backtrace = backtraceOf(view, symbols);
      const lines = describeBacktrace(backtrace, symbols);
      return [`by ${backtrace.method}:`, ...lines, ''].join('\n');
    },
  },
  {
    name: 'dmesg',
    help: "show the kernel's log, read from guest memory",
    run: ({ machine }) => {
      const log = machine.dmesg();
      if (log === '') throw new NodevmError('E_GUEST', "there is no kernel's log in guest memory");
      return log;
    },
  },
  {
    name: 'dump-guest-memory',
    argument: 'file',
    help: 'write an ELF core file, for gdb and crash',
    run: ({ machine }, path) => {
      if (path === '') throw wrong('dump-guest-memory', path, 'a file');
      machine.dumpCore(path);
      return '';
    },
  },
  {
    name: 'stop',
    help: 'stop the guest',
    run: ({ machine }) => {
      machine.debugger.interrupt();
      return '';
    },
  },
  {
    name: 'cont',
    aliases: ['c'],
    help: 'let the guest go on',
    run: ({ machine }) => {
      machine.debugger.resume();
      return '';
    },
  },
  {
    name: 'system_reset',
    help: 'press the reset button',
    run: async ({ machine }) => {
      machine.reset();
      // A guest that stands still starts anew within this turn, so that the next command sees it.
      await new Promise((resolve) => setImmediate(resolve));
      return '';
    },
  },
  {
    name: 'system_powerdown',
    help: 'press the power button',
    run: ({ machine }) => {
      machine.pressPowerButton();
      return '';
    },
  },
  {
    name: 'nmi',
    help: 'raise a non-maskable interrupt',
    run: ({ machine }) => {
      machine.raiseNmi();
      return '';
    },
  },
  {
    name: 'gdbserver',
    argument: '[tcp:[host]:port|unix:path]',
    help: `serve gdb, by default at tcp::${DEFAULT_GDB_PORT}`,
    run: async (host, argument) => {
      const endpoint = parseEndpoint(argument === '' ? `tcp::${DEFAULT_GDB_PORT}` : argument);
      if (endpoint === undefined)
        throw wrong('gdbserver', argument, 'tcp:[host]:port or unix:path');
      return `gdb: ${await host.startGdbServer(endpoint)}\n`;
    },
  },
  {
    name: 'quit',
    aliases: ['q'],
    help: 'end the machine',
    run: (host) => {
      host.quit();
      return '';
    },
  },
];

const byName: ReadonlyMap<string, Command> = new Map(
  commands.flatMap((command) =>
    [command.name, ...(command.aliases ?? [])].map((name): [string, Command] => [name, command]),
  ),
);

/** The monitor of one machine. */
export class Monitor {
  constructor(private readonly host: MonitorHost) {}

  /** Executes one line. What went wrong is part of what it prints: nothing is thrown for bad input. */
  async execute(line: string): Promise<string> {
    const [, name = '', argument = ''] = /^\s*([^\s/]*)\s*([^]*?)\s*$/.exec(line) ?? [];
    if (name === '') return '';
    const command = byName.get(name);
    if (command === undefined) return `unknown command: '${name}'; see help\n`;
    try {
      return await command.run(this.host, argument);
    } catch (error) {
      if (error instanceof NodevmError) return `${error.message}\n`;
      throw error;
    }
  }

  /** Names that `text`, the beginning of a line, can be completed to. */
  complete(text: string): string[] {
    const topic = /^info\s+(\w*)$/.exec(text)?.[1];
    if (topic !== undefined) {
      return [...infoTopics.keys()]
        .filter((name) => name.startsWith(topic))
        .map((name) => `info ${name}`);
    }
    return [...byName.keys()].filter((name) => name.startsWith(text));
  }
}

function helpText(wanted: string): string {
  const only = byName.get(wanted);
  if (wanted !== '' && only === undefined) throw wrong('help', wanted, 'the name of a command');
  const shown = only === undefined ? commands : [only];
  return shown
    .map(({ name, aliases = [], argument = '', help }) => {
      const names = [name, ...aliases].join('|');
      return `${`${names} ${argument}`.trim()} -- ${help}\n`;
    })
    .join('');
}

function valueIn(machine: Machine): (text: string) => bigint {
  return (text) =>
    evaluate(text, {
      register: (name) => registerValue(machine, name),
      symbol: (name) => machine.symbols.address(name),
    });
}

function registerValue({ debugger: guest }: Machine, name: string): bigint | undefined {
  if (name === 'pc') return guest.pc;
  const plain = REGISTER_ALIASES[name] ?? name;
  if (isRegister(plain)) return guest.getRegister(plain);
  const [, segment, isBase] = SEGMENT.exec(name) ?? [];
  if (segment === undefined) return undefined;
  const { selector, base } = guest.getSegment(segment as 'cs');
  return isBase === undefined ? BigInt(selector) : base;
}

function isRegister(name: string): name is RegisterName {
  return PLAIN_REGISTERS.has(name) || Object.values<string>(REGISTER_ALIASES).includes(name);
}

function print(machine: Machine, argument: string): string {
  const [, letter = 'x', text = ''] = /^(?:\/(\w)\s*)?([^]*)$/.exec(argument) ?? [];
  if (!NUMBER_LETTERS.includes(letter))
    throw wrong('p', `/${letter}`, `a letter of ${NUMBER_LETTERS}`);
  return `${formatNumber(valueIn(machine)(text), letter, 8, false)}\n`;
}

function showSymbol(machine: Machine, argument: string): string {
  const { symbols } = machine;
  const address = symbols.address(argument) ?? valueIn(machine)(argument);
  return `${symbols.format(address)}\n`;
}

function kaslr({ symbols }: Machine): string {
  const slide = symbols.slide();
  const text = symbols.address('_text');
  if (slide === undefined || text === undefined) return 'no kernel found in memory yet\n';
  const sign = slide < 0n ? '-' : '';
  const distance = slide < 0n ? -slide : slide;
  return `kernel at 0x${text.toString(16)}, offset ${sign}0x${distance.toString(16)}\n`;
}

function wrong(command: string, value: string, expected: string): NodevmError {
  return new NodevmError('E_USAGE', `${command} ${JSON.stringify(value)}: expected ${expected}`);
}

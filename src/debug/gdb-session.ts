/**
 * What one gdb client asks, and what it is told: GDB manual, appendix "GDB Remote Serial Protocol". There is
 * one thread, the processor, with number 1.
 */
import type { Breakpoint, Debugger, DebugStop } from './debugger.js';
import {
  gdbPacket,
  GdbReader,
  hexOf,
  PACKET_SIZE,
  parseHex,
  parseHexBytes,
} from './gdb-packets.js';
import { GdbRegisters } from './gdb-registers.js';

/** What a session needs besides the guest. */
export interface GdbSessionOptions {
  readonly debugger: Debugger;
  /** Sends bytes to the client. */
  send(bytes: Uint8Array): void;
  /** Ends the connection. */
  close(): void;
  /** The client wants the machine to end (`kill`). */
  onKill(): void;
  /** Executes gdb's `monitor` command, and gives what it prints. */
  monitor(command: string): Promise<string> | string;
}

const SIGNAL = { interrupt: 2, trap: 5, segv: 11 };

/** Error numbers are the client's to show and mean nothing else: bad argument, bad address. */
const BAD_ARGUMENT = 'E16';
const BAD_ADDRESS = 'E0e';
const UNSUPPORTED = '';

/** Most bytes that one `m` reads: they are two digits each in the answer. */
const LONGEST_READ = (PACKET_SIZE - 16) / 2;

/** Kinds of breakpoints by their digit in Z and z. */
const BREAKPOINT_KINDS: readonly Breakpoint['kind'][] = [
  'linear',
  'linear',
  'write',
  'read',
  'access',
];

const WATCH_WORD = { write: 'watch', read: 'rwatch', access: 'awatch' } as const;

/** What the bits of QEMU's single-step option mean: Qqemu.sstep. */
const STEP_ENABLE = 1;
const STEP_NO_INTERRUPTS = 2;
const STEP_NO_TIMER = 4;

type Handler = (argument: string, body: Buffer) => Promise<string> | string;

/** One client, from its connection to its end. */
export class GdbSession {
  private readonly reader = new GdbReader();
  private readonly registers: GdbRegisters;
  private readonly removers = new Map<string, () => void>();
  private readonly detach: () => void;
  private readonly stopListening: () => void;
  private acknowledges = true;
  private physicalMemory = false;
  private singleStep = STEP_ENABLE | STEP_NO_INTERRUPTS | STEP_NO_TIMER;
  private sayBreakKind = false;
  /** The client waits for a stop. */
  private running = false;
  private lastPacket: Buffer | undefined;
  private ended = false;
  /** Packets are answered one after the other. */
  private queue: Promise<void> = Promise.resolve();

  /** The guest is stopped: a client expects to find it so. */
  constructor(private readonly options: GdbSessionOptions) {
    const target = options.debugger;
    this.registers = new GdbRegisters(target);
    this.detach = target.attach();
    this.stopListening = target.onStop((stop) => this.onStop(stop));
    target.interrupt();
  }

  /** The client has sent something. */
  receive(bytes: Uint8Array): void {
    for (const input of this.reader.feed(bytes)) {
      if (input.kind === 'packet') {
        this.acknowledge('+');
        this.queue = this.queue.then(() => this.answer(input.body));
      } else if (input.kind === 'garbled') this.acknowledge('-');
      else if (input.kind === 'nak' && this.lastPacket) this.options.send(this.lastPacket);
      else if (input.kind === 'interrupt') this.target.interrupt();
    }
  }

  /** The machine has ended with this process status. */
  machineEnded(status: number): void {
    if (this.running) this.reply(`W${(status & 0xff).toString(16).padStart(2, '0')}`);
    this.leave(false);
  }

  /** The connection is gone: breakpoints go with it, and the guest goes on. */
  disconnected(): void {
    this.leave(true);
  }

  private get target(): Debugger {
    return this.options.debugger;
  }

  private leave(resume: boolean): void {
    if (this.ended) return;
    this.ended = true;
    this.stopListening();
    this.detach();
    for (const remove of this.removers.values()) remove();
    this.removers.clear();
    if (resume) this.target.resume();
  }

  private acknowledge(sign: '+' | '-'): void {
    if (this.acknowledges) this.options.send(Buffer.from(sign));
  }

  private reply(contents: string | Uint8Array): void {
    if (this.ended) return;
    this.lastPacket = gdbPacket(contents);
    this.options.send(this.lastPacket);
  }

  private onStop(stop: DebugStop): void {
    if (!this.running) return;
    this.running = false;
    this.reply(this.stopReply(stop));
  }

  private stopReply(stop: DebugStop | undefined): string {
    if (stop?.kind === 'watchpoint') {
      return stopped(SIGNAL.trap, `${WATCH_WORD[stop.access]}:${stop.address.toString(16)};`);
    }
    if (stop?.kind === 'breakpoint' && this.sayBreakKind) {
      const soft = this.removers.has(breakpointKey(0, stop.address, 1n));
      return stopped(SIGNAL.trap, soft ? 'swbreak:;' : 'hwbreak:;');
    }
    if (stop?.kind === 'interrupt') return stopped(SIGNAL.interrupt);
    return stopped(stop?.kind === 'triple-fault' ? SIGNAL.segv : SIGNAL.trap);
  }

  private async answer(body: Buffer): Promise<void> {
    if (this.ended) return;
    const reply = await this.obey(body);
    if (reply !== undefined) this.reply(reply);
  }

  /** The answer to a packet; undefined where it comes later, or never. */
  private async obey(body: Buffer): Promise<string | undefined> {
    const text = body.toString('latin1');
    const [letter = ''] = text;
    if (letter === 'q' || letter === 'Q' || letter === 'v') return this.obeyNamed(text);
    const argument = text.slice(1);
    switch (letter) {
      case 'c':
        return this.goOn('continue', argument);
      case 's':
        return this.goOn('step', argument);
      case 'C':
      case 'S':
        return this.goOn(letter === 'C' ? 'continue' : 'step', argument.split(';')[1] ?? '');
      case 'k':
        this.options.onKill();
        return undefined;
      case 'D':
        return this.detachClient();
      default:
        return this.simple[letter]?.(argument, body) ?? UNSUPPORTED;
    }
  }

  /** Packets of one letter that are answered at once. */
  private readonly simple: Readonly<Record<string, Handler>> = {
    '?': () => this.firstStop(),
    g: () => hexOf(this.registers.readAll()),
    G: (hex) => this.writeRegisters(hex),
    p: (number) => this.readRegister(number),
    P: (argument) => this.writeRegister(argument),
    m: (argument) => this.readMemory(argument),
    M: (argument) => this.writeHex(argument),
    X: (argument, body) => this.writeBinary(argument, body),
    Z: (argument) => this.insert(argument),
    z: (argument) => this.remove(argument),
    H: () => 'OK',
    T: (thread) => (parseHex(thread) === 1n ? 'OK' : BAD_ARGUMENT),
  };

  // --- stopping and going on

  private firstStop(): string {
    this.target.interrupt();
    const stop = this.target.stopped;
    return this.stopReply(stop?.kind === 'interrupt' ? undefined : stop);
  }

  private goOn(how: 'continue' | 'step', address: string): string | undefined {
    const to = parseHex(address);
    if (address !== '' && to === undefined) return BAD_ARGUMENT;
    if (to !== undefined) this.target.pc = to;
    return how === 'continue' ? this.resume() : this.step();
  }

  private resume(): string | undefined {
    this.target.interrupt();
    this.running = true;
    this.target.resume();
    return undefined;
  }

  private step(range?: { start: bigint; end: bigint }): string | undefined {
    this.target.interrupt();
    this.running = true;
    const interrupts = (this.singleStep & STEP_NO_INTERRUPTS) === 0;
    this.target.beginStep({ interrupts, ...(range && { range }) });
    return undefined;
  }

  /** `vCont;action[:thread]…`: of the actions, the first is for the one thread there is. */
  private continueWith(actions: string): string | undefined {
    const [action = ''] = actions.split(';')[0]?.split(':') ?? [];
    switch (action[0]) {
      case 'c':
      case 'C':
        return this.resume();
      case 's':
      case 'S':
        return this.step();
      case 't':
        this.target.interrupt();
        return 'OK';
      case 'r': {
        const [start, end] = action.slice(1).split(',').map(parseHex);
        if (start === undefined || end === undefined) return BAD_ARGUMENT;
        return this.step({ start, end });
      }
      default:
        return BAD_ARGUMENT;
    }
  }

  private detachClient(): string | undefined {
    this.reply('OK');
    this.leave(true);
    this.options.close();
    return undefined;
  }

  // --- registers

  private writeRegisters(hex: string): string {
    const bytes = parseHexBytes(hex);
    if (bytes === undefined) return BAD_ARGUMENT;
    this.registers.writeAll(bytes);
    return 'OK';
  }

  private readRegister(digits: string): string {
    const number = parseHex(digits);
    const value = number === undefined ? undefined : this.registers.read(Number(number));
    return value === undefined ? BAD_ARGUMENT : hexOf(value);
  }

  private writeRegister(argument: string): string {
    const [digits = '', hex = ''] = argument.split('=');
    const number = parseHex(digits);
    const bytes = parseHexBytes(hex);
    if (number === undefined || bytes === undefined) return BAD_ARGUMENT;
    return this.registers.write(Number(number), bytes) ? 'OK' : BAD_ARGUMENT;
  }

  // --- memory

  private readMemory(argument: string): string {
    const range = parseRange(argument);
    if (range === undefined) return BAD_ARGUMENT;
    const length = Math.min(range.length, LONGEST_READ);
    const bytes = this.read(range.address, length);
    return bytes.length === 0 && length > 0 ? BAD_ADDRESS : hexOf(bytes);
  }

  private read(address: bigint, length: number): Uint8Array {
    if (!this.physicalMemory) return this.target.read(address, length);
    const { memory } = this.target.view;
    const gpa = Number(address);
    return memory.contains(gpa, length) ? memory.read(gpa, length) : new Uint8Array();
  }

  private writeHex(argument: string): string {
    const [head = '', hex = ''] = argument.split(':');
    const bytes = parseHexBytes(hex);
    return bytes === undefined ? BAD_ARGUMENT : this.write(head, bytes);
  }

  private writeBinary(argument: string, body: Buffer): string {
    const colon = argument.indexOf(':');
    if (colon < 0) return BAD_ARGUMENT;
    return this.write(argument.slice(0, colon), body.subarray(colon + 2));
  }

  private write(head: string, bytes: Uint8Array): string {
    const range = parseRange(head);
    if (range?.length !== bytes.length) return BAD_ARGUMENT;
    if (bytes.length === 0) return 'OK';
    try {
      if (this.physicalMemory) this.target.view.memory.write(Number(range.address), bytes);
      else this.target.write(range.address, bytes);
      return 'OK';
    } catch {
      return BAD_ADDRESS;
    }
  }

  // --- breakpoints: `type,address,length`

  private insert(argument: string): string {
    const wanted = parseBreakpoint(argument);
    if (wanted === undefined) return UNSUPPORTED;
    const { key, breakpoint } = wanted;
    if ('length' in breakpoint && breakpoint.length < 1) return BAD_ARGUMENT;
    // Setting one twice is the same as once.
    if (!this.removers.has(key)) this.removers.set(key, this.target.add(breakpoint));
    return 'OK';
  }

  private remove(argument: string): string {
    const wanted = parseBreakpoint(argument);
    if (wanted === undefined) return UNSUPPORTED;
    this.removers.get(wanted.key)?.();
    this.removers.delete(wanted.key);
    return 'OK';
  }

  // --- packets with names

  private obeyNamed(text: string): Promise<string | undefined> | string | undefined {
    const [, name = '', argument = ''] = /^([qQv][\w?.]*)[:,;]?([^]*)$/.exec(text) ?? [];
    if (name === 'vCont') return this.continueWith(argument);
    if (name === 'vKill') {
      this.reply('OK');
      this.options.onKill();
      return undefined;
    }
    return this.named[name]?.(argument) ?? UNSUPPORTED;
  }

  private readonly named: Readonly<Record<string, (argument: string) => Promise<string> | string>> =
    {
      qSupported: (features) => this.supported(features),
      QStartNoAckMode: () => {
        this.acknowledges = false;
        return 'OK';
      },
      'vCont?': () => 'vCont;c;C;s;S;t;r',
      qXfer: (argument) => this.transfer(argument),
      qAttached: () => '1',
      qC: () => 'QC1',
      qfThreadInfo: () => 'm1',
      qsThreadInfo: () => 'l',
      qThreadExtraInfo: () =>
        hexOf(Buffer.from(`CPU#0 [${this.target.halted ? 'halted' : 'running'}]`)),
      qRcmd: (hex) => this.monitorCommand(hex),
      'qqemu.PhyMemMode': () => (this.physicalMemory ? '1' : '0'),
      'Qqemu.PhyMemMode': (mode) => {
        if (mode !== '0' && mode !== '1') return BAD_ARGUMENT;
        this.physicalMemory = mode === '1';
        return 'OK';
      },
      'qqemu.sstepbits': () =>
        `ENABLE=${STEP_ENABLE},NOIRQ=${STEP_NO_INTERRUPTS},NOTIMER=${STEP_NO_TIMER}`,
      'qqemu.sstep': () => `0x${this.singleStep.toString(16)}`,
      'Qqemu.sstep': (bits) => {
        const value = parseHex(bits.replace(/^0x/, ''));
        if (value === undefined) return BAD_ARGUMENT;
        this.singleStep = Number(value & 7n);
        return 'OK';
      },
    };

  private supported(features: string): string {
    this.sayBreakKind = /\bswbreak\+/.test(features) && /\bhwbreak\+/.test(features);
    return [
      `PacketSize=${PACKET_SIZE.toString(16)}`,
      'qXfer:features:read+',
      'vContSupported+',
      'QStartNoAckMode+',
      'swbreak+',
      'hwbreak+',
    ].join(';');
  }

  /** `features:read:target.xml:offset,length` */
  private transfer(argument: string): string {
    const [object, action, annex, range = ''] = argument.split(':');
    if (object !== 'features' || action !== 'read') return UNSUPPORTED;
    const wanted = parseRange(range);
    if (annex !== 'target.xml' || wanted === undefined) return 'E00';
    const text = this.registers.description();
    const start = Number(wanted.address);
    const part = text.slice(start, start + Math.min(wanted.length, LONGEST_READ));
    return `${start + part.length < text.length ? 'm' : 'l'}${part}`;
  }

  private async monitorCommand(hex: string): Promise<string> {
    const command = parseHexBytes(hex);
    if (command === undefined) return BAD_ARGUMENT;
    const output = Buffer.from(await this.options.monitor(command.toString()));
    for (let at = 0; at < output.length; at += LONGEST_READ) {
      this.reply(`O${hexOf(output.subarray(at, at + LONGEST_READ))}`);
    }
    return 'OK';
  }
}

function stopped(signal: number, reason = ''): string {
  return `T${signal.toString(16).padStart(2, '0')}${reason}thread:1;`;
}

/** `address,length` */
function parseRange(text: string): { address: bigint; length: number } | undefined {
  const [address, length] = text.split(',').map(parseHex);
  if (address === undefined || length === undefined || length > BigInt(PACKET_SIZE))
    return undefined;
  return { address, length: Number(length) };
}

function breakpointKey(type: number, address: bigint, length: bigint): string {
  // The length of an execution breakpoint says how an instruction would be patched.
  return type <= 1 ? `${type},${address}` : `${type},${address},${length}`;
}

function parseBreakpoint(text: string): { key: string; breakpoint: Breakpoint } | undefined {
  const [type, address, length] = (text.split(';')[0] ?? '').split(',').map(parseHex);
  const kind = BREAKPOINT_KINDS[Number(type ?? -1n)];
  if (kind === undefined || address === undefined || length === undefined) return undefined;
  const key = breakpointKey(Number(type), address, length);
  if (kind === 'linear' || kind === 'physical') return { key, breakpoint: { kind, address } };
  return { key, breakpoint: { kind, address, length: Number(length) } };
}

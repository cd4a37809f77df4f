import type { AddressSpace } from './bus/bus.js';
import type { Device } from './bus/device.js';
import { resolveConfig, type MachineConfig, type ResolvedConfig } from './config.js';
import { SerialConsole, type ConsolePort } from './console.js';
import { Cpu } from './cpu.js';
import { featuresOfModel } from './cpu-model.js';
import type { GuestClock } from './clock.js';
import { backtraceOf } from './debug/backtrace.js';
import { bootPhaseOf } from './debug/boot-phase.js';
import { Debugger } from './debug/debugger.js';
import { GuestView } from './debug/guest-view.js';
import { writeCore } from './debug/core-dump.js';
import { Symbols } from './debug/symbols.js';
import { hostEntropy, seededEntropy, type Entropy } from './entropy.js';
import { firstPhase, PhaseWatch } from './debug/phase-watch.js';
import { TraceHub } from './debug/trace-hub.js';
import { FlightRecorder } from './debug/recorder.js';
import { formatRecord, readKernelLog } from './debug/printk.js';
import { findVerdict, type Verdict } from './debug/verdict.js';
import { NodevmError } from './errors.js';
import { Exits } from './exits.js';
import { MachineClock, paceOf, type Pace } from './guest-clock.js';
import { IdleWatch } from './idle-watch.js';
import { ACPI_TABLES, CHANNEL_PORT, SLEEP_TYPE_S5, splitRam, type RamSplit } from './layout.js';
import { buildAcpi } from './loader/acpi.js';
import { enterKernel } from './loader/entry-state.js';
import { isElf } from './loader/elf.js';
import { loadKernel } from './loader/load-kernel.js';
import { hasSetupHeader } from './loader/setup-header.js';
import { romImage, startFirmware } from './loader/rom.js';
import { programMemoryTypes } from './loader/memory-types.js';
import { statusOf, type ExitCause, type ExitReport, type MachineExit } from './machine-exit.js';
import { GuestMemory } from './memory.js';
import { loadNative } from './native-loader.js';
import { ExitReason, type NativeAddon, type NativeCpu } from './native.js';
import { PanicSentry } from './panic-sentry.js';
import { SerialLink, type BytePort } from './serial-link.js';
import { Sleeper } from './sleeper.js';
import { wire, type Board } from './wiring.js';

/** Lines of the console that a {@link MachineExit} carries. */
const TAIL_LINES = 40;

/** RFLAGS.IF: SDM volume 1, "EFLAGS Register". */
const RFLAGS_IF = 0x200n;

/**
 * One virtual machine. It lives on the event loop of the process: the guest runs in slices of some
 * milliseconds, with a turn of the loop in between, and only while a {@link run} is pending.
 */
export class Machine {
  /** The serial consoles, COM1 first; without the {@link channel}. */
  readonly consoles: readonly ConsolePort[];
  /** COM2 as a line for programs, where the configuration asks for it. */
  readonly channel: BytePort | undefined;
  /** Guest RAM. */
  readonly memory: GuestMemory;
  /** The CPU: registers, counters, and its exit block. */
  readonly cpu: Cpu;
  /** The guest clock. It stands still while an icount machine does; under host time it goes on. */
  readonly clock: GuestClock;
  /** Where every access to a device passes; set its observer to trace or count. */
  readonly exits: Exits;
  /** Registers and memory as a debugger sees them. Pause the machine for a consistent view. */
  readonly view: GuestView;
  /** Names of the guest's addresses, looked for with the first question. */
  readonly symbols: Symbols;
  /** Breakpoints, steps, and a guest that stands still to be looked at. */
  readonly debugger: Debugger;
  /** What happened last, for when something dies. */
  readonly recorder: FlightRecorder;
  /** Who follows what the guest does: traces and profiles. */
  readonly hub: TraceHub;
  /** How far the boot is, as far as somebody looks. */
  readonly phases = new PhaseWatch('setup');

  /** What is on the serial ports, COM1 first. */
  private readonly links: readonly SerialLink[];
  private readonly serialConsoles: readonly SerialConsole[];
  private readonly panic: PanicSentry;
  private readonly timers: MachineClock;
  private readonly pace: Pace;
  private readonly sleeper: Sleeper;
  private readonly idleListeners = new Set<(periods: number) => void>();
  private readonly powerOnListeners = new Set<() => void>();
  private readonly debugListeners = new Set<(byte: number) => void>();
  /** The devices, and the address spaces that they are in. */
  readonly board: Board;
  private readonly entropy: Entropy;
  private readonly ram: RamSplit;

  /** What was loaded, and through which door. */
  private kernelDescription = '';
  private running = false;
  private latestRun: Promise<MachineExit> | undefined;
  /** Why the machine is to end, once it is to. */
  private cause: ExitCause | undefined;
  private resetWanted = false;
  private paused = false;
  private closed = false;
  /** Guest time at which something was last printed, in nanoseconds. */
  private lastOutput = 0;

  private constructor(
    private readonly config: ResolvedConfig,
    addon: NativeAddon,
  ) {
    this.ram = splitRam(config.memory);
    const { entropySeed } = config;
    this.entropy = entropySeed === undefined ? hostEntropy : seededEntropy(entropySeed);
    const native = createCpu(addon, config, this.ram, this.entropy.u64());
    this.cpu = new Cpu(native, addon.exitBlockLayout);
    this.memory = new GuestMemory({
      ...this.ram,
      views: native.ram,
      invalidate: (gpa, length) => native.invalidateCode(gpa, length),
    });
    this.view = new GuestView(native, this.memory);
    this.symbols = new Symbols(this.view, config.symbols);
    this.debugger = new Debugger({ native, view: this.view, wake: () => this.sleeper.wake() });
    this.timers = new MachineClock(native, config.epochMs);
    this.clock = this.timers;
    this.pace = paceOf(config.clock);
    const idleWatch = new IdleWatch((periods) => {
      for (const listener of this.idleListeners) listener(periods);
    });
    const { cpu, timers } = this;
    this.sleeper = new Sleeper({ cpu, timers, source: config.clock, idleWatch });
    const wake = (): void => this.sleeper.wake();
    const isChannel = (port: number): boolean => config.channel && port === CHANNEL_PORT;
    this.links = Array.from({ length: config.serialPorts }, (_, port) =>
      isChannel(port) ? new SerialLink(wake) : new SerialConsole(wake),
    );
    this.channel = config.channel ? this.links[CHANNEL_PORT] : undefined;
    this.serialConsoles = this.links.filter((link) => link instanceof SerialConsole);
    this.consoles = this.serialConsoles;
    this.panic = new PanicSentry({
      consoles: this.serialConsoles,
      view: this.view,
      symbols: this.symbols,
      lookIntoMemory: config.verdict,
    });
    this.board = this.wireBoard(native);
    this.exits = new Exits(this.cpu, this.board);
    this.recorder = new FlightRecorder(native.recorder, addon.recordLayout, this.exits.recent);
    this.hub = new TraceHub({ native, layout: addon.recordLayout, accesses: this.exits.recent });
    this.powerOn();
  }

  /**
   * Makes a machine and loads the kernel into it; it stands at the kernel's first instruction.
   * @throws NodevmError for what is wrong with the configuration or the images, naming field, value
   * and what was expected
   */
  static async create(config: MachineConfig): Promise<Machine> {
    const resolved = await resolveConfig(config);
    try {
      return new Machine(resolved, loadNative());
    } catch (error) {
      resolved.drives.close();
      throw error;
    }
  }

  /** The first serial console, COM1. */
  get console(): ConsolePort {
    return this.serialConsoles[0] as ConsolePort;
  }

  /** What kernel was loaded and how it is entered, in a few words for people. */
  get kernel(): string {
    return this.kernelDescription;
  }

  /**
   * Calls `listener` each time the guest has been idle for another period ({@link IDLE_PERIOD_NS} of
   * guest time), with the number of such periods in a row.
   * @returns a function that takes the listener off again
   */
  onIdle(listener: (periods: number) => void): () => void {
    this.idleListeners.add(listener);
    return () => this.idleListeners.delete(listener);
  }

  /**
   * Calls `listener` with each byte that a foreign ROM ({@link MachineConfig.bios}) writes to its debug port.
   * @returns a function that takes the listener off again
   */
  onDebugOutput(listener: (byte: number) => void): () => void {
    this.debugListeners.add(listener);
    return () => this.debugListeners.delete(listener);
  }

  /** Calls `listener` each time the machine starts anew: the guest rebooted, or {@link reset}. */
  onPowerOn(listener: () => void): () => void {
    this.powerOnListeners.add(listener);
    return () => this.powerOnListeners.delete(listener);
  }

  /**
   * Runs the guest until the machine ends, and says how it did. May be called again after `stopped`
   * and `timeout`, or after {@link reset}.
   * @throws NodevmError `E_STATE` while it runs already, when it is off, or after {@link close}
   */
  run(): Promise<MachineExit> {
    const trouble = this.whyNotRunnable();
    if (trouble !== undefined) return Promise.reject(new NodevmError('E_STATE', trouble));
    this.cause = undefined;
    this.running = true;
    this.latestRun = this.runToEnd();
    return this.latestRun;
  }

  /**
   * How the latest {@link run} ends or has ended.
   * @throws NodevmError `E_STATE` when the machine has never run
   */
  get exited(): Promise<MachineExit> {
    return (
      this.latestRun ??
      Promise.reject(
        new NodevmError('E_STATE', 'machine has not run, expected run() before exited'),
      )
    );
  }

  /** Stops the guest between two instructions until {@link resume}. Input written meanwhile is kept. */
  pause(): void {
    this.paused = true;
  }

  /** Lets a paused guest go on. */
  resume(): void {
    this.paused = false;
    this.sleeper.wake();
  }

  /** Resets the machine as its reset button would: all devices and the CPU, and the kernel starts anew. */
  reset(): void {
    this.resetWanted = true;
    this.sleeper.wake();
  }

  /** Presses the ACPI power button; a guest without a daemon for it takes no notice. */
  pressPowerButton(): void {
    this.board.acpiPm.pressPowerButton();
    this.sleeper.wake();
  }

  /**
   * The kernel's log out of guest memory, as dmesg prints it; needs no console and no cooperation. Empty where the
   * guest is no Linux, has no log yet, or does not name it (CONFIG_KALLSYMS_ALL).
   */
  dmesg(): string {
    const log = readKernelLog(this.view, this.symbols) ?? [];
    return log.map((record) => `${formatRecord(record)}\n`).join('');
  }

  /**
   * Writes guest memory and registers as an ELF core file, for gdb and crash. The file is sparse, and is there
   * only when it is whole.
   * @throws NodevmError `E_FILE` when it cannot be written
   */
  dumpCore(path: string): void {
    writeCore(path, this.view, this.symbols);
  }

  /** Raises a non-maskable interrupt, as the button of old servers did. */
  raiseNmi(): void {
    this.cpu.native.raiseNmi();
    this.sleeper.wake();
  }

  /** All devices. */
  get devices(): readonly Device[] {
    return this.board.devices;
  }

  /** What is where: port and memory addresses of the devices. */
  get buses(): { readonly ports: AddressSpace; readonly mmio: AddressSpace } {
    const { ports, mmio } = this.board;
    return { ports, mmio };
  }

  /** Ends a pending {@link run} with reason `stopped`. */
  stop(): void {
    this.end({ reason: 'stopped' });
  }

  /** Ends a pending {@link run} and waits for it. The machine cannot be used afterwards; may be repeated. */
  async close(): Promise<void> {
    this.closed = true;
    this.stop();
    // How the run ended, or failed, is for the one who called run().
    await this.latestRun?.catch(() => undefined);
    this.config.drives.close();
  }

  /** Same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private whyNotRunnable(): string | undefined {
    if (this.closed) return 'machine is closed, expected an open one';
    if (this.running) return 'machine is running, expected a stopped one';
    if (this.cause === undefined || this.resetWanted || isResumable(this.cause)) return undefined;
    return `machine has ended (${this.cause.reason}), expected reset() before it runs again`;
  }

  private debugOutput(byte: number): void {
    for (const listener of this.debugListeners) listener(byte);
  }

  private wireBoard(native: NativeCpu): Board {
    const board = wire({
      ...this.ram,
      cpu: native,
      clock: this.timers,
      serialPorts: this.config.serialPorts,
      channel: this.config.channel,
      debugExit: this.config.debugExit,
      events: {
        onReset: () => this.guestReset(),
        // The other states would need a firmware that wakes the guest up again.
        onSleep: (type) => {
          if (type === SLEEP_TYPE_S5) this.end({ reason: 'poweroff' });
        },
        onDebugExit: (value) => this.end({ reason: 'guest-exit', value }),
        onInterruptLine: (pin, level) => this.hub.interruptLine(pin, level),
        onSerialOutput: (port, byte) => this.links[port]?.transmit(byte),
        onSerialInputWanted: (port) => this.links[port]?.feed(),
      },
      firmware: {
        memory: this.memory,
        drives: this.config.drives.media,
        rom: this.config.bios ?? romImage(),
        onDebugOutput: this.config.bios && ((byte) => this.debugOutput(byte)),
      },
    });
    this.links.forEach((link, port) => {
      const serial = board.serial[port];
      if (serial) link.connect(serial);
    });
    return board;
  }

  /** Puts everything into its power-on state and the kernel into memory. */
  private powerOn(): void {
    const { cpu, memory, config } = this;
    this.board.reset();
    cpu.native.reset();
    this.panic.reset();
    this.resetWanted = false;
    this.symbols.reset();
    this.debugger.restarted();
    const acpi = buildAcpi({ base: ACPI_TABLES.base, cpus: 1, serialPorts: config.serialPorts });
    memory.write(ACPI_TABLES.base, acpi.bytes);
    programMemoryTypes(cpu.native);
    const { kernel, bios } = config;
    const drives = config.drives.geometry;
    const { entry, description, protocol } =
      kernel === undefined
        ? { protocol: '16' as const, ...startFirmware({ memory, drives, bios }) }
        : loadKernel(
            {
              memory,
              kernel,
              initrds: config.initrds,
              cmdline: config.cmdline,
              rsdp: acpi.rsdp,
              entropy: this.entropy,
              drives,
            },
            config.bootProtocol,
          );
    this.kernelDescription = description;
    this.phases.phase = firstPhase(protocol, kernel !== undefined && isElf(kernel));
    enterKernel(cpu.native, entry);
  }

  private async runToEnd(): Promise<MachineExit> {
    const { timeoutMs, guestTimeoutMs } = this.config;
    this.lastOutput = this.timers.now();
    const guestTimer = this.timers.at(this.lastOutput + (guestTimeoutMs ?? Infinity) * 1e6, () =>
      this.end({ reason: 'timeout' }),
    );
    const started = performance.now();
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => this.end({ reason: 'timeout' }), timeoutMs);
    for (const console of this.serialConsoles) console.open();
    let ending = 'the machine failed';
    try {
      const cause = this.orEarly(this.orPanic(await this.runSlices()));
      ending = `the machine ended (${cause.reason})`;
      const report = this.report(cause, started);
      return { ...cause, ...report, verdict: await this.findVerdict(cause) };
    } finally {
      clearTimeout(timer);
      guestTimer.cancel();
      this.running = false;
      for (const console of this.serialConsoles) console.end(ending);
    }
  }

  /** The main loop: rest, slice, pass on the output, until there is a cause to end. */
  private async runSlices(): Promise<ExitCause> {
    let idle = false;
    let { wakeUps } = this.sleeper;
    for (;;) {
      // First of all, so that who called run() can wait for output before there is any.
      await this.sleeper.rest(idle, wakeUps, this.stallsAt);
      await this.whilePaused();
      if (this.cause) return this.cause;
      if (this.resetWanted) this.restart();
      ({ wakeUps } = this.sleeper);
      idle = this.slice();
      this.flush();
      if (this.panic.isOver(this.cpu.instructions)) this.end({ reason: 'halt' });
      if (idle && !this.canWake()) this.end({ reason: 'halt' });
      // Before the clock of an idle guest may jump: whoever paused it has seen this instruction.
      await this.whilePaused();
    }
  }

  private async whilePaused(): Promise<void> {
    while ((this.paused || this.debugger.holds) && !this.cause) {
      // Who looks at a guest that stands still sees it start anew.
      if (this.resetWanted) this.restart();
      await this.sleeper.untilWoken();
    }
  }

  /** Guest time at which a guest that prints nothing has stalled, in nanoseconds. */
  private get stallsAt(): number {
    return this.lastOutput + (this.config.stallMs ?? Infinity) * 1e6;
  }

  /** Passes on what the guest printed; one that prints nothing for too long has stalled. */
  private flush(): void {
    let printed = false;
    for (const link of this.links) printed = link.flush() || printed;
    this.panic.sliceEnded(printed, this.cpu.instructions);
    const now = this.timers.now();
    if (printed) this.lastOutput = now;
    else if (now >= this.stallsAt) this.end({ reason: 'stall' });
  }

  private restart(): void {
    this.powerOn();
    // What was meant for the program that has gone would confuse the next.
    if (this.config.channel) this.links[CHANNEL_PORT]?.discardInput();
    for (const listener of this.powerOnListeners) listener();
  }

  /**
   * Runs the guest for one slice: timers that are due, then instructions up to the next timer or exit.
   * @returns whether it ended in HLT
   */
  private slice(): boolean {
    const { cpu, timers, pace, exits, hub } = this;
    const start = timers.now();
    const first = cpu.instructions;
    const end = first + pace.slice();
    let now = start;
    let reason: ExitReason = ExitReason.Budget;
    timers.runDue(now);
    cpu.posting = !hub.active && exits.observer === undefined;
    while (!this.cause && !this.resetWanted) {
      const left = end - cpu.instructions;
      if (left <= 0 || pace.over(start, now)) break;
      const run = pace.run(left, now, timers.nextDeadline);
      reason = cpu.run(hub.active ? Math.min(run, hub.room(cpu.instructions)) : run);
      now = cpu.exitTime;
      const served = exits.serve(reason);
      if (hub.active) hub.collect(reason, cpu.instructions, now);
      if (!served) break;
      timers.runDue(now);
    }
    pace.measured(cpu.instructions - first, now - start);
    if (reason === ExitReason.Debug) this.debugger.arrived(cpu.debugCause, cpu.debugAddress);
    if (reason === ExitReason.Shutdown && !this.debugger.catchesShutdown()) {
      this.end({ reason: 'triple-fault' });
    }
    return reason === ExitReason.Halt;
  }

  /** Whether anything can end the HLT that the guest is in: no interrupt does while RFLAGS.IF is clear. */
  private canWake(): boolean {
    return (this.cpu.native.getRegister('rflags') & RFLAGS_IF) !== 0n;
  }

  private end(cause: ExitCause): void {
    this.cause ??= cause;
    this.sleeper.wake();
  }

  /** The guest reboots. A panicked one has nothing more to say: it ends where another would start again. */
  private guestReset(): void {
    // Its last words may have come in this very slice.
    for (const link of this.links) link.flush();
    this.panic.guestResets();
    if (this.config.noReboot || this.panic.message !== undefined) this.end({ reason: 'reboot' });
    else this.resetWanted = true;
  }

  /** However a panicked guest ends, unless the host stopped it, the panic is the reason. */
  private orPanic(cause: ExitCause): ExitCause {
    const { message } = this.panic;
    if (message === undefined || cause.reason === 'stopped') return cause;
    return { reason: 'panic', message };
  }

  /** `halt -f` is an end that somebody wanted; a kernel that halts before it has a user space has failed. */
  private orEarly(cause: ExitCause): ExitCause {
    const { view, symbols } = this;
    if (cause.reason !== 'halt' || !this.isLinux) return cause;
    const { name } = bootPhaseOf(view, symbols, backtraceOf(view, symbols), true);
    return { reason: 'halt', early: name !== 'user' };
  }

  private get isLinux(): boolean {
    const { kernel } = this.config;
    return kernel !== undefined && hasSetupHeader(kernel);
  }

  private async findVerdict(cause: ExitCause): Promise<Verdict | undefined> {
    const { verdict, cmdline, initrds } = this.config;
    if (!verdict) return undefined;
    const { view, symbols, recorder, board } = this;
    return findVerdict(cause, {
      view,
      symbols,
      recorder,
      hasPrinted: this.panic.hasPrinted,
      cmdline,
      isLinux: this.isLinux,
      hasInitrd: initrds.some(({ length }) => length > 0),
      instructions: this.cpu.instructions,
      deviceAt: (kind, address) => {
        const space = kind === 'in' || kind === 'out' ? board.ports : board.mmio;
        return space.lookup(address)?.device.name;
      },
    });
  }

  private report(cause: ExitCause, started: number): ExitReport {
    return {
      status: statusOf(cause),
      instructions: this.cpu.instructions,
      guestSeconds: this.timers.now() / 1e9,
      hostSeconds: (performance.now() - started) / 1e3,
      consoleTail: this.console.tail(TAIL_LINES),
    };
  }
}

/** Whether a machine that ended so stands where it can simply go on. */
function isResumable(cause: ExitCause): boolean {
  return cause.reason === 'stopped' || cause.reason === 'timeout';
}

function createCpu(
  addon: NativeAddon,
  config: ResolvedConfig,
  ram: RamSplit,
  entropySeed: bigint,
): NativeCpu {
  const { clock, engine, jitCache, profileJit } = config;
  const jit = { bufferBytes: jitCache, profile: profileJit };
  const features = featuresOfModel(config.cpu, addon.cpuFeatures);
  try {
    return addon.createCpu({ ...ram, clock, engine, jit, features, entropySeed });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NodevmError(
      'E_HOST',
      `memory is ${config.memory} bytes, which the host does not give: ${why}`,
      { cause },
    );
  }
}

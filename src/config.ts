import { readFile } from 'node:fs/promises';

import { readSymbolFile, readSymtab } from './debug/symbol-files.js';
import type { SymbolTable } from './debug/symbol-table.js';
import { DEFAULT_CPU } from './cpu-model.js';
import { NodevmError } from './errors.js';
import { DEBUG_EXIT, SERIAL_PORTS, splitRam } from './layout.js';
import { loadInitrd } from './initramfs/source.js';
import { isElf } from './loader/elf.js';
import { BOOT_PROTOCOLS, type BootProtocol } from './loader/protocol.js';
import { Drives } from './drives.js';
import { checkRom } from './loader/rom.js';
import type { ClockSource, Engine } from './native.js';

/** An image in memory, or the path of a file with it. */
export type Image = Uint8Array | string;

/** Ports of an isa-debug-exit device, as QEMU's `-device isa-debug-exit,iobase=,iosize=`. */
export interface DebugExitConfig {
  /** First port; default 0xf4. */
  readonly iobase?: number | undefined;
  /** Number of ports; default 4. */
  readonly iosize?: number | undefined;
}

/** Names of the engines for users. */
export type Accel = 'interp' | 'jit' | 'auto';

/** What a machine is made of. Only what it starts has no default: a kernel, a drive's boot sector, or a ROM. */
export interface MachineConfig {
  /** Kernel: a Linux bzImage, an ELF file (vmlinux) or a multiboot kernel. */
  readonly kernel?: Image | undefined;
  /**
   * Raw image of the floppy (fda) and of the disk (hda) that INT 13h of the ROM serves, for boot sectors and
   * for what is entered in real mode; operating systems find no controller. The guest writes to the file.
   */
  readonly fda?: Image | undefined;
  readonly hda?: Image | undefined;
  /** Another ROM than ours, which then starts instead of a kernel. */
  readonly bios?: Image | undefined;
  /**
   * Symbols of the kernel for people: its System.map, or its vmlinux. Default: those that the kernel itself
   * carries, and those of a kernel that is an ELF file.
   */
  readonly symbols?: Image | undefined;
  /** How the kernel is loaded and entered; default the best that it offers. */
  readonly bootProtocol?: BootProtocol | undefined;
  /**
   * Seed of all random numbers that the guest gets: RDRAND, the kernel's own seed and its address. Default:
   * the host's random numbers, and under icount always the same.
   */
  readonly entropySeed?: bigint | undefined;
  /**
   * Initramfs archives, concatenated in this order; default none. A path may also be that of a directory
   * or a gen_init_cpio list, which is packed.
   */
  readonly initrd?: Image | readonly Image[] | undefined;
  /** Kernel command line; default `console=ttyS0`. */
  readonly cmdline?: string | undefined;
  /** Guest RAM in bytes, 32 MiB to 16 GiB in pages of 4 KiB; default 512 MiB. */
  readonly memory?: number | undefined;
  /** What the guest clock is made from: `host` time (default), or `icount`, retired instructions. */
  readonly clock?: ClockSource | undefined;
  /**
   * What executes the guest: `interp`, `jit` (hot code is translated to host code), or `auto`
   * (default): `jit` on x86-64 Linux hosts, else `interp`.
   */
  readonly accel?: Accel | undefined;
  /** Memory for translated code in bytes, from 1 MiB to 1 GiB; default 64 MiB. What does not fit is dropped. */
  readonly jitCache?: number | undefined;
  /** Whether `cpu.jitProfile()` tells where host time goes, which takes a thread; default false. */
  readonly profileJit?: boolean | undefined;
  /**
   * Processor model in QEMU's spelling: `max` (default), `v1`, `v2`, `v3` or a name, then `,+feature` and
   * `,-feature`. A run under icount repeats on other hosts only with a model that they all have.
   */
  readonly cpu?: string | undefined;
  /**
   * Wall-clock time at power-on, milliseconds since the Unix epoch (UTC). Default: the host's, and
   * under icount the first of January 2026, so that a run is a function of its inputs alone.
   */
  readonly epochMs?: number | undefined;
  /** Number of serial ports, 1 to 4 (COM1 to COM4); default 1. */
  readonly serialPorts?: number | undefined;
  /** Adds an isa-debug-exit device; default none. */
  readonly debugExit?: DebugExitConfig | undefined;
  /** End with reason `reboot` when the guest reboots, instead of starting it again; default false. */
  readonly noReboot?: boolean | undefined;
  /** End with reason `timeout` after that much host time in milliseconds; default never. */
  readonly timeoutMs?: number | undefined;
  /** End with reason `timeout` after that much guest time in milliseconds of a run; default never. */
  readonly guestTimeoutMs?: number | undefined;
  /** End with reason `stall` when the guest prints nothing for that long, guest milliseconds; default never. */
  readonly stallMs?: number | undefined;
  /** Whether a run that ends badly is looked into, see {@link ExitReport.verdict}; default true. */
  readonly verdict?: boolean | undefined;
  /**
   * Makes COM2 a line for programs instead of people: nothing on it is taken for a panic, and it receives
   * as fast as the guest reads; default false. See {@link Machine.channel}.
   */
  readonly channel?: boolean | undefined;
}

/** A {@link MachineConfig} that was found good, with its files read and its defaults filled in. */
export interface ResolvedConfig {
  readonly kernel: Uint8Array | undefined;
  readonly bios: Uint8Array | undefined;
  readonly drives: Drives;
  readonly symbols: SymbolTable | undefined;
  readonly bootProtocol: BootProtocol | undefined;
  /** Undefined for random numbers of the host. */
  readonly entropySeed: bigint | undefined;
  readonly initrds: readonly Uint8Array[];
  readonly cmdline: string;
  readonly memory: number;
  readonly clock: ClockSource;
  readonly engine: Engine;
  readonly jitCache: number;
  readonly profileJit: boolean;
  readonly cpu: string;
  readonly epochMs: number;
  readonly serialPorts: number;
  readonly debugExit: Readonly<Required<Record<keyof DebugExitConfig, number>>> | undefined;
  readonly noReboot: boolean;
  readonly timeoutMs: number | undefined;
  readonly guestTimeoutMs: number | undefined;
  readonly stallMs: number | undefined;
  readonly verdict: boolean;
  readonly channel: boolean;
}

/** Command line of a machine that was given none: the console is the first serial port. */
export const DEFAULT_CMDLINE = 'console=ttyS0';

/** Guest RAM of a machine that was not told how much, in bytes. */
export const DEFAULT_MEMORY = 512 * 1024 * 1024;

/** Memory for translated code when none is given, in bytes. */
export const DEFAULT_JIT_CACHE = 64 * 1024 * 1024;

/** Seed of all entropy under icount: the same inputs give the same run. */
const ICOUNT_SEED = 0x6e6f_6465_766dn;

/** Power-on time under icount when none is given. */
const ICOUNT_EPOCH_MS = Date.UTC(2026, 0, 1);

/** setTimeout() takes no more than this: about 24 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Checks a configuration, fills in defaults and reads its files.
 * @throws NodevmError `E_MEMORY_SIZE`, `E_FILE` or `E_USAGE`, naming the field and what was expected
 */
export async function resolveConfig(config: MachineConfig): Promise<ResolvedConfig> {
  const clock = checkedClock(config.clock ?? 'host');
  const memory = config.memory ?? DEFAULT_MEMORY;
  splitRam(memory); // refuses a size that has no layout
  const resolved = {
    bootProtocol: config.bootProtocol && checkedProtocol(config.bootProtocol),
    entropySeed: config.entropySeed ?? (clock === 'icount' ? ICOUNT_SEED : undefined),
    cmdline: checkedCmdline(config.cmdline ?? DEFAULT_CMDLINE),
    memory,
    clock,
    engine: checkedEngine(config.accel ?? 'auto'),
    jitCache: integer('jitCache', config.jitCache ?? DEFAULT_JIT_CACHE, 2 ** 20, 2 ** 30),
    profileJit: config.profileJit ?? false,
    cpu: config.cpu ?? DEFAULT_CPU,
    epochMs: integer('epochMs', config.epochMs ?? defaultEpoch(clock), 0, 8.64e15),
    serialPorts: integer(
      'serialPorts',
      config.serialPorts ?? (config.channel === true ? 2 : 1),
      config.channel === true ? 2 : 1,
      SERIAL_PORTS.length,
    ),
    channel: config.channel ?? false,
    debugExit: config.debugExit && checkedDebugExit(config.debugExit),
    noReboot: config.noReboot ?? false,
    timeoutMs: optionalInteger('timeoutMs', config.timeoutMs),
    guestTimeoutMs: optionalInteger('guestTimeoutMs', config.guestTimeoutMs),
    stallMs: optionalInteger('stallMs', config.stallMs),
    verdict: config.verdict ?? true,
  };
  const initrds = config.initrd === undefined ? [] : asList(config.initrd);
  checkStart(config);
  const [kernel, symbols, bios, archives] = await Promise.all([
    optionalBytes('kernel', config.kernel),
    optionalBytes('symbols', config.symbols),
    optionalBytes('bios', config.bios),
    Promise.all(initrds.map(initrdBytes)),
  ]);
  if (bios !== undefined) checkRom(bios);
  const drives = Drives.open(config);
  if (kernel === undefined && bios === undefined) drives.checkBootable();
  return {
    ...resolved,
    kernel,
    symbols: symbolsOf(symbols, config.symbols, kernel),
    bios,
    drives,
    initrds: archives,
  };
}

function symbolsOf(file: Uint8Array | undefined, name: Image | undefined, kernel?: Uint8Array) {
  if (file !== undefined) return readSymbolFile(file, typeof name === 'string' ? name : 'bytes');
  return kernel !== undefined && isElf(kernel) ? readSymtab(kernel) : undefined;
}

/** There is one thing to start: a kernel, or what a ROM finds. */
function checkStart({ kernel, bios, fda, hda }: MachineConfig): void {
  if (kernel === undefined && bios === undefined && fda === undefined && hda === undefined) {
    throw new NodevmError('E_USAGE', 'kernel is missing, expected one, or fda, hda or bios');
  }
  if (kernel !== undefined && bios !== undefined) {
    throw new NodevmError('E_USAGE', 'kernel and bios are both given, expected one of them');
  }
}

function defaultEpoch(clock: ClockSource): number {
  return clock === 'icount' ? ICOUNT_EPOCH_MS : Date.now();
}

function asList(images: Image | readonly Image[]): readonly Image[] {
  return typeof images === 'string' || images instanceof Uint8Array ? [images] : images;
}

/** Takes any string: not every caller is type-checked. */
function checkedClock(clock: string): ClockSource {
  if (clock === 'host' || clock === 'icount') return clock;
  throw new NodevmError('E_USAGE', `clock is ${clock}, expected 'host' or 'icount'`);
}

/** Takes any string: not every caller is type-checked. */
function checkedProtocol(protocol: string): BootProtocol {
  const known = BOOT_PROTOCOLS.find((name) => name === protocol);
  if (known !== undefined) return known;
  throw new NodevmError(
    'E_USAGE',
    `bootProtocol is ${protocol}, expected one of ${BOOT_PROTOCOLS.join(', ')}`,
  );
}

/** The translator emits code for x86-64 Linux hosts; elsewhere the interpreter serves. */
const TRANSLATES = process.platform === 'linux' && process.arch === 'x64';

function checkedEngine(accel: string): Engine {
  if (accel === 'jit' || (accel === 'auto' && TRANSLATES)) return 'jit';
  if (accel === 'interp' || accel === 'auto') return 'interpreter';
  throw new NodevmError('E_USAGE', `accel is ${accel}, expected 'interp', 'jit' or 'auto'`);
}

function checkedCmdline(cmdline: string): string {
  if (cmdline.includes('\0')) {
    throw new NodevmError(
      'E_USAGE',
      'cmdline contains a NUL character, where the kernel would end it',
    );
  }
  return cmdline;
}

function checkedDebugExit({ iobase, iosize }: DebugExitConfig): { iobase: number; iosize: number } {
  const size = integer('debugExit.iosize', iosize ?? DEBUG_EXIT.length, 1, 8);
  const base = integer('debugExit.iobase', iobase ?? DEBUG_EXIT.base, 0, 0x1_0000 - size);
  return { iobase: base, iosize: size };
}

function integer(field: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new NodevmError(
      'E_USAGE',
      `${field} is ${value}, expected an integer from ${least} to ${most}`,
    );
  }
  return value;
}

/** Milliseconds, or undefined for no limit. */
function optionalInteger(field: string, value: number | undefined): number | undefined {
  return value === undefined ? undefined : integer(field, value, 1, MAX_TIMEOUT_MS);
}

async function optionalBytes(field: string, image: Image | undefined) {
  return image === undefined ? undefined : imageBytes(field, image);
}

async function imageBytes(field: string, image: Image): Promise<Uint8Array> {
  if (typeof image !== 'string') return image;
  try {
    return await readFile(image);
  } catch (cause) {
    throw new NodevmError('E_FILE', `${field} ${image}: ${fileTrouble(cause)}`, { cause });
  }
}

/** A directory or a gen_init_cpio list is packed. */
async function initrdBytes(initrd: Image): Promise<Uint8Array> {
  return typeof initrd === 'string' ? (await loadInitrd(initrd)).bytes : initrd;
}

/** What went wrong with a file, in words. */
function fileTrouble(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'no such file';
    case 'EACCES':
      return 'permission denied';
    case 'EISDIR':
      return 'is a directory, expected a file';
    default:
      return cause instanceof Error ? cause.message : String(cause);
  }
}

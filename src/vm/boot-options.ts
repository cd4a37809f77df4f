import { DEFAULT_CMDLINE, type Accel, type Image, type MachineConfig } from '../config.js';
import { NodevmError } from '../errors.js';
import type { ClockSource } from '../native.js';
import { agentOverlay } from './overlay.js';

/** What to boot, and how. */
export interface BootOptions {
  /** Kernel image, or the path of one. */
  readonly kernel: Image;
  /** Initramfs archives or their paths (also directories and gen_init_cpio lists), in order; default none. */
  readonly initrd?: Image | readonly Image[] | undefined;
  /** Kernel command line; default `console=ttyS0`. The agent adds an `rdinit=` of its own. */
  readonly append?: string | undefined;
  /** Guest RAM in bytes; default 512 MiB. */
  readonly memory?: number | undefined;
  /** What guest time is made of: `host` time (default), or `icount`, retired instructions. */
  readonly clock?: ClockSource | undefined;
  /** What executes the guest: `interp`, `jit`, or `auto` (default). */
  readonly accel?: Accel | undefined;
  /** Processor model, as for QEMU's `-cpu`: `max` (default), `v2`, `v3`, a name; `+feature`, `-feature`. */
  readonly cpu?: string | undefined;
  /** Wall-clock time at power-on, milliseconds since the Unix epoch. */
  readonly epochMs?: number | undefined;
  /** Ends the run with reason `timeout` after that much host time, in milliseconds. */
  readonly timeout?: number | undefined;
  /** Likewise after that much guest time, in milliseconds. */
  readonly guestTimeout?: number | undefined;
  /** Ends the run with reason `stall` when the guest prints nothing for so many milliseconds of guest time. */
  readonly stall?: number | undefined;
  /** Whether a run that ends badly is looked into (`exit.verdict`); default true. */
  readonly verdict?: boolean | undefined;
  /** End with reason `reboot` when the guest reboots (default true), or let it start again. */
  readonly noReboot?: boolean | undefined;
  /** Adds isa-debug-exit, through which the guest can end the run. */
  readonly debugExit?: MachineConfig['debugExit'];
  /** Runs the machine in a worker thread, so that this thread's event loop stays free. */
  readonly worker?: boolean | undefined;
  /**
   * Adds the agent that {@link Vm.sh}, push and pull talk to: COM2, a small program in the initramfs, and
   * `rdinit=`. Default: whenever there is an initramfs.
   */
  readonly agent?: boolean | undefined;
  /**
   * What on the console says that the guest is set up, so that commands may run. Default: its init has
   * nothing to do for 200 ms of guest time, which a script with `sleep` in it defeats.
   */
  readonly ready?: string | RegExp | undefined;
  /** Stops the machine when aborted. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The machine that the options ask for.
 * @throws NodevmError `E_USAGE`
 */
export async function machineConfigOf(options: BootOptions): Promise<MachineConfig> {
  const { kernel, initrd, append: cmdline = DEFAULT_CMDLINE } = options;
  const initrds =
    initrd === undefined || !isList(initrd) ? [initrd].flatMap((i) => i ?? []) : initrd;
  const config: MachineConfig = {
    kernel,
    initrd: initrds,
    cmdline,
    memory: options.memory,
    clock: options.clock,
    accel: options.accel,
    cpu: options.cpu,
    epochMs: options.epochMs,
    timeoutMs: options.timeout,
    guestTimeoutMs: options.guestTimeout,
    stallMs: options.stall,
    verdict: options.verdict,
    noReboot: options.noReboot ?? true,
    debugExit: options.debugExit,
  };
  const agent = options.agent ?? initrds.length > 0;
  if (!agent) return config;
  if (initrds.length === 0) {
    throw new NodevmError('E_USAGE', 'agent is true without an initrd, expected one to add it to');
  }
  const overlay = await agentOverlay(cmdline);
  return {
    ...config,
    initrd: [...initrds, overlay.archive],
    cmdline: overlay.cmdline,
    channel: true,
  };
}

function isList(images: Image | readonly Image[]): images is readonly Image[] {
  return Array.isArray(images);
}

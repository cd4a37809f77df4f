/**
 * The public API of nodevm: make a {@link Machine}, run it, talk to its console, and learn how it ended.
 */
import type { MachineConfig } from './config.js';
import { Machine } from './machine.js';

export { Machine } from './machine.js';
export type { ExitCause, ExitReport, MachineExit } from './machine-exit.js';
export { DEFAULT_CMDLINE, DEFAULT_MEMORY } from './config.js';
export type { DebugExitConfig, Image, MachineConfig } from './config.js';
export type { ConsoleMatch, ConsolePort, ExpectOptions } from './console.js';
export type { GuestClock, GuestTimer } from './clock.js';
export type { ClockSource } from './native.js';
export type { AccessKind, AccessObserver } from './exits.js';
export { NodevmError, type ErrorCode } from './errors.js';
export { ExitStatus } from './exit-status.js';

/**
 * Makes a machine and sets it running, for scripts and tests that talk to its console. How it ends
 * is in {@link Machine.exited}.
 * @throws NodevmError for what is wrong with the configuration or the images
 */
export async function bootLinux(config: MachineConfig): Promise<Machine> {
  const machine = await Machine.create(config);
  void machine.run();
  return machine;
}

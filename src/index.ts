/**
 * The public API of nodevm. {@link bootLinux} boots a guest to run commands in and to talk to;
 * {@link Machine} is the machine below it, for those who want its parts.
 */
export { bootLinux, Vm, VmError } from './vm/vm.js';
export type { ShOptions, ShResult, VmMemory } from './vm/vm.js';
export type { BootOptions } from './vm/boot-options.js';
export type { VmConsole, WaitOptions } from './vm/vm-console.js';
export type { Registers } from './vm/handle.js';
export { Machine } from './machine.js';
export { verdictOf } from './machine-exit.js';
export type { ExitCause, ExitReport, MachineExit } from './machine-exit.js';
export { formatVerdict, type Verdict, type VerdictSection } from './debug/verdict.js';
export { DEFAULT_CMDLINE, DEFAULT_MEMORY } from './config.js';
export type { Accel, DebugExitConfig, Image, MachineConfig } from './config.js';
export type { ConsoleMatch, ConsolePort, ExpectOptions } from './console.js';
export type { BytePort } from './serial-link.js';
export type { Breakpoint, Debugger, DebugStop, StepOptions } from './debug/debugger.js';
export type { GuestClock, GuestTimer } from './clock.js';
export { inspectFile, type Inspection } from './loader/inspect.js';
export { BOOT_PROTOCOLS, type BootProtocol } from './loader/protocol.js';
export type { ClockSource, RegisterName, SegmentName, SegmentValue } from './native.js';
export type { AccessKind, AccessObserver } from './exits.js';
export { startBootProfile, startCpuProfile, type Profile } from './debug/profile.js';
export { startTrace, type Trace, type TraceOptions, type TraceSink } from './debug/trace.js';
export { parseFilter, type TraceFilterSpec } from './debug/trace-filter.js';
export { parseTrigger, type Trigger } from './debug/trace-triggers.js';
export type { FlightRecorder, RecordedEvent } from './debug/recorder.js';
export { defaultImages } from './images.js';
export { NodevmError, type ErrorCode } from './errors.js';
export { ExitStatus } from './exit-status.js';

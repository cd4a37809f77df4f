/** 64-bit code on a bare processor, for tests that act as a debugger. */
import { Cpu } from '../../src/cpu.js';
import { enterKernel, longModeEntry } from '../../src/loader/entry-state.js';
import { GuestMemory } from '../../src/memory.js';
import type { BreakpointKind, ExitReason, NativeBreakpoint } from '../../src/native.js';
import { loadNative } from '../../src/native-loader.js';
import type { EngineOptions } from './engines.js';

/** Where the code is, linear and physical. */
export const CODE = 0x10_0000;
/** Where RDI points to. */
export const DATA = 0x20_0000;

/** A processor in long mode with all of memory mapped one to one. */
export class Bench {
  readonly cpu: Cpu;
  readonly memory: GuestMemory;

  constructor(engine: EngineOptions, code: readonly number[]) {
    const addon = loadNative();
    const ram = { lowRam: 32 << 20, highRam: 0 };
    const native = addon.createCpu({ ...ram, clock: 'icount', ...engine });
    this.cpu = new Cpu(native, addon.exitBlockLayout);
    this.memory = new GuestMemory({
      ...ram,
      views: native.ram,
      invalidate: (gpa, length) => native.invalidateCode(gpa, length),
    });
    this.memory.write(CODE, Uint8Array.from(code));
    enterKernel(native, longModeEntry(this.memory, CODE, 0));
    native.setRegister('rdi', BigInt(DATA));
  }

  get native() {
    return this.cpu.native;
  }

  get rip(): number {
    return Number(this.native.getRegister('rip'));
  }

  /** The address of a debug exit. */
  get address(): number {
    return this.cpu.dataHigh * 2 ** 32 + this.cpu.data;
  }

  break(...breakpoints: readonly (readonly [BreakpointKind, number, number?])[]): void {
    this.native.setBreakpoints(
      breakpoints.map(([kind, address, length = 1]): NativeBreakpoint => ({
        kind,
        address: BigInt(address),
        length,
      })),
    );
  }

  run(): ExitReason {
    return this.cpu.run(1_000_000);
  }
}

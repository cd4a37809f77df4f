import type { AddressSpace } from './bus/bus.js';
import type { AccessSize } from './bus/device.js';
import type { Cpu, PostedWrite } from './cpu.js';
import { AccessRing, type AccessKind } from './debug/access-ring.js';
import { ExitReason } from './native.js';

/** What the exits of a CPU are served from. */
export interface ExitTargets {
  readonly ports: AddressSpace;
  readonly mmio: AddressSpace;
  /** Interrupt acknowledge cycle of the 8259 pair: the vector. */
  acknowledge(): number;
  /** End of a level-triggered interrupt, told to the I/O APIC. */
  endOfInterrupt(vector: number): void;
  /** The processor asserts FERR#. */
  numericError(): void;
}

export type { AccessKind } from './debug/access-ring.js';

/** Sees every access, after a read and before a write; `address` is a port or a guest physical address. */
export type AccessObserver = (
  kind: AccessKind,
  address: number,
  size: number,
  low: number,
  high: number,
) => void;

/**
 * The one place where an exit of the CPU becomes an access to a device. Tracing, counting and
 * recording hook in here, by {@link Exits.observer}.
 */
export class Exits {
  /** Called for each access when set, also of ports that are polled. */
  observer: AccessObserver | undefined;
  /** The accesses that came last: the flight recorder's part of what passes here. */
  readonly recent = new AccessRing();

  constructor(
    private readonly cpu: Cpu,
    private readonly targets: ExitTargets,
  ) {}

  private readonly postedWrite: PostedWrite = (port, value, instructions) => {
    this.recent.add('out', instructions, port, 1, value, 0);
    this.targets.ports.write(port, 1, value);
  };

  /**
   * Serves the exit that `cpu.run()` returned, after the writes that were posted before.
   * @returns whether the CPU can simply go on; false for the reasons that are the machine's affair
   */
  serve(reason: ExitReason): boolean {
    const { cpu } = this;
    cpu.takePosted(this.postedWrite);
    switch (reason) {
      case ExitReason.PortRead:
        cpu.data = this.targets.ports.read(cpu.port, cpu.size as AccessSize);
        this.note('in', cpu.port, cpu.size, cpu.data, 0);
        return true;
      case ExitReason.PortWrite:
        this.note('out', cpu.port, cpu.size, cpu.data, 0);
        this.targets.ports.write(cpu.port, cpu.size as AccessSize, cpu.data);
        return true;
      case ExitReason.MmioRead:
        this.mmioRead();
        return true;
      case ExitReason.MmioWrite:
        this.mmioWrite();
        return true;
      case ExitReason.InterruptAcknowledge:
        cpu.data = this.targets.acknowledge();
        return true;
      case ExitReason.EndOfInterrupt:
        this.targets.endOfInterrupt(cpu.data);
        return true;
      case ExitReason.NumericError:
        this.targets.numericError();
        return true;
      case ExitReason.Budget:
      case ExitReason.Trace:
        return true;
      case ExitReason.Halt:
      case ExitReason.Shutdown:
      case ExitReason.Stopped:
      case ExitReason.Debug:
        return false;
    }
  }

  private note(kind: AccessKind, address: number, size: number, low: number, high: number): void {
    this.recent.add(kind, this.cpu.instructions, address, size, low, high);
    this.observer?.(kind, address, size, low, high);
  }

  /** Eight-byte accesses reach a device as two of four, the low half first. */
  private mmioRead(): void {
    const { cpu } = this;
    const { mmio } = this.targets;
    const { gpa, size } = cpu;
    if (size === 8) {
      cpu.data = mmio.read(gpa, 4);
      cpu.dataHigh = mmio.read(gpa + 4, 4);
    } else {
      cpu.data = mmio.read(gpa, size as AccessSize);
      cpu.dataHigh = 0;
    }
    this.note('mmio-read', gpa, size, cpu.data, cpu.dataHigh);
  }

  private mmioWrite(): void {
    const { cpu } = this;
    const { mmio } = this.targets;
    // A device may raise an interrupt meanwhile, so the block is read out first.
    const { gpa, size, data, dataHigh } = cpu;
    this.note('mmio-write', gpa, size, data, dataHigh);
    if (size === 8) {
      mmio.write(gpa, 4, data);
      mmio.write(gpa + 4, 4, dataHigh);
    } else {
      mmio.write(gpa, size as AccessSize, data);
    }
  }
}

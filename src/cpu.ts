import { NodevmError } from './errors.js';
import { jitProfileText } from './jit-profile.js';
import type { ExitBlockLayout, ExitReason, NativeCpu } from './native.js';

/** The exit block is in the byte order of the host, and nodevm runs on little-endian ones. */
const LITTLE_ENDIAN = true;

/** Called with a posted write; `instructions` were retired by then. */
export type PostedWrite = (port: number, value: number, instructions: number) => void;

/**
 * One virtual CPU as the machine sees it: the native object, and the fields of its exit block.
 * Nothing here allocates, since a boot passes this way millions of times.
 */
export class Cpu {
  private readonly block: DataView;

  /**
   * @param native the addon's CPU
   * @param layout byte offsets of its exit block
   * @throws NodevmError `E_NATIVE` when the block is not of that layout (addon and TypeScript differ)
   */
  constructor(
    readonly native: NativeCpu,
    private readonly layout: ExitBlockLayout,
  ) {
    const { byteLength } = native.exitBlock;
    if (byteLength < layout.byteLength) {
      throw new NodevmError(
        'E_NATIVE',
        `exit block has ${byteLength} bytes, expected ${layout.byteLength}`,
      );
    }
    this.block = new DataView(native.exitBlock);
  }

  /** Runs until `maxInstructions` are retired or something needs the machine. */
  run(maxInstructions: number): ExitReason {
    return this.native.run(maxInstructions);
  }

  /** Whether hot code is translated: asked for, and possible on this host. */
  get translates(): boolean {
    return 'blocksTranslated' in this.native.statistics();
  }

  /** What {@link jitProfileText} prints. */
  jitProfile(): string {
    return jitProfileText(this.native.statistics(), this.native.jitProfile());
  }

  /** Whether accesses to polled ports may do without an exit of their own. */
  set posting(allowed: boolean) {
    this.block.setUint32(this.layout.postingAllowed, allowed ? 1 : 0, LITTLE_ENDIAN);
  }

  /** Hands over the writes that were posted, in order. */
  takePosted(take: PostedWrite): void {
    const { block, layout } = this;
    const count = block.getUint32(layout.postedCount, LITTLE_ENDIAN);
    if (count === 0) return;
    // Before the devices see them, which may tell that they are no longer polled.
    block.setUint32(layout.postedCount, 0, LITTLE_ENDIAN);
    for (let n = 0; n < count; n++) {
      const at = n * layout.postedStride;
      const port = block.getUint32(at + layout.postedPort, LITTLE_ENDIAN);
      const value = block.getUint32(at + layout.postedValue, LITTLE_ENDIAN);
      take(port, value, block.getFloat64(at + layout.postedInstructions, LITTLE_ENDIAN));
    }
  }

  /** Port number of the access in hand. */
  get port(): number {
    return this.block.getUint32(this.layout.port, LITTLE_ENDIAN);
  }

  /** Width of the access in hand in bytes. */
  get size(): number {
    return this.block.getUint32(this.layout.size, LITTLE_ENDIAN);
  }

  /** Low half of the value in hand, unsigned. */
  get data(): number {
    return this.block.getUint32(this.layout.data, LITTLE_ENDIAN);
  }

  set data(value: number) {
    this.block.setUint32(this.layout.data, value, LITTLE_ENDIAN);
  }

  /** High half of the value in hand (8-byte MMIO), unsigned. */
  get dataHigh(): number {
    return this.block.getUint32(this.layout.dataHigh, LITTLE_ENDIAN);
  }

  set dataHigh(value: number) {
    this.block.setUint32(this.layout.dataHigh, value, LITTLE_ENDIAN);
  }

  /** What a debug exit is about: a DebugCause of native.ts. */
  get debugCause(): number {
    return this.block.getUint32(this.layout.debugCause, LITTLE_ENDIAN);
  }

  /** The linear address that a debug exit is about. */
  get debugAddress(): bigint {
    return (BigInt(this.dataHigh) << 32n) | BigInt(this.data);
  }

  /** Guest physical address of the MMIO access in hand. */
  get gpa(): number {
    return this.block.getFloat64(this.layout.gpa, LITTLE_ENDIAN);
  }

  /** Instructions retired since power-on, as of the last exit. */
  get instructions(): number {
    return this.block.getFloat64(this.layout.instructions, LITTLE_ENDIAN);
  }

  /** Guest time of the last exit in nanoseconds since power-on. */
  get exitTime(): number {
    return this.block.getFloat64(this.layout.now, LITTLE_ENDIAN);
  }

  /** Guest time of the local APIC's next timer event in nanoseconds, Infinity when none. */
  get apicDeadline(): number {
    return this.block.getFloat64(this.layout.apicDeadline, LITTLE_ENDIAN);
  }
}

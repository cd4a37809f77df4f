/** The kinds of access that pass the bus. */
export type AccessKind = 'in' | 'out' | 'mmio-read' | 'mmio-write';

/** One access to a device, or to an address where none is. */
export interface Access {
  readonly kind: AccessKind;
  /** Instructions retired before it. */
  readonly instructions: number;
  /** Port or guest physical address. */
  readonly address: number;
  /** Bytes: 1, 2, 4 or (MMIO) 8. */
  readonly size: number;
  readonly value: bigint;
}

const KINDS: readonly AccessKind[] = ['in', 'out', 'mmio-read', 'mmio-write'];

/** How many accesses are remembered; a power of two. */
const CAPACITY = 1024;
const MASK = CAPACITY - 1;

/** The accesses to devices that came last. Adding one allocates nothing: a boot makes millions. */
export class AccessRing {
  /** How many there ever were. */
  count = 0;

  private readonly instructions = new Float64Array(CAPACITY);
  private readonly addresses = new Float64Array(CAPACITY);
  private readonly low = new Uint32Array(CAPACITY);
  private readonly high = new Uint32Array(CAPACITY);
  private readonly shapes = new Uint8Array(CAPACITY);

  /** @param low and `high`: the halves of the value, unsigned */
  add(
    kind: AccessKind,
    instructions: number,
    address: number,
    size: number,
    low: number,
    high: number,
  ): void {
    const slot = this.count++ & MASK;
    this.instructions[slot] = instructions;
    this.addresses[slot] = address;
    this.low[slot] = low;
    this.high[slot] = high;
    this.shapes[slot] = (KINDS.indexOf(kind) << 4) | size;
  }

  /** The accesses from number `first` on as far as they are remembered, oldest first. */
  since(first: number): Access[] {
    const accesses: Access[] = [];
    for (let n = Math.max(first, this.count - CAPACITY); n < this.count; n++) {
      accesses.push(this.at(n & MASK));
    }
    return accesses;
  }

  private at(slot: number): Access {
    const shape = this.shapes[slot] as number;
    return {
      kind: KINDS[shape >> 4] as AccessKind,
      instructions: this.instructions[slot] as number,
      address: this.addresses[slot] as number,
      size: shape & 15,
      value: (BigInt(this.high[slot] as number) << 32n) | BigInt(this.low[slot] as number),
    };
  }
}

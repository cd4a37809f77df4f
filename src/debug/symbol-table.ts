/** A symbol that an address belongs to. */
export interface ResolvedSymbol {
  readonly name: string;
  /** Bytes from the symbol to the address. */
  readonly offset: bigint;
  /** Bytes to the next symbol; 0 for the last. */
  readonly size: bigint;
  /** The module that it is in; undefined for the kernel. */
  readonly module?: string | undefined;
}

/** Symbols in ascending order of their addresses; of several at one address, the first is its name. */
export class SymbolTable {
  private byName: Map<string, bigint> | undefined;

  /** Takes two lists that belong together, sorted by address. */
  constructor(
    readonly addresses: BigUint64Array,
    readonly names: readonly string[],
  ) {}

  /** Sorts symbols into a table. */
  static of(symbols: Iterable<readonly [name: string, address: bigint]>): SymbolTable {
    const sorted = [...symbols].sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0));
    return new SymbolTable(
      BigUint64Array.from(sorted, ([, address]) => address),
      sorted.map(([name]) => name),
    );
  }

  /** The same symbols, all of them `bytes` higher. */
  moved(bytes: bigint): SymbolTable {
    return new SymbolTable(
      this.addresses.map((address) => BigInt.asUintN(64, address + bytes)),
      this.names,
    );
  }

  /** Address of a symbol. */
  address(name: string): bigint | undefined {
    if (this.byName === undefined) {
      this.byName = new Map();
      for (let n = this.names.length - 1; n >= 0; n--) {
        this.byName.set(this.names[n] ?? '', this.addresses[n] ?? 0n);
      }
    }
    return this.byName.get(name);
  }

  /** The symbol at or below an address; undefined below the first. */
  resolve(address: bigint): ResolvedSymbol | undefined {
    const { addresses, names } = this;
    const after = upperBound(addresses, address);
    const start = addresses[after - 1];
    if (start === undefined) return undefined;
    let first = after - 1;
    while (addresses[first - 1] === start) first--;
    const size = (addresses[after] ?? start) - start;
    return { name: names[first] ?? '', offset: address - start, size };
  }
}

/** Index of the first address above `address`. */
function upperBound(addresses: BigUint64Array, address: bigint): number {
  let low = 0;
  let high = addresses.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((addresses[middle] ?? 0n) <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

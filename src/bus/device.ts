/** Width of one bus access in bytes. Eight-byte MMIO accesses reach a device as two of four. */
export type AccessSize = 1 | 2 | 4;

/** A plain, versioned snapshot of one device: JSON-like values and byte arrays only, named fields. */
export interface DeviceState {
  readonly version: number;
  readonly [field: string]: StateValue;
}

/** What a field of a {@link DeviceState} may hold. */
export type StateValue =
  | number
  | string
  | boolean
  | null
  | Uint8Array
  | readonly StateValue[]
  | { readonly [field: string]: StateValue };

/**
 * What a device is to the bus. It sees offsets from its own base, never an address, and never the
 * machine. Ports and MMIO use the same two methods.
 */
export interface Device {
  /** Short lower-case name, unique within a machine; also its trace channel ("serial0", "pit"). */
  readonly name: string;
  /**
   * Reads `size` bytes at `offset`. Returns an unsigned integer below 2^(8*size). A register that
   * does not exist reads as the data sheet says, all ones where it is silent.
   */
  read(offset: number, size: AccessSize): number;
  /** Writes the unsigned `value` (below 2^(8*size)) at `offset`. */
  write(offset: number, size: AccessSize, value: number): void;
  /** Power-on reset; pending timers are cancelled and interrupt lines lowered. */
  reset(): void;
  /** State for a snapshot. */
  save(): DeviceState;
  /**
   * Restores what {@link save} returned, timers and line levels included.
   * @throws NodevmError `E_STATE_VERSION` where the version is not known.
   */
  load(state: DeviceState): void;
}

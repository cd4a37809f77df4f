/**
 * One interrupt wire between a device and whatever listens to it. Devices know the level only; edge
 * or level triggering is the controller's affair.
 */
export interface IrqLine {
  /** Drives the wire: true is asserted (electrically high for ISA lines). Idempotent. */
  set(level: boolean): void;
}

/** A wire that ends nowhere, for unconnected outputs. */
export const unconnected: IrqLine = { set: () => undefined };

/** Splits one wire to several listeners, in order. */
export function fanOut(...listeners: readonly IrqLine[]): IrqLine {
  return {
    set(level) {
      for (const listener of listeners) listener.set(level);
    },
  };
}

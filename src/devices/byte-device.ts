import type { AccessSize, Device, DeviceState } from '../bus/device.js';

/**
 * A device with an 8-bit data path. The ISA bus carries out wider accesses as several byte accesses
 * at ascending addresses, which software uses (one 16-bit OUT writes an index and its data).
 */
export abstract class ByteDevice implements Device {
  abstract readonly name: string;

  /** Reads `size` registers, lowest first. */
  read(offset: number, size: AccessSize): number {
    if (size === 1) return this.readByte(offset);
    let value = 0;
    for (let i = 0; i < size; i++) value += this.readByte(offset + i) * 2 ** (8 * i);
    return value;
  }

  /** Writes `size` registers, lowest first. */
  write(offset: number, size: AccessSize, value: number): void {
    if (size === 1) {
      this.writeByte(offset, value);
      return;
    }
    for (let i = 0; i < size; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }

  abstract reset(): void;
  abstract save(): DeviceState;
  abstract load(state: DeviceState): void;

  protected abstract readByte(offset: number): number;
  protected abstract writeByte(offset: number, value: number): void;
}

import type { AccessSize, Device, DeviceState } from '../bus/device.js';
import type { IrqLine } from '../bus/irq-line.js';
import { restore, snapshot } from './state.js';

/*
 * Intel 82093AA "I/O Advanced Programmable Interrupt Controller (IOAPIC)", with the EOI register of
 * version 0x20 (ICH data sheets). Levels on the pins are electrical: an entry whose polarity is
 * active-low takes a low level for asserted.
 */

const IOREGSEL = 0x00;
const IOWIN = 0x10;
const EOI = 0x40;

const REG_ID = 0x00;
const REG_VERSION = 0x01;
const REG_ARBITRATION = 0x02;
const REG_TABLE = 0x10;

const PINS = 24;
const VERSION_VALUE = ((PINS - 1) << 16) | 0x20;
const ID_MASK = 0x0f000000;

/** Redirection table entry, low doubleword. */
const VECTOR = 0xff;
const DELIVERY_MODE_SHIFT = 8;
const DESTINATION_LOGICAL = 1 << 11;
const POLARITY_LOW = 1 << 13;
const REMOTE_IRR = 1 << 14;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
/** All defined bits but the read-only delivery status and remote IRR. */
const LOW_WRITABLE = 0x0001afff;
const HIGH_WRITABLE = 0xff000000;

/** Delivery modes that keep a level: fixed and lowest priority. The others are always edges. */
const LAST_LEVEL_MODE = 1;

const VERSION = 1;

function powerOn() {
  return {
    id: 0,
    select: 0,
    low: new Array<number>(PINS).fill(MASKED),
    high: new Array<number>(PINS).fill(0),
  };
}

/** An interrupt message on its way to the local APICs (SDM volume 3, "Advanced PIC"). */
export interface InterruptMessage {
  /** Physical or logical destination, 8 bits. */
  readonly destination: number;
  readonly logical: boolean;
  /** 0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 7 ExtINT. */
  readonly deliveryMode: number;
  readonly vector: number;
  /** Level-triggered: ends with {@link IoApic.endOfInterrupt}. */
  readonly level: boolean;
}

/** What an {@link IoApic} is connected to. */
export interface IoApicOptions {
  deliver(message: InterruptMessage): void;
}

/** The I/O APIC: 4 KiB of MMIO, 0xfec00000 on a PC, with 24 pins. */
export class IoApic implements Device {
  readonly name = 'ioapic';
  private s = powerOn();
  /** Levels of the wires, bit by pin; they belong to the devices, so a reset leaves them. */
  private levels = 0;

  constructor(private readonly options: IoApicOptions) {}

  /** Pin `n`, 0 to 23. */
  line(n: number): IrqLine {
    if (!Number.isInteger(n) || n < 0 || n >= PINS) {
      throw new RangeError(`I/O APIC pin ${n}: expected 0 to ${PINS - 1}`);
    }
    return { set: (level) => this.setPin(n, level) };
  }

  /** A local APIC has ended level-triggered `vector`: clears remote IRR, sends again if asserted. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < PINS; pin++) {
      const entry = this.entry(pin);
      if ((entry & VECTOR) !== vector || (entry & REMOTE_IRR) === 0) continue;
      this.s.low[pin] = entry & ~REMOTE_IRR;
      this.serveLevel(pin);
    }
  }

  read(offset: number, size: AccessSize): number {
    const ones = size === 4 ? 0xffffffff : (1 << (8 * size)) - 1;
    switch (offset) {
      case IOREGSEL:
        return this.s.select;
      case IOWIN:
        return (this.readRegister(this.s.select) & ones) >>> 0;
      case EOI:
        return 0; // write-only
      default:
        return ones;
    }
  }

  write(offset: number, _size: AccessSize, value: number): void {
    switch (offset) {
      case IOREGSEL:
        this.s.select = value & 0xff;
        break;
      case IOWIN:
        this.writeRegister(this.s.select, value);
        break;
      case EOI:
        this.endOfInterrupt(value & VECTOR);
        break;
      default:
        break;
    }
  }

  reset(): void {
    this.s = powerOn();
  }

  save(): DeviceState {
    return snapshot(VERSION, { ...this.s, levels: this.levels });
  }

  /** Takes over without delivering anything: what was asserted has been delivered before. */
  load(state: DeviceState): void {
    const shape = { ...powerOn(), levels: 0 };
    const { levels, ...registers } = restore(this.name, VERSION, shape, state);
    this.s = registers;
    this.levels = levels;
  }

  private entry(pin: number): number {
    return this.s.low[pin] ?? MASKED;
  }

  private asserted(pin: number): boolean {
    const high = (this.levels & (1 << pin)) !== 0;
    return high !== ((this.entry(pin) & POLARITY_LOW) !== 0);
  }

  private setPin(pin: number, level: boolean): void {
    const bit = 1 << pin;
    if (level === ((this.levels & bit) !== 0)) return;
    this.levels ^= bit;
    if (!this.asserted(pin)) return;
    // An edge on a masked pin is ignored ("Interrupt Mask" of the redirection table).
    if (this.keepsLevel(pin)) this.serveLevel(pin);
    else if ((this.entry(pin) & MASKED) === 0) this.send(pin, false);
  }

  private keepsLevel(pin: number): boolean {
    const entry = this.entry(pin);
    return (entry & LEVEL) !== 0 && ((entry >> DELIVERY_MODE_SHIFT) & 7) <= LAST_LEVEL_MODE;
  }

  private serveLevel(pin: number): void {
    const entry = this.entry(pin);
    if (!this.keepsLevel(pin) || (entry & (MASKED | REMOTE_IRR)) !== 0) return;
    if (!this.asserted(pin)) return;
    this.s.low[pin] = entry | REMOTE_IRR;
    this.send(pin, true);
  }

  private send(pin: number, level: boolean): void {
    const entry = this.entry(pin);
    this.options.deliver({
      destination: (this.s.high[pin] ?? 0) >>> 24,
      logical: (entry & DESTINATION_LOGICAL) !== 0,
      deliveryMode: (entry >> DELIVERY_MODE_SHIFT) & 7,
      vector: entry & VECTOR,
      level,
    });
  }

  private readRegister(index: number): number {
    switch (index) {
      case REG_ID:
      case REG_ARBITRATION:
        return this.s.id;
      case REG_VERSION:
        return VERSION_VALUE;
      default: {
        const pin = (index - REG_TABLE) >> 1;
        const half = (index & 1) !== 0 ? this.s.high : this.s.low;
        return half[pin] ?? 0;
      }
    }
  }

  private writeRegister(index: number, value: number): void {
    if (index === REG_ID) {
      this.s.id = value & ID_MASK;
      return;
    }
    const pin = (index - REG_TABLE) >> 1;
    if (pin < 0 || pin >= PINS) return;
    if ((index & 1) !== 0) {
      this.s.high[pin] = (value & HIGH_WRITABLE) >>> 0;
      return;
    }
    // An entry that becomes edge-triggered loses its remote IRR.
    const kept = (value & LEVEL) !== 0 ? this.entry(pin) & REMOTE_IRR : 0;
    this.s.low[pin] = (value & LOW_WRITABLE) | kept;
    this.serveLevel(pin);
  }
}

import type { Device, DeviceState } from '../bus/device.js';
import { unconnected, type IrqLine } from '../bus/irq-line.js';
import { ByteDevice } from './byte-device.js';
import { restore, snapshot } from './state.js';

/*
 * Intel 8259A, "Programmable Interrupt Controller", two of them cascaded as in a PC, with the
 * edge/level control registers of the EISA and PCI chipsets (which replace ICW1's LTIM bit).
 */

const ICW1 = 0x10;
const ICW1_IC4 = 0x01;
const ICW1_SNGL = 0x02;
const ICW4_AEOI = 0x02;
const ICW4_SFNM = 0x10;

const OCW3 = 0x08;
const OCW3_RIS = 0x01;
const OCW3_RR = 0x02;
const OCW3_POLL = 0x04;
const OCW3_SMM = 0x20;
const OCW3_ESMM = 0x40;

/** OCW2 bits 7-5: R, SL, EOI. */
const OCW2_ROTATE = 0x80;
const OCW2_SPECIFIC = 0x40;
const OCW2_EOI = 0x20;

const POLL_INTERRUPT = 0x80;

const CASCADE_LINE = 2;
const SPURIOUS_LINE = 7;
const NO_LINE = -1;

/** Lines whose trigger mode can be chosen; the timer, keyboard, cascade, RTC and FPU are edges. */
const ELCR_MASTER = 0xf8;
const ELCR_SLAVE = 0xde;

const VERSION = 1;

function powerOn() {
  return {
    irr: 0,
    isr: 0,
    /** All masked, so that nothing comes through before the first initialisation. */
    imr: 0xff,
    vectorBase: 0,
    /** Which initialisation word comes next: 2, 3 or 4; 0 when operational. */
    nextIcw: 0,
    icw1: 0,
    autoEoi: false,
    rotateOnAutoEoi: false,
    specialFullyNested: false,
    specialMask: false,
    readIsr: false,
    poll: false,
    /** The line of the lowest priority; 7 after initialisation. */
    lowest: 7,
  };
}

/** One 8259A. */
class Chip8259 extends ByteDevice {
  /** Electrical levels of the eight inputs: state of the wires, which a reset does not change. */
  private levels = 0;
  private elcr = 0;
  private outputLevel = false;
  private s = powerOn();

  constructor(
    readonly name: string,
    private readonly elcrMask: number,
    private readonly output: IrqLine,
  ) {
    super();
  }

  setLine(n: number, level: boolean): void {
    const bit = 1 << n;
    if (level === ((this.levels & bit) !== 0)) return;
    if (level) {
      this.levels |= bit;
      this.s.irr |= bit;
    } else {
      // "Interrupt Request": an input that falls before the acknowledge is forgotten.
      this.levels &= ~bit;
      this.s.irr &= ~bit;
    }
    this.update();
  }

  getTriggerModes(): number {
    return this.elcr;
  }

  setTriggerModes(value: number): void {
    this.elcr = value & this.elcrMask;
    this.s.irr |= this.levels & this.elcr;
    this.update();
  }

  /** The interrupt-acknowledge cycle as this chip sees it: the line, or none for a spurious one. */
  acknowledgeLine(): number {
    const line = this.pendingLine();
    if (line !== NO_LINE) this.startService(line);
    return line;
  }

  vector(line: number): number {
    return this.s.vectorBase | (line === NO_LINE ? SPURIOUS_LINE : line);
  }

  reset(): void {
    this.s = powerOn();
    this.elcr = 0;
    this.update();
  }

  save(): DeviceState {
    return snapshot(VERSION, { ...this.s, levels: this.levels, elcr: this.elcr });
  }

  load(state: DeviceState): void {
    const shape = { ...powerOn(), levels: 0, elcr: 0 };
    const { levels, elcr, ...registers } = restore(this.name, VERSION, shape, state);
    this.s = registers;
    this.levels = levels & 0xff;
    this.elcr = elcr & this.elcrMask;
    this.update();
  }

  protected readByte(offset: number): number {
    if (this.s.poll) return this.readPoll();
    if (offset === 1) return this.s.imr;
    return this.s.readIsr ? this.s.isr : this.s.irr;
  }

  protected writeByte(offset: number, value: number): void {
    if (offset === 0) {
      if ((value & ICW1) !== 0) this.initialise(value);
      else if ((value & OCW3) !== 0) this.writeOcw3(value);
      else this.writeOcw2(value);
    } else {
      this.writeData(value);
    }
    this.update();
  }

  /** ICW1; data sheet, "Initialization Command Words 1 and 2". */
  private initialise(value: number): void {
    this.s = {
      ...powerOn(),
      icw1: value,
      imr: 0,
      irr: this.levels & this.elcr,
      vectorBase: this.s.vectorBase,
      nextIcw: 2,
    };
  }

  private writeData(value: number): void {
    const s = this.s;
    const last = (s.icw1 & ICW1_IC4) !== 0 ? 4 : 0;
    switch (s.nextIcw) {
      case 2:
        s.vectorBase = value & 0xf8;
        s.nextIcw = (s.icw1 & ICW1_SNGL) !== 0 ? last : 3;
        break;
      case 3:
        s.nextIcw = last; // the cascade is wired, so its value does not matter
        break;
      case 4:
        s.autoEoi = (value & ICW4_AEOI) !== 0;
        s.specialFullyNested = (value & ICW4_SFNM) !== 0;
        s.nextIcw = 0;
        break;
      default:
        s.imr = value;
    }
  }

  private writeOcw2(value: number): void {
    const s = this.s;
    const specific = (value & OCW2_SPECIFIC) !== 0;
    const rotate = (value & OCW2_ROTATE) !== 0;
    if ((value & OCW2_EOI) === 0) {
      if (specific && rotate) s.lowest = value & 7;
      else if (!specific) s.rotateOnAutoEoi = rotate;
      return;
    }
    // In special mask mode a non-specific EOI does not clear a bit that the IMR masks.
    const clearable = s.specialMask ? s.isr & ~s.imr : s.isr;
    const line = specific ? value & 7 : this.highest(clearable);
    if (line === NO_LINE) return;
    s.isr &= ~(1 << line);
    if (rotate) s.lowest = line;
  }

  private writeOcw3(value: number): void {
    const s = this.s;
    if ((value & OCW3_ESMM) !== 0) s.specialMask = (value & OCW3_SMM) !== 0;
    if ((value & OCW3_POLL) !== 0) s.poll = true;
    else if ((value & OCW3_RR) !== 0) s.readIsr = (value & OCW3_RIS) !== 0;
  }

  /** Poll mode: the next read acts as an acknowledge. */
  private readPoll(): number {
    this.s.poll = false;
    const line = this.acknowledgeLine();
    return line === NO_LINE ? 0 : POLL_INTERRUPT | line;
  }

  private startService(line: number): void {
    const s = this.s;
    const bit = 1 << line;
    if ((this.elcr & bit) === 0) s.irr &= ~bit;
    if (!s.autoEoi) s.isr |= bit;
    else if (s.rotateOnAutoEoi) s.lowest = line;
    // INT falls in the acknowledge cycle; a master has to see an edge for what else is pending.
    this.drive(false);
    this.update();
  }

  /** Position of `line` in the priority order, 0 the highest. */
  private rank(line: number): number {
    return (line - this.s.lowest + 7) & 7;
  }

  private highest(lines: number): number {
    if (lines === 0) return NO_LINE;
    for (let i = 1; i <= 8; i++) {
      const line = (this.s.lowest + i) & 7;
      if ((lines & (1 << line)) !== 0) return line;
    }
    return NO_LINE;
  }

  /** The line that the chip would acknowledge now. */
  private pendingLine(): number {
    const s = this.s;
    const request = this.highest(s.irr & ~s.imr);
    if (request === NO_LINE) return NO_LINE;
    // Special mask mode: a masked line in service holds back nothing.
    const service = this.highest(s.specialMask ? s.isr & ~s.imr : s.isr);
    if (service === NO_LINE || this.rank(request) < this.rank(service)) return request;
    // Special fully nested mode: the slave in service may ask again for a higher line of its own.
    const nested = s.specialFullyNested && request === service && request === CASCADE_LINE;
    return nested ? request : NO_LINE;
  }

  private update(): void {
    this.drive(this.s.nextIcw === 0 && this.pendingLine() !== NO_LINE);
  }

  private drive(level: boolean): void {
    if (level === this.outputLevel) return;
    this.outputLevel = level;
    this.output.set(level);
  }
}

/** The edge/level control registers: a set bit makes the line level-triggered. */
class Elcr extends ByteDevice {
  readonly name = 'elcr';

  constructor(private readonly chips: readonly [Chip8259, Chip8259]) {
    super();
  }

  reset(): void {
    for (const chip of this.chips) chip.setTriggerModes(0);
  }

  /** The registers are part of the chips' state. */
  save(): DeviceState {
    return snapshot(VERSION, {});
  }

  load(state: DeviceState): void {
    restore(this.name, VERSION, {}, state);
  }

  protected readByte(offset: number): number {
    return this.chips[offset]?.getTriggerModes() ?? 0xff;
  }

  protected writeByte(offset: number, value: number): void {
    this.chips[offset]?.setTriggerModes(value);
  }
}

/** What a {@link PicPair} is connected to. */
export interface PicPairOptions {
  /** INTR of the master. */
  readonly output: IrqLine;
}

/** The PC's two cascaded 8259As with sixteen lines (2 is the cascade). */
export class PicPair {
  private readonly chips: readonly [Chip8259, Chip8259];
  /** Two ports: 0x20 on a PC. */
  readonly master: Device;
  /** Two ports: 0xa0 on a PC. */
  readonly slave: Device;
  /** Two ports: 0x4d0 on a PC. */
  readonly elcr: Device;

  constructor(options: PicPairOptions) {
    const master = new Chip8259('pic0', ELCR_MASTER, options.output);
    const cascade: IrqLine = { set: (level) => master.setLine(CASCADE_LINE, level) };
    this.chips = [master, new Chip8259('pic1', ELCR_SLAVE, cascade)];
    [this.master, this.slave] = this.chips;
    this.elcr = new Elcr(this.chips);
  }

  /** The input of IRQ `n`, 0 to 15; 2 is taken by the cascade and drives nothing. */
  line(n: number): IrqLine {
    const chip = this.chips[n >> 3];
    if (chip === undefined) throw new RangeError(`PIC line ${n}: expected 0 to 15`);
    return n === CASCADE_LINE ? unconnected : { set: (level) => chip.setLine(n & 7, level) };
  }

  /**
   * The processor's interrupt-acknowledge cycle.
   * @returns the vector; that of line 7 or 15, without a service bit, if the request has gone.
   */
  acknowledge(): number {
    const [master, slave] = this.chips;
    const line = master.acknowledgeLine();
    return line === CASCADE_LINE ? slave.vector(slave.acknowledgeLine()) : master.vector(line);
  }
}

import type { DeviceState } from '../bus/device.js';
import type { IrqLine } from '../bus/irq-line.js';
import type { GuestClock, GuestTimer } from '../clock.js';
import { ByteDevice } from './byte-device.js';
import { restore, snapshot } from './state.js';

/*
 * National Semiconductor PC16550D, "Universal Asynchronous Receiver/Transmitter with FIFOs".
 *
 * Transmission takes no guest time. Reception is paced: bytes come in groups (of at most 16 unless
 * told otherwise), one group in the time that its characters take, and only into free space, so that an
 * interrupt handler that reads until the receiver is empty gets an end, and nothing overruns.
 *
 * When does the wire bring a byte? Drivers clear the FIFO when they start, so a byte that came earlier
 * would be lost. The sender therefore waits until the guest listens:
 *   - by interrupt: IER.ERBFI, MCR.OUT2 (the PC's gate of the interrupt) and MCR.RTS (ready to
 *     receive) have been set for one character time, which a probe of IER does not reach; or
 *   - by polling: with interrupts off, the last 64 accesses that matter were reads of LSR. Software
 *     that prints by polling reads LSR once or twice a character and then writes THR. Polled software
 *     gets a byte at a time, so that none is in the FIFO when it hands over to a driver.
 * Dropping RTS holds the sender, which makes hardware flow control (`stty crtscts`) work.
 */

const RBR_THR = 0;
const IER = 1;
const IIR_FCR = 2;
const LCR = 3;
const MCR = 4;
/** Offset of the line status register. */
export const LSR = 5;
const MSR = 6;
const SCR = 7;

const IER_ERBFI = 0x01;
const IER_ETBEI = 0x02;
const IER_ELSI = 0x04;
const IER_EDSSI = 0x08;

const IIR_MODEM_STATUS = 0x00;
const IIR_NONE = 0x01;
const IIR_THR_EMPTY = 0x02;
const IIR_RECEIVED_DATA = 0x04;
const IIR_LINE_STATUS = 0x06;
const IIR_TIMEOUT = 0x0c;
const IIR_FIFOS_ENABLED = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_CLEAR_RECEIVER = 0x02;
const FCR_TRIGGER = 0xc0;
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

const LCR_DLAB = 0x80;

const MCR_DTR = 0x01;
const MCR_RTS = 0x02;
const MCR_OUT1 = 0x04;
const MCR_OUT2 = 0x08;
const MCR_LOOP = 0x10;

const LSR_DATA_READY = 0x01;
const LSR_OVERRUN = 0x02;
const LSR_THR_EMPTY = 0x20;
const LSR_TRANSMITTER_EMPTY = 0x40;
/** What LSR reads as while nothing has been received. */
export const LSR_IDLE = LSR_THR_EMPTY | LSR_TRANSMITTER_EMPTY;

const MSR_CTS = 0x10;
const MSR_DSR = 0x20;
const MSR_RI = 0x40;
const MSR_DCD = 0x80;
/** The change bit of CTS, DSR and DCD is four below the line's; RI's tells its trailing edge only. */
const MSR_TRAILING_RI = 0x04;

const FIFO_SIZE = 16;
/** Start, eight data and stop bit. */
const CHARACTER_BITS = 10;
const DEFAULT_BAUD = 115200;
/** A character's time at 115200 baud, in nanoseconds. */
const CHARACTER_NS = (CHARACTER_BITS * 1e9) / DEFAULT_BAUD;
/** Data sheet, "FIFO Interrupt Mode Operation": four character times without an access. */
const TIMEOUT_NS = 4 * CHARACTER_NS;
const POLLS_TO_LISTEN = 64;

const VERSION = 1;

function powerOn() {
  return {
    ier: 0,
    fcr: 0,
    lcr: 0,
    mcr: 0,
    /** Line states in the high half, change bits in the low. */
    msr: MSR_CTS | MSR_DSR | MSR_DCD,
    scr: 0,
    dll: 0,
    dlm: 0,
    rx: [] as number[],
    overrun: false,
    thrEmptyPending: false,
    timeoutPending: false,
    /** Guest time of the last arrival or read. */
    lastReceiverAccess: 0,
    /** The group of bytes in progress. */
    groupStart: -FIFO_SIZE * CHARACTER_NS,
    groupCount: 0,
    /** Whether, and since when, an interrupt driver listens. */
    driverListens: false,
    listeningSince: 0,
    polls: 0,
  };
}

/** What a {@link Serial} is connected to. */
export interface SerialOptions {
  /** Device and trace channel name, "serial0" for COM1. */
  readonly name: string;
  readonly clock: GuestClock;
  readonly irq: IrqLine;
  /** Speed of reception in bits per second, whatever the divisor latch says; default 115200. */
  readonly baud?: number;
  /** Most bytes that come at once, where the guest makes room as quickly; default 16. */
  readonly groupSize?: number;
  /** Takes each transmitted byte, in order. */
  onOutput(byte: number): void;
  /** Called when {@link Serial.inputWanted} becomes true. */
  onInputWanted?(): void;
  /**
   * Called with true when from now on a write of THR does nothing but to be output, and LSR reads as
   * {@link LSR_IDLE} without an effect; with false when that ends.
   */
  onPolled?(polled: boolean): void;
}

/** A 16550A UART at eight consecutive ports. */
export class Serial extends ByteDevice {
  readonly name: string;
  private readonly groupSize: number;
  /** Time of that many characters in nanoseconds. */
  private readonly groupNs: number;
  private s = powerOn();
  private irqLevel = false;
  private toldWanted = false;
  private toldPolled = false;
  private timeoutTimer: GuestTimer | undefined;
  private wantedTimer: GuestTimer | undefined;

  constructor(private readonly options: SerialOptions) {
    super();
    this.name = options.name;
    this.groupSize = options.groupSize ?? FIFO_SIZE;
    this.groupNs = (this.groupSize * CHARACTER_BITS * 1e9) / (options.baud ?? DEFAULT_BAUD);
  }

  /**
   * Offers a byte from the outside.
   * @returns false when it was not taken: offer it again once {@link inputWanted}.
   */
  receive(byte: number): boolean {
    if (!this.takesByte()) return false;
    const now = this.options.clock.now();
    if (now >= this.s.groupStart + this.groupNs) {
      this.s.groupStart = now;
      this.s.groupCount = 0;
    }
    this.s.groupCount++;
    this.shiftIn(byte & 0xff);
    this.updateIrq();
    this.toldWanted = this.takesByte();
    if (!this.toldWanted) this.armWanted();
    return true;
  }

  /** Whether {@link receive} takes a byte now; the rule is at the head of this file. */
  get inputWanted(): boolean {
    return this.takesByte();
  }

  reset(): void {
    this.cancelTimers();
    this.s = powerOn();
    this.toldWanted = false;
    this.updateIrq();
  }

  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  load(state: DeviceState): void {
    const loaded = restore(this.name, VERSION, powerOn(), state);
    this.cancelTimers();
    this.s = loaded;
    this.updateIrq();
    this.armTimeout();
    this.toldWanted = false;
    this.tellWanted();
  }

  protected readByte(offset: number): number {
    const s = this.s;
    switch (offset) {
      case RBR_THR:
        return this.divisorAccess() ? s.dll : this.readReceiver();
      case IER:
        return this.divisorAccess() ? s.dlm : s.ier;
      case IIR_FCR:
        return this.readInterruptIdentification();
      case LCR:
        return s.lcr;
      case MCR:
        return s.mcr;
      case LSR:
        return this.readLineStatus();
      case MSR: {
        const value = s.msr;
        s.msr &= 0xf0;
        this.updateIrq();
        return value;
      }
      case SCR:
        return s.scr;
      default:
        return 0xff;
    }
  }

  protected writeByte(offset: number, value: number): void {
    const s = this.s;
    s.polls = 0;
    switch (offset) {
      case RBR_THR:
        if (this.divisorAccess()) s.dll = value;
        else this.transmit(value);
        break;
      case IER:
        if (this.divisorAccess()) s.dlm = value;
        else this.writeInterruptEnable(value & 0x0f);
        break;
      case IIR_FCR:
        this.writeFifoControl(value);
        break;
      case LCR:
        s.lcr = value;
        break;
      case MCR:
        s.mcr = value & 0x1f;
        this.updateModemStatus();
        break;
      case SCR:
        s.scr = value;
        break;
      default:
        break; // LSR and MSR: writing is for factory tests
    }
    this.updateIrq();
    this.updateListening();
  }

  private divisorAccess(): boolean {
    return (this.s.lcr & LCR_DLAB) !== 0;
  }

  private fifosEnabled(): boolean {
    return (this.s.fcr & FCR_ENABLE) !== 0;
  }

  private capacity(): number {
    return this.fifosEnabled() ? FIFO_SIZE : 1;
  }

  private triggerLevel(): number {
    return this.fifosEnabled() ? (TRIGGER_LEVELS[this.s.fcr >> 6] ?? 1) : 1;
  }

  // --- transmitter ---

  private transmit(byte: number): void {
    if ((this.s.mcr & MCR_LOOP) !== 0) this.shiftIn(byte);
    else this.options.onOutput(byte);
    // Filling THR withdraws the interrupt, its emptying (here at once) raises it anew: an edge.
    this.s.thrEmptyPending = false;
    this.updateIrq();
    this.s.thrEmptyPending = true;
  }

  private writeInterruptEnable(value: number): void {
    if ((value & ~this.s.ier & IER_ETBEI) !== 0) this.s.thrEmptyPending = true;
    this.s.ier = value;
    this.armTimeout();
  }

  // --- receiver ---

  private shiftIn(byte: number): void {
    const s = this.s;
    if (s.rx.length < this.capacity()) {
      s.rx.push(byte);
    } else {
      // Data sheet, "Line Status Register", bit 1: the FIFO keeps its contents, RBR is overwritten.
      s.overrun = true;
      if (!this.fifosEnabled()) s.rx[0] = byte;
    }
    s.lastReceiverAccess = this.options.clock.now();
    this.armTimeout();
  }

  private readReceiver(): number {
    const s = this.s;
    const byte = s.rx.shift() ?? 0;
    s.timeoutPending = false;
    s.lastReceiverAccess = this.options.clock.now();
    this.armTimeout();
    this.updateIrq();
    this.tellWanted();
    return byte;
  }

  private readLineStatus(): number {
    const s = this.s;
    let value = LSR_IDLE;
    if (s.rx.length > 0) value |= LSR_DATA_READY;
    if (s.overrun) {
      value |= LSR_OVERRUN;
      s.overrun = false;
      this.updateIrq();
    }
    if (s.polls < POLLS_TO_LISTEN) s.polls++;
    else this.tellWanted();
    return value;
  }

  private writeFifoControl(value: number): void {
    const s = this.s;
    const toggled = ((value ^ s.fcr) & FCR_ENABLE) !== 0;
    if (toggled || (value & FCR_CLEAR_RECEIVER) !== 0) {
      s.rx.length = 0;
      s.timeoutPending = false;
    }
    // The other bits can be written only together with the enable bit.
    s.fcr = (value & FCR_ENABLE) !== 0 ? value & (FCR_ENABLE | FCR_TRIGGER) : 0;
  }

  /** Arms the character timeout. An early timer is left alone: it arms itself again when it fires. */
  private armTimeout(): void {
    const s = this.s;
    const needed =
      this.fifosEnabled() && s.rx.length > 0 && (s.ier & IER_ERBFI) !== 0 && !s.timeoutPending;
    if (!needed || this.timeoutTimer !== undefined) return;
    this.timeoutTimer = this.options.clock.at(s.lastReceiverAccess + TIMEOUT_NS, () => {
      this.timeoutTimer = undefined;
      if (s.rx.length === 0) return;
      if (this.options.clock.now() >= s.lastReceiverAccess + TIMEOUT_NS) {
        s.timeoutPending = true;
        this.updateIrq();
      } else {
        this.armTimeout();
      }
    });
  }

  // --- modem lines ---

  private updateModemStatus(): void {
    const s = this.s;
    let lines = MSR_CTS | MSR_DSR | MSR_DCD;
    if ((s.mcr & MCR_LOOP) !== 0) {
      lines =
        ((s.mcr & MCR_RTS) !== 0 ? MSR_CTS : 0) |
        ((s.mcr & MCR_DTR) !== 0 ? MSR_DSR : 0) |
        ((s.mcr & MCR_OUT1) !== 0 ? MSR_RI : 0) |
        ((s.mcr & MCR_OUT2) !== 0 ? MSR_DCD : 0);
    }
    const changed = (lines ^ s.msr) & 0xf0;
    let deltas = (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4;
    if ((changed & s.msr & MSR_RI) !== 0) deltas |= MSR_TRAILING_RI;
    s.msr = lines | (s.msr & 0x0f) | deltas;
  }

  // --- interrupts ---

  /** The highest pending interrupt (data sheet, table "Interrupt Control Functions"). */
  private interruptId(): number {
    const s = this.s;
    if ((s.ier & IER_ELSI) !== 0 && s.overrun) return IIR_LINE_STATUS;
    if ((s.ier & IER_ERBFI) !== 0) {
      if (s.rx.length >= this.triggerLevel()) return IIR_RECEIVED_DATA;
      if (s.timeoutPending) return IIR_TIMEOUT;
    }
    if ((s.ier & IER_ETBEI) !== 0 && s.thrEmptyPending) return IIR_THR_EMPTY;
    if ((s.ier & IER_EDSSI) !== 0 && (s.msr & 0x0f) !== 0) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  private readInterruptIdentification(): number {
    const s = this.s;
    const id = this.interruptId();
    s.polls = 0;
    if (id === IIR_THR_EMPTY) {
      s.thrEmptyPending = false;
      this.updateIrq();
    }
    return id | (this.fifosEnabled() ? IIR_FIFOS_ENABLED : 0);
  }

  /** OUT2 gates the line on a PC, and loopback holds the OUT2 pin inactive. */
  private updateIrq(): void {
    this.tellPolled();
    const gate = (this.s.mcr & (MCR_OUT2 | MCR_LOOP)) === MCR_OUT2;
    const level = gate && this.interruptId() !== IIR_NONE;
    if (level === this.irqLevel) return;
    this.irqLevel = level;
    this.options.irq.set(level);
  }

  // --- pacing ---

  private tellPolled(): void {
    const s = this.s;
    const plain = !this.divisorAccess() && (s.mcr & MCR_LOOP) === 0 && (s.ier & IER_ETBEI) === 0;
    const polled = plain && s.rx.length === 0 && !s.overrun;
    if (polled === this.toldPolled) return;
    this.toldPolled = polled;
    this.options.onPolled?.(polled);
  }

  private interruptDriven(): boolean {
    return (this.s.ier & IER_ERBFI) !== 0 && (this.s.mcr & MCR_OUT2) !== 0;
  }

  private updateListening(): void {
    const s = this.s;
    const listens = this.interruptDriven() && (s.mcr & (MCR_RTS | MCR_LOOP)) === MCR_RTS;
    if (listens && !s.driverListens) s.listeningSince = this.options.clock.now();
    s.driverListens = listens;
    this.tellWanted();
  }

  /** Whether a byte may come as soon as {@link wantedFrom} is reached. */
  private canTake(): boolean {
    const s = this.s;
    if ((s.mcr & MCR_LOOP) !== 0) return false;
    if (this.interruptDriven()) return s.driverListens && s.rx.length < this.capacity();
    return s.polls >= POLLS_TO_LISTEN && s.rx.length === 0;
  }

  private takesByte(): boolean {
    return this.canTake() && this.options.clock.now() >= this.wantedFrom();
  }

  private wantedFrom(): number {
    const s = this.s;
    const group = s.groupCount < this.groupSize ? 0 : s.groupStart + this.groupNs;
    return s.driverListens ? Math.max(group, s.listeningSince + CHARACTER_NS) : group;
  }

  private tellWanted(): void {
    const wanted = this.takesByte();
    const becameWanted = wanted && !this.toldWanted;
    this.toldWanted = wanted;
    if (becameWanted) this.options.onInputWanted?.();
    if (!wanted) this.armWanted();
  }

  /** A timer for when time alone makes input wanted; an earlier one arms its successor. */
  private armWanted(): void {
    if (this.wantedTimer !== undefined || !this.canTake()) return;
    this.wantedTimer = this.options.clock.at(this.wantedFrom(), () => {
      this.wantedTimer = undefined;
      this.tellWanted();
    });
  }

  private cancelTimers(): void {
    this.timeoutTimer?.cancel();
    this.wantedTimer?.cancel();
    this.timeoutTimer = undefined;
    this.wantedTimer = undefined;
  }
}

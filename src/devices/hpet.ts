import type { AccessSize, Device, DeviceState } from '../bus/device.js';
import { unconnected, type IrqLine } from '../bus/irq-line.js';
import type { GuestClock, GuestTimer } from '../clock.js';
import { restore, snapshot } from './state.js';
import { ticksAt, timeOfTick } from './ticks.js';

/*
 * "IA-PC HPET (High Precision Event Timers) Specification", revision 1.0a: a 64-bit main counter of
 * 100 MHz and three comparators. 64-bit values are kept as two 32-bit halves, as they are accessed. There is no
 * legacy replacement route, which is optional: Linux would use it where no timer interrupt is needed, and wait 20 ms
 * to see whether it works.
 */

const CAPABILITIES = 0x000;
const PERIOD = 0x004;
const CONFIGURATION = 0x010;
const INTERRUPT_STATUS = 0x020;
const COUNTER_LOW = 0x0f0;
const COUNTER_HIGH = 0x0f4;
const TIMERS = 0x100;
const TIMER_STRIDE = 0x20;
const TIMER_CONFIGURATION = 0x00;
const TIMER_ROUTES = 0x04;
const TIMER_COMPARATOR_LOW = 0x08;
const TIMER_COMPARATOR_HIGH = 0x0c;

const TIMER_COUNT = 3;
const HZ = 100_000_000;
const PERIOD_FS = 10_000_000;
/** Vendor 0x8086, 64-bit counter, number of the last timer, revision 1. */
const CAPABILITIES_VALUE = 0x8086_2001 + ((TIMER_COUNT - 1) << 8);

const ENABLE = 0x01;

const LEVEL = 0x0002;
const INTERRUPT_ENABLE = 0x0004;
const PERIODIC = 0x0008;
const PERIODIC_CAPABLE = 0x0010;
const SIZE_64 = 0x0020;
const SET_VALUE = 0x0040;
const MODE_32 = 0x0100;
const ROUTE = 0x3e00;
const ROUTE_SHIFT = 9;
const TIMER_WRITABLE = LEVEL | INTERRUPT_ENABLE | PERIODIC | SET_VALUE | MODE_32 | ROUTE;
const TIMER_CAPABILITIES = PERIODIC_CAPABLE | SIZE_64;
/** I/O APIC pins that a timer can be routed to: those above the ISA and PCI interrupts. */
const ROUTE_CAPABILITIES = 0x00f0_0000;

const TWO_32 = 2 ** 32;
/** Periodic matches closer than this (20 us) are merged: no guest could serve them. */
const MIN_PERIOD_TICKS = 2000;

/** Ticks beyond this are years ahead, and no longer exact in nanoseconds. */
const MAX_TICK = 2 ** 50;

const VERSION = 1;

function powerOnTimer() {
  return {
    configuration: 0,
    comparatorLow: 0xffffffff,
    comparatorHigh: 0xffffffff,
    periodLow: 0,
    periodHigh: 0,
    /** The write of a comparator's low half used up SET_VALUE; that of its high half belongs to it. */
    setHigh: false,
  };
}

type TimerState = ReturnType<typeof powerOnTimer>;

function powerOn() {
  return {
    configuration: 0,
    status: 0,
    /** Main counter at tick `start` of the guest clock, or where it stands while disabled. */
    counterLow: 0,
    counterHigh: 0,
    start: 0,
    timers: Array.from({ length: TIMER_COUNT }, powerOnTimer),
  };
}

/** What an {@link Hpet} is connected to. */
export interface HpetOptions {
  readonly clock: GuestClock;
  /** A wire of its own to I/O APIC pin `n`. */
  route(n: number): IrqLine;
}

/** The HPET: 1 KiB of MMIO, 0xfed00000 on a PC. */
export class Hpet implements Device {
  readonly name = 'hpet';
  private s = powerOn();
  private readonly deadlines: (GuestTimer | undefined)[] = [];
  private readonly routes = new Map<number, IrqLine>();

  constructor(private readonly options: HpetOptions) {}

  /** 32-bit registers, as the specification demands; a narrower read gets the low part. */
  read(offset: number, size: AccessSize): number {
    const value = this.readRegister(offset & ~3) >>> (8 * (offset & 3));
    return size === 4 ? value : (value & ((1 << (8 * size)) - 1)) >>> 0;
  }

  /** Narrower writes than 32 bits are undefined by the specification and ignored. */
  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4) return;
    switch (offset) {
      case CONFIGURATION:
        this.writeConfiguration(value & ENABLE);
        break;
      case INTERRUPT_STATUS:
        this.acknowledge(value);
        break;
      case COUNTER_LOW:
        this.setCounter(value, this.counterHigh());
        break;
      case COUNTER_HIGH:
        this.setCounter(this.counterLow(), value);
        break;
      default:
        this.writeTimer(offset, value);
    }
  }

  reset(): void {
    this.lowerLines();
    this.s = powerOn();
    this.armAll();
  }

  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  load(state: DeviceState): void {
    const loaded = restore(this.name, VERSION, powerOn(), state);
    this.lowerLines();
    this.s = loaded;
    for (let n = 0; n < TIMER_COUNT; n++) this.drive(n, (this.s.status & (1 << n)) !== 0);
    this.armAll();
  }

  // --- main counter ---

  private enabled(): boolean {
    return (this.s.configuration & ENABLE) !== 0;
  }

  private tick(): number {
    return ticksAt(this.options.clock.now(), HZ);
  }

  /** The low half's value with all carries still in it. */
  private counterSum(): number {
    return this.s.counterLow + (this.enabled() ? this.tick() - this.s.start : 0);
  }

  private counterLow(): number {
    return this.counterSum() % TWO_32;
  }

  private counterHigh(): number {
    return (this.s.counterHigh + Math.floor(this.counterSum() / TWO_32)) % TWO_32;
  }

  private setCounter(low: number, high: number): void {
    this.s.counterLow = low;
    this.s.counterHigh = high;
    this.s.start = this.tick();
    this.armAll();
  }

  private writeConfiguration(value: number): void {
    const low = this.counterLow();
    const high = this.counterHigh();
    this.s.configuration = value;
    this.setCounter(low, high);
  }

  // --- timers ---

  private timer(n: number): TimerState | undefined {
    return this.s.timers[n];
  }

  private readRegister(offset: number): number {
    switch (offset) {
      case CAPABILITIES:
        return CAPABILITIES_VALUE;
      case PERIOD:
        return PERIOD_FS;
      case CONFIGURATION:
        return this.s.configuration;
      case INTERRUPT_STATUS:
        return this.s.status;
      case COUNTER_LOW:
        return this.counterLow();
      case COUNTER_HIGH:
        return this.counterHigh();
      default:
        return this.readTimer(offset);
    }
  }

  private readTimer(offset: number): number {
    const n = (offset - TIMERS) >> 5;
    const timer = this.timer(n);
    if (timer === undefined) return 0;
    switch (offset % TIMER_STRIDE) {
      case TIMER_CONFIGURATION:
        return timer.configuration | TIMER_CAPABILITIES;
      case TIMER_ROUTES:
        return ROUTE_CAPABILITIES;
      case TIMER_COMPARATOR_LOW:
        this.catchUp(timer);
        return timer.comparatorLow;
      case TIMER_COMPARATOR_HIGH:
        this.catchUp(timer);
        return timer.comparatorHigh;
      default:
        return 0;
    }
  }

  private writeTimer(offset: number, value: number): void {
    const n = (offset - TIMERS) >> 5;
    const timer = this.timer(n);
    if (timer === undefined) return;
    switch (offset % TIMER_STRIDE) {
      case TIMER_CONFIGURATION:
        this.writeTimerConfiguration(n, timer, value & TIMER_WRITABLE);
        break;
      case TIMER_COMPARATOR_LOW:
        writeComparatorLow(timer, value);
        break;
      case TIMER_COMPARATOR_HIGH:
        writeComparatorHigh(timer, value);
        break;
      default:
        return;
    }
    this.arm(n);
  }

  private writeTimerConfiguration(n: number, timer: TimerState, value: number): void {
    this.catchUp(timer);
    const rewired = ((value ^ timer.configuration) & (ROUTE | LEVEL | INTERRUPT_ENABLE)) !== 0;
    if (rewired) this.line(n).set(false);
    timer.configuration = value;
    if ((value & MODE_32) !== 0) {
      timer.comparatorHigh = 0;
      timer.periodHigh = 0;
    }
    if ((value & LEVEL) === 0) this.s.status &= ~(1 << n);
    else if (rewired) this.drive(n, (this.s.status & (1 << n)) !== 0);
  }

  /** Ticks until the next match, 0 for one now; Infinity where a 64-bit comparator lies behind. */
  private distance(timer: TimerState): number {
    const low = timer.comparatorLow - this.counterLow();
    if ((timer.configuration & MODE_32) !== 0) return (low + TWO_32) % TWO_32;
    const ahead = (timer.comparatorHigh - this.counterHigh()) * TWO_32 + low;
    return ahead >= 0 ? ahead : Infinity;
  }

  /** Ticks that the counter is past the comparator; negative while it is ahead. */
  private behind(timer: TimerState): number {
    const low = this.counterLow() - timer.comparatorLow;
    if ((timer.configuration & MODE_32) !== 0) return low | 0;
    return (this.counterHigh() - timer.comparatorHigh) * TWO_32 + low;
  }

  /** Moves a periodic comparator that the counter has reached to its next match. */
  private catchUp(timer: TimerState): void {
    const period = timer.periodHigh * TWO_32 + timer.periodLow;
    if ((timer.configuration & PERIODIC) === 0 || period === 0 || !this.enabled()) return;
    const behind = this.behind(timer);
    if (behind >= 0) this.advance(timer, (Math.floor(behind / period) + 1) * period);
  }

  private advance(timer: TimerState, ticks: number): void {
    const low = timer.comparatorLow + ticks;
    timer.comparatorLow = low % TWO_32;
    if ((timer.configuration & MODE_32) !== 0) return;
    timer.comparatorHigh = (timer.comparatorHigh + Math.floor(low / TWO_32)) % TWO_32;
  }

  private armAll(): void {
    for (let n = 0; n < TIMER_COUNT; n++) this.arm(n);
  }

  private arm(n: number): void {
    const timer = this.timer(n);
    if (timer !== undefined) this.schedule(n, timer, this.distance(timer));
  }

  /** Arms timer `n` to match in `ticks`, or disarms it where it cannot. */
  private schedule(n: number, timer: TimerState, ticks: number): void {
    this.deadlines[n]?.cancel();
    this.deadlines[n] = undefined;
    if (!this.enabled() || (timer.configuration & INTERRUPT_ENABLE) === 0) return;
    const match = this.tick() + ticks;
    if (match > MAX_TICK) return;
    this.deadlines[n] = this.options.clock.at(timeOfTick(match, HZ), () => this.fire(n, timer));
  }

  private fire(n: number, timer: TimerState): void {
    this.deadlines[n] = undefined;
    if ((timer.configuration & LEVEL) !== 0) {
      this.s.status |= 1 << n;
    } else {
      this.drive(n, false); // an edge; the line stays high, as the 8259 wants until the acknowledge
    }
    this.drive(n, true);
    if ((timer.configuration & PERIODIC) !== 0) {
      this.catchUp(timer);
      this.schedule(n, timer, Math.max(this.distance(timer), MIN_PERIOD_TICKS));
    } else if ((timer.configuration & MODE_32) !== 0) {
      this.schedule(n, timer, this.distance(timer) || TWO_32); // again when the low half has wrapped
    }
  }

  // --- interrupts ---

  private line(n: number): IrqLine {
    const pin = ((this.timer(n)?.configuration ?? 0) & ROUTE) >> ROUTE_SHIFT;
    if ((ROUTE_CAPABILITIES & (1 << pin)) === 0) return unconnected;
    const key = n * 32 + pin;
    const line = this.routes.get(key) ?? this.options.route(pin);
    this.routes.set(key, line);
    return line;
  }

  private drive(n: number, level: boolean): void {
    const enabled = ((this.timer(n)?.configuration ?? 0) & INTERRUPT_ENABLE) !== 0;
    this.line(n).set(level && enabled);
  }

  private lowerLines(): void {
    for (let n = 0; n < TIMER_COUNT; n++) this.line(n).set(false);
  }

  /** General Interrupt Status: writing 1 clears a level-triggered timer's bit. */
  private acknowledge(bits: number): void {
    for (let n = 0; n < TIMER_COUNT; n++) {
      const bit = 1 << n;
      if ((bits & this.s.status & bit) === 0) continue;
      this.s.status &= ~bit;
      this.drive(n, false);
    }
  }
}

/** "Timer N Comparator Value Register": a periodic timer's write is its period, SET_VALUE also its start. */
function writeComparatorLow(timer: TimerState, value: number): void {
  const periodic = (timer.configuration & PERIODIC) !== 0;
  timer.setHigh = (timer.configuration & SET_VALUE) !== 0;
  if (!periodic || timer.setHigh) timer.comparatorLow = value;
  if (periodic) timer.periodLow = value;
  timer.configuration &= ~SET_VALUE;
}

function writeComparatorHigh(timer: TimerState, value: number): void {
  if ((timer.configuration & MODE_32) !== 0) return;
  const periodic = (timer.configuration & PERIODIC) !== 0;
  if (!periodic || timer.setHigh || (timer.configuration & SET_VALUE) !== 0) {
    timer.comparatorHigh = value;
  }
  if (periodic) timer.periodHigh = value;
  timer.setHigh = false;
}

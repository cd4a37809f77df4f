import type { DeviceState } from '../bus/device.js';
import type { IrqLine } from '../bus/irq-line.js';
import type { GuestClock, GuestTimer } from '../clock.js';
import { ByteDevice } from './byte-device.js';
import { ALARM_DONT_CARE, decodeTime, encodeTime, readHour, readNumber } from './rtc-time.js';
import { restore, snapshot } from './state.js';
import { ticksAt, timeOfTick } from './ticks.js';

/*
 * Motorola MC146818A "Real-Time Clock plus RAM", with the PC's use of its RAM (AT BIOS, and the memory
 * size bytes that firmware agrees on). The time is computed from the guest clock; a timer is armed only
 * while an interrupt is enabled.
 */

const INDEX_PORT = 0;

const SECONDS_ALARM = 0x01;
const MINUTES_ALARM = 0x03;
const HOURS_ALARM = 0x05;
const LAST_TIME_REGISTER = 0x09;
const REGISTER_A = 0x0a;
const REGISTER_B = 0x0b;
const REGISTER_C = 0x0c;
const REGISTER_D = 0x0d;
const CENTURY = 0x32;

const A_RATE = 0x0f;
const A_DIVIDER = 0x70;
const A_DIVIDER_RUNS = 0x20;
const A_UIP = 0x80;

const B_24_HOURS = 0x02;
const B_SQUARE_WAVE = 0x08;
const B_UPDATE_INTERRUPT = 0x10;
const B_ALARM_INTERRUPT = 0x20;
const B_PERIODIC_INTERRUPT = 0x40;
const B_SET = 0x80;
/** The interrupt enables of B are at the places of the flags of C. */
const FLAGS = B_UPDATE_INTERRUPT | B_ALARM_INTERRUPT | B_PERIODIC_INTERRUPT;

const C_UPDATE = 0x10;
const C_ALARM = 0x20;
const C_PERIODIC = 0x40;
const C_IRQ = 0x80;

const D_VALID = 0x80;

/** "Update Cycle": UIP is set 244 us before the update, which takes 1984 us with a 32 kHz crystal. */
const UIP_US = 2228;
const CRYSTAL_HZ = 32768;
/** Leaving divider reset, the first update comes half a second later ("Divider Stages"). */
const DIVIDER_RELEASE_US = 500_000;

const SIZE = 128;
const SECOND_US = 1_000_000;
const MS_US = 1000;
const US_NS = 1000;
const KIB = 1024;
const MIB = 1024 * KIB;

const VERSION = 1;

/** What a {@link Cmos} is connected to. */
export interface CmosOptions {
  readonly clock: GuestClock;
  /** IRQ 8. */
  readonly irq: IrqLine;
  /** Bytes of RAM below 4 GiB. */
  readonly lowRam: number;
  /** Bytes of RAM from 4 GiB up. */
  readonly highRam: number;
}

/** RTC and CMOS RAM: the index at offset 0, the data at 1 (ports 0x70 and 0x71 on a PC). */
export class Cmos extends ByteDevice {
  readonly name = 'cmos';
  private timer: GuestTimer | undefined;
  private s;

  constructor(private readonly options: CmosOptions) {
    super();
    this.s = this.firstPower();
  }

  /** The battery keeps time and RAM: what the RESET pin clears are interrupt enables and flags. */
  reset(): void {
    this.catchUp();
    this.s.index = 0;
    this.s.ram[REGISTER_B] = this.register(REGISTER_B) & ~(FLAGS | B_SQUARE_WAVE);
    this.s.ram[REGISTER_C] = 0;
    this.update();
  }

  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  load(state: DeviceState): void {
    const loaded = restore(this.name, VERSION, this.firstPower(), state);
    this.s = { ...loaded, index: loaded.index & (SIZE - 1) };
    this.update();
  }

  protected readByte(offset: number): number {
    if (offset === INDEX_PORT) return 0xff; // write-only
    const index = this.s.index;
    switch (index) {
      case REGISTER_A:
        return this.register(REGISTER_A) | (this.updateInProgress() ? A_UIP : 0);
      case REGISTER_C:
        return this.readFlags();
      case REGISTER_D:
        return D_VALID;
      default:
        if (this.isTime(index) && !this.stopped()) this.storeTime();
        return this.register(index);
    }
  }

  protected writeByte(offset: number, value: number): void {
    // Bit 7 of the index port is the NMI mask, which masks nothing: there is no source of NMIs.
    if (offset === INDEX_PORT) this.s.index = value & (SIZE - 1);
    else this.writeRegister(this.s.index, value);
  }

  private firstPower() {
    return {
      index: 0,
      /** Registers and RAM; the time registers are current only while the clock is stopped. */
      ram: this.firstRam(),
      /** What the guest added to the time of the guest clock, in whole microseconds. */
      offsetUs: 0,
      /** The divider was in reset, so the next second starts with half of one. */
      dividerReset: false,
      /** RTC time (us) and guest time (crystal ticks) up to which the flags have been worked out. */
      flagsUs: this.clockUs(),
      flagsTick: this.crystal(),
    };
  }

  private firstRam(): Uint8Array {
    const ram = new Uint8Array(SIZE);
    const word = (at: number, value: number): void => {
      ram[at] = value & 0xff;
      ram[at + 1] = (value >> 8) & 0xff;
    };
    const { lowRam, highRam } = this.options;
    ram[REGISTER_A] = A_DIVIDER_RUNS | 0x06; // 1024 Hz, as the AT BIOS sets it
    ram[REGISTER_B] = B_24_HOURS;
    ram[0x14] = 0x06; // equipment: FPU and pointing device
    word(0x15, 640); // base memory, KiB
    const extended = Math.min(Math.max(lowRam - MIB, 0) / KIB, 0xffff);
    word(0x17, extended);
    word(0x30, extended);
    word(0x34, Math.min(Math.max(lowRam - 16 * MIB, 0) / (64 * KIB), 0xffff));
    const high = highRam / (64 * KIB);
    word(0x5b, high & 0xffff);
    ram[0x5d] = (high >> 16) & 0xff;
    const checksum = ram.subarray(0x10, 0x2e).reduce((sum, byte) => sum + byte, 0);
    ram[0x2e] = checksum >> 8;
    ram[0x2f] = checksum & 0xff;
    return ram;
  }

  private register(index: number): number {
    return this.s.ram[index] ?? 0xff;
  }

  // --- time ---

  private isTime(index: number): boolean {
    const alarm = index === SECONDS_ALARM || index === MINUTES_ALARM || index === HOURS_ALARM;
    return (index <= LAST_TIME_REGISTER && !alarm) || index === CENTURY;
  }

  private crystal(): number {
    return ticksAt(this.options.clock.now(), CRYSTAL_HZ);
  }

  private dividerRuns(): boolean {
    return (this.register(REGISTER_A) & A_DIVIDER) === A_DIVIDER_RUNS;
  }

  /** SET, or a divider in reset, stops updates: the time registers are then plain RAM. */
  private stopped(): boolean {
    return (this.register(REGISTER_B) & B_SET) !== 0 || !this.dividerRuns();
  }

  /** Time at power-on, in whole microseconds since the Unix epoch. */
  private epochUs(): number {
    return Math.floor(this.options.clock.epochMs) * MS_US;
  }

  private clockUs(): number {
    return this.epochUs() + Math.floor(this.options.clock.now() / US_NS);
  }

  private timeUs(): number {
    return this.clockUs() + this.s.offsetUs;
  }

  private phaseUs(): number {
    return modulo(this.timeUs(), SECOND_US);
  }

  private updateInProgress(): boolean {
    return !this.stopped() && SECOND_US - this.phaseUs() <= UIP_US;
  }

  private storeTime(): void {
    encodeTime(this.s.ram, this.register(REGISTER_B), this.timeUs() / MS_US);
  }

  /** Makes the time registers the time, at `phase` microseconds into the second. */
  private takeTime(phase: number): void {
    const target = decodeTime(this.s.ram, this.register(REGISTER_B)) * MS_US + phase;
    this.s.offsetUs += target - this.timeUs();
    this.s.flagsUs = target;
  }

  // --- registers ---

  private writeRegister(index: number, value: number): void {
    switch (index) {
      case REGISTER_A:
      case REGISTER_B:
        this.writeControl(index, index === REGISTER_A ? value & ~A_UIP : value);
        return;
      case REGISTER_C:
      case REGISTER_D:
        return; // read-only
      default:
        this.catchUp();
        if (this.isTime(index) && !this.stopped()) {
          this.storeTime();
          this.s.ram[index] = value;
          this.takeTime(this.phaseUs());
        } else {
          this.s.ram[index] = value;
        }
        this.update();
    }
  }

  /** Registers A and B, which may stop and start the clock. */
  private writeControl(index: number, value: number): void {
    this.catchUp();
    const wasStopped = this.stopped();
    if (!wasStopped) this.storeTime();
    this.s.ram[index] = value;
    // "Register B", SET: setting it also clears the update-ended interrupt enable.
    if (index === REGISTER_B && (value & B_SET) !== 0)
      this.s.ram[index] = value & ~B_UPDATE_INTERRUPT;
    if (!this.dividerRuns()) this.s.dividerReset = true;
    if (wasStopped && !this.stopped()) {
      this.takeTime(this.s.dividerReset ? DIVIDER_RELEASE_US : this.phaseUs());
      this.s.dividerReset = false;
    }
    this.update();
  }

  private readFlags(): number {
    this.catchUp();
    const flags = this.register(REGISTER_C);
    const pending = (flags & this.register(REGISTER_B) & FLAGS) !== 0;
    this.s.ram[REGISTER_C] = 0;
    this.update();
    return flags | (pending ? C_IRQ : 0);
  }

  // --- interrupts ---

  /** Crystal ticks of the periodic rate, 0 for none ("Periodic Interrupt Rate and Square Wave"). */
  private periodTicks(): number {
    const rate = this.register(REGISTER_A) & A_RATE;
    if (rate === 0 || !this.dividerRuns()) return 0;
    return rate <= 2 ? 64 << rate : 1 << (rate - 1);
  }

  /** Sets the flags of what has happened since the last call. They are set enabled or not. */
  private catchUp(): void {
    const s = this.s;
    let flags = this.register(REGISTER_C);
    const tick = this.crystal();
    const period = this.periodTicks();
    if (period > 0 && Math.floor(tick / period) > Math.floor(s.flagsTick / period)) {
      flags |= C_PERIODIC;
    }
    s.flagsTick = tick;
    if (!this.stopped()) {
      const now = this.timeUs();
      if (Math.floor(now / SECOND_US) > Math.floor(s.flagsUs / SECOND_US)) {
        flags |= C_UPDATE;
        if (this.nextAlarm(s.flagsUs) <= now) flags |= C_ALARM;
      }
      s.flagsUs = now;
    }
    s.ram[REGISTER_C] = flags;
  }

  /** Drives the line and arms a timer for the next enabled event whose flag is not yet set. */
  private update(): void {
    this.timer?.cancel();
    this.timer = undefined;
    const enabled = this.register(REGISTER_B) & FLAGS;
    const flags = this.register(REGISTER_C);
    this.options.irq.set((flags & enabled) !== 0);
    const deadline = this.nextEvent(enabled & ~flags);
    if (deadline === Infinity) return;
    this.timer = this.options.clock.at(deadline, () => {
      this.catchUp();
      this.update();
    });
  }

  /** Guest time (ns) of the first of the wanted events. */
  private nextEvent(wanted: number): number {
    const s = this.s;
    let deadline = Infinity;
    const period = this.periodTicks();
    if ((wanted & C_PERIODIC) !== 0 && period > 0) {
      deadline = timeOfTick((Math.floor(s.flagsTick / period) + 1) * period, CRYSTAL_HZ);
    }
    if (this.stopped()) return deadline;
    const guestTime = (rtcUs: number): number => (rtcUs - s.offsetUs - this.epochUs()) * US_NS;
    if ((wanted & C_UPDATE) !== 0) {
      const second = (Math.floor(s.flagsUs / SECOND_US) + 1) * SECOND_US;
      deadline = Math.min(deadline, guestTime(second));
    }
    if ((wanted & C_ALARM) !== 0) {
      deadline = Math.min(deadline, guestTime(this.nextAlarm(s.flagsUs)));
    }
    return deadline;
  }

  /** RTC time of the first second after `fromUs` that matches the alarm; Infinity if none can. */
  private nextAlarm(fromUs: number): number {
    const b = this.register(REGISTER_B);
    const field = (index: number, read: (value: number, b: number) => number): number => {
      const value = this.register(index);
      return value >= ALARM_DONT_CARE ? -1 : read(value, b);
    };
    const second = field(SECONDS_ALARM, readNumber);
    const minute = field(MINUTES_ALARM, readNumber);
    const hour = field(HOURS_ALARM, readHour);
    if (second > 59 || minute > 59 || hour > 23) return Infinity;
    let at = Math.floor(fromUs / SECOND_US) + 1;
    for (;;) {
      // Skip to the next hour, minute or second, whichever is the largest that does not match.
      const atMinute = Math.floor(at / 60);
      const atHour = Math.floor(at / 3600);
      if (hour >= 0 && modulo(atHour, 24) !== hour) at = (atHour + 1) * 3600;
      else if (minute >= 0 && modulo(atMinute, 60) !== minute) at = (atMinute + 1) * 60;
      else if (second >= 0 && modulo(at, 60) !== second) at++;
      else return at * SECOND_US;
    }
  }
}

/** The remainder from 0 up, also for times before 1970. */
function modulo(value: number, modulus: number): number {
  return ((value % modulus) + modulus) % modulus;
}

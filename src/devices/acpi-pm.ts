import type { AccessSize, Device, DeviceState } from '../bus/device.js';
import type { IrqLine } from '../bus/irq-line.js';
import type { GuestClock, GuestTimer } from '../clock.js';
import { restore, snapshot } from './state.js';
import { ticksAt, timeOfTick } from './ticks.js';

/*
 * ACPI Specification 6, "ACPI Hardware Specification", "Fixed Hardware Registers". There is no SMI
 * command port: the machine is always in ACPI mode and SCI_EN reads 1.
 */

/** Ports in the block. */
export const ACPI_PM_LENGTH = 0x40;

/** Dword-aligned register pairs. */
const PM1_EVENT = 0x00; // status in the low word, enable in the high
const PM1_CONTROL = 0x04;
const PM_TIMER = 0x08;
const GPE0 = 0x20; // status in the low word, enable in the high

const TIMER_STATUS = 0x0001;
const POWER_BUTTON_STATUS = 0x0100;
/** Timer, global lock, power button, sleep button and RTC. */
const ENABLE_WRITABLE = 0x0721;

const SCI_ENABLE = 0x0001;
const SLEEP_TYPE = 0x1c00;
const SLEEP_TYPE_SHIFT = 10;
const SLEEP_ENABLE = 0x2000;
/** Bus master reload and the sleep type; SLP_EN and GBL_RLS are write-only. */
const CONTROL_STORED = 0x0002 | SLEEP_TYPE;

/** "Power Management Timer", in hertz. */
const TIMER_HZ = 3579545;
/** TMR_VAL_EXT is set: 32 bits; the status is set each time the highest one changes. */
const TIMER_TOGGLE = 2 ** 31;

const VERSION = 1;

function powerOn() {
  return {
    status: 0,
    enable: 0,
    control: 0,
    gpeEnable: 0,
    /** Changes of the timer's highest bit that the guest has acknowledged. */
    togglesSeen: 0,
  };
}

/** What an {@link AcpiPm} is connected to. */
export interface AcpiPmOptions {
  readonly clock: GuestClock;
  /** The system control interrupt, level. */
  readonly sci: IrqLine;
  /** The guest set SLP_EN with this SLP_TYP (0 to 7), whose meaning the DSDT defines. */
  onSleep(type: number): void;
}

/** The power management block: PM1a event at 0, PM1a control at 4, PM timer at 8, GPE0 at 0x20. */
export class AcpiPm implements Device {
  readonly name = 'acpi-pm';
  private s = powerOn();
  private timer: GuestTimer | undefined;

  constructor(private readonly options: AcpiPmOptions) {}

  /** A press of the power button: an SCI if the guest enabled it. */
  pressPowerButton(): void {
    this.s.status |= POWER_BUTTON_STATUS;
    this.update();
  }

  read(offset: number, size: AccessSize): number {
    if (offset === PM_TIMER && size === 4) return this.timerValue();
    let value = 0;
    for (let i = 0; i < size; i++) {
      const at = offset + i;
      value += ((this.readDword(at & ~3) >>> (8 * (at & 3))) & 0xff) * 2 ** (8 * i);
    }
    return value;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
    this.update();
  }

  reset(): void {
    this.s = { ...powerOn(), togglesSeen: this.toggles() };
    this.update();
  }

  save(): DeviceState {
    return snapshot(VERSION, this.s);
  }

  load(state: DeviceState): void {
    this.s = restore(this.name, VERSION, powerOn(), state);
    this.update();
  }

  private readDword(offset: number): number {
    switch (offset) {
      case PM1_EVENT:
        return this.status() | (this.s.enable << 16);
      case PM1_CONTROL:
        return this.s.control | SCI_ENABLE;
      case PM_TIMER:
        return this.timerValue();
      case GPE0:
        return this.s.gpeEnable << 16; // no general-purpose event is wired
      default:
        return 0;
    }
  }

  private writeByte(offset: number, value: number): void {
    const s = this.s;
    const shift = 8 * (offset & 1);
    const merge = (old: number): number => (old & ~(0xff << shift)) | (value << shift);
    switch (offset & ~1) {
      case PM1_EVENT:
        this.clearStatus(value << shift);
        break;
      case PM1_EVENT + 2:
        s.enable = merge(s.enable) & ENABLE_WRITABLE;
        break;
      case PM1_CONTROL:
        s.control = merge(s.control) & CONTROL_STORED;
        if (((value << shift) & SLEEP_ENABLE) !== 0) {
          this.options.onSleep((s.control & SLEEP_TYPE) >> SLEEP_TYPE_SHIFT);
        }
        break;
      case GPE0 + 2:
        s.gpeEnable = merge(s.gpeEnable);
        break;
      default:
        break;
    }
  }

  private ticks(): number {
    return ticksAt(this.options.clock.now(), TIMER_HZ);
  }

  private timerValue(): number {
    return this.ticks() % 2 ** 32;
  }

  private toggles(): number {
    return Math.floor(this.ticks() / TIMER_TOGGLE);
  }

  private status(): number {
    return this.s.status | (this.toggles() > this.s.togglesSeen ? TIMER_STATUS : 0);
  }

  private clearStatus(bits: number): void {
    this.s.status &= ~bits;
    if ((bits & TIMER_STATUS) !== 0) this.s.togglesSeen = this.toggles();
  }

  /** Drives the SCI, and arms a timer while the guest wants to hear of the PM timer. */
  private update(): void {
    this.timer?.cancel();
    this.timer = undefined;
    const status = this.status();
    this.options.sci.set((status & this.s.enable) !== 0);
    if ((this.s.enable & TIMER_STATUS) === 0 || (status & TIMER_STATUS) !== 0) return;
    const next = (this.s.togglesSeen + 1) * TIMER_TOGGLE;
    this.timer = this.options.clock.at(timeOfTick(next, TIMER_HZ), () => this.update());
  }
}

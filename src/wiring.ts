import { AddressSpace } from './bus/bus.js';
import type { Device } from './bus/device.js';
import { fanOut, type IrqLine } from './bus/irq-line.js';
import type { GuestClock } from './clock.js';
import { AcpiPm } from './devices/acpi-pm.js';
import { Cmos } from './devices/cmos.js';
import { DebugConsole } from './devices/debug-console.js';
import { IsaDebugExit } from './devices/debug-exit.js';
import { DelayPort, PostCode } from './devices/debug-ports.js';
import { FirmwareDisk, type DiskMemory, type DriveMedium } from './devices/firmware-disk.js';
import { Hpet } from './devices/hpet.js';
import { I8042 } from './devices/i8042.js';
import { IoApic } from './devices/io-apic.js';
import { PicPair } from './devices/pic.js';
import { PciHostBridge } from './devices/pci-host-bridge.js';
import { PciBus, PciConfigAddress, PciConfigData } from './devices/pci.js';
import { NumericErrorLatch } from './devices/numeric-error.js';
import { Pit } from './devices/pit.js';
import { SystemControlB } from './devices/port61.js';
import { SystemControlA } from './devices/port92.js';
import { ResetControl } from './devices/reset-control.js';
import { Rom } from './devices/rom.js';
import { LSR, LSR_IDLE, Serial } from './devices/serial.js';
import type { ExitTargets } from './exits.js';
import * as layout from './layout.js';
import type { NativeCpu } from './native.js';

/** What the board tells the machine. */
export interface BoardEvents {
  /** A device asks for a reset of the whole machine. */
  onReset(): void;
  /** The guest entered the ACPI sleep state with the SLP_TYP value `type`. */
  onSleep(type: number): void;
  /** The guest wrote `value` to isa-debug-exit. */
  onDebugExit(value: number): void;
  /** The guest printed `byte` on serial port `port`, counted from 0. */
  onSerialOutput(port: number, byte: number): void;
  /** Pin `pin` of the I/O APIC has a level, new or not. */
  onInterruptLine?(pin: number, level: boolean): void;
  /** Serial port `port` has room for input. */
  onSerialInputWanted(port: number): void;
}

/** What firmware works with, see {@link BoardOptions.firmware}. */
export interface FirmwareOptions {
  /** Guest RAM, for the disk port. */
  readonly memory: DiskMemory;
  /** Media of the drives, by their number in INT 13h. */
  readonly drives: ReadonlyMap<number, DriveMedium>;
  /** Contents of the ROM chip. */
  readonly rom: Uint8Array;
  /** Adds the debug port that foreign ROMs write their log to. */
  readonly onDebugOutput?: ((byte: number) => void) | undefined;
}

/** What a board is made from. */
export interface BoardOptions {
  readonly cpu: NativeCpu;
  readonly clock: GuestClock;
  readonly lowRam: number;
  readonly highRam: number;
  /** Number of serial ports, 1 to 4. */
  readonly serialPorts: number;
  /** Whether COM2 is a line for programs, which receives faster than any baud rate; default false. */
  readonly channel?: boolean;
  /** Ports of isa-debug-exit, undefined for none. */
  readonly debugExit: { readonly iobase: number; readonly iosize: number } | undefined;
  readonly events: BoardEvents;
  /** The ROM and what it needs; default none. */
  readonly firmware?: FirmwareOptions;
}

/** Everything around the CPU, connected. */
export interface Board extends ExitTargets {
  /** Every device, in the order in which they are reset. */
  readonly devices: readonly Device[];
  readonly serial: readonly Serial[];
  readonly acpiPm: AcpiPm;
  /** Power-on reset of all devices. */
  reset(): void;
}

/** Highest guest physical address an MMIO device may have, plus one. */
const MMIO_LIMIT = 2 ** 52;

/** A wire that several devices pull: it is asserted while any of them asserts it. */
class SharedLine {
  private asserted = 0;

  constructor(private readonly output: IrqLine) {}

  /** A new input of the wire, for one device. */
  input(): IrqLine {
    let mine = false;
    return {
      set: (level) => {
        if (level === mine) return;
        mine = level;
        const others = this.asserted - (level ? 0 : 1);
        this.asserted = others + (level ? 1 : 0);
        if (others === 0) this.output.set(level);
      },
    };
  }
}

/** The interrupt controllers and the wires that lead to them. */
class Interrupts {
  readonly pic: PicPair;
  readonly ioApic: IoApic;
  private readonly pins: readonly SharedLine[];
  private readonly irqs: readonly SharedLine[];

  /** @param onLine called with the level of each pin of the I/O APIC */
  constructor(cpu: NativeCpu, onLine: (pin: number, level: boolean) => void) {
    this.ioApic = new IoApic({
      deliver: (m) => {
        cpu.apicMessage(m.destination, m.logical, m.deliveryMode, m.vector, m.level);
      },
    });
    // LINT0 of the processor, and pin 0 for virtual wire mode through the I/O APIC.
    const intr: IrqLine = { set: (level) => cpu.setIntr(level) };
    this.pic = new PicPair({ output: fanOut(intr, this.ioApic.line(layout.PIC_OUTPUT_PIN)) });
    this.pins = Array.from({ length: 24 }, (_, n) => {
      return new SharedLine(fanOut({ set: (level) => onLine(n, level) }, this.ioApic.line(n)));
    });
    this.irqs = Array.from({ length: 16 }, (_, n) => {
      return new SharedLine(fanOut(this.pic.line(n), this.pin(layout.gsiOfIrq(n))));
    });
  }

  /** A new wire to pin `n` of the I/O APIC. */
  pin(n: number): IrqLine {
    const line = this.pins[n];
    if (line === undefined) throw new RangeError(`I/O APIC pin is ${n}, expected 0 to 23`);
    return line.input();
  }

  /** A new wire to ISA interrupt `n`: both controllers see it, and the kernel chooses one. */
  irq(n: number): IrqLine {
    const line = this.irqs[n];
    if (line === undefined) throw new RangeError(`ISA interrupt is ${n}, expected 0 to 15`);
    return line.input();
  }
}

/** Builds the board: which device is where, and who interrupts whom. */
export function wire(options: BoardOptions): Board {
  const { cpu, clock, events, lowRam, highRam } = options;
  const ports = new AddressSpace('port', 0x1_0000);
  const mmio = new AddressSpace('mmio', MMIO_LIMIT);
  const devices: Device[] = [];
  const insert = (space: AddressSpace, range: layout.AddressRange, device: Device): void => {
    space.insert(range.base, range.length, device);
    devices.push(device);
  };
  const onReset = (): void => events.onReset();

  const interrupts = new Interrupts(cpu, (pin, level) => events.onInterruptLine?.(pin, level));
  const { pic, ioApic } = interrupts;
  insert(ports, layout.PIC_MASTER, pic.master);
  insert(ports, layout.PIC_SLAVE, pic.slave);
  insert(ports, layout.ELCR, pic.elcr);
  insert(mmio, layout.IO_APIC, ioApic);

  const pit = new Pit({ clock, irq: interrupts.irq(layout.PIT.irq) });
  insert(ports, layout.PIT, pit);
  const rtcIrq = interrupts.irq(layout.CMOS.irq);
  insert(ports, layout.CMOS, new Cmos({ clock, irq: rtcIrq, lowRam, highRam }));
  insert(mmio, layout.HPET, new Hpet({ clock, route: (n) => interrupts.pin(n) }));

  // Either of the two gates opens A20 (ICH data sheets, "Port 92 Register").
  const a20 = new SharedLine({ set: (level) => cpu.setA20(level) });
  const i8042 = new I8042({
    keyboardIrq: interrupts.irq(layout.I8042_DATA.irq),
    mouseIrq: interrupts.irq(layout.I8042_COMMAND.irq),
    a20: a20.input(),
    onReset,
  });
  insert(ports, layout.I8042_DATA, i8042.data);
  insert(ports, layout.I8042_COMMAND, i8042.command);
  insert(ports, layout.SYSTEM_CONTROL_B, new SystemControlB({ clock, pit }));
  insert(ports, layout.SYSTEM_CONTROL_A, new SystemControlA({ a20: a20.input(), onReset }));
  const numericError = new NumericErrorLatch({ irq: interrupts.irq(layout.NUMERIC_ERROR.irq) });
  insert(ports, layout.NUMERIC_ERROR, numericError);
  insert(ports, layout.POST_CODE, new PostCode());
  insert(ports, layout.DELAY_PORT, new DelayPort());

  // The reset control register's port is one of CONFIG_ADDRESS's four, which passes it on.
  const resetControl = new ResetControl({ onReset });
  const hostBridge = new PciHostBridge();
  const pci = new PciBus();
  const pciAddress = new PciConfigAddress({ resetControl });
  pci.insert(0, 0, hostBridge);
  devices.push(resetControl, hostBridge);
  insert(ports, layout.PCI_CONFIG_ADDRESS, pciAddress);
  insert(ports, layout.PCI_CONFIG_DATA, new PciConfigData({ address: pciAddress, bus: pci }));

  const acpiPm = new AcpiPm({
    clock,
    sci: interrupts.irq(layout.ACPI_PM.irq),
    onSleep: (type) => events.onSleep(type),
  });
  insert(ports, layout.ACPI_PM, acpiPm);

  const serial = layout.SERIAL_PORTS.slice(0, options.serialPorts).map((place, port) => {
    const device = new Serial({
      name: `serial${port}`,
      ...(options.channel === true && port === layout.CHANNEL_PORT && layout.CHANNEL_PACE),
      clock,
      irq: interrupts.irq(place.irq),
      onOutput: (byte) => events.onSerialOutput(port, byte),
      onInputWanted: () => events.onSerialInputWanted(port),
      onPolled: (polled) => {
        const ports = { write: place.base, read: place.base + LSR, value: LSR_IDLE };
        cpu.setPolledPorts(port, polled ? ports : undefined);
      },
    });
    insert(ports, place, device);
    return device;
  });

  if (options.debugExit) {
    const { iobase: base, iosize: length } = options.debugExit;
    const device = new IsaDebugExit({ onExit: (value) => events.onDebugExit(value) });
    insert(ports, { base, length }, device);
  }

  if (options.firmware) {
    const { memory, drives, rom, onDebugOutput } = options.firmware;
    insert(mmio, { base: layout.ROM_END - rom.length, length: rom.length }, new Rom(rom));
    if (drives.size > 0) insert(ports, layout.FIRMWARE_DISK, new FirmwareDisk({ memory, drives }));
    if (onDebugOutput) {
      insert(ports, layout.DEBUG_CONSOLE, new DebugConsole({ onOutput: onDebugOutput }));
    }
  }

  return {
    ports,
    mmio,
    devices,
    serial,
    acpiPm,
    acknowledge: () => pic.acknowledge(),
    endOfInterrupt: (vector) => ioApic.endOfInterrupt(vector),
    numericError: () => numericError.set(),
    reset: () => {
      for (const device of devices) device.reset();
    },
  };
}

/** The DSDT's contents: what this machine has besides the fixed ACPI hardware, for plug and play. */
import {
  ACPI_PM,
  CMOS,
  ELCR,
  HPET,
  I8042_COMMAND,
  I8042_DATA,
  IO_APIC,
  PCI_CONFIG_ADDRESS,
  PCI_CONFIG_DATA,
  PCI_IO_WINDOWS,
  PCI_MEMORY_WINDOW,
  PIC_CASCADE_IRQ,
  PIC_MASTER,
  PIC_SLAVE,
  PIT,
  POST_CODE,
  SERIAL_PORTS,
  SLEEP_TYPE_S5,
  SYSTEM_CONTROL_A,
  SYSTEM_CONTROL_B,
  type AddressRange,
  type InterruptingRange,
} from '../layout.js';
import * as aml from './aml.js';

/**
 * AML of the namespace: \_S5, processors, PCI root, legacy devices, board resources.
 * @param cpus number of processors; @param serialPorts how many of COM1 to COM4 exist.
 */
export function buildDsdtBody(cpus: number, serialPorts: number): aml.Aml {
  const sleepType = aml.integer(SLEEP_TYPE_S5);
  return aml.concat(
    aml.name('\\_S5', aml.packageOf(sleepType, sleepType, aml.integer(0), aml.integer(0))),
    aml.scope(
      '\\_SB',
      ...Array.from({ length: cpus }, (_, index) => processor(index)),
      pciRoot(),
      ...SERIAL_PORTS.slice(0, serialPorts).map(serialPort),
      ...legacyDevices(),
      mmioDevice('HPET', 'PNP0103', HPET),
      mmioDevice('IOAP', 'PNP0003', IO_APIC),
      boardResources(),
    ),
  );
}

/** A processor device; its _UID is the processor's number in the MADT. */
function processor(index: number): aml.Aml {
  const segment = `C${index.toString(16).toUpperCase().padStart(3, '0')}`;
  return aml.device(
    segment,
    aml.name('_HID', aml.string('ACPI0007')),
    aml.name('_UID', aml.integer(index)),
  );
}

/**
 * The PCI host bridge: its windows, and the configuration ports it keeps for itself. No _ADR, as an
 * object with _HID must not have one (ACPI 6.4, "Device Identification Objects"); no _PRT, as no
 * function has an interrupt pin.
 */
function pciRoot(): aml.Aml {
  // One descriptor for both: Linux looks for exactly this range, to keep it out of the windows.
  const configPorts = {
    base: PCI_CONFIG_ADDRESS.base,
    length: PCI_CONFIG_ADDRESS.length + PCI_CONFIG_DATA.length,
  };
  const resources = [
    aml.wordBusNumber(0, 255),
    io(configPorts),
    ...PCI_IO_WINDOWS.map(({ base, length }) => aml.wordIo(base, length)),
    aml.dwordMemory(PCI_MEMORY_WINDOW.base, PCI_MEMORY_WINDOW.length),
  ];
  return aml.device(
    'PCI0',
    aml.name('_HID', aml.eisaId('PNP0A03')),
    aml.name('_UID', aml.integer(0)),
    aml.name('_BBN', aml.integer(0)),
    aml.name('_CRS', aml.resourceTemplate(...resources)),
  );
}

function serialPort(port: InterruptingRange, index: number): aml.Aml {
  return aml.device(
    `COM${index + 1}`,
    aml.name('_HID', aml.eisaId('PNP0501')),
    aml.name('_UID', aml.integer(index + 1)),
    aml.name('_CRS', aml.resourceTemplate(io(port), aml.irq(port.irq))),
  );
}

function legacyDevices(): readonly aml.Aml[] {
  return [
    pnpDevice('PIC', 'PNP0000', io(PIC_MASTER), io(PIC_SLAVE), io(ELCR), aml.irq(PIC_CASCADE_IRQ)),
    pnpDevice('TIMR', 'PNP0100', io(PIT), aml.irq(PIT.irq)),
    pnpDevice('RTC', 'PNP0B00', io(CMOS), aml.irq(CMOS.irq)),
    pnpDevice('KBD', 'PNP0303', io(I8042_DATA), io(I8042_COMMAND), aml.irq(I8042_DATA.irq)),
    pnpDevice('MOU', 'PNP0F13', aml.irq(I8042_COMMAND.irq)),
  ];
}

/** Ports that no device object above claims, so that nothing else is put there. */
function boardResources(): aml.Aml {
  const ports = [SYSTEM_CONTROL_B, POST_CODE, SYSTEM_CONTROL_A, ACPI_PM];
  return pnpDevice('MBRD', 'PNP0C02', ...ports.map(io));
}

function mmioDevice(segment: string, id: string, range: AddressRange): aml.Aml {
  return pnpDevice(segment, id, aml.memory32Fixed(range.base, range.length));
}

function pnpDevice(segment: string, id: string, ...resources: readonly Uint8Array[]): aml.Aml {
  return aml.device(
    segment,
    aml.name('_HID', aml.eisaId(id)),
    aml.name('_CRS', aml.resourceTemplate(...resources)),
  );
}

function io(range: AddressRange): Uint8Array {
  return aml.io(range.base, range.length);
}

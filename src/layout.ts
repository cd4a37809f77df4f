/**
 * Where everything is: guest physical memory, ports and interrupt lines, ordered by address. This is
 * the only file that knows an address; devices see offsets and the loader takes its places from here.
 */
import { NodevmError } from './errors.js';

/** A range of ports or of guest physical addresses; `length` in bytes. */
export interface AddressRange {
  readonly base: number;
  readonly length: number;
}

/** A range that comes with one ISA interrupt line. */
export interface InterruptingRange extends AddressRange {
  readonly irq: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** Bytes in a page; RAM sizes are multiples of it. */
export const PAGE_SIZE = 4 * KiB;

// ---- RAM sizes ---------------------------------------------------------------------------------

/** Smallest guest RAM: below it no 64-bit Linux finds room to unpack itself. */
export const MIN_RAM = 32 * MiB;

/** Largest guest RAM. */
export const MAX_RAM = 16 * GiB;

// ---- 0x0000_0000 to 0x0009_FFFF: conventional memory, used by the loader until the kernel runs ---

/** BIOS data area: segment of the extended BIOS data area (Linux reserves from there to 640 KiB). */
export const BDA_EBDA_SEGMENT = 0x40e;

/** BIOS data area: KiB of conventional memory. */
export const BDA_BASE_MEMORY_KIB = 0x413;

/** GDT of the entry state: behind the interrupt vectors and the BIOS data area. */
export const BOOT_GDT = 0x500;

/** The setup_data list: one page. */
export const BOOT_SETUP_DATA: AddressRange = { base: 0x6000, length: PAGE_SIZE };

/** boot_params, the "zero page", or a start info of PVH or multiboot: one page. */
export const BOOT_PARAMS = 0x7000;

/** Initial RSP: the page below it is the stack. */
export const BOOT_STACK_TOP = 0x9000;

/** PML4, PDPT and page directories of 1 GiB each, which map all RAM one to one: at most 17 GiB. */
export const BOOT_PAGE_TABLES: AddressRange = { base: 0x9000, length: 19 * PAGE_SIZE };

/** Kernel command line with its terminating NUL; far more than the 2 KiB that Linux takes. */
export const BOOT_COMMAND_LINE: AddressRange = { base: 0x2_0000, length: 64 * KiB };

/** zImages and kernels before boot protocol 2.00: their code goes here (boot.rst, "Memory Layout"). */
export const REAL_MODE_KERNEL: AddressRange = { base: 0x1_0000, length: 512 * KiB };

/** Boot sector and setup code of a kernel that is entered in real mode, its heap and command line. */
export const REAL_MODE_CODE = 0x9_0000;

/** Extended BIOS data area: where software of the PC expects it, at the end of the first 640 KiB. */
export const EBDA: AddressRange = { base: 0x9_fc00, length: KiB };

// ---- 0x000A_0000 to 0x000F_FFFF: video and firmware hole -----------------------------------------

/** ACPI tables; the kernel also scans this range for the RSDP (ACPI 6.4, "Finding the RSDP"). */
export const ACPI_TABLES: AddressRange = { base: 0xe_0000, length: 64 * KiB };

/** Shadow RAM, into which a foreign ROM is copied; in large ones it takes the place of the ACPI tables. */
export const SHADOW_RAM: AddressRange = { base: 0xc_0000, length: 256 * KiB };

/** What the memory map keeps for firmware. */
export const FIRMWARE_WINDOW: AddressRange = { base: 0xe_0000, length: 128 * KiB };

/** Our own 16-bit ROM, where it is used. */
export const BIOS_ROM: AddressRange = { base: 0xf_0000, length: 64 * KiB };

/** Where the processor starts, as seen below 1 MiB: F000:FFF0. */
export const RESET_VECTOR = 0xf_fff0;

// ---- 0x0010_0000 and up: RAM ---------------------------------------------------------------------

/** Where RAM goes on behind the firmware hole; no kernel is loaded below. */
export const HIGH_MEMORY = MiB;

/** RAM below 4 GiB ends here at the latest, so that MMIO and the PCI bus find their room. */
export const LOW_RAM_LIMIT = 3 * GiB;

// ---- 0xC000_0000 to 0xFFFF_FFFF: MMIO hole -------------------------------------------------------

/** Memory that PCI functions may be given: up to the first fixed register block. */
export const PCI_MEMORY_WINDOW: AddressRange = {
  base: LOW_RAM_LIMIT,
  length: 0xfec0_0000 - LOW_RAM_LIMIT,
};

/** I/O APIC registers. */
export const IO_APIC: AddressRange = { base: 0xfec0_0000, length: 0x1000 };

/** HPET registers. */
export const HPET: AddressRange = { base: 0xfed0_0000, length: 0x400 };

/** Local APIC registers: native code owns this page, no device may be inserted there. */
export const LOCAL_APIC: AddressRange = { base: 0xfee0_0000, length: 0x1000 };

/** The ROM chip ends here, whatever its size: the processor starts 16 bytes below. */
export const ROM_END = 4 * GiB;

// ---- 0x1_0000_0000 and up: the rest of RAM -------------------------------------------------------

/** Where RAM above the MMIO hole starts. */
export const HIGH_RAM_BASE = 4 * GiB;

// ---- Ports ---------------------------------------------------------------------------------------

/** 8259A master. */
export const PIC_MASTER: AddressRange = { base: 0x20, length: 2 };

/** 8254 timer; channel 0 is IRQ 0. */
export const PIT: InterruptingRange = { base: 0x40, length: 4, irq: 0 };

/** 8042 data port; the keyboard is IRQ 1. */
export const I8042_DATA: InterruptingRange = { base: 0x60, length: 1, irq: 1 };

/** System control port B: gate of PIT channel 2, speaker, refresh toggle. */
export const SYSTEM_CONTROL_B: AddressRange = { base: 0x61, length: 1 };

/** 8042 command and status port; the auxiliary device (mouse) is IRQ 12. */
export const I8042_COMMAND: InterruptingRange = { base: 0x64, length: 1, irq: 12 };

/** CMOS RAM and real-time clock: index and data. */
export const CMOS: InterruptingRange = { base: 0x70, length: 2, irq: 8 };

/** POST codes; Linux writes here to wait about a microsecond. */
export const POST_CODE: AddressRange = { base: 0x80, length: 1 };

/** System control port A: fast reset and A20. */
export const SYSTEM_CONTROL_A: AddressRange = { base: 0x92, length: 1 };

/** 8259A slave, on IRQ 2 of the master. */
export const PIC_SLAVE: AddressRange = { base: 0xa0, length: 2 };

/** Line of the master on which the slave 8259A sits. */
export const PIC_CASCADE_IRQ = 2;

/** The alternative delay port (`io_delay=0xed`). */
export const DELAY_PORT: AddressRange = { base: 0xed, length: 1 };

/** Clears the latch of x87 errors. */
export const NUMERIC_ERROR: InterruptingRange = { base: 0xf0, length: 1, irq: 13 };

/** isa-debug-exit's default place, as QEMU users write it; present only when asked for. */
export const DEBUG_EXIT: AddressRange = { base: 0xf4, length: 4 };

/** 16550A ports COM1 to COM4, in the order of their names. */
export const SERIAL_PORTS: readonly InterruptingRange[] = [
  { base: 0x3f8, length: 8, irq: 4 },
  { base: 0x2f8, length: 8, irq: 3 },
  { base: 0x3e8, length: 8, irq: 4 },
  { base: 0x2e8, length: 8, irq: 3 },
];

/** Index of the serial port that is a machine's channel for programs, where it has one: COM2. */
export const CHANNEL_PORT = 1;

/**
 * How the channel's port receives. An interrupt handler of Linux takes at most 256 bytes at a time, and at
 * four megabaud the guest has read them when the next ones come.
 */
export const CHANNEL_PACE = { baud: 4_000_000, groupSize: 256 } as const;

/** Debug port of firmware (isa-debugcon as QEMU's users place it for SeaBIOS); with a foreign ROM only. */
export const DEBUG_CONSOLE: AddressRange = { base: 0x402, length: 1 };

/** Edge/level control registers of both 8259As. */
export const ELCR: AddressRange = { base: 0x4d0, length: 2 };

/** The port of the ROM's INT 13h (bios/frame.inc has it too); present where there are drives. */
export const FIRMWARE_DISK: AddressRange = { base: 0x580, length: 16 };

/** ACPI power management block; the system control interrupt is IRQ 9, level-triggered, active high. */
export const ACPI_PM: InterruptingRange = { base: 0x600, length: 0x40, irq: 9 };

/** Offsets of the register blocks within {@link ACPI_PM}. */
export const ACPI_PM_OFFSETS = {
  PM1a_EVT: 0x00,
  PM1a_CNT: 0x04,
  PM_TMR: 0x08,
  GPE0: 0x20,
} as const;

/** SLP_TYP that the \_S5 object publishes: a write of it with SLP_EN turns the machine off. */
export const SLEEP_TYPE_S5 = 5;

/** PCI configuration mechanism #1: CONFIG_ADDRESS. */
export const PCI_CONFIG_ADDRESS: AddressRange = { base: 0xcf8, length: 4 };

/** Reset control register: the one byte port among the four of {@link PCI_CONFIG_ADDRESS}. */
export const RESET_CONTROL: AddressRange = { base: 0xcf9, length: 1 };

/** Value for {@link RESET_CONTROL} that resets the machine: RST_CPU and SYS_RST. */
export const RESET_CONTROL_VALUE = 6;

/** PCI configuration mechanism #1: CONFIG_DATA. */
export const PCI_CONFIG_DATA: AddressRange = { base: 0xcfc, length: 4 };

/** Ports on the PCI bus and the ISA bus behind it: all but the two registers above. */
export const PCI_IO_WINDOWS: readonly AddressRange[] = [
  { base: 0, length: 0xcf8 },
  { base: 0xd00, length: 0xf300 },
];

// ---- Interrupt routing ---------------------------------------------------------------------------

/** I/O APIC pin (GSI) of an ISA interrupt: the timer is on pin 2, everything else on its own number. */
export function gsiOfIrq(irq: number): number {
  return irq === PIT.irq ? 2 : irq;
}

/** I/O APIC pin of the 8259s' INTR, which no ISA interrupt has. */
export const PIC_OUTPUT_PIN = 0;

// ---- RAM split -----------------------------------------------------------------------------------

/** Bytes of RAM on either side of the MMIO hole. */
export interface RamSplit {
  /** Bytes from guest physical address 0. */
  readonly lowRam: number;
  /** Bytes from {@link HIGH_RAM_BASE}; 0 when all RAM fits below the hole. */
  readonly highRam: number;
}

/**
 * Splits guest RAM of `bytes` around the MMIO hole.
 * @throws NodevmError `E_MEMORY_SIZE` outside 32 MiB to 16 GiB, or not a whole number of pages.
 */
export function splitRam(bytes: number): RamSplit {
  if (!(bytes >= MIN_RAM && bytes <= MAX_RAM) || bytes % PAGE_SIZE !== 0) {
    throw new NodevmError(
      'E_MEMORY_SIZE',
      `memory size is ${bytes} bytes, expected a multiple of 4096 from 32 MiB to 16 GiB`,
    );
  }
  const lowRam = Math.min(bytes, LOW_RAM_LIMIT);
  return { lowRam, highRam: bytes - lowRam };
}

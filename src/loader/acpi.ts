/** ACPI tables of the machine (ACPI 6.4, "ACPI Software Programming Model"). */
import {
  ACPI_PM,
  ACPI_PM_OFFSETS,
  HPET,
  IO_APIC,
  LOCAL_APIC,
  PIT,
  RESET_CONTROL,
  RESET_CONTROL_VALUE,
  gsiOfIrq,
} from '../layout.js';
import { ascii, concat, littleEndian } from './aml.js';
import { buildDsdtBody } from './dsdt.js';

/** What {@link buildAcpi} describes. */
export interface AcpiOptions {
  /** Where the tables will lie: a multiple of 64, in the ACPI_TABLES range of layout.ts. */
  readonly base: number;
  /** Number of processors; local APIC IDs count from 0. */
  readonly cpus: number;
  /** How many of COM1 to COM4 there are. */
  readonly serialPorts: number;
}

/** Tables ready to be written at `base`. */
export interface AcpiTables {
  readonly base: number;
  readonly bytes: Uint8Array;
  /** Guest physical address of the RSDP. */
  readonly rsdp: number;
}

const OEM_ID = 'NODEVM';
const OEM_TABLE_ID = 'NODEVM  ';
const CREATOR_ID = 'NDVM';
const REVISION = 1;

const HEADER_LENGTH = 36;
const HEADER_CHECKSUM_OFFSET = 9;
/** The FACS must be aligned so; the other tables just share its alignment. */
const TABLE_ALIGNMENT = 64;

/** Highest latency fields, which say that there are no C2 and C3. */
const NO_C2_LATENCY = 101;
const NO_C3_LATENCY = 1001;
/** CMOS offset of the century. */
const CMOS_CENTURY = 0x32;

/** IAPC_BOOT_ARCH: legacy devices and an 8042, but no VGA. */
const IAPC_BOOT_ARCH = {
  LEGACY_DEVICES: 1 << 0,
  HAS_8042: 1 << 1,
  VGA_NOT_PRESENT: 1 << 2,
} as const;

/** FADT fixed feature flags; bits not here are zero (PWR_BUTTON zero: there is a power button). */
const FADT_FLAGS = {
  WBINVD: 1 << 0,
  PROC_C1: 1 << 2,
  SLP_BUTTON: 1 << 5, // set: there is none
  FIX_RTC: 1 << 6, // set: the RTC cannot wake through fixed registers
  TMR_VAL_EXT: 1 << 8,
  RESET_REG_SUP: 1 << 10,
} as const;

/** MPS INTI flags of a MADT entry: polarity in bits 0-1, trigger mode in bits 2-3; 0 is the bus's own. */
const INTI_BUS_DEFAULT = 0;
const INTI_LEVEL_HIGH = 0b1101;

/** HPET event timer block: revision 1, three 64-bit comparators, legacy replacement, Intel's vendor ID. */
const HPET_BLOCK_ID = 0x8086_a201;
/** Smallest period in ticks that software should ask of the HPET. */
const HPET_MIN_TICK = 100;

/** Address spaces of a generic address structure. */
const SPACE = { MEMORY: 0, IO: 1 } as const;

/** Lays the tables out from `base` on, RSDP first (it needs a multiple of 16, and gets 64). */
export function buildAcpi({ base, cpus, serialPorts }: AcpiOptions): AcpiTables {
  const layout = new TableLayout(base);
  const rsdp = layout.reserve(RSDP_LENGTH);
  const facs = layout.add(buildFacs());
  const dsdt = layout.add(table('DSDT', 2, buildDsdtBody(cpus, serialPorts)));
  const tables = [
    layout.add(buildFadt(facs, dsdt)),
    layout.add(buildMadt(cpus)),
    layout.add(buildHpet()),
  ];
  const rsdt = layout.add(table('RSDT', 1, concat(...tables.map((gpa) => littleEndian(gpa, 4)))));
  const xsdt = layout.add(table('XSDT', 1, concat(...tables.map((gpa) => littleEndian(gpa, 8)))));
  layout.put(rsdp, buildRsdp(rsdt, xsdt));
  return { base, bytes: layout.bytes(), rsdp };
}

/** Hands out aligned addresses and collects what lies there. */
class TableLayout {
  readonly #base: number;
  readonly #placed: { readonly gpa: number; readonly bytes: Uint8Array }[] = [];
  #next: number;

  constructor(base: number) {
    this.#base = base;
    this.#next = base;
  }

  reserve(length: number): number {
    const gpa = this.#next;
    this.#next = Math.ceil((gpa + length) / TABLE_ALIGNMENT) * TABLE_ALIGNMENT;
    return gpa;
  }

  put(gpa: number, bytes: Uint8Array): void {
    this.#placed.push({ gpa, bytes });
  }

  add(bytes: Uint8Array): number {
    const gpa = this.reserve(bytes.length);
    this.put(gpa, bytes);
    return gpa;
  }

  bytes(): Uint8Array {
    const result = new Uint8Array(this.#next - this.#base);
    for (const { gpa, bytes } of this.#placed) result.set(bytes, gpa - this.#base);
    return result;
  }
}

/** A table with its standard header and checksum. */
function table(signature: string, revision: number, body: Uint8Array): Uint8Array {
  const bytes = concat(
    ascii(signature),
    littleEndian(HEADER_LENGTH + body.length, 4),
    [revision, 0],
    ascii(OEM_ID),
    ascii(OEM_TABLE_ID),
    littleEndian(REVISION, 4),
    ascii(CREATOR_ID),
    littleEndian(REVISION, 4),
    body,
  );
  bytes[HEADER_CHECKSUM_OFFSET] = checksum(bytes);
  return bytes;
}

/** The byte that makes all bytes, itself being zero so far, add up to zero. */
function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}

const RSDP_LENGTH = 36;
/** The first checksum covers the part that ACPI 1.0 knew. */
const RSDP_V1_LENGTH = 20;
const RSDP_CHECKSUM_OFFSET = 8;
const RSDP_EXTENDED_CHECKSUM_OFFSET = 32;

function buildRsdp(rsdt: number, xsdt: number): Uint8Array {
  const acpi2 = 2;
  const bytes = concat(
    ascii('RSD PTR '),
    [0],
    ascii(OEM_ID),
    [acpi2],
    littleEndian(rsdt, 4),
    littleEndian(RSDP_LENGTH, 4),
    littleEndian(xsdt, 8),
    [0, 0, 0, 0],
  );
  bytes[RSDP_CHECKSUM_OFFSET] = checksum(bytes.subarray(0, RSDP_V1_LENGTH));
  bytes[RSDP_EXTENDED_CHECKSUM_OFFSET] = checksum(bytes);
  return bytes;
}

/** Firmware control structure: waking vectors that nobody uses, and the global lock. */
function buildFacs(): Uint8Array {
  const length = 64;
  const versionOffset = 32;
  const bytes = new Uint8Array(length);
  bytes.set(ascii('FACS'));
  bytes.set(littleEndian(length, 4), 4);
  bytes[versionOffset] = 2;
  return bytes;
}

/** Access sizes of a generic address structure. */
const ACCESS = { BYTE: 1, WORD: 2, DWORD: 3 } as const;

/** An I/O register block of the fixed hardware; `length` in bytes. */
interface RegisterBlock {
  readonly port: number;
  readonly length: number;
  readonly access: number;
}

/** The blocks in {@link ACPI_PM}: ACPI 6.4, "ACPI Hardware Specification". */
const BLOCKS = {
  PM1a_EVT: { port: ACPI_PM.base + ACPI_PM_OFFSETS.PM1a_EVT, length: 4, access: ACCESS.WORD },
  PM1a_CNT: { port: ACPI_PM.base + ACPI_PM_OFFSETS.PM1a_CNT, length: 2, access: ACCESS.WORD },
  PM_TMR: { port: ACPI_PM.base + ACPI_PM_OFFSETS.PM_TMR, length: 4, access: ACCESS.DWORD },
  GPE0: { port: ACPI_PM.base + ACPI_PM_OFFSETS.GPE0, length: 4, access: ACCESS.BYTE },
} as const satisfies Record<string, RegisterBlock>;

/** A generic address structure for a block of I/O registers. */
function generic({ port, length, access }: RegisterBlock): Uint8Array {
  return concat([SPACE.IO, length * 8, 0, access], littleEndian(port, 8));
}

const NO_REGISTER = new Uint8Array(12);

/** Fixed ACPI description table, revision 6.4. Fields in the specification's order. */
function buildFadt(facs: number, dsdt: number): Uint8Array {
  const { PM1a_EVT, PM1a_CNT, PM_TMR, GPE0 } = BLOCKS;
  const bootArchitecture =
    IAPC_BOOT_ARCH.LEGACY_DEVICES | IAPC_BOOT_ARCH.HAS_8042 | IAPC_BOOT_ARCH.VGA_NOT_PRESENT;
  const flags = Object.values(FADT_FLAGS).reduce((sum, flag) => sum | flag, 0);
  const body = concat(
    littleEndian(facs, 4),
    littleEndian(dsdt, 4),
    [0, 0], // reserved, Preferred_PM_Profile: unspecified
    littleEndian(ACPI_PM.irq, 2), // SCI_INT
    new Uint8Array(8), // no SMI_CMD: ACPI mode is always on; ACPI_ENABLE to PSTATE_CNT go with it
    littleEndian(PM1a_EVT.port, 4),
    littleEndian(0, 4), // PM1b_EVT_BLK
    littleEndian(PM1a_CNT.port, 4),
    littleEndian(0, 4), // PM1b_CNT_BLK
    littleEndian(0, 4), // PM2_CNT_BLK
    littleEndian(PM_TMR.port, 4),
    littleEndian(GPE0.port, 4),
    littleEndian(0, 4), // GPE1_BLK
    [PM1a_EVT.length, PM1a_CNT.length, 0, PM_TMR.length, GPE0.length, 0],
    [0, 0], // GPE1_BASE, CST_CNT
    littleEndian(NO_C2_LATENCY, 2),
    littleEndian(NO_C3_LATENCY, 2),
    new Uint8Array(8), // FLUSH_SIZE, FLUSH_STRIDE, DUTY_*, *_ALRM: WBINVD works, no throttling
    [CMOS_CENTURY],
    littleEndian(bootArchitecture, 2),
    [0],
    littleEndian(flags, 4),
    generic({ port: RESET_CONTROL.base, length: 1, access: ACCESS.BYTE }),
    [RESET_CONTROL_VALUE],
    [0, 0], // ARM_BOOT_ARCH
    [4], // minor version
    littleEndian(0, 8), // X_FIRMWARE_CTRL: the 32-bit field is used
    littleEndian(dsdt, 8),
    generic(PM1a_EVT),
    NO_REGISTER,
    generic(PM1a_CNT),
    NO_REGISTER,
    NO_REGISTER,
    generic(PM_TMR),
    generic(GPE0),
    NO_REGISTER,
    NO_REGISTER, // SLEEP_CONTROL_REG
    NO_REGISTER, // SLEEP_STATUS_REG
    new Uint8Array(8), // hypervisor vendor identity
  );
  return table('FACP', 6, body);
}

/** Multiple APIC description table: local APICs, the I/O APIC, and where ISA interrupts end. */
function buildMadt(cpus: number): Uint8Array {
  const pcatCompat = 1; // there is a pair of 8259As
  const localApics = Array.from({ length: cpus }, (_, id) => {
    const enabled = 1;
    return concat([0, 8, id, id], littleEndian(enabled, 4));
  });
  const ioApicId = 0;
  const gsiBase = 0;
  const allProcessors = 0xff;
  const lint1 = 1;
  const body = concat(
    littleEndian(LOCAL_APIC.base, 4),
    littleEndian(pcatCompat, 4),
    ...localApics,
    concat([1, 12, ioApicId, 0], littleEndian(IO_APIC.base, 4), littleEndian(gsiBase, 4)),
    sourceOverride(PIT.irq, INTI_BUS_DEFAULT),
    sourceOverride(ACPI_PM.irq, INTI_LEVEL_HIGH),
    concat([4, 6, allProcessors], littleEndian(INTI_BUS_DEFAULT, 2), [lint1]),
  );
  return table('APIC', 5, body);
}

function sourceOverride(irq: number, flags: number): Uint8Array {
  const isaBus = 0;
  return concat([2, 10, isaBus, irq], littleEndian(gsiOfIrq(irq), 4), littleEndian(flags, 2));
}

/** IA-PC HPET specification 1.0a, "HPET Description Table". */
function buildHpet(): Uint8Array {
  const body = concat(
    littleEndian(HPET_BLOCK_ID, 4),
    [SPACE.MEMORY, 64, 0, 0],
    littleEndian(HPET.base, 8),
    [0], // HPET number
    littleEndian(HPET_MIN_TICK, 2),
    [0], // page protection: none guaranteed
  );
  return table('HPET', 1, body);
}

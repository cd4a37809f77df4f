/**
 * The registers that gdb sees, as one table: their order is that of the `g` packet and of the target
 * description (GDB manual, appendix "Target Descriptions", "i386 Features"). One 64-bit description serves in
 * all modes, since gdb cannot change it while it is connected.
 */
import type { RegisterName, SegmentName } from '../native.js';
import type { Debugger } from './debugger.js';

/** x87, SSE and AVX state, as {@link NativeCpu.readFpu} has it. */
type FpuImage = Uint8Array;

/** What a register is read from and written to. */
interface Access {
  readonly target: Debugger;
  readonly fpu: FpuImage;
}

interface GdbRegister {
  readonly name: string;
  readonly bits: number;
  readonly type: string;
  readonly group?: string;
  get(from: Access): bigint;
  set(to: Access, value: bigint): void;
}

interface Feature {
  readonly name: string;
  readonly types: string;
  readonly registers: readonly GdbRegister[];
}

// Offsets in the legacy region: SDM volume 2, table "Layout of FXSAVE and FXRSTOR Memory Region".
const FPU = { control: 0, status: 2, tags: 4, opcode: 6, ip: 8, dp: 16, mxcsr: 24 };
const FPU_REGISTERS = 32;
const FPU_XMM = 160;
const FPU_YMM_HIGH = 512;
const FPU_SLOT = 16;

const CPUID_FEATURES = 1;
const CPUID_ECX_AVX = 1 << 28;

function plain(name: RegisterName, gdbName: string = name, type = 'int64', bits = 64): GdbRegister {
  return {
    name: gdbName,
    bits,
    type,
    get: ({ target }) => target.getRegister(name),
    set: ({ target }, value) => target.setRegister(name, value),
  };
}

/** RIP is a linear address here, so that gdb's breakpoints and its `$pc` mean the same in real mode, too. */
const PC: GdbRegister = {
  name: 'rip',
  bits: 64,
  type: 'code_ptr',
  get: ({ target }) => target.pc,
  set: ({ target }, value) => {
    target.pc = value;
  },
};

function selector(name: SegmentName, gdbName: string = name): GdbRegister {
  return {
    name: gdbName,
    bits: 32,
    type: 'int32',
    get: ({ target }) => BigInt(target.getSegment(name).selector),
    set: ({ target }, value) => {
      const selector = Number(value & 0xffffn);
      const segment = target.getSegment(name);
      // In real mode the base follows; in the others, it stays that of the descriptor loaded last.
      const base = target.view.protectedMode ? segment.base : BigInt(selector) << 4n;
      if (selector !== segment.selector) target.setSegment(name, { ...segment, selector, base });
    },
  };
}

function base(name: SegmentName): GdbRegister {
  return {
    name: `${name}_base`,
    bits: 64,
    type: 'int64',
    get: ({ target }) => target.getSegment(name).base,
    set: ({ target }, value) =>
      target.setSegment(name, { ...target.getSegment(name), base: value }),
  };
}

function inFpu(name: string, at: number, bytes: number, type: string, bits = 32): GdbRegister {
  return {
    name,
    bits,
    type,
    ...(type === 'int' ? { group: 'float' } : {}),
    get: ({ fpu }) => readLittleEndian(fpu.subarray(at, at + bytes)),
    set: ({ fpu }, value) => writeLittleEndian(fpu.subarray(at, at + bytes), value),
  };
}

/** The abridged tag word of FXSAVE has one bit a register (not empty); gdb wants two, 3 for empty. */
const TAGS: GdbRegister = {
  name: 'ftag',
  bits: 32,
  type: 'int',
  group: 'float',
  get: ({ fpu }) => {
    const valid = fpu[FPU.tags] ?? 0;
    let word = 0;
    for (let n = 0; n < 8; n++) if (((valid >> n) & 1) === 0) word |= 3 << (2 * n);
    return BigInt(word);
  },
  set: ({ fpu }, value) => {
    let valid = 0;
    for (let n = 0; n < 8; n++) if (((value >> BigInt(2 * n)) & 3n) !== 3n) valid |= 1 << n;
    fpu[FPU.tags] = valid;
  },
};

const times = (count: number, make: (n: number) => GdbRegister): GdbRegister[] =>
  Array.from({ length: count }, (_, n) => make(n));

const GENERAL = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi'] as const;
const EXTENDED = ['r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const;
const SEGMENTS = ['cs', 'ss', 'ds', 'es', 'fs', 'gs'] as const;

const CORE: Feature = {
  name: 'org.gnu.gdb.i386.core',
  types: flags('i386_eflags', 4, {
    CF: 0,
    PF: 2,
    AF: 4,
    ZF: 6,
    SF: 7,
    TF: 8,
    IF: 9,
    DF: 10,
    OF: 11,
    NT: 14,
    RF: 16,
    VM: 17,
    AC: 18,
    VIF: 19,
    VIP: 20,
    ID: 21,
  }),
  registers: [
    ...GENERAL.map((name) => plain(name)),
    plain('rbp', 'rbp', 'data_ptr'),
    plain('rsp', 'rsp', 'data_ptr'),
    ...EXTENDED.map((name) => plain(name)),
    PC,
    plain('rflags', 'eflags', 'i386_eflags', 32),
    ...SEGMENTS.map((name) => selector(name)),
    ...times(8, (n) => inFpu(`st${n}`, FPU_REGISTERS + n * FPU_SLOT, 10, 'i387_ext', 80)),
    inFpu('fctrl', FPU.control, 2, 'int'),
    inFpu('fstat', FPU.status, 2, 'int'),
    TAGS,
    inFpu('fiseg', FPU.ip + 4, 4, 'int'),
    inFpu('fioff', FPU.ip, 4, 'int'),
    inFpu('foseg', FPU.dp + 4, 4, 'int'),
    inFpu('fooff', FPU.dp, 4, 'int'),
    inFpu('fop', FPU.opcode, 2, 'int'),
  ],
};

const SSE: Feature = {
  name: 'org.gnu.gdb.i386.sse',
  types: [
    ...(
      [
        ['v4f', 'ieee_single', 4],
        ['v2d', 'ieee_double', 2],
        ['v16i8', 'int8', 16],
        ['v8i16', 'int16', 8],
        ['v4i32', 'int32', 4],
        ['v2i64', 'int64', 2],
      ] as const
    ).map(([id, type, count]) => `<vector id="${id}" type="${type}" count="${count}"/>`),
    '<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>',
    '<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>',
    '<field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>',
    '<field name="uint128" type="uint128"/></union>',
    flags('i386_mxcsr', 4, {
      IE: 0,
      DE: 1,
      ZE: 2,
      OE: 3,
      UE: 4,
      PE: 5,
      DAZ: 6,
      IM: 7,
      DM: 8,
      ZM: 9,
      OM: 10,
      UM: 11,
      PM: 12,
      FZ: 15,
    }),
  ].join(''),
  registers: [
    ...times(16, (n) => inFpu(`xmm${n}`, FPU_XMM + n * FPU_SLOT, 16, 'vec128', 128)),
    inFpu('mxcsr', FPU.mxcsr, 4, 'i386_mxcsr'),
  ],
};

const SEGMENT_BASES: Feature = {
  name: 'org.gnu.gdb.i386.segments',
  types: '',
  registers: [base('fs'), base('gs')],
};

const AVX: Feature = {
  name: 'org.gnu.gdb.i386.avx',
  types: '',
  registers: times(16, (n) => inFpu(`ymm${n}h`, FPU_YMM_HIGH + n * FPU_SLOT, 16, 'uint128', 128)),
};

/** What only a debugger of whole machines asks for; the names are QEMU's where it has them. */
const SYSTEM: Feature = {
  name: 'nodevm.i386.system',
  types: [
    flags('x86_cr0', 8, {
      PE: 0,
      MP: 1,
      EM: 2,
      TS: 3,
      ET: 4,
      NE: 5,
      WP: 16,
      AM: 18,
      NW: 29,
      CD: 30,
      PG: 31,
    }),
    flags('x86_cr4', 8, {
      VME: 0,
      TSD: 2,
      DE: 3,
      PSE: 4,
      PAE: 5,
      MCE: 6,
      PGE: 7,
      OSFXSR: 9,
      OSXMMEXCPT: 10,
      UMIP: 11,
      FSGSBASE: 16,
      PCIDE: 17,
      OSXSAVE: 18,
      SMEP: 20,
      SMAP: 21,
    }),
    flags('x86_efer', 8, { SCE: 0, LME: 8, LMA: 10, NXE: 11 }),
  ].join(''),
  registers: [
    plain('kernelGsBase', 'k_gs_base'),
    plain('cr0', 'cr0', 'x86_cr0'),
    plain('cr2'),
    plain('cr3'),
    plain('cr4', 'cr4', 'x86_cr4'),
    plain('cr8'),
    plain('efer', 'efer', 'x86_efer'),
    base('cs'),
    base('ss'),
    base('ds'),
    base('es'),
    selector('ldtr'),
    selector('tr'),
    plain('gdtrBase', 'gdt_base'),
    plain('idtrBase', 'idt_base'),
  ],
};

/** All registers, by their numbers in the protocol. */
export class GdbRegisters {
  private readonly features: readonly Feature[];
  private readonly registers: readonly GdbRegister[];

  constructor(private readonly target: Debugger) {
    const hasAvx = ((target.cpuid(CPUID_FEATURES)[2] ?? 0) & CPUID_ECX_AVX) !== 0;
    this.features = [CORE, SSE, SEGMENT_BASES, ...(hasAvx ? [AVX] : []), SYSTEM];
    this.registers = this.features.flatMap(({ registers }) => registers);
  }

  /** The target description, target.xml. */
  description(): string {
    return [
      '<?xml version="1.0"?>\n<!DOCTYPE target SYSTEM "gdb-target.dtd">\n<target>',
      '<architecture>i386:x86-64</architecture>\n',
      ...this.features.map(
        ({ name, types, registers }) =>
          `<feature name="${name}">${types}${registers.map(element).join('')}</feature>\n`,
      ),
      '</target>\n',
    ].join('');
  }

  /** The values of all registers, as the `g` packet has them. */
  readAll(): Buffer {
    const access = this.access();
    return Buffer.concat(this.registers.map((register) => bytesOf(register, access)));
  }

  /** Sets registers from the contents of a `G` packet, from the first on; a rest that is too short is left. */
  writeAll(bytes: Uint8Array): void {
    const access = this.access();
    let at = 0;
    for (const register of this.registers) {
      const length = register.bits / 8;
      if (at + length > bytes.length) break;
      assign(register, access, bytes.subarray(at, at + length));
      at += length;
    }
    this.target.writeFpu(access.fpu);
  }

  /** The value of one register, undefined where there is none of that number. */
  read(number: number): Buffer | undefined {
    const register = this.registers[number];
    return register && bytesOf(register, this.access());
  }

  /** Sets one register; false where there is none of that number and width. */
  write(number: number, bytes: Uint8Array): boolean {
    const register = this.registers[number];
    if (register === undefined || bytes.length !== register.bits / 8) return false;
    const access = this.access();
    assign(register, access, bytes);
    this.target.writeFpu(access.fpu);
    return true;
  }

  private access(): Access {
    return { target: this.target, fpu: this.target.readFpu() };
  }
}

function element({ name, bits, type, group }: GdbRegister): string {
  const inGroup = group === undefined ? '' : ` group="${group}"`;
  return `<reg name="${name}" bitsize="${bits}" type="${type}"${inGroup}/>`;
}

function flags(id: string, size: number, bits: Readonly<Record<string, number>>): string {
  const fields = Object.entries(bits).map(
    ([name, bit]) => `<field name="${name}" start="${bit}" end="${bit}"/>`,
  );
  return `<flags id="${id}" size="${size}">${fields.join('')}</flags>`;
}

/** Writes a register only where its value is another: gdb sends them all back when it calls a function. */
function assign(register: GdbRegister, access: Access, bytes: Uint8Array): void {
  const value = readLittleEndian(bytes);
  if (register.get(access) !== value) register.set(access, value);
}

function bytesOf(register: GdbRegister, access: Access): Buffer {
  const bytes = Buffer.alloc(register.bits / 8);
  writeLittleEndian(bytes, register.get(access));
  return bytes;
}

function readLittleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function writeLittleEndian(bytes: Uint8Array, value: bigint): void {
  for (let n = 0; n < bytes.length; n++) bytes[n] = Number((value >> BigInt(8 * n)) & 0xffn);
}

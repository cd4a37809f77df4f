/** As much of ELF (System V ABI, "Object Files") as tells whether a guest can start a file. */

/** e_machine of what an x86-64 kernel runs; 32-bit programs where it has CONFIG_IA32_EMULATION. */
const MACHINES: ReadonlyMap<number, string> = new Map([
  [3, 'i386'],
  [62, 'x86-64'],
  [8, 'MIPS'],
  [20, 'PowerPC'],
  [21, 'PowerPC 64'],
  [40, 'ARM'],
  [183, 'AArch64'],
  [243, 'RISC-V'],
]);
const PT_INTERP = 3;
const PATH_MAX = 4096;

/** What an ELF file is for. */
export interface ElfFacts {
  /** The architecture's name, or its number. */
  readonly machine: string;
  /** Path of the program that loads it; undefined for a static one. */
  readonly interpreter: string | undefined;
}

/** Reads an ELF file's headers; undefined for a file that is none or is damaged. */
export function readElf(data: Uint8Array): ElfFacts | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (data.length < 64 || view.getUint32(0) !== 0x7f45_4c46) return undefined;
  const littleEndian = data[5] !== 2;
  const number = view.getUint16(18, littleEndian);
  const machine = MACHINES.get(number) ?? `machine ${number}`;
  return { machine, interpreter: interpreterOf(view, littleEndian, data[4] === 2) };
}

function interpreterOf(view: DataView, littleEndian: boolean, is64: boolean): string | undefined {
  const word = (offset: number) =>
    is64 ? Number(view.getBigUint64(offset, littleEndian)) : view.getUint32(offset, littleEndian);
  const table = word(is64 ? 32 : 28);
  const size = view.getUint16(is64 ? 54 : 42, littleEndian);
  const count = view.getUint16(is64 ? 56 : 44, littleEndian);
  for (let index = 0; index < count; index++) {
    const header = table + index * size;
    if (header + 56 > view.byteLength) return undefined;
    if (view.getUint32(header, littleEndian) !== PT_INTERP) continue;
    const start = word(header + (is64 ? 8 : 4));
    const length = word(header + (is64 ? 32 : 16));
    if (length > PATH_MAX || start + length > view.byteLength) return undefined;
    const bytes = Buffer.from(view.buffer, view.byteOffset + start, length);
    return bytes.toString('utf8').replace(/\0.*$/s, '');
  }
  return undefined;
}

import type * as Iced from 'iced-x86';

/** Names an address for people, `symbol+0x12/0x80`; undefined where there is no name. */
export type Symbolizer = (address: bigint) => string | undefined;

/** Operand size mode of a code segment: SDM volume 3, "Segment Descriptors" (the L and D/B bits). */
export type CodeMode = 16 | 32 | 64;

/** `intel` as in the SDM, `att` as in the kernel's sources. */
export type AssemblySyntax = 'intel' | 'att';

/** How bytes are read and written down. */
export interface DisassembleOptions {
  /** Linear address of the first byte. */
  readonly address: bigint;
  readonly mode: CodeMode;
  /** Base of CS, which branch targets are relative to outside 64-bit mode; default 0. */
  readonly base?: bigint | undefined;
  /** Default `intel`. */
  readonly syntax?: AssemblySyntax | undefined;
  /** Names what branches and operands refer to; default nothing. */
  readonly symbolize?: Symbolizer | undefined;
  /** Instructions at most; default all. */
  readonly count?: number | undefined;
}

/** One instruction. */
export interface DisassembledInstruction {
  /** Linear address. */
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** Mnemonic and operands; what they refer to is named behind, as objdump does. `(bad)` for a byte that is none. */
  readonly text: string;
  /** Linear address that a near branch goes to, or that the operand refers to whatever the registers hold. */
  readonly reference: bigint | undefined;
}

/** Longest instruction: SDM volume 2, "Instruction Format". */
export const MAX_INSTRUCTION_BYTES = 15;

/**
 * Turns bytes into assembly. The decoder is the package iced-x86, WebAssembly that is loaded with the first
 * {@link Disassembler.load} only.
 */
export class Disassembler {
  private readonly formatters = new Map<AssemblySyntax, Iced.Formatter>();

  private constructor(private readonly iced: typeof Iced) {}

  /** Loads the decoder, which takes about 80 ms the first time. */
  static async load(): Promise<Disassembler> {
    return new Disassembler(await import('iced-x86'));
  }

  /** The instructions in `bytes`, of which the last may be cut short: `(truncated)`. */
  disassemble(bytes: Uint8Array, options: DisassembleOptions): DisassembledInstruction[] {
    const { address, mode, base = 0n, count = Infinity } = options;
    const { Decoder, DecoderOptions, DecoderError, Instruction } = this.iced;
    const decoder = new Decoder(mode, bytes, DecoderOptions.None);
    const instruction = new Instruction();
    const lines: DisassembledInstruction[] = [];
    try {
      while (decoder.canDecode && lines.length < count) {
        const start = decoder.position;
        const linear = wrap(address + BigInt(start), mode);
        decoder.ip = wrap(linear - base, mode);
        decoder.decodeOut(instruction);
        const invalid = instruction.isInvalid;
        const truncated = invalid && decoder.lastError === DecoderError.NoMoreBytes;
        if (invalid && !truncated) decoder.position = start + 1;
        const reference = invalid ? undefined : this.reference(instruction, base, mode);
        lines.push({
          address: linear,
          bytes: bytes.slice(start, truncated ? bytes.length : decoder.position),
          text: truncated ? '(truncated)' : this.text(instruction, reference, options),
          reference,
        });
        if (truncated) break;
      }
    } finally {
      instruction.free();
      decoder.free();
    }
    return lines;
  }

  private text(
    instruction: Iced.Instruction,
    reference: bigint | undefined,
    { syntax = 'intel', symbolize }: DisassembleOptions,
  ): string {
    const text = this.formatter(syntax).format(instruction);
    const relative = instruction.isIpRelMemoryOperand;
    const name = reference === undefined ? undefined : symbolize?.(reference);
    if (reference !== undefined && relative) {
      return `${text}  # ${hex(reference)}${name === undefined ? '' : ` <${name}>`}`;
    }
    return name === undefined ? text : `${text} <${name}>`;
  }

  private reference(
    instruction: Iced.Instruction,
    base: bigint,
    mode: CodeMode,
  ): bigint | undefined {
    const { OpKind, Register } = this.iced;
    if (instruction.isIpRelMemoryOperand) return instruction.ipRelMemoryAddress;
    for (let operand = 0; operand < instruction.opCount; operand++) {
      const kind = instruction.opKind(operand);
      if (
        kind === OpKind.NearBranch16 ||
        kind === OpKind.NearBranch32 ||
        kind === OpKind.NearBranch64
      ) {
        return wrap(instruction.nearBranchTarget + base, mode);
      }
      // Tables indexed by a register have their address in the displacement.
      if (kind === OpKind.Memory && instruction.memoryBase === Register.None) {
        return BigInt.asUintN(64, instruction.memoryDisplacement);
      }
      if (
        kind === OpKind.Immediate32 ||
        kind === OpKind.Immediate32to64 ||
        kind === OpKind.Immediate64
      ) {
        return BigInt.asUintN(64, instruction.immediate(operand));
      }
    }
    return undefined;
  }

  private formatter(syntax: AssemblySyntax): Iced.Formatter {
    const known = this.formatters.get(syntax);
    if (known) return known;
    const { Formatter, FormatterSyntax } = this.iced;
    const formatter = new Formatter(syntax === 'att' ? FormatterSyntax.Gas : FormatterSyntax.Intel);
    formatter.hexPrefix = '0x';
    formatter.hexSuffix = '';
    formatter.uppercaseHex = false;
    formatter.ripRelativeAddresses = true;
    this.formatters.set(syntax, formatter);
    return formatter;
  }
}

/**
 * One instruction as a line: address, bytes, text.
 * @param symbolize names the address, where given
 */
export function formatInstruction(
  { address, bytes, text }: DisassembledInstruction,
  symbolize?: Symbolizer,
): string {
  const name = symbolize?.(address);
  const dump = Buffer.from(bytes).toString('hex').replace(/../g, '$& ');
  const where = `0x${address.toString(16).padStart(8, '0')}`;
  return `${where}${name === undefined ? '' : ` <${name}>`}:  ${dump.padEnd(30)} ${text}`;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** Linear addresses have 64 bits in 64-bit mode and 32 in all others. */
const wrap = (address: bigint, mode: CodeMode): bigint =>
  BigInt.asUintN(mode === 64 ? 64 : 32, address);

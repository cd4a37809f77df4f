/**
 * The x86 filter (branch/call/jump, The .xz File Format, "5.3.2. Branch/Call/Jump Filters for
 * Executables"): the operands of CALL and JMP were made absolute, here they become relative again.
 */

/** Bytes that an operand of a near target may have on top: it reaches 16 MiB either way. */
const isSignByte = (byte: number): boolean => byte === 0x00 || byte === 0xff;

/**
 * The encoder remembers which of the three bytes before an opcode looked like opcodes too, a bit each.
 * With these masks the operand may still be one that it changed.
 */
const MASK_ALLOWED = [true, true, true, false, true, false, false, false] as const;
/** How far up in the operand the byte lies that tells, by mask. */
const MASK_BYTE = [0, 1, 2, 2, 3, 3, 3, 3] as const;

const OPERAND_LENGTH = 4;

/** Undoes the filter in place; `code` is a whole block. */
export function undoX86Filter(code: Uint8Array): void {
  let previous = -1;
  let mask = 0;
  for (let at = 0; at < code.length - OPERAND_LENGTH; at++) {
    if (((code[at] as number) & 0xfe) !== 0xe8) continue;
    const distance = at - previous;
    previous = at;
    mask = distance > 3 ? 0 : (mask << (distance - 1)) & 7;
    const telling = code[at + OPERAND_LENGTH - (MASK_BYTE[mask] as number)] as number;
    const isRuledOut = mask !== 0 && (!(MASK_ALLOWED[mask] as boolean) || isSignByte(telling));
    if (isRuledOut || !isSignByte(code[at + OPERAND_LENGTH] as number)) {
      mask = (mask << 1) | 1;
      continue;
    }
    writeOperand(code, at + 1, relativeTarget(readOperand(code, at + 1), at + 5, mask));
    at += OPERAND_LENGTH;
  }
}

function relativeTarget(operand: number, next: number, mask: number): number {
  const shift = (MASK_BYTE[mask] as number) * 8;
  let absolute = operand;
  let relative = (absolute - next) >>> 0;
  while (mask !== 0 && isSignByte((relative >>> (24 - shift)) & 0xff)) {
    absolute = (relative ^ (2 ** (32 - shift) - 1)) >>> 0;
    relative = (absolute - next) >>> 0;
  }
  // 25 bits with sign.
  return relative & 0x100_0000 ? relative | 0xfe00_0000 : relative & 0x1ff_ffff;
}

function readOperand(code: Uint8Array, at: number): number {
  let value = 0;
  for (let index = 3; index >= 0; index--) value = (value << 8) | (code[at + index] as number);
  return value >>> 0;
}

function writeOperand(code: Uint8Array, at: number, value: number): void {
  for (let index = 0; index < OPERAND_LENGTH; index++) code[at + index] = value >>> (8 * index);
}

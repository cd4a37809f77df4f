/**
 * The x86 branch filter of xz, undone (The .xz File Format, "5.3.2. Branch/Call/Jump Filters for
 * Executables"; its behaviour is that of the LZMA SDK's x86 filter). The packer turned the displacements of
 * CALL and JMP into addresses, where the top byte of one was 0x00 or 0xff, so that calls of one function look
 * alike.
 */

/** CALL rel32, and with bit 0 JMP rel32. */
const BRANCH = 0xe8;
const isSign = (byte: number | undefined): boolean => byte === 0x00 || byte === 0xff;

/**
 * By which of the last three bytes before an opcode looked like an opcode (bit 0 the nearest): whether
 * such neighbours leave it a branch, and which of its bytes they may have changed.
 */
const MAY_CONVERT = [true, true, true, false, true, false, false, false] as const;
const CHANGED_BYTE = [0, 1, 2, 2, 3, 3, 3, 3] as const;

const INSTRUCTION_LENGTH = 5;

/** Undoes the filter in place; `data` begins where the packer's block did. */
export function undoBcjX86(data: Uint8Array): void {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  /** Opcode-like bytes among the last three. */
  let mask = 0;
  let previous = -INSTRUCTION_LENGTH;
  const end = data.length - INSTRUCTION_LENGTH;
  for (let at = 0; at <= end; at++) {
    while (at <= end && ((data[at] as number) & 0xfe) !== BRANCH) at++;
    if (at > end) break;
    const distance = at - previous;
    previous = at;
    mask = distance > 3 ? 0 : (mask << (distance - 1)) & 7;
    if (mask !== 0) {
      const neighbour = data[at + 4 - (CHANGED_BYTE[mask] as number)];
      if (!MAY_CONVERT[mask] || isSign(neighbour)) {
        mask = (mask << 1) | 1;
        continue;
      }
    }
    if (!isSign(data[at + 4])) {
      mask = (mask << 1) | 1;
      continue;
    }
    const address = view.getUint32(at + 1, true);
    view.setUint32(at + 1, displacement(address, at + INSTRUCTION_LENGTH, mask), true);
    at += 4;
    previous = at;
    mask = 0;
  }
}

/** The displacement that the packer made into `address`, for code that goes on at `next`. */
function displacement(address: number, next: number, mask: number): number {
  let source = address;
  for (;;) {
    const result = (source - next) >>> 0;
    const sign = result & 0x0100_0000 ? 0xff00_0000 : 0;
    if (mask === 0) return (sign | (result & 0x01ff_ffff)) >>> 0;
    const shift = (CHANGED_BYTE[mask] as number) * 8;
    if (!isSign((result >>> (24 - shift)) & 0xff)) {
      return (sign | (result & 0x01ff_ffff)) >>> 0;
    }
    source = (result ^ (2 ** (32 - shift) - 1)) >>> 0;
  }
}

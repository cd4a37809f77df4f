/** What the beginning of a file looks like, for error messages about files that are no bzImage. */
import { readNumber } from './binary.js';

/** A byte pattern that tells a format; `offset` is from the start of the file. */
interface Signature {
  readonly offset: number;
  readonly bytes: readonly number[];
  readonly description: string;
}

// Order matters: the EFI stub gives Images of other machines an "MZ" in front as well.
const SIGNATURES: readonly Signature[] = [
  signature(0x38, 'ARMd', 'a kernel for another machine (arm64 Image)'),
  signature(0x38, 'RSC\x05', 'a kernel for another machine (RISC-V Image)'),
  signature(4, 'zimg', 'an EFI zboot image, of another machine or without the x86 boot header'),
  signature(0, '\x7fELF', 'an ELF file'),
  signature(0, '\x1f\x8b', 'gzip data (an initramfs, or a compressed kernel of another machine)'),
  signature(0, '\xfd7zXZ', 'xz data'),
  signature(0, 'BZh', 'bzip2 data'),
  signature(0, '\x28\xb5\x2f\xfd', 'zstd data'),
  signature(0, '\x02\x21\x4c\x18', 'lz4 data'),
  signature(0, '\x5d\x00\x00', 'lzma data'),
  signature(0, '070701', 'a cpio archive (an initramfs)'),
  signature(0, '070702', 'a cpio archive (an initramfs)'),
  signature(0, '!<arch>', 'an ar archive or Debian package'),
  signature(0, 'QFI\xfb', 'a qcow2 disk image'),
  signature(0x101, 'ustar', 'a tar archive'),
  signature(0x8001, 'CD001', 'an ISO 9660 image'),
  signature(0x1fe, '\x55\xaa', 'a boot sector or disk image'),
  signature(0, 'MZ', 'a DOS or EFI program'),
];

/** How much of a file without signature is looked at to call it text. */
const TEXT_SAMPLE = 512;

/**
 * Says in a few words what `bytes` look like, from signatures at fixed places: "an ELF file (…)",
 * "text", "an empty file", "unknown data".
 */
export function describeFormat(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'an empty file';
  if (isEfiProgram(bytes)) {
    return hasLinuxSection(bytes)
      ? 'a unified kernel image, which needs EFI firmware (its .linux section is a bzImage: objcopy -O binary --only-section=.linux)'
      : 'an EFI program, which needs EFI firmware that nodevm does not have';
  }
  const found = SIGNATURES.find((candidate) => matches(bytes, candidate));
  if (found !== undefined) return found.description;
  return bytes.subarray(0, TEXT_SAMPLE).every(isTextByte) ? 'text' : 'unknown data';
}

// PE Format, "COFF File Header" and "Optional Header".
const PE_OFFSET = 0x3c;
const PE_MAGIC = 0x4550;
const X86_MACHINES: readonly number[] = [0x14c, 0x8664];
const SUBSYSTEM_OFFSET = 0x5c;
const EFI_APPLICATION = 10;
const SECTION_SIZE = 40;
const MAX_SECTIONS = 96;

/** Whether the file is an EFI application for x86; those of other machines have signatures of their own. */
function isEfiProgram(bytes: Uint8Array): boolean {
  const header = readNumber(bytes, PE_OFFSET, 4);
  return (
    readNumber(bytes, 0, 2) === 0x5a4d &&
    readNumber(bytes, header, 4) === PE_MAGIC &&
    X86_MACHINES.includes(readNumber(bytes, header + 4, 2)) &&
    readNumber(bytes, header + SUBSYSTEM_OFFSET, 2) === EFI_APPLICATION
  );
}

/** What systemd-stub's images have. */
function hasLinuxSection(bytes: Uint8Array): boolean {
  const header = readNumber(bytes, PE_OFFSET, 4);
  const count = Math.min(readNumber(bytes, header + 6, 2), MAX_SECTIONS);
  const first = header + 24 + readNumber(bytes, header + 20, 2);
  return Array.from({ length: count }, (_, index) => first + index * SECTION_SIZE).some((at) =>
    Buffer.from(bytes.subarray(at, at + 8))
      .toString('latin1')
      .startsWith('.linux\0'),
  );
}

function signature(offset: number, text: string, description: string): Signature {
  return { offset, bytes: [...Buffer.from(text, 'latin1')], description };
}

function matches(bytes: Uint8Array, candidate: Signature): boolean {
  return candidate.bytes.every((byte, index) => bytes[candidate.offset + index] === byte);
}

function isTextByte(byte: number): boolean {
  const control = byte < 0x20 || byte === 0x7f;
  return !control || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/** Synthetic bzImages and guest memory for tests of the loader; no real kernel is needed. */
import { GuestMemory } from '../../src/memory.js';
import { SETUP_HEADER_FIELDS, type SetupHeaderField } from '../../src/loader/setup-header.js';

/** Size of the setup part of {@link makeKernel}: boot sector and four sectors. */
export const SETUP_SIZE = 5 * 512;

/** Size of the protected-mode code of {@link makeKernel}. */
export const PAYLOAD_SIZE = 0x2000;

/** Values a sound kernel for x86-64 has, sizes apart much like Debian's. */
const SOUND: Partial<Record<SetupHeaderField, number | bigint>> = {
  setup_sects: 4,
  syssize: PAYLOAD_SIZE / 16,
  boot_flag: 0xaa55,
  jump: 0x6aeb, // jmp, ending the header at 0x26c
  header: 0x5372_6448,
  version: 0x020f,
  kernel_version: 0x400,
  loadflags: 0x01,
  code32_start: 0x10_0000,
  initrd_addr_max: 0x7fff_ffff,
  kernel_alignment: 0x20_0000,
  relocatable_kernel: 1,
  min_alignment: 21,
  xloadflags: 0x7f,
  cmdline_size: 2047,
  payload_offset: 0x300,
  payload_length: 0x1000,
  pref_address: 0x100_0000n,
  init_size: 0x40_0000,
  handover_offset: 0x190,
  kernel_info_offset: 0x1f00,
};

/** Version string of {@link makeKernel}. */
export const KERNEL_VERSION = '6.1.0-fixture (nodevm) #1';

/**
 * A bzImage: setup part, then a payload whose bytes all differ from zero. `fields` replaces values of the
 * setup_header by the kernel's names.
 */
export function makeKernel(
  fields: Partial<Record<SetupHeaderField, number | bigint>> = {},
): Uint8Array {
  const image = new Uint8Array(SETUP_SIZE + PAYLOAD_SIZE).fill(0x90, SETUP_SIZE);
  const view = new DataView(image.buffer);
  for (const [name, value] of Object.entries({ ...SOUND, ...fields })) {
    const [offset, size] = SETUP_HEADER_FIELDS[name as SetupHeaderField];
    if (size === 8) view.setBigUint64(offset, BigInt(value), true);
    else for (let i = 0; i < size; i++) view.setUint8(offset + i, Number(value) / 2 ** (8 * i));
  }
  image.set(Buffer.from(`${KERNEL_VERSION}\0`), 0x200 + 0x400);
  return image;
}

/** Guest memory over plain buffers, and the writes it reported. */
export interface TestMemory {
  readonly memory: GuestMemory;
  readonly invalidated: { readonly gpa: number; readonly length: number }[];
}

/** Makes guest memory of this size, cut into views of `viewSize` bytes. */
export function makeMemory(lowRam: number, highRam = 0, viewSize = 0x4000_0000): TestMemory {
  const invalidated: { gpa: number; length: number }[] = [];
  const memory = new GuestMemory({
    lowRam,
    highRam,
    views: [...cut(lowRam, viewSize), ...cut(highRam, viewSize)],
    invalidate: (gpa, length) => invalidated.push({ gpa, length }),
  });
  return { memory, invalidated };
}

function cut(size: number, viewSize: number): readonly ArrayBuffer[] {
  const count = Math.ceil(size / viewSize);
  return Array.from(
    { length: count },
    (_, index) => new ArrayBuffer(Math.min(viewSize, size - index * viewSize)),
  );
}

import { describe, expect, it } from 'vitest';
import * as layout from '../../../src/layout.js';
import { seededEntropy } from '../../../src/entropy.js';
import { enterKernel, type EntryState } from '../../../src/loader/entry-state.js';
import { loadKernel } from '../../../src/loader/load-kernel.js';
import type { BootProtocol, LoadOptions } from '../../../src/loader/protocol.js';
import type { GuestMemory } from '../../../src/memory.js';
import type { RegisterName, SegmentName, SegmentValue } from '../../../src/native.js';
import { PAYLOAD_SIZE, makeKernel, makeMemory } from '../../support/kernel-fixture.js';
import { refusal } from '../../support/refusal.js';

const MiB = 1024 * 1024;
const PARAMS = layout.BOOT_PARAMS;

function load(
  options: Partial<LoadOptions> = {},
  lowRam = 64 * MiB,
  highRam = 0,
  protocol: BootProtocol = '64',
) {
  const { memory } = makeMemory(lowRam, highRam);
  const loaded = loadKernel(
    {
      memory,
      kernel: makeKernel(),
      initrds: [],
      cmdline: 'console=ttyS0',
      rsdp: 0xe_0000,
      entropy: seededEntropy(1n),
      ...options,
    },
    protocol,
  );
  return {
    memory: options.memory ?? memory,
    entry: loaded.entry,
    state: valuesOf(loaded.entry.registers),
  };
}

/** The registers as numbers. */
function valuesOf(registers: EntryState['registers']) {
  const value = (name: RegisterName): number => Number(registers[name] ?? 0n);
  return {
    registers,
    rip: value('rip'),
    rsi: value('rsi'),
    rsp: value('rsp'),
    cr3: value('cr3'),
    gdt: value('gdtrBase'),
  };
}

function readU64(memory: GuestMemory, gpa: number): number {
  return memory.readU32(gpa) + memory.readU32(gpa + 4) * 2 ** 32;
}

/** The linear address by the tables at `cr3`, as the SDM's "4-Level Paging" has it; -1: not mapped. */
function translate(memory: GuestMemory, cr3: number, linear: number): number {
  let table = cr3;
  for (const shift of [39, 30, 21]) {
    const entry = readU64(memory, table + (Math.floor(linear / 2 ** shift) % 512) * 8);
    if ((entry & 1) === 0) return -1;
    if ((entry & 0x80) !== 0) return entry - (entry % 2 ** shift) + (linear % 2 ** shift);
    table = entry - (entry % 4096);
  }
  return -1;
}

describe('loadKernel of a bzImage', () => {
  it('puts the payload to pref_address and enters at its 64-bit entry', () => {
    const { memory, state } = load();
    expect(memory.read(0x100_0000, PAYLOAD_SIZE)).toEqual(new Uint8Array(PAYLOAD_SIZE).fill(0x90));
    expect(memory.readU8(0x100_0000 + PAYLOAD_SIZE)).toBe(0);
    expect(state).toMatchObject({ rip: 0x100_0200, rsi: PARAMS });
  });

  it.each([
    ['aligns up a relocatable kernel', { pref_address: 0x90_0000n }, 0xa0_0000],
    ['keeps above 1 MiB', { pref_address: 0n, kernel_alignment: 0x1000 }, 0x10_0000],
    ['takes others as they are', { pref_address: 0x90_0000n, relocatable_kernel: 0 }, 0x90_0000],
  ])('%s', (_, fields, base) => {
    const { memory, state } = load({ kernel: makeKernel(fields) });
    expect(state.rip).toBe(base + 0x200);
    expect(memory.readU32(PARAMS + 0x214)).toBe(base);
  });

  it('fills in the setup_header as a loader has to', () => {
    const { memory } = load();
    expect(memory.readU16(PARAMS + 0x1fa)).toBe(0xffff); // vid_mode
    expect(memory.readU16(PARAMS + 0x1fe)).toBe(0xaa55);
    expect(memory.readU8(PARAMS + 0x210)).toBe(0xff); // type_of_loader
    expect(memory.readU8(PARAMS + 0x211)).toBe(0x81); // loadflags with CAN_USE_HEAP
    expect(memory.readU16(PARAMS + 0x224)).toBe(0xfe00); // heap_end_ptr
    expect(readU64(memory, PARAMS + 0x258)).toBe(0x100_0000); // copied from the file
    expect(readU64(memory, PARAMS + 0x070)).toBe(0xe_0000); // acpi_rsdp_addr
    expect(memory.readU8(PARAMS + 0x1ef)).toBe(0); // sentinel
    expect(memory.readU32(PARAMS + 0x218)).toBe(0); // no ramdisk
    expect(memory.readU32(PARAMS + 0x21c)).toBe(0);
  });

  it('passes a seed in setup_data, whatever pointer comes with the file', () => {
    const { memory } = load({ kernel: makeKernel({ setup_data: 0xdead_beefn }) });
    const gpa = readU64(memory, PARAMS + 0x250);
    expect(gpa).toBe(layout.BOOT_SETUP_DATA.base);
    expect(readU64(memory, gpa)).toBe(0); // next
    expect([memory.readU32(gpa + 8), memory.readU32(gpa + 12)]).toEqual([9, 32]);
    const source = seededEntropy(1n);
    const seed = Buffer.from(memory.read(gpa + 16, 32));
    for (let word = 0; word < 4; word++) expect(seed.readBigUInt64LE(word * 8)).toBe(source.u64());
  });

  it('passes no setup_data to a kernel that has no such field', () => {
    const { memory } = load({ kernel: makeKernel({ version: 0x0208 }) }, 64 * MiB, 0, '32');
    expect(readU64(memory, PARAMS + 0x250)).toBe(0);
  });

  it('enters at the 32-bit entry in protected mode', () => {
    const { state, entry } = load({}, 64 * MiB, 0, '32');
    expect(state).toMatchObject({ rip: 0x100_0000, rsi: PARAMS });
    expect(entry.registers).toMatchObject({ cr0: 0x11n, cr4: 0n, rbx: 0n, rbp: 0n, rdi: 0n });
    expect(entry.segments.cs).toMatchObject({ selector: 0x10, access: 0xc09b });
    expect(entry.segments.ds).toMatchObject({ selector: 0x18, access: 0xc093 });
  });

  it('has no 64-bit entry without XLF_KERNEL_64', () => {
    const kernel = makeKernel({ xloadflags: 0, payload_length: 0 });
    expect(refusal(() => load({ kernel }))).toMatch(
      /^E_BAD_KERNEL: .* protocol is 64, expected one that this file has: 32\b/,
    );
    expect(load({ kernel }, 64 * MiB, 0, '32').state.rip).toBe(0x100_0000);
  });

  it('assumes what boot.rst says of a kernel of protocol 2.02', () => {
    const kernel = makeKernel({ version: 0x0202, jump: 0x2aeb });
    const { memory, state } = load({ kernel, initrds: [new Uint8Array(9)] }, 1024 * MiB, 0, '32');
    expect(state.rip).toBe(0x10_0000);
    expect(memory.readU32(PARAMS + 0x218)).toBe(0x3800_0000 - 4096);
    expect(refusal(() => load({ kernel, cmdline: 'x'.repeat(256) }, 64 * MiB, 0, '32'))).toMatch(
      /^E_CMDLINE_TOO_LONG: .* at most 255/,
    );
  });

  it('copies no more than the header from the file', () => {
    const kernel = makeKernel();
    kernel.fill(0xcc, 0x26c, 0x400);
    const { memory } = load({ kernel });
    expect(memory.read(PARAMS + 0x26c, 0x64)).toEqual(new Uint8Array(0x64));
  });

  it('tells the memory map', () => {
    const { memory } = load({}, 64 * MiB, 2 * MiB);
    const count = memory.readU8(PARAMS + 0x1e8);
    const map = Array.from({ length: count }, (_, index) => {
      const entry = PARAMS + 0x2d0 + index * 20;
      return [readU64(memory, entry), readU64(memory, entry + 8), memory.readU32(entry + 16)];
    });
    expect(map).toEqual([
      [0, 0x9_fc00, 1],
      [0x9_fc00, 0x400, 2],
      [0xe_0000, 0x2_0000, 2],
      [0x10_0000, 63 * MiB, 1],
      [0x1_0000_0000, 2 * MiB, 1],
    ]);
    expect(load().memory.readU8(PARAMS + 0x1e8)).toBe(4);
  });

  it('passes the command line, as long as it may be', () => {
    const cmdline = 'ä'.repeat(1023) + 'x';
    const { memory } = load({ cmdline });
    const gpa = memory.readU32(PARAMS + 0x228);
    expect(Buffer.from(memory.read(gpa, 2047)).toString()).toBe(cmdline);
    expect(memory.readU8(gpa + 2047)).toBe(0);
    expect(refusal(() => load({ cmdline: `${cmdline}y` }))).toMatch(
      /^E_CMDLINE_TOO_LONG: .* is 2048 bytes, expected at most 2047/,
    );
    const greedy = makeKernel({ cmdline_size: 0xffff_ffff });
    expect(refusal(() => load({ kernel: greedy, cmdline: 'x'.repeat(0x1_0000) }))).toMatch(
      /^E_CMDLINE_TOO_LONG: .* at most 65535/,
    );
    expect(refusal(() => load({ cmdline: 'a\0b' }))).toMatch(/^E_USAGE: /);
  });

  it('says how much memory the kernel needs when there is too little', () => {
    const kernel = makeKernel({ init_size: 48 * MiB });
    expect(load({ kernel }, 64 * MiB).state.rip).toBe(0x100_0200);
    expect(refusal(() => load({ kernel }, 63 * MiB))).toMatch(
      /^E_MEMORY_SIZE: .* needs 64 MiB .* there are 63 MiB/,
    );
    const far = makeKernel({ pref_address: 0xffff_ffff_ffff_f000n });
    expect(refusal(() => load({ kernel: far }))).toMatch(/^E_MEMORY_SIZE: /);
    const low = makeKernel({ pref_address: 0x1000n, relocatable_kernel: 0 });
    expect(refusal(() => load({ kernel: low }))).toMatch(
      /^E_BAD_KERNEL: .* pref_address is 0x1000/,
    );
  });

  it('enters long mode with the first 4 GiB mapped one to one', () => {
    const { memory, state, entry } = load();
    const addresses = [0, PARAMS, state.rip, state.rsp - 8, 0x4000_0123, 0xfee0_0000, 0xffff_ffff];
    for (const gpa of addresses) expect(translate(memory, state.cr3, gpa)).toBe(gpa);
    expect(translate(memory, state.cr3, 0x1_0000_0000)).toBe(-1);
    const large = load({}, 64 * MiB, 2 * MiB);
    expect(translate(large.memory, large.state.cr3, 0x1_0010_0000)).toBe(0x1_0010_0000);
    expect(readU64(memory, state.gdt + 0x10)).toBe(Number(0x00af_9b00_0000_ffffn));
    expect(readU64(memory, state.gdt + 0x18)).toBe(Number(0x00cf_9300_0000_ffffn));

    const registers = new Map<RegisterName, bigint>();
    const segments = new Map<SegmentName, SegmentValue>();
    enterKernel(
      {
        setRegister: (name, value) => registers.set(name, value),
        setSegment: (name, value) => segments.set(name, value),
      },
      entry,
    );
    expect(Object.fromEntries(registers)).toEqual({
      cr0: 0x8000_0033n,
      cr3: BigInt(state.cr3),
      cr4: 0x20n,
      efer: 0x500n,
      rflags: 2n,
      rip: 0x100_0200n,
      rsi: BigInt(PARAMS),
      rsp: BigInt(state.rsp),
      gdtrBase: BigInt(layout.BOOT_GDT),
      gdtrLimit: 31n,
      idtrBase: 0n,
      idtrLimit: 0n,
    });
    expect(segments.get('cs')).toMatchObject({ selector: 0x10, access: 0xa09b });
    expect(segments.get('ss')).toMatchObject({ selector: 0x18, access: 0xc093, base: 0n });
    expect([...segments.keys()].sort()).toEqual(['cs', 'ds', 'es', 'fs', 'gs', 'ss']);
  });

  it('uses places that do not overlap', () => {
    const places = [
      { base: layout.BOOT_GDT, length: 32 },
      layout.BOOT_SETUP_DATA,
      { base: PARAMS, length: layout.PAGE_SIZE },
      { base: layout.BOOT_STACK_TOP - layout.PAGE_SIZE, length: layout.PAGE_SIZE },
      layout.BOOT_PAGE_TABLES,
      layout.BOOT_COMMAND_LINE,
      layout.EBDA,
      layout.ACPI_TABLES,
    ];
    for (const [index, place] of places.entries()) {
      const end = places[index + 1]?.base ?? layout.HIGH_MEMORY;
      expect(place.base + place.length).toBeLessThanOrEqual(end);
    }
  });

  it('loads the same again over memory that a guest has used', () => {
    const { memory } = load();
    const fresh = memory.read(0, layout.BOOT_PAGE_TABLES.base + layout.BOOT_PAGE_TABLES.length);
    memory.fill(PARAMS, fresh.length - PARAMS, 0xff);
    load({ memory });
    const stack = layout.BOOT_STACK_TOP - layout.PAGE_SIZE;
    memory.fill(stack, layout.PAGE_SIZE, 0);
    expect(Buffer.compare(memory.read(0, fresh.length), fresh)).toBe(0);
  });
});

describe('initrd', () => {
  const ramdisk = (memory: GuestMemory) => ({
    base: memory.readU32(PARAMS + 0x218) + memory.readU32(PARAMS + 0x0c0) * 2 ** 32,
    length: memory.readU32(PARAMS + 0x21c) + memory.readU32(PARAMS + 0x0c4) * 2 ** 32,
  });

  it('lies as high as RAM allows, at a page', () => {
    const { memory } = load({ initrds: [new Uint8Array(5000).fill(7)] });
    expect(ramdisk(memory)).toEqual({ base: 64 * MiB - 8192, length: 5000 });
    expect(memory.readU8(64 * MiB - 8192 + 4999)).toBe(7);
  });

  it('lies below initrd_addr_max', () => {
    const kernel = makeKernel({ initrd_addr_max: 48 * MiB - 1 });
    const { memory } = load({ kernel, initrds: [new Uint8Array(4096)] });
    expect(ramdisk(memory)).toEqual({ base: 48 * MiB - 4096, length: 4096 });
  });

  it('lies above 4 GiB where there is RAM and the kernel allows it', () => {
    const archive = new Uint8Array(5000).fill(7);
    const { memory } = load({ initrds: [archive] }, 64 * MiB, 2 * MiB);
    expect(ramdisk(memory)).toEqual({ base: 0x1_0020_0000 - 8192, length: 5000 });
    expect(memory.readU8(0x1_0020_0000 - 8192)).toBe(7);
    const kernel = makeKernel({ xloadflags: 0x01 });
    expect(ramdisk(load({ kernel, initrds: [archive] }, 64 * MiB, 2 * MiB).memory).base).toBe(
      64 * MiB - 8192,
    );
    const large = new Uint8Array(3 * MiB);
    expect(ramdisk(load({ initrds: [large] }, 64 * MiB, 2 * MiB).memory).base).toBe(61 * MiB);
  });

  it('consists of several archives at multiples of four bytes', () => {
    const initrds = [Uint8Array.of(1), Uint8Array.of(2, 3, 4, 5), Uint8Array.of(6, 7, 8, 9, 10)];
    const used = makeMemory(64 * MiB).memory;
    used.fill(63 * MiB, MiB, 0xff); // as after a reboot
    load({ memory: used, initrds });
    const { base, length } = ramdisk(used);
    expect([...used.read(base, length)]).toEqual([1, 0, 0, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0]);
  });

  it('may fill all the room there is, and not a byte more', () => {
    const room = (64 - 16 - 4) * MiB;
    const { memory } = load({ initrds: [new Uint8Array(room)] });
    expect(ramdisk(memory)).toEqual({ base: 20 * MiB, length: room });
    expect(refusal(() => load({ initrds: [new Uint8Array(room + 1)] }))).toMatch(
      `E_BAD_INITRD: initrd is ${room + 4} bytes, expected at most ${room}`,
    );
    const none = makeKernel({ initrd_addr_max: 0 });
    expect(refusal(() => load({ kernel: none, initrds: [new Uint8Array(1)] }))).toMatch(
      /^E_BAD_INITRD: .* at most 0/,
    );
  });
});

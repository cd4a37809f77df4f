/**
 * Hostile images: sound kernels and archives, mutated from a seed. Whatever they are, loading and looking at
 * them ends soon, either well or with a NodevmError that says what is wrong.
 */
import process from 'node:process';
import { gzipSync } from 'fflate';

import { NodevmError } from '../../src/errors.js';
import { pick, seededEntropy, type Entropy } from '../../src/entropy.js';
import { packInitramfs } from '../../src/initramfs/cpio.js';
import { readSegments } from '../../src/initramfs/segments.js';
import { inspectFile } from '../../src/loader/inspect.js';
import { loadKernel } from '../../src/loader/load-kernel.js';
import { BOOT_PROTOCOLS } from '../../src/loader/protocol.js';
import type { GuestMemory } from '../../src/memory.js';
import {
  KERNEL_MAP,
  LINKED,
  makeElf,
  makePackedKernel,
  makePvhNote,
  makeRelocations,
} from '../support/elf-fixture.js';
import { makeKernel, makeMemory } from '../support/kernel-fixture.js';

/** Nothing takes more processor time than this; a guest-made loop would, in milliseconds. */
const PATIENCE_MS = 2000;
/** RAM of the machines that the images are loaded into; little, so that much does not fit. */
const RAM = 32 * 2 ** 20;
/** Most bytes that an archive may unpack to. */
const UNPACK_LIMIT = 2 ** 20;
/** Values that are at the edge of something, in four bytes. */
const EDGES = [
  0, 1, 2, 3, 7, 8, 15, 16, 0x3f, 0x40, 0x7f, 0x80, 0xff, 0x100, 0x1ff, 0x200, 0xfff, 0x1000,
  0x7fff, 0x8000, 0xffff, 0xf_ffff, 0x10_0000, 0xff_ffff, 0x100_0000, 0x1ff_ffff, 0x200_0000,
  0x7fff_ffff, 0x8000_0000, 0xc000_0000, 0xffff_f000, 0xffff_fffe, 0xffff_ffff,
];
/** Mutations of one image at most. */
const MAX_MUTATIONS = 6;
/** Where most of what is read lies. */
const HEAD = 0x300;

/** A sound image: what is mutated, and what it is packed into afterwards. */
interface Seed {
  readonly bytes: Uint8Array;
  readonly wrap: (bytes: Uint8Array) => Uint8Array;
}

const asItIs = (bytes: Uint8Array): Seed => ({ bytes, wrap: (mutated) => mutated });
const gzip = (bytes: Uint8Array): Uint8Array => gzipSync(bytes, { mtime: 0, level: 1 });

/** Sound images by name. */
export function seeds(): Readonly<Record<string, Seed>> {
  const text = { paddr: LINKED, vaddr: KERNEL_MAP[64] + BigInt(LINKED), data: new Uint8Array(128) };
  const low = 0x8100_0000;
  const relocations = makeRelocations([low + 8], [low + 16], [low + 32, low + 64]);
  const elf = makeElf({ segments: [text, makePvhNote(LINKED)] });
  const payload = Buffer.concat([elf, relocations]);
  const archive = packInitramfs([
    { path: 'dir', type: 'dir' },
    { path: 'dir/file', type: 'file', data: new Uint8Array(300).fill(0x41) },
    { path: 'dir/link', type: 'symlink', target: 'file' },
    { path: 'console', type: 'char', major: 5, minor: 1 },
  ]);
  return {
    bzimage: asItIs(makeKernel()),
    oldbzimage: asItIs(makeKernel({ version: 0x0204, payload_length: 0 })),
    packed: asItIs(makePackedKernel(payload)),
    payload: { bytes: payload, wrap: (bytes) => makePackedKernel(bytes, {}, gzip(bytes)) },
    plain: { bytes: payload, wrap: (bytes) => makePackedKernel(bytes, {}, bytes) },
    elf64: asItIs(elf),
    elf32: asItIs(makeElf({ bits: 32 })),
    multiboot1: asItIs(multiboot1()),
    multiboot2: asItIs(multiboot2()),
    multibootElf: asItIs(makeElf({ bits: 32, segments: [{ paddr: LINKED, data: multiboot1() }] })),
    cpio: asItIs(archive),
    gzip: asItIs(gzip(archive)),
    packedCpio: { bytes: archive, wrap: gzip },
  };
}

function words(...values: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(1024);
  values.forEach((value, index) => bytes.writeUInt32LE(value >>> 0, index * 4));
  return bytes;
}

function multiboot1(): Uint8Array {
  const flags = 0x1_0003;
  const magic = 0x1bad_b002;
  const addresses = [LINKED, LINKED, LINKED + 1024, LINKED + 4096, LINKED + 64];
  return words(magic, flags, -(magic + flags), ...addresses);
}

function multiboot2(): Uint8Array {
  const magic = 0xe852_50d6;
  const tags = [
    ...[1, 16, 1, 6],
    ...[2, 24, LINKED, LINKED, LINKED + 1024, LINKED + 4096],
    ...[3, 12, LINKED + 64, 0],
    ...[0, 8],
  ];
  const length = 16 + tags.length * 4;
  return words(magic, 0, length, -(magic + length), ...tags);
}

/** A hostile image: which sound one it was made from, and its bytes. */
export interface Mutant {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Makes mutants, the same ones for the same seed. */
export class Mutator {
  private readonly entropy: Entropy;
  private readonly sound = Object.entries(seeds());

  constructor(seed: number) {
    this.entropy = seededEntropy(BigInt(seed));
  }

  next(): Mutant {
    const [name, { bytes, wrap }] = this.sound[this.below(this.sound.length)] as [string, Seed];
    let mutated = Uint8Array.from(bytes);
    const count = 1 + this.below(MAX_MUTATIONS);
    for (let index = 0; index < count; index++) mutated = this.mutate(mutated);
    return { name, bytes: wrap(repairChecksum(mutated)) };
  }

  private below(count: number): number {
    return pick(this.entropy, Math.max(1, count));
  }

  private mutate(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const copy = Uint8Array.from(bytes);
    const reach = this.below(4) === 0 ? copy.length : Math.min(copy.length, HEAD);
    const at = this.below(reach);
    switch (this.below(6)) {
      case 0:
        return copy.slice(0, this.below(copy.length + 1));
      case 1:
        copy[at] = this.below(256);
        return copy;
      case 2:
        copy.copyWithin(at, this.below(copy.length), this.below(copy.length));
        return copy;
      default: {
        const value = (EDGES[this.below(EDGES.length)] as number) + this.below(3) - 1;
        const size = 2 ** this.below(4);
        for (let byte = 0; byte < size && at + byte < copy.length; byte++) {
          copy[at + byte] = Math.floor(value / 2 ** (8 * (byte % 4))) & 0xff;
        }
        return copy;
      }
    }
  }
}

/** A multiboot 1 header with other flags would only be overlooked, so its checksum follows them. */
function repairChecksum(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 16) return bytes;
  const magic = view.getUint32(0, true);
  if (magic === 0x1bad_b002) view.setUint32(8, -(magic + view.getUint32(4, true)) >>> 0, true);
  if (magic === 0xe852_50d6) {
    const sum = magic + view.getUint32(4, true) + view.getUint32(8, true);
    view.setUint32(12, -sum >>> 0, true);
  }
  return bytes;
}

/** What became of one mutant. */
export type Outcome = 'taken' | 'refused';

/** Loads images through every door, and reads them as archives. */
export class Victim {
  private readonly memory: GuestMemory = makeMemory(RAM).memory;

  /**
   * @returns whether any door took it
   * @throws what is not a NodevmError, or an Error for one that says too little, or for a mutant that takes
   *   too long
   */
  face(bytes: Uint8Array): Outcome {
    const start = process.cpuUsage();
    inspectFile(bytes);
    const results = [
      goesWell(() => readSegments(bytes, { limit: UNPACK_LIMIT })),
      ...[undefined, ...BOOT_PROTOCOLS].map((protocol) =>
        goesWell(() => loadKernel(this.request(bytes), protocol)),
      ),
    ];
    const { user, system } = process.cpuUsage(start);
    const took = (user + system) / 1000;
    if (took > PATIENCE_MS) throw new Error(`it took ${took} ms of processor time`);
    return results.includes(true) ? 'taken' : 'refused';
  }

  private request(kernel: Uint8Array) {
    return {
      memory: this.memory,
      kernel,
      initrds: [new Uint8Array(100)],
      cmdline: 'console=ttyS0',
      rsdp: 0xe_0000,
      entropy: seededEntropy(1n),
    };
  }
}

/** @returns whether it did; a refusal has to have a reason */
function goesWell(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (!(error instanceof NodevmError)) throw error;
    // What there is and what there should be, or why the data cannot be read.
    if (/expected|truncated|damaged|limit|bad \w+ data|room|but|header/.test(error.message))
      return false;
    throw new Error(`it says too little: ${error.message}`, { cause: error });
  }
}

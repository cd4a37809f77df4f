/**
 * A small AML encoder: just the terms that a machine description without code needs (ACPI 6.4, "ACPI
 * Machine Language (AML) Specification" and "Resource Data Types for ACPI").
 */

/** Encoded AML. */
export type Aml = Uint8Array;

/** Resource type and type-specific flags of an address space descriptor. */
interface AddressSpaceType {
  readonly type: number;
  readonly flags: number;
}

const OP = {
  zero: 0x00,
  one: 0x01,
  name: 0x08,
  bytePrefix: 0x0a,
  wordPrefix: 0x0b,
  dwordPrefix: 0x0c,
  string: 0x0d,
  scope: 0x10,
  buffer: 0x11,
  package: 0x12,
  device: [0x5b, 0x82],
  rootChar: 0x5c,
} as const;

const ADDRESS_SPACE = {
  memory: { type: 0, flags: 0x01 }, // _RW set, _MEM non-cacheable
  io: { type: 1, flags: 0x03 }, // _RNG: ISA and other ports
  busNumber: { type: 2, flags: 0x00 },
} as const;

/** Tags of the Word and DWord Address Space Descriptors by the size of their fields. */
const ADDRESS_TAGS = { 2: 0x88, 4: 0x87 } as const;

/** Puts encoded pieces one behind the other. */
export function concat(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

/** An unsigned integer below 2^32 in its shortest form. */
export function integer(value: number): Aml {
  if (value === 0) return Uint8Array.of(OP.zero);
  if (value === 1) return Uint8Array.of(OP.one);
  if (value < 0x100) return concat([OP.bytePrefix, value]);
  if (value < 0x1_0000) return concat([OP.wordPrefix], littleEndian(value, 2));
  return concat([OP.dwordPrefix], littleEndian(value, 4));
}

/** An ASCII string. */
export function string(text: string): Aml {
  return concat([OP.string], ascii(text), [0]);
}

/**
 * A compressed EISA identifier such as "PNP0501": three letters of five bits and four hex digits, in
 * big-endian order within a little-endian integer.
 */
export function eisaId(id: string): Aml {
  const [first = 0, second = 0, third = 0] = ascii(id).map((char) => char - 0x40);
  const letters = (first << 10) | (second << 5) | third;
  const digits = Number.parseInt(id.slice(3), 16);
  return concat([OP.dwordPrefix], [letters >> 8, letters & 0xff, digits >> 8, digits & 0xff]);
}

/** `Name (path, value)`. */
export function name(path: string, value: Aml): Aml {
  return concat([OP.name], nameString(path), value);
}

/** `Package () { elements }`. */
export function packageOf(...elements: readonly Aml[]): Aml {
  return concat([OP.package], withLength(concat([elements.length], ...elements)));
}

/** `Scope (path) { terms }`. */
export function scope(path: string, ...terms: readonly Aml[]): Aml {
  return concat([OP.scope], withLength(concat(nameString(path), ...terms)));
}

/** `Device (path) { terms }`. */
export function device(path: string, ...terms: readonly Aml[]): Aml {
  return concat(OP.device, withLength(concat(nameString(path), ...terms)));
}

/** `ResourceTemplate () { descriptors }`: a buffer that ends with an end tag without checksum. */
export function resourceTemplate(...descriptors: readonly Uint8Array[]): Aml {
  const bytes = concat(...descriptors, [0x79, 0x00]);
  return concat([OP.buffer], withLength(concat(integer(bytes.length), bytes)));
}

/** I/O port descriptor with a fixed base, 16-bit decode. */
export function io(base: number, length: number): Uint8Array {
  const decode16 = 0x01;
  const alignment = 1;
  const address = littleEndian(base, 2);
  return concat([0x47, decode16], address, address, [alignment, length]);
}

/** `IRQNoFlags`: an ISA interrupt, edge-triggered, active high, not shared. */
export function irq(line: number): Uint8Array {
  return concat([0x22], littleEndian(1 << line, 2));
}

/** `Memory32Fixed (ReadWrite)`. */
export function memory32Fixed(base: number, length: number): Uint8Array {
  const readWrite = 0x01;
  return concat([0x86, 9, 0, readWrite], littleEndian(base, 4), littleEndian(length, 4));
}

/** `WordBusNumber (ResourceProducer)`: the buses behind a bridge, `first` to `last`. */
export function wordBusNumber(first: number, last: number): Uint8Array {
  return addressWindow(ADDRESS_SPACE.busNumber, 2, first, last - first + 1);
}

/** `WordIO (ResourceProducer, EntireRange)`: ports that a bridge passes on. */
export function wordIo(base: number, length: number): Uint8Array {
  return addressWindow(ADDRESS_SPACE.io, 2, base, length);
}

/** `DWordMemory (ResourceProducer, NonCacheable, ReadWrite)`: memory that a bridge passes on. */
export function dwordMemory(base: number, length: number): Uint8Array {
  return addressWindow(ADDRESS_SPACE.memory, 4, base, length);
}

/** A fixed window of an address space descriptor with fields of `size` bytes; no translation. */
function addressWindow(
  space: AddressSpaceType,
  size: keyof typeof ADDRESS_TAGS,
  base: number,
  length: number,
): Uint8Array {
  const minAndMaxFixed = 0x0c;
  const fields = [0, base, base + length - 1, 0, length].map((field) => littleEndian(field, size));
  const body = concat([space.type, minAndMaxFixed, space.flags], ...fields);
  return concat([ADDRESS_TAGS[size]], littleEndian(body.length, 2), body);
}

/** Unsigned little-endian bytes of `value` (below 2^53). */
export function littleEndian(value: number, size: number): Uint8Array {
  return Uint8Array.from(
    { length: size },
    (_, index) => Math.floor(value / 2 ** (8 * index)) % 256,
  );
}

/** Bytes of an ASCII text. */
export function ascii(text: string): number[] {
  return [...Buffer.from(text, 'latin1')];
}

/** A name of one segment, with "\" in front when it starts at the root; segments are padded by "_". */
function nameString(path: string): Uint8Array {
  const isRooted = path.startsWith('\\');
  const segment = path.slice(isRooted ? 1 : 0).padEnd(4, '_');
  return concat(isRooted ? [OP.rootChar] : [], ascii(segment));
}

/**
 * Prefixes PkgLength, which counts itself: one byte up to 63, else a lead byte with the number of
 * further bytes and the low four bits.
 */
function withLength(body: Uint8Array): Uint8Array {
  if (body.length + 1 < 0x40) return concat([body.length + 1], body);
  const following = [1, 2, 3].find((count) => body.length + 1 + count < 2 ** (4 + 8 * count)) ?? 3;
  const total = body.length + 1 + following;
  const lead = (following << 6) | (total & 0xf);
  return concat([lead], littleEndian(Math.floor(total / 16), following), body);
}

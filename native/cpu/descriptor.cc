#include "cpu/descriptor.h"

namespace nodevm {

namespace {

// Byte 5 of a descriptor: type, S, DPL, P.
constexpr unsigned kAccessByte = 5;

bool isWide(const Cpu& cpu, const Descriptor& descriptor) {
  return cpu.longMode() && !descriptor.isCodeOrData();
}

bool storeAccessByte(Cpu& cpu, const Descriptor& descriptor, unsigned value) {
  return cpu.storeSystem(descriptor.linear + kAccessByte, value & 0xff, 1);
}

}  // namespace

SegmentRegister segmentOf(const Descriptor& descriptor, uint16_t selector) {
  return {.selector = selector,
          .access = descriptor.access(),
          .limit = descriptor.limit(),
          .base = descriptor.base()};
}

Lookup lookUpDescriptor(Cpu& cpu, uint16_t selector, Descriptor& descriptor) {
  const bool local = isLocal(selector);
  if (local && (isNull(cpu.ldtr.selector) || !cpu.ldtr.present())) return Lookup::kOutside;
  const uint64_t base = local ? cpu.ldtr.base : cpu.gdtr.base;
  const uint32_t limit = local ? cpu.ldtr.limit : cpu.gdtr.limit;
  const uint32_t offset = selector & 0xfff8;
  if (offset + 7 > limit) return Lookup::kOutside;

  const Loaded<uint64_t> low = cpu.loadSystem(base + offset, 8);
  if (!low.ok) return Lookup::kFaulted;
  descriptor = {.low = low.value, .high = 0, .linear = base + offset};
  if (!isWide(cpu, descriptor)) return Lookup::kFound;

  if (offset + 15 > limit) return Lookup::kOutside;
  const Loaded<uint64_t> high = cpu.loadSystem(base + offset + 8, 8);
  if (!high.ok) return Lookup::kFaulted;
  descriptor.high = high.value & 0xffffffff;
  return Lookup::kFound;
}

bool fetchDescriptor(Cpu& cpu, uint16_t selector, Vector vector, Descriptor& descriptor) {
  switch (lookUpDescriptor(cpu, selector, descriptor)) {
    case Lookup::kFound:
      return true;
    case Lookup::kOutside:
      return cpu.raise(vector, selectorError(selector));
    case Lookup::kFaulted:
      return false;
  }
  return false;
}

bool markAccessed(Cpu& cpu, Descriptor& descriptor) {
  if (descriptor.access() & access::kAccessed) return true;
  if (!storeAccessByte(cpu, descriptor, descriptor.access() | access::kAccessed)) return false;
  descriptor.low |= uint64_t{access::kAccessed} << 40;
  return true;
}

bool storeType(Cpu& cpu, const Descriptor& descriptor, unsigned type) {
  return storeAccessByte(cpu, descriptor, (descriptor.access() & 0xf0) | type);
}

}  // namespace nodevm

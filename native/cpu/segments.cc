#include "cpu/segments.h"

namespace nodevm {

namespace {

// Data segment, DPL 3, present, writable, accessed.
constexpr uint16_t kVirtual8086Access = 0xf3;

// SDM volume 2, "MOV", the part on loading SS with a null selector: 64-bit mode outside of CPL 3.
bool mayLoadNullStack(const Cpu& cpu, uint16_t selector) {
  return cpu.code64() && cpu.cpl < 3 && rplOf(selector) == cpu.cpl;
}

}  // namespace

SegmentRegister virtual8086Segment(uint16_t selector) {
  return {.selector = selector,
          .access = kVirtual8086Access,
          .limit = 0xffff,
          .base = uint64_t{selector} << 4};
}

void setRealModeSegment(SegmentRegister& segment, uint16_t selector) {
  segment.selector = selector;
  segment.base = uint64_t{selector} << 4;
}

SegmentRegister nullSegment(uint16_t selector, unsigned dpl) {
  return {.selector = selector,
          .access = static_cast<uint16_t>(dpl << access::kDplShift),
          .limit = 0,
          .base = 0};
}

bool fetchStackSegment(Cpu& cpu, uint16_t selector, unsigned cpl, Vector vector,
                       SegmentRegister& stack) {
  Descriptor descriptor;
  if (!fetchDescriptor(cpu, selector, vector, descriptor)) return false;
  if (rplOf(selector) != cpl || !descriptor.isWritableData() || descriptor.dpl() != cpl)
    return cpu.raise(vector, selectorError(selector));
  if (!descriptor.present()) return cpu.raise(kSsFault, selectorError(selector));
  if (!markAccessed(cpu, descriptor)) return false;
  stack = segmentOf(descriptor, selector);
  return true;
}

bool fetchDataSegment(Cpu& cpu, uint16_t selector, unsigned cpl, Vector vector,
                      SegmentRegister& data) {
  if (isNull(selector)) {
    data = nullSegment(selector);
    return true;
  }
  Descriptor descriptor;
  if (!fetchDescriptor(cpu, selector, vector, descriptor)) return false;
  const bool privileged =
      !descriptor.isConforming() && (descriptor.dpl() < cpl || descriptor.dpl() < rplOf(selector));
  if (!descriptor.isReadable() || privileged) return cpu.raise(vector, selectorError(selector));
  if (!descriptor.present()) return cpu.raise(kNp, selectorError(selector));
  if (!markAccessed(cpu, descriptor)) return false;
  data = segmentOf(descriptor, selector);
  return true;
}

void dropPrivilegedSegments(Cpu& cpu, unsigned newCpl) {
  for (const Segment seg : {kEs, kDs, kFs, kGs}) {
    SegmentRegister& data = cpu.segment[seg];
    const bool conforming = data.isCode() && (data.type() & 4);
    if (data.present() && !conforming && data.dpl() < newCpl) data = nullSegment(0);
  }
}

bool Cpu::loadSegment(Segment seg, uint16_t selector) {
  SegmentRegister loaded;
  if (virtual8086()) {
    loaded = virtual8086Segment(selector);
  } else if (realMode()) {
    loaded = segment[seg];
    setRealModeSegment(loaded, selector);
  } else if (seg != kSs) {
    if (!fetchDataSegment(*this, selector, cpl, kGp, loaded)) return false;
  } else if (isNull(selector)) {
    if (!mayLoadNullStack(*this, selector)) return raise(kGp, 0);
    loaded = nullSegment(selector, cpl);
  } else if (!fetchStackSegment(*this, selector, cpl, kGp, loaded)) {
    return false;
  }
  segment[seg] = loaded;
  updateMode();
  return true;
}

// SDM volume 2, "LLDT".
bool Cpu::loadLdtr(uint16_t selector) {
  if (isNull(selector)) {
    ldtr = nullSegment(selector);
    return true;
  }
  if (isLocal(selector)) return raise(kGp, selectorError(selector));
  Descriptor descriptor;
  if (!fetchDescriptor(*this, selector, kGp, descriptor)) return false;
  if (descriptor.isCodeOrData() || descriptor.type() != kLdtType)
    return raise(kGp, selectorError(selector));
  if (!descriptor.present()) return raise(kNp, selectorError(selector));
  if (longMode() && !isCanonical(descriptor.base())) return raise(kGp, selectorError(selector));
  ldtr = segmentOf(descriptor, selector);
  return true;
}

// SDM volume 2, "LTR".
bool Cpu::loadTr(uint16_t selector) {
  if (isNull(selector)) return raise(kGp, 0);
  if (isLocal(selector)) return raise(kGp, selectorError(selector));
  Descriptor descriptor;
  if (!fetchDescriptor(*this, selector, kGp, descriptor)) return false;
  const bool available =
      !descriptor.isCodeOrData() &&
      (descriptor.type() == kTssAvailable || (descriptor.type() == kTss16Available && !longMode()));
  if (!available) return raise(kGp, selectorError(selector));
  if (!descriptor.present()) return raise(kNp, selectorError(selector));
  if (longMode() && !isCanonical(descriptor.base())) return raise(kGp, selectorError(selector));
  const unsigned busy = descriptor.type() | 2;
  if (!storeType(*this, descriptor, busy)) return false;
  tr = segmentOf(descriptor, selector);
  tr.access = static_cast<uint16_t>((tr.access & ~15u) | busy);
  return true;
}

}  // namespace nodevm

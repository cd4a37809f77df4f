#include "cpu/xstate.h"

#include <algorithm>
#include <cstring>

#include "interpreter/sse_control.h"

namespace nodevm {

namespace {

// Offsets in the legacy region: SDM volume 2, table "Layout of FXSAVE and FXRSTOR Memory Region".
constexpr unsigned kFcw = 0, kFsw = 2, kFtw = 4, kFop = 6, kFip = 8, kFcs = 12, kFdp = 16,
                   kFds = 20, kMxcsr = 24, kMxcsrMaskAt = 28, kX87Registers = 32, kXmm = 160;
constexpr unsigned kSlot = 16;  // bytes of a register
constexpr unsigned kLegacyBytes = 512, kHeader = 512;
constexpr unsigned kXstateBv = 0, kXcompBv = 8, kHeaderBytes = 64;
constexpr uint64_t kCompact = uint64_t{1} << 63;
constexpr unsigned kChunk = 64;  // what Cpu::loadBytes and storeBytes take at once

struct LegacyImage {
  uint8_t bytes[kLegacyBytes] = {};

  template <class T>
  T get(unsigned offset) const {
    T value;
    std::memcpy(&value, bytes + offset, sizeof value);
    return value;
  }
  template <class T>
  void set(unsigned offset, T value) {
    std::memcpy(bytes + offset, &value, sizeof value);
  }
};

unsigned xmmBytes(const Cpu& cpu) { return (cpu.code64() ? 16 : 8) * kSlot; }

bool checkAlignment(Cpu& cpu, uint8_t seg, uint64_t ea, unsigned alignment) {
  const uint64_t linear = (ea + cpu.segmentBase[seg]) & cpu.linearMask;
  return (linear & (alignment - 1)) == 0 || cpu.raise(kGp, 0);
}

bool storeRange(Cpu& cpu, uint8_t seg, uint64_t ea, const uint8_t* from, unsigned size) {
  for (unsigned done = 0; done < size; done += kChunk)
    if (!cpu.storeBytes(seg, ea + done, from + done, std::min(kChunk, size - done))) return false;
  return true;
}

bool loadRange(Cpu& cpu, uint8_t seg, uint64_t ea, uint8_t* to, unsigned size) {
  for (unsigned done = 0; done < size; done += kChunk) {
    const unsigned piece = std::min(kChunk, size - done);
    const uint8_t* from = cpu.loadBytes(seg, ea + done, piece);
    if (!from) return false;
    std::memcpy(to + done, from, piece);
  }
  return true;
}

// --- state to image and back

void putX87(const Cpu& cpu, LegacyImage& image, bool wide) {
  const X87State& x87 = cpu.x87;
  image.set<uint16_t>(kFcw, x87.control);
  image.set<uint16_t>(kFsw, x87.status);
  image.set<uint8_t>(kFtw, x87.validTags);
  image.set<uint16_t>(kFop, x87.lastOpcode);
  image.set<uint64_t>(kFip, x87.instructionPointer);
  image.set<uint64_t>(kFdp, x87.dataPointer);
  if (!wide) {
    image.set<uint32_t>(kFcs, x87.instructionSegment);
    image.set<uint32_t>(kFds, x87.dataSegment);
  }
  for (unsigned n = 0; n < 8; ++n) {
    const Float80& st = x87.registers[(x87.top() + n) & 7];
    image.set<uint64_t>(kX87Registers + n * kSlot, st.mantissa);
    image.set<uint64_t>(kX87Registers + n * kSlot + 8, st.signExponent);
  }
}

void takeX87(Cpu& cpu, const LegacyImage& image, bool wide) {
  X87State& x87 = cpu.x87;
  // Reserved bits of the control word keep their values, ES and B follow from the exceptions.
  x87.status = image.get<uint16_t>(kFsw);
  x87::setControl(x87, image.get<uint16_t>(kFcw));
  x87.validTags = image.get<uint8_t>(kFtw);
  x87.lastOpcode = image.get<uint16_t>(kFop) & 0x7ff;
  x87.instructionPointer = wide ? image.get<uint64_t>(kFip) : image.get<uint32_t>(kFip);
  x87.dataPointer = wide ? image.get<uint64_t>(kFdp) : image.get<uint32_t>(kFdp);
  x87.instructionSegment = wide ? 0 : image.get<uint16_t>(kFcs);
  x87.dataSegment = wide ? 0 : image.get<uint16_t>(kFds);
  for (unsigned n = 0; n < 8; ++n) {
    Float80& st = x87.registers[(x87.top() + n) & 7];
    st.mantissa = image.get<uint64_t>(kX87Registers + n * kSlot);
    st.signExponent = image.get<uint16_t>(kX87Registers + n * kSlot + 8);
  }
}

void putXmm(const Cpu& cpu, LegacyImage& image) {
  for (unsigned n = 0; n < 16; ++n)
    std::memcpy(image.bytes + kXmm + n * kSlot, cpu.vector[n].bytes, kSlot);
}

void takeXmm(Cpu& cpu, const LegacyImage& image, unsigned bytes) {
  for (unsigned n = 0; n < bytes / kSlot; ++n)
    std::memcpy(cpu.vector[n].bytes, image.bytes + kXmm + n * kSlot, kSlot);
}

void putMxcsr(LegacyImage& image, uint32_t value) {
  image.set<uint32_t>(kMxcsr, value);
  image.set<uint32_t>(kMxcsrMaskAt, kMxcsrMask);
}

bool checkMxcsr(Cpu& cpu, const LegacyImage& image) {
  return !(image.get<uint32_t>(kMxcsr) & ~kMxcsrMask) || cpu.raise(kGp, 0);
}

// --- XSAVE

struct Header {
  uint64_t words[kHeaderBytes / 8] = {};

  uint64_t present() const { return words[kXstateBv / 8]; }
  uint64_t layout() const { return words[kXcompBv / 8]; }
};

// SDM volume 1, "Operation of XRSTOR": what makes a header invalid.
bool checkHeader(Cpu& cpu, const Header& header, bool compactOnly) {
  const bool compact = header.layout() & kCompact;
  const uint64_t allowed = compact ? header.layout() & ~kCompact : cpu.xcr0;
  bool valid = !(header.present() & ~allowed) && (compact || !compactOnly);
  valid = valid && (compact ? !(allowed & ~cpu.xcr0) : header.layout() == 0);
  // The standard form looks at the first of the reserved words only.
  const unsigned reservedEnd = compact ? kHeaderBytes / 8 : 3;
  for (unsigned n = 2; n < reservedEnd; ++n) valid = valid && header.words[n] == 0;
  return valid || cpu.raise(kGp, 0);
}

void restoreX87(Cpu& cpu, const LegacyImage& image, bool present, bool wide) {
  if (present) return takeX87(cpu, image, wide);
  cpu.x87 = X87State{};
}

void restoreXmm(Cpu& cpu, const LegacyImage& image, bool present) {
  takeXmm(cpu, present ? image : LegacyImage{}, xmmBytes(cpu));
}

// --- the AVX component: the upper halves of the YMM registers

constexpr unsigned kUpperHalf = 16;
constexpr XsaveComponent kAvxComponent = {.offset = 576, .bytes = 16 * kSlot};

struct AvxImage {
  uint8_t bytes[kAvxComponent.bytes] = {};
};

// Where the component lies: it is the only one behind the header, and so the first in either form.
static_assert(kAvxComponent.offset == kLegacyBytes + kHeaderBytes);

bool storeAvx(Cpu& cpu, uint8_t seg, uint64_t ea) {
  AvxImage image;
  for (unsigned n = 0; n < 16; ++n)
    std::memcpy(image.bytes + n * kSlot, cpu.vector[n].bytes + kUpperHalf, kSlot);
  return storeRange(cpu, seg, ea + kAvxComponent.offset, image.bytes, xmmBytes(cpu));
}

void restoreAvx(Cpu& cpu, const AvxImage& image) {
  for (unsigned n = 0; n < xmmBytes(cpu) / kSlot; ++n)
    std::memcpy(cpu.vector[n].bytes + kUpperHalf, image.bytes + n * kSlot, kSlot);
}

// --- the init optimization

bool isInitial(const X87State& x87) {
  const X87State initial;
  bool same = x87.control == initial.control && x87.status == 0 && x87.validTags == 0 &&
              x87.lastOpcode == 0 && x87.instructionPointer == 0 && x87.dataPointer == 0 &&
              x87.instructionSegment == 0 && x87.dataSegment == 0;
  for (const Float80& st : x87.registers) same &= st.mantissa == 0 && st.signExponent == 0;
  return same;
}

bool isZero(const Cpu& cpu, unsigned half) {
  uint8_t bits = 0;
  for (unsigned n = 0; n < xmmBytes(cpu) / kSlot; ++n)
    for (unsigned byte = 0; byte < kSlot; ++byte) bits |= cpu.vector[n].bytes[half + byte];
  return bits == 0;
}

}  // namespace

void toFxsaveImage(const Cpu& cpu, uint8_t* image) {
  LegacyImage legacy;
  putX87(cpu, legacy, true);
  putMxcsr(legacy, cpu.mxcsr);
  putXmm(cpu, legacy);
  std::memcpy(image, legacy.bytes, kLegacyBytes);
}

void fromFxsaveImage(Cpu& cpu, const uint8_t* image) {
  LegacyImage legacy;
  std::memcpy(legacy.bytes, image, kLegacyBytes);
  takeX87(cpu, legacy, true);
  takeXmm(cpu, legacy, sizeof cpu.vector / sizeof cpu.vector[0] * kSlot);
  cpu.mxcsr = legacy.get<uint32_t>(kMxcsr) & kMxcsrMask;
}

bool fxsave(Cpu& cpu, uint8_t seg, uint64_t ea, bool wide) {
  LegacyImage image;
  putX87(cpu, image, wide);
  putMxcsr(image, readMxcsr(cpu));
  putXmm(cpu, image);
  return checkAlignment(cpu, seg, ea, 16) && cpu.probeWrite(seg, ea, kLegacyBytes) &&
         storeRange(cpu, seg, ea, image.bytes, kXmm + xmmBytes(cpu));
}

bool fxrstor(Cpu& cpu, uint8_t seg, uint64_t ea, bool wide) {
  LegacyImage image;
  if (!checkAlignment(cpu, seg, ea, 16) || !loadRange(cpu, seg, ea, image.bytes, kLegacyBytes) ||
      !checkMxcsr(cpu, image))
    return false;
  takeX87(cpu, image, wide);
  takeXmm(cpu, image, xmmBytes(cpu));
  writeMxcsr(cpu, image.get<uint32_t>(kMxcsr));
  return true;
}

uint64_t supportedXcr0(FeatureSet features) {
  return xstate::kX87 | xstate::kSse | (has(features, Feature::kAvx) ? xstate::kAvx : 0);
}

const XsaveComponent* xsaveComponent(uint32_t number) {
  return number == 2 ? &kAvxComponent : nullptr;
}

uint32_t xsaveBytes(uint64_t components, bool) {
  return kLegacyBytes + kHeaderBytes + (components & xstate::kAvx ? kAvxComponent.bytes : 0);
}

// By value, for which the SDM leaves room (volume 1, "Processor Tracking of XSAVE-Managed State").
uint64_t componentsInUse(Cpu& cpu) {
  const uint64_t used = (isInitial(cpu.x87) ? 0 : xstate::kX87) |
                        (isZero(cpu, 0) ? 0 : xstate::kSse) |
                        (isZero(cpu, kUpperHalf) ? 0 : xstate::kAvx);
  return used & cpu.xcr0;
}

// SDM volume 1, "Operation of XSAVE", "... XSAVEOPT", "... XSAVEC" and "... XSAVES". The modified
// optimization, which a processor may leave out, is left out.
bool xsave(Cpu& cpu, uint8_t seg, uint64_t ea, uint64_t requested, XsaveForm form) {
  const uint64_t asked = requested & cpu.xcr0;
  if (!checkAlignment(cpu, seg, ea, 64) ||
      !cpu.probeWrite(seg, ea, xsaveBytes(asked, form.compact)))
    return false;
  const uint32_t control = readMxcsr(cpu);
  uint64_t used = componentsInUse(cpu);
  // The compacted form counts MXCSR in.
  if (form.compact && control != mxcsr::kDefault) used |= xstate::kSse;
  const uint64_t written = form.optimize ? asked & used : asked;
  uint64_t present = asked & used;
  if (!form.compact) {
    const Loaded<uint64_t> old = cpu.load<uint64_t>(seg, ea + kHeader + kXstateBv);
    if (!old.ok) return false;
    present |= old.value & ~asked;
  }
  LegacyImage image;
  if (written & xstate::kX87) {
    putX87(cpu, image, form.wide);
    if (!storeRange(cpu, seg, ea, image.bytes, kMxcsr) ||
        !storeRange(cpu, seg, ea + kX87Registers, image.bytes + kX87Registers, 8 * kSlot))
      return false;
  }
  const bool withMxcsr =
      form.compact ? written & xstate::kSse : asked & (xstate::kSse | xstate::kAvx);
  putMxcsr(image, control);
  if (withMxcsr && !storeRange(cpu, seg, ea + kMxcsr, image.bytes + kMxcsr, 8)) return false;
  if (written & xstate::kSse) {
    putXmm(cpu, image);
    if (!storeRange(cpu, seg, ea + kXmm, image.bytes + kXmm, xmmBytes(cpu))) return false;
  }
  if ((written & xstate::kAvx) && !storeAvx(cpu, seg, ea)) return false;
  return (!form.compact || cpu.store<uint64_t>(seg, ea + kHeader + kXcompBv, asked | kCompact)) &&
         cpu.store<uint64_t>(seg, ea + kHeader + kXstateBv, present);
}

bool xrstor(Cpu& cpu, uint8_t seg, uint64_t ea, uint64_t requested, bool wide, bool compactOnly) {
  const uint64_t restored = requested & cpu.xcr0;
  LegacyImage image;
  Header header;
  AvxImage avx;
  if (!checkAlignment(cpu, seg, ea, 64) || !loadRange(cpu, seg, ea, image.bytes, kLegacyBytes) ||
      !loadRange(cpu, seg, ea + kHeader, reinterpret_cast<uint8_t*>(header.words), kHeaderBytes) ||
      !checkHeader(cpu, header, compactOnly))
    return false;
  const uint64_t loaded = restored & header.present();
  if ((loaded & xstate::kAvx) &&
      !loadRange(cpu, seg, ea + kAvxComponent.offset, avx.bytes, xmmBytes(cpu)))
    return false;
  // The compacted form has MXCSR in the SSE component; the standard form loads it with SSE and AVX.
  const bool compact = header.layout() & kCompact;
  const bool mxcsrAsked = restored & (compact ? xstate::kSse : xstate::kSse | xstate::kAvx);
  const bool mxcsrLoaded = compact ? loaded & xstate::kSse : mxcsrAsked;
  if (mxcsrLoaded && !checkMxcsr(cpu, image)) return false;

  if (restored & xstate::kX87) restoreX87(cpu, image, loaded & xstate::kX87, wide);
  if (mxcsrAsked) writeMxcsr(cpu, mxcsrLoaded ? image.get<uint32_t>(kMxcsr) : mxcsr::kDefault);
  if (restored & xstate::kSse) restoreXmm(cpu, image, loaded & xstate::kSse);
  if (restored & xstate::kAvx) restoreAvx(cpu, avx);
  return true;
}

}  // namespace nodevm

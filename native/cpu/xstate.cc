#include "cpu/xstate.h"

#include <algorithm>
#include <cstring>

#include "cpu/avx512.h"
#include "interpreter/sse_control.h"

namespace nodevm {

namespace {

// Offsets in the legacy region: SDM volume 2, table "Layout of FXSAVE and FXRSTOR Memory Region".
constexpr unsigned kFcw = 0, kFsw = 2, kFtw = 4, kFop = 6, kFip = 8, kFcs = 12, kFdp = 16,
                   kFds = 20, kMxcsr = 24, kMxcsrMaskAt = 28, kX87Registers = 32, kXmm = 160;
constexpr unsigned kSlot = 16, kUpperBytes = 32, kZmmBytes = 64;  // of a register, or its part
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

// --- components behind the header

// By number; the offsets of the standard form are Intel's.
constexpr unsigned kComponents = 8;
constexpr XsaveComponent kExtended[kComponents] = {
    {},
    {},
    {.offset = 576, .bytes = 16 * kSlot},  // AVX
    {},
    {},
    {.offset = 1088, .bytes = 8 * 8},             // opmask
    {.offset = 1152, .bytes = 16 * kUpperBytes},  // ZMM_Hi256
    {.offset = 1664, .bytes = 16 * kZmmBytes},    // Hi16_ZMM
};
constexpr unsigned kFirstExtended = 2;
static_assert(kExtended[kFirstExtended].offset == kLegacyBytes + kHeaderBytes);

struct ComponentImage {
  uint8_t bytes[16 * kZmmBytes];
};

// The compacted form has the components of `layout` one behind the other.
uint32_t offsetOf(unsigned number, uint64_t layout, bool compact) {
  if (!compact) return kExtended[number].offset;
  return xsaveBytes(layout & ((uint64_t{1} << number) - 1), true);
}

// Bytes that the mode accesses.
unsigned accessedBytes(const Cpu& cpu, unsigned number) {
  const unsigned all = kExtended[number].bytes;
  const uint64_t component = uint64_t{1} << number;
  if (cpu.code64() || component == xstate::kOpmask) return all;
  return component == xstate::kHi16Zmm ? 0 : all / 2;
}

// Calls copy(place in the image, register's bytes, their number) for all registers of the
// component.
template <class Processor, class Copy>
void eachRegister(Processor& cpu, unsigned number, Copy copy) {
  for (unsigned n = 0; n < 16; ++n) {
    switch (uint64_t{1} << number) {
      case xstate::kAvx:
        copy(n * kSlot, cpu.vector[n].bytes + kSlot, kSlot);
        break;
      case xstate::kZmmHi256:
        copy(n * kUpperBytes, cpu.avx512.upper[n].bytes, kUpperBytes);
        break;
      case xstate::kHi16Zmm:
        copy(n * kZmmBytes, cpu.avx512.high[n].bytes, kZmmBytes);
        break;
      default:
        if (n == 0) copy(0, cpu.avx512.mask, sizeof cpu.avx512.mask);
        break;
    }
  }
}

bool storeComponent(Cpu& cpu, uint8_t seg, uint64_t ea, unsigned number) {
  ComponentImage image;
  eachRegister(cpu, number, [&](unsigned at, const void* from, unsigned bytes) {
    std::memcpy(image.bytes + at, from, bytes);
  });
  return storeRange(cpu, seg, ea, image.bytes, accessedBytes(cpu, number));
}

void restoreComponent(Cpu& cpu, unsigned number, const ComponentImage& image) {
  const unsigned accessed = accessedBytes(cpu, number);
  eachRegister(cpu, number, [&](unsigned at, void* to, unsigned bytes) {
    if (at < accessed) std::memcpy(to, image.bytes + at, bytes);
  });
  if (uint64_t{1} << number != xstate::kZmmHi256) return;
  for (unsigned n = 0; n < 16; ++n)
    writeZmmUpper(cpu, n, VectorRegister(cpu.avx512.upper[n]).bytes);
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

// `size` is a multiple of 8.
bool hasBits(const uint8_t* bytes, size_t size) {
  uint64_t bits = 0;
  for (size_t at = 0; at < size; at += sizeof bits) {
    uint64_t word;
    std::memcpy(&word, bytes + at, sizeof word);
    bits |= word;
  }
  return bits != 0;
}

bool isXmmZero(const Cpu& cpu) {
  for (unsigned n = 0; n < xmmBytes(cpu) / kSlot; ++n)
    if (hasBits(cpu.vector[n].bytes, kSlot)) return false;
  return true;
}

bool isComponentZero(const Cpu& cpu, unsigned number) {
  const unsigned accessed = accessedBytes(cpu, number);
  bool zero = true;
  eachRegister(cpu, number, [&](unsigned at, const void* from, unsigned bytes) {
    zero = zero && (at >= accessed || !hasBits(static_cast<const uint8_t*>(from), bytes));
  });
  return zero;
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
  return xstate::kX87 | xstate::kSse | (has(features, Feature::kAvx) ? xstate::kAvx : 0) |
         (has(features, Feature::kAvx512f) ? xstate::kAvx512 : 0);
}

bool isValidXcr0(uint64_t value, FeatureSet features) {
  const uint64_t avx512 = value & xstate::kAvx512;
  return !(value & ~supportedXcr0(features)) && (value & xstate::kX87) &&
         (!(value & xstate::kAvx) || (value & xstate::kSse)) &&
         (!avx512 || (avx512 == xstate::kAvx512 && (value & xstate::kAvx)));
}

const XsaveComponent* xsaveComponent(uint32_t number) {
  return number < kComponents && kExtended[number].bytes ? &kExtended[number] : nullptr;
}

uint32_t xsaveBytes(uint64_t components, bool compact) {
  uint32_t end = kLegacyBytes + kHeaderBytes;
  for (unsigned number = kFirstExtended; number < kComponents; ++number) {
    if (!(components >> number & 1)) continue;
    end = (compact ? end : kExtended[number].offset) + kExtended[number].bytes;
  }
  return end;
}

// By value, for which the SDM leaves room (volume 1, "Processor Tracking of XSAVE-Managed State").
uint64_t componentsInUse(Cpu& cpu) {
  uint64_t used = (isInitial(cpu.x87) ? 0 : xstate::kX87) | (isXmmZero(cpu) ? 0 : xstate::kSse);
  for (unsigned number = kFirstExtended; number < kComponents; ++number)
    if ((cpu.xcr0 >> number & 1) && !isComponentZero(cpu, number)) used |= uint64_t{1} << number;
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
  for (unsigned number = kFirstExtended; number < kComponents; ++number)
    if ((written >> number & 1) &&
        !storeComponent(cpu, seg, ea + offsetOf(number, asked, form.compact), number))
      return false;
  return (!form.compact || cpu.store<uint64_t>(seg, ea + kHeader + kXcompBv, asked | kCompact)) &&
         cpu.store<uint64_t>(seg, ea + kHeader + kXstateBv, present);
}

bool xrstor(Cpu& cpu, uint8_t seg, uint64_t ea, uint64_t requested, bool wide, bool compactOnly) {
  const uint64_t restored = requested & cpu.xcr0;
  LegacyImage image;
  Header header;
  ComponentImage extended[kComponents];
  if (!checkAlignment(cpu, seg, ea, 64) || !loadRange(cpu, seg, ea, image.bytes, kLegacyBytes) ||
      !loadRange(cpu, seg, ea + kHeader, reinterpret_cast<uint8_t*>(header.words), kHeaderBytes) ||
      !checkHeader(cpu, header, compactOnly))
    return false;
  const uint64_t loaded = restored & header.present();
  const bool compact = header.layout() & kCompact;
  for (unsigned number = kFirstExtended; number < kComponents; ++number) {
    if (!(restored >> number & 1)) continue;
    uint8_t* const to = extended[number].bytes;
    const unsigned bytes = accessedBytes(cpu, number);
    std::memset(to, 0, bytes);
    if ((loaded >> number & 1) &&
        !loadRange(cpu, seg, ea + offsetOf(number, header.layout(), compact), to, bytes))
      return false;
  }
  // The compacted form has MXCSR in the SSE component; the standard form loads it with SSE and AVX.
  const bool mxcsrAsked = restored & (compact ? xstate::kSse : xstate::kSse | xstate::kAvx);
  const bool mxcsrLoaded = compact ? loaded & xstate::kSse : mxcsrAsked;
  if (mxcsrLoaded && !checkMxcsr(cpu, image)) return false;

  if (restored & xstate::kX87) restoreX87(cpu, image, loaded & xstate::kX87, wide);
  if (mxcsrAsked) writeMxcsr(cpu, mxcsrLoaded ? image.get<uint32_t>(kMxcsr) : mxcsr::kDefault);
  if (restored & xstate::kSse) restoreXmm(cpu, image, loaded & xstate::kSse);
  for (unsigned number = kFirstExtended; number < kComponents; ++number)
    if (restored >> number & 1) restoreComponent(cpu, number, extended[number]);
  return true;
}

}  // namespace nodevm

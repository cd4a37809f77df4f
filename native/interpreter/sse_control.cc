#include "interpreter/sse_control.h"

#include "cpu/xstate.h"

namespace nodevm {

namespace {

// `value` with every exception masked.
void setHost(uint32_t value) { _mm_setcsr((value & kMxcsrMask) | mxcsr::kMasks); }

uint32_t hostFlags() { return _mm_getcsr() & mxcsr::kFlags; }

bool hasTinyFloat(Xmm value) {
  const Xmm magnitude = _mm_and_si128(value, _mm_set1_epi32(0x7fffffff));
  const Xmm nonzero = _mm_cmpgt_epi32(magnitude, zeroXmm());
  return _mm_movemask_epi8(
             _mm_andnot_si128(_mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7fffff)), nonzero)) != 0;
}

bool hasTinyDouble(Xmm value) {
  const Xmm magnitude = _mm_and_si128(value, _mm_set1_epi64x(0x7fffffffffffffff));
  const Xmm nonzero = _mm_cmpgt_epi64(magnitude, zeroXmm());
  return _mm_movemask_epi8(_mm_andnot_si128(
             _mm_cmpgt_epi64(magnitude, _mm_set1_epi64x(0xfffffffffffff)), nonzero)) != 0;
}

bool hasTinyHalf(Xmm value) {
  const Xmm magnitude = _mm_and_si128(value, _mm_set1_epi16(0x7fff));
  const Xmm nonzero = _mm_cmpgt_epi16(magnitude, zeroXmm());
  return _mm_movemask_epi8(
             _mm_andnot_si128(_mm_cmpgt_epi16(magnitude, _mm_set1_epi16(0x3ff)), nonzero)) != 0;
}

}  // namespace

bool hasTiny(Tiny where, Xmm result) {
  switch (where) {
    case Tiny::kFloats:
      return hasTinyFloat(result);
    case Tiny::kDoubles:
      return hasTinyDouble(result);
    case Tiny::kLowFloat:
      return hasTinyFloat(simd::replaceLowDword(zeroXmm(), result));
    case Tiny::kLowDouble:
      return hasTinyDouble(simd::zeroHighQword(result));
    case Tiny::kHalves:
      return hasTinyHalf(result);
    case Tiny::kNever:
      break;
  }
  return false;
}

void enterGuestMxcsr(Cpu& cpu) {
  setHost(cpu.mxcsr);
  cpu.updateSimdState();
}

void leaveGuestMxcsr(Cpu& cpu) {
  cpu.mxcsr |= hostFlags();
  _mm_setcsr(mxcsr::kDefault);
}

uint32_t readMxcsr(Cpu& cpu) { return cpu.mxcsr | hostFlags(); }

void writeMxcsr(Cpu& cpu, uint32_t value) {
  cpu.mxcsr = value;
  setHost(value);
  cpu.updateSimdState();
}

bool raiseUnlessSseUsable(Cpu& cpu) {
  if (sseUsable(cpu)) return true;
  const bool undefined = (cpu.cr0 & cr0::kEm) || !(cpu.cr4 & cr4::kOsfxsr);
  return cpu.raise(undefined ? kUd : kNm);
}

bool raiseUnlessMmxUsable(Cpu& cpu) {
  if (cpu.cr0 & cr0::kEm) return cpu.raise(kUd);
  if (cpu.cr0 & cr0::kTs) return cpu.raise(kNm);
  return (cpu.x87.status & x87::kSummary) == 0 || cpu.reportNumericError();
}

bool raiseUnlessAvxUsable(Cpu& cpu) {
  if (!avxEnabled(cpu)) return cpu.raise(kUd);
  return !(cpu.cr0 & cr0::kTs) || cpu.raise(kNm);
}

bool raiseUnlessEvexUsable(Cpu& cpu) {
  constexpr uint64_t kAvx512 = 0xe0;
  if (!avxEnabled(cpu) || (cpu.xcr0 & kAvx512) != kAvx512) return cpu.raise(kUd);
  return !(cpu.cr0 & cr0::kTs) || cpu.raise(kNm);
}

uint32_t beginUnmasked(Cpu& cpu) {
  const uint32_t guest = readMxcsr(cpu);
  // FTZ acts only while underflow is masked (SDM volume 1, "Flush-To-Zero").
  const uint32_t ignored = guest & mxcsr::kUnderflow << mxcsr::kMaskShift ? 0 : mxcsr::kFlushToZero;
  setHost(guest & ~(mxcsr::kFlags | ignored));
  return guest;
}

bool endUnmasked(Cpu& cpu, uint32_t guest, bool tiny, std::string_view mnemonic,
                 const FloatSources& sources) {
  constexpr uint32_t kOutOfRange = mxcsr::kOverflow | mxcsr::kUnderflow;
  const uint32_t unmasked = ~(guest >> mxcsr::kMaskShift) & mxcsr::kFlags;
  uint32_t flags = hostFlags();
  // Masked, underflow needs a result both tiny and inexact; unmasked, a tiny one (SDM volume 1,
  // "Numeric Underflow Exception").
  if ((unmasked & mxcsr::kUnderflow) && tiny) flags |= mxcsr::kUnderflow;
  // An unmasked exception found before computing keeps the others from being found (SDM volume 1,
  // "Priority Between Simultaneous Exceptions and SIMD Exceptions").
  if (flags & unmasked & mxcsr::kPreComputation) flags &= mxcsr::kPreComputation;
  if ((flags & unmasked & kOutOfRange) && (flags & mxcsr::kPrecision) &&
      !isInexact(mnemonic, sources, guest))
    flags &= ~mxcsr::kPrecision;
  cpu.mxcsr = guest | flags;
  setHost(cpu.mxcsr);
  return !(flags & unmasked) || cpu.raise(cpu.cr4 & cr4::kOsxmmexcpt ? kXm : kUd);
}

Xmm executeUnmasked(Cpu& cpu, FloatOperation operation, std::string_view mnemonic, Tiny tiny, Xmm a,
                    Xmm b, uint8_t imm) {
  const uint32_t guest = beginUnmasked(cpu);
  const Xmm result = operation(a, b, imm);
  const auto* first = reinterpret_cast<const uint8_t*>(&a);
  const auto* second = reinterpret_cast<const uint8_t*>(&b);
  static_cast<void>(endUnmasked(cpu, guest, hasTiny(tiny, result), mnemonic,
                                {first, first, second, sizeof(Xmm), imm}));
  return result;
}

}  // namespace nodevm

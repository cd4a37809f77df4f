// SSE4.2 text processing: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. All four are one comparison,
// which gives a bit an element; they differ in where lengths come from and where the bits go.

#include "interpreter/sse_handlers.h"
#include "interpreter/sse_host_string.h"

namespace nodevm {

using namespace simd;

namespace {

enum class Lengths : uint8_t { kImplicit, kExplicit32, kExplicit64 };
enum class Output : uint8_t { kIndex, kMask };

// The magnitude of a signed length register, at most `count`.
template <class T>
inline unsigned explicitLength(T value, unsigned count) {
  const T magnitude = value >> (sizeof(T) * 8 - 1) ? T{0} - value : value;
  return magnitude < count ? static_cast<unsigned>(magnitude) : count;
}

// `reg` is the length register of this string: EAX for the first, EDX for the second.
template <Lengths kLengths>
inline unsigned lengthOf(const Cpu& cpu, Xmm value, uint8_t reg, bool words) {
  const unsigned count = words ? 8 : 16;
  if constexpr (kLengths == Lengths::kExplicit32)
    return explicitLength(cpu.reg<uint32_t>(reg), count);
  if constexpr (kLengths == Lengths::kExplicit64)
    return explicitLength(cpu.reg<uint64_t>(reg), count);
  return implicitLength(value, words);
}

inline uint32_t indexOf(uint32_t matches, unsigned count, bool mostSignificant) {
  if (matches == 0) return count;
  return static_cast<uint32_t>(mostSignificant ? 31 - __builtin_clz(matches)
                                               : __builtin_ctz(matches));
}

inline Xmm maskOf(uint32_t matches, bool words, bool expanded) {
  if (!expanded) return lowXmm(matches);
  return words ? wordMask(static_cast<uint8_t>(matches)) : byteMask(matches);
}

template <Path kPath, bool kMemory, Lengths kLengths, Output kOutput>
[[gnu::noinline]] void compareStrings(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise =
      kPath == Path::kFast ? compareStrings<Path::kSlow, kMemory, kLengths, kOutput> : fault;
  if (!available<kPath, true, false>(cpu)) [[unlikely]]
    return kOtherwise(cpu, i);
  Xmm b;
  if (!fetch<kPath, kMemory, Source::kXmmUnaligned>(cpu, i, b)) [[unlikely]]
    return kOtherwise(cpu, i);
  const Xmm a = xmm(cpu, i->reg);
  const auto control = static_cast<uint8_t>(i->immediate);
  const bool words = control & strings::kWords;
  const bool select = control & strings::kOutputSelect;
  const unsigned count = words ? 8 : 16;
  const unsigned lengthA = lengthOf<kLengths>(cpu, a, gpr::kRax, words);
  const unsigned lengthB = lengthOf<kLengths>(cpu, b, gpr::kRdx, words);
  const uint32_t matches = kStringMatches.at[control & strings::kComparison](
      a, b, static_cast<int>(lengthA), static_cast<int>(lengthB));
  if constexpr (kOutput == Output::kIndex) {
    cpu.setReg<uint32_t>(gpr::kRcx, indexOf(matches, count, select));
  } else {
    setXmm(cpu, 0, maskOf(matches, words, select));
  }
  setSimdFlags(cpu, (matches != 0 ? eflags::kCf : 0) | (lengthB < count ? eflags::kZf : 0) |
                        (lengthA < count ? eflags::kSf : 0) | (matches & 1 ? eflags::kOf : 0));
  return next(cpu, i);
}

template <Lengths kLengths, Output kOutput>
constexpr HandlerSet comparingStrings() {
  return forms(compareStrings<Path::kFast, false, kLengths, kOutput>,
               compareStrings<Path::kFast, true, kLengths, kOutput>);
}
template <Output kOutput>
constexpr HandlerSet comparingExplicit() {
  return byWidth(comparingStrings<Lengths::kExplicit32, kOutput>(),
                 comparingStrings<Lengths::kExplicit64, kOutput>());
}

}  // namespace

extern const HandlerSet PCMPESTRI_Vx_Wx_Ib = comparingExplicit<Output::kIndex>();
extern const HandlerSet PCMPESTRM_Vx_Wx_Ib = comparingExplicit<Output::kMask>();
extern const HandlerSet PCMPISTRI_Vx_Wx_Ib = comparingStrings<Lengths::kImplicit, Output::kIndex>();
extern const HandlerSet PCMPISTRM_Vx_Wx_Ib = comparingStrings<Lengths::kImplicit, Output::kMask>();

}  // namespace nodevm

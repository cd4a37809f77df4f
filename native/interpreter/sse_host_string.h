#pragma once
// The text-processing third of the vector back end (see sse_host.h): the comparison that PCMPESTRI,
// PCMPESTRM, PCMPISTRI and PCMPISTRM share.

#include <utility>

#include "interpreter/sse_host.h"

namespace nodevm::simd {

// SDM volume 2, "Imm8 Control Byte Operation for PCMPESTRI / PCMPESTRM / PCMPISTRI / PCMPISTRM".
namespace strings {
inline constexpr uint8_t kWords = 1 << 0;         // elements are words, else bytes
inline constexpr uint8_t kComparison = 0x3f;      // format, aggregation and polarity
inline constexpr uint8_t kOutputSelect = 1 << 6;  // most significant index; expanded mask
}  // namespace strings

// IntRes2 of the SDM, a bit an element, for strings of the given numbers of valid elements.
template <int kControl>
inline uint32_t matchStrings(Xmm a, Xmm b, int lengthA, int lengthB) {
  Xmm matches;
  asm("pcmpestrm %2, %3, %1"
      : "=Yz"(matches)
      : "x"(a), "i"(kControl), "x"(b), "a"(lengthA), "d"(lengthB)
      : "cc");
  return static_cast<uint32_t>(lowHalf(matches));
}

using StringMatch = uint32_t (*)(Xmm a, Xmm b, int lengthA, int lengthB);
struct StringMatches {
  StringMatch at[strings::kComparison + 1];
};
template <int... kControl>
constexpr StringMatches makeStringMatches(std::integer_sequence<int, kControl...>) {
  return {{matchStrings<kControl>...}};
}
// Indexed by imm8[5:0].
inline constexpr StringMatches kStringMatches =
    makeStringMatches(std::make_integer_sequence<int, strings::kComparison + 1>());

// Elements before the first that is zero.
inline unsigned implicitLength(Xmm value, bool words) {
  const auto zeros = static_cast<unsigned>(
      words ? _mm_movemask_epi8(_mm_packs_epi16(_mm_cmpeq_epi16(value, zeroXmm()), zeroXmm()))
            : _mm_movemask_epi8(_mm_cmpeq_epi8(value, zeroXmm())));
  return static_cast<unsigned>(__builtin_ctz(zeros | (words ? 1u << 8 : 1u << 16)));
}

// All ones in byte n when bit n is set.
inline Xmm byteMask(uint32_t bits) {
  const Xmm spread = _mm_shuffle_epi8(lowXmm(bits), _mm_set_epi64x(0x0101010101010101, 0));
  const Xmm bit = _mm_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
  return _mm_cmpeq_epi8(_mm_and_si128(spread, bit), bit);
}

}  // namespace nodevm::simd

#pragma once
// The integer half of the vector back end: everything the MMX and SSE handlers ask of the host's
// vector unit, as functions of 16-byte values. Operations that are one instruction of SSE4.2 go by
// the intrinsic's name; the rest are composed here, in namespace simd. For a host without SSE4.2
// this file and sse_host_float.h are what to write again. Operations take (destination, source,
// imm8), or less.

#include <nmmintrin.h>

#include <cstdint>

#include "cpu/flags.h"

namespace nodevm {

using Xmm = __m128i;

inline Xmm zeroXmm() { return _mm_setzero_si128(); }
inline Xmm lowXmm(uint64_t value) { return _mm_cvtsi64_si128(static_cast<int64_t>(value)); }
inline uint64_t lowHalf(Xmm value) { return static_cast<uint64_t>(_mm_cvtsi128_si64(value)); }
inline Xmm loadXmm(const uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const Xmm*>(from));
}
inline void storeXmm(uint8_t* to, Xmm value) {
  _mm_storeu_si128(reinterpret_cast<Xmm*>(to), value);
}

namespace simd {

// --- byte permutations whose control is an immediate

struct alignas(16) ByteControls {
  uint8_t bytes[16];
};

// PSHUFB controls of the two-bit selectors of PSHUFD and SHUFPS, for each imm8.
struct DwordShuffles {
  ByteControls at[256];
};
constexpr DwordShuffles makeDwordShuffles() {
  DwordShuffles table{};
  for (unsigned imm = 0; imm < 256; ++imm)
    for (unsigned byte = 0; byte < 16; ++byte)
      table.at[imm].bytes[byte] =
          static_cast<uint8_t>(((imm >> (byte / 4 * 2)) & 3) * 4 + byte % 4);
  return table;
}
inline constexpr DwordShuffles kDwordShuffles = makeDwordShuffles();

// The same for the words of one half: PSHUFW, PSHUFLW, PSHUFHW.
struct WordShuffles {
  uint8_t at[256][8];
};
constexpr WordShuffles makeWordShuffles() {
  WordShuffles table{};
  for (unsigned imm = 0; imm < 256; ++imm)
    for (unsigned byte = 0; byte < 8; ++byte)
      table.at[imm][byte] = static_cast<uint8_t>(((imm >> (byte / 2 * 2)) & 3) * 2 + byte % 2);
  return table;
}
inline constexpr WordShuffles kWordShuffles = makeWordShuffles();

// 16 controls from position 16 + n shift right by n bytes, from 16 - n left; bit 7 gives a zero
// byte.
struct ByteShifts {
  uint8_t bytes[48];
};
constexpr ByteShifts makeByteShifts() {
  ByteShifts table{};
  for (unsigned n = 0; n < 48; ++n)
    table.bytes[n] = static_cast<uint8_t>(n >= 16 && n < 32 ? n - 16 : 0x80);
  return table;
}
inline constexpr ByteShifts kByteShifts = makeByteShifts();

inline Xmm dwordShuffle(Xmm value, uint8_t imm) {
  return _mm_shuffle_epi8(value, loadXmm(kDwordShuffles.at[imm].bytes));
}
inline Xmm wordShuffle(Xmm value, uint8_t imm) {
  return _mm_shuffle_epi8(value,
                          _mm_loadl_epi64(reinterpret_cast<const Xmm*>(kWordShuffles.at[imm])));
}
// Counts above 15 give zero.
inline Xmm bytesRight(Xmm value, unsigned count) {
  return _mm_shuffle_epi8(value, loadXmm(kByteShifts.bytes + 16 + (count < 16 ? count : 16)));
}
inline Xmm bytesLeft(Xmm value, unsigned count) {
  return _mm_shuffle_epi8(value, loadXmm(kByteShifts.bytes + 16 - (count < 16 ? count : 16)));
}

inline Xmm pshufd(Xmm, Xmm b, uint8_t imm) { return dwordShuffle(b, imm); }
inline Xmm pshufw(Xmm, Xmm b, uint8_t imm) { return wordShuffle(b, imm); }
inline Xmm pshuflw(Xmm, Xmm b, uint8_t imm) {
  return _mm_blend_epi16(wordShuffle(b, imm), b, 0xf0);
}
inline Xmm pshufhw(Xmm, Xmm b, uint8_t imm) {
  return _mm_unpacklo_epi64(b, wordShuffle(_mm_srli_si128(b, 8), imm));
}
inline Xmm shufps(Xmm a, Xmm b, uint8_t imm) {
  return _mm_blend_epi16(dwordShuffle(a, imm), dwordShuffle(b, imm), 0xf0);
}
// Each selected quadword as two doublewords.
inline Xmm shufpd(Xmm a, Xmm b, uint8_t imm) {
  return shufps(a, b, static_cast<uint8_t>((imm & 1 ? 0x0e : 0x04) | (imm & 2 ? 0xe0 : 0x40)));
}
inline Xmm movsldup(Xmm b) { return _mm_shuffle_epi32(b, 0xa0); }
inline Xmm movshdup(Xmm b) { return _mm_shuffle_epi32(b, 0xf5); }
inline Xmm movddup(Xmm b) { return _mm_unpacklo_epi64(b, b); }

inline Xmm palignr(Xmm a, Xmm b, uint8_t imm) {
  if (imm >= 16) return bytesRight(a, imm - 16u);
  return _mm_or_si128(bytesRight(b, imm), bytesLeft(a, 16u - imm));
}
inline Xmm palignrMm(Xmm a, Xmm b, uint8_t imm) {
  return bytesRight(_mm_unpacklo_epi64(b, a), imm);
}
inline Xmm psrldq(Xmm a, uint8_t count) { return bytesRight(a, count); }
inline Xmm pslldq(Xmm a, uint8_t count) { return bytesLeft(a, count); }

// --- moves

inline Xmm copy(Xmm b) { return b; }
inline Xmm replaceLowDword(Xmm a, Xmm b) { return _mm_blend_epi16(a, b, 0x03); }
inline Xmm replaceLowQword(Xmm a, Xmm b) { return _mm_blend_epi16(a, b, 0x0f); }
inline Xmm zeroHighQword(Xmm b) { return _mm_move_epi64(b); }
inline Xmm lowToHigh(Xmm a, Xmm b) { return _mm_unpacklo_epi64(a, b); }
inline Xmm highToLow(Xmm a, Xmm b) { return _mm_blend_epi16(a, _mm_srli_si128(b, 8), 0x0f); }
inline Xmm highQword(Xmm b) { return _mm_srli_si128(b, 8); }

// A word, zero-extended.
inline Xmm pextrw(Xmm, Xmm b, uint8_t imm) {
  return lowXmm(static_cast<uint16_t>(lowHalf(bytesRight(b, (imm & 7) * 2u))));
}
inline Xmm pextrwMm(Xmm, Xmm b, uint8_t imm) { return pextrw(b, b, imm & 3); }
inline Xmm movmskps(Xmm b) { return _mm_cvtsi32_si128(_mm_movemask_ps(_mm_castsi128_ps(b))); }
inline Xmm movmskpd(Xmm b) { return _mm_cvtsi32_si128(_mm_movemask_pd(_mm_castsi128_pd(b))); }
inline Xmm pmovmskb(Xmm b) { return _mm_cvtsi32_si128(_mm_movemask_epi8(b)); }

// --- selections

// All ones in lane n when bit n of imm is set.
inline Xmm wordMask(uint8_t imm) {
  const Xmm bits = _mm_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm_cmpeq_epi16(_mm_and_si128(_mm_set1_epi16(imm), bits), bits);
}
inline Xmm dwordMask(uint8_t imm) {
  const Xmm bits = _mm_setr_epi32(1, 2, 4, 8);
  return _mm_cmpeq_epi32(_mm_and_si128(_mm_set1_epi32(imm), bits), bits);
}
inline Xmm qwordMask(uint8_t imm) {
  const Xmm bits = _mm_set_epi64x(2, 1);
  return _mm_cmpeq_epi64(_mm_and_si128(_mm_set1_epi64x(imm), bits), bits);
}
inline Xmm pblendw(Xmm a, Xmm b, uint8_t imm) { return _mm_blendv_epi8(a, b, wordMask(imm)); }
inline Xmm blendps(Xmm a, Xmm b, uint8_t imm) { return _mm_blendv_epi8(a, b, dwordMask(imm)); }
inline Xmm blendpd(Xmm a, Xmm b, uint8_t imm) { return _mm_blendv_epi8(a, b, qwordMask(imm)); }

// The variable blends: the mask is the implicit XMM0.
inline Xmm pblendvb(Xmm a, Xmm b, Xmm mask) { return _mm_blendv_epi8(a, b, mask); }
inline Xmm blendvps(Xmm a, Xmm b, Xmm mask) {
  return _mm_blendv_epi8(a, b, _mm_srai_epi32(mask, 31));
}
inline Xmm blendvpd(Xmm a, Xmm b, Xmm mask) {
  return blendvps(a, b, _mm_shuffle_epi32(mask, 0xf5));
}

// SDM volume 2, INSERTPS: COUNT_S imm8[7:6], COUNT_D imm8[5:4], ZMASK imm8[3:0].
inline Xmm insertLane(Xmm a, Xmm lanes, uint8_t imm) {
  const Xmm merged = blendps(a, lanes, static_cast<uint8_t>(1u << ((imm >> 4) & 3)));
  return _mm_andnot_si128(dwordMask(imm & 15), merged);
}
inline Xmm insertps(Xmm a, Xmm b, uint8_t imm) {
  return insertLane(a, dwordShuffle(b, static_cast<uint8_t>((imm >> 6) * 0x55)), imm);
}
// A memory source is one doubleword; COUNT_S does not apply.
inline Xmm insertpsFromMemory(Xmm a, Xmm b, uint8_t imm) {
  return insertLane(a, _mm_shuffle_epi32(b, 0), imm);
}

// --- arithmetic that MMX and SSE2 word differently

// Operations of mm registers are those of xmm registers on the low halves, except where lanes of
// both operands meet; those work on the concatenation.
template <auto kOp>
inline Xmm ofConcatenation(Xmm a, Xmm b) {
  return kOp(_mm_unpacklo_epi64(a, b), zeroXmm());
}
// PUNPCKH of mm registers: the upper half of what interleaving the low halves gives.
template <auto kOp>
inline Xmm upperOf(Xmm a, Xmm b) {
  return _mm_srli_si128(kOp(a, b), 8);
}
inline Xmm pshufbMm(Xmm a, Xmm b) {
  return _mm_shuffle_epi8(a, _mm_and_si128(b, _mm_set1_epi8(static_cast<char>(0x87))));
}

// Shifts by an immediate.
template <auto kShift>
inline Xmm byCount(Xmm a, uint8_t count) {
  return kShift(a, _mm_cvtsi32_si128(count));
}

// SDM volume 2, MPSADBW: imm8[2] picks the destination's offset, imm8[1:0] the source's, in
// doublewords.
inline Xmm mpsadbw(Xmm a, Xmm b, uint8_t imm) {
  return _mm_mpsadbw_epu8(bytesRight(a, imm & 4), bytesRight(b, (imm & 3) * 4u), 0);
}

// ZF: and is zero; CF: and-not is zero; as an EFLAGS word.
inline Xmm ptest(Xmm a, Xmm b) {
  return lowXmm((_mm_testz_si128(a, b) ? eflags::kZf : 0) |
                (_mm_testc_si128(a, b) ? eflags::kCf : 0));
}

}  // namespace simd
}  // namespace nodevm

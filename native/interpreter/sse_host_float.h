#pragma once
// The floating-point half of the vector back end (see sse_host.h): each operation is the host's own
// instruction, under the MXCSR that sse_control.cc has set up. The assembly is volatile because it
// reads and writes MXCSR, and assembly at all because a compiler may swap the operands of an
// addition or a multiplication, which decides whose NaN comes out.

#include "interpreter/sse_host.h"

namespace nodevm::simd {

// --- arithmetic

inline Xmm addps(Xmm a, Xmm b) {
  asm volatile("addps %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm addpd(Xmm a, Xmm b) {
  asm volatile("addpd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm addss(Xmm a, Xmm b) {
  asm volatile("addss %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm addsd(Xmm a, Xmm b) {
  asm volatile("addsd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm subps(Xmm a, Xmm b) {
  asm volatile("subps %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm subpd(Xmm a, Xmm b) {
  asm volatile("subpd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm subss(Xmm a, Xmm b) {
  asm volatile("subss %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm subsd(Xmm a, Xmm b) {
  asm volatile("subsd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm mulps(Xmm a, Xmm b) {
  asm volatile("mulps %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm mulpd(Xmm a, Xmm b) {
  asm volatile("mulpd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm mulss(Xmm a, Xmm b) {
  asm volatile("mulss %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm mulsd(Xmm a, Xmm b) {
  asm volatile("mulsd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm divps(Xmm a, Xmm b) {
  asm volatile("divps %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm divpd(Xmm a, Xmm b) {
  asm volatile("divpd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm divss(Xmm a, Xmm b) {
  asm volatile("divss %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm divsd(Xmm a, Xmm b) {
  asm volatile("divsd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm minps(Xmm a, Xmm b) {
  asm volatile("minps %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm minpd(Xmm a, Xmm b) {
  asm volatile("minpd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm minss(Xmm a, Xmm b) {
  asm volatile("minss %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm minsd(Xmm a, Xmm b) {
  asm volatile("minsd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm maxps(Xmm a, Xmm b) {
  asm volatile("maxps %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm maxpd(Xmm a, Xmm b) {
  asm volatile("maxpd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm maxss(Xmm a, Xmm b) {
  asm volatile("maxss %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm maxsd(Xmm a, Xmm b) {
  asm volatile("maxsd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm sqrtps(Xmm b) {
  asm volatile("sqrtps %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm sqrtpd(Xmm b) {
  asm volatile("sqrtpd %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm sqrtss(Xmm a, Xmm b) {
  asm volatile("sqrtss %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm sqrtsd(Xmm a, Xmm b) {
  asm volatile("sqrtsd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm haddps(Xmm a, Xmm b) {
  asm volatile("haddps %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm haddpd(Xmm a, Xmm b) {
  asm volatile("haddpd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm hsubps(Xmm a, Xmm b) {
  asm volatile("hsubps %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm hsubpd(Xmm a, Xmm b) {
  asm volatile("hsubpd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm addsubps(Xmm a, Xmm b) {
  asm volatile("addsubps %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm addsubpd(Xmm a, Xmm b) {
  asm volatile("addsubpd %1, %0" : "+x"(a) : "x"(b));
  return a;
}

// Approximations; the last bits are the host's own. They raise no exception.
inline Xmm rcpps(Xmm b) {
  asm volatile("rcpps %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm rsqrtps(Xmm b) {
  asm volatile("rsqrtps %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm rcpss(Xmm a, Xmm b) {
  asm volatile("rcpss %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm rsqrtss(Xmm a, Xmm b) {
  asm volatile("rsqrtss %1, %0" : "+x"(a) : "x"(b));
  return a;
}

// --- comparison

template <int kPredicate>
inline Xmm cmpps(Xmm a, Xmm b) {
  asm volatile("cmpps %2, %1, %0" : "+x"(a) : "x"(b), "i"(kPredicate));
  return a;
}
template <int kPredicate>
inline Xmm cmppd(Xmm a, Xmm b) {
  asm volatile("cmppd %2, %1, %0" : "+x"(a) : "x"(b), "i"(kPredicate));
  return a;
}
template <int kPredicate>
inline Xmm cmpss(Xmm a, Xmm b) {
  asm volatile("cmpss %2, %1, %0" : "+x"(a) : "x"(b), "i"(kPredicate));
  return a;
}
template <int kPredicate>
inline Xmm cmpsd(Xmm a, Xmm b) {
  asm volatile("cmpsd %2, %1, %0" : "+x"(a) : "x"(b), "i"(kPredicate));
  return a;
}

// Operations whose immediate must be known to the assembler, one instance for each value of it.
using BinaryOperation = Xmm (*)(Xmm, Xmm);

inline constexpr BinaryOperation kCmpps[8] = {cmpps<0>, cmpps<1>, cmpps<2>, cmpps<3>,
                                              cmpps<4>, cmpps<5>, cmpps<6>, cmpps<7>};
inline constexpr BinaryOperation kCmppd[8] = {cmppd<0>, cmppd<1>, cmppd<2>, cmppd<3>,
                                              cmppd<4>, cmppd<5>, cmppd<6>, cmppd<7>};
inline constexpr BinaryOperation kCmpss[8] = {cmpss<0>, cmpss<1>, cmpss<2>, cmpss<3>,
                                              cmpss<4>, cmpss<5>, cmpss<6>, cmpss<7>};
inline constexpr BinaryOperation kCmpsd[8] = {cmpsd<0>, cmpsd<1>, cmpsd<2>, cmpsd<3>,
                                              cmpsd<4>, cmpsd<5>, cmpsd<6>, cmpsd<7>};

// SDM volume 2, CMPPS: the legacy forms use imm8[2:0].
inline Xmm cmppsBy(Xmm a, Xmm b, uint8_t imm) { return kCmpps[imm & 7](a, b); }
inline Xmm cmppdBy(Xmm a, Xmm b, uint8_t imm) { return kCmppd[imm & 7](a, b); }
inline Xmm cmpssBy(Xmm a, Xmm b, uint8_t imm) { return kCmpss[imm & 7](a, b); }
inline Xmm cmpsdBy(Xmm a, Xmm b, uint8_t imm) { return kCmpsd[imm & 7](a, b); }

inline Xmm eflagsWord(bool zf, bool pf, bool cf) {
  return lowXmm((zf ? eflags::kZf : 0) | (pf ? eflags::kPf : 0) | (cf ? eflags::kCf : 0));
}
inline Xmm comiss(Xmm a, Xmm b) {
  bool zf, pf, cf;
  asm volatile("comiss %4, %3" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : "x"(a), "x"(b));
  return eflagsWord(zf, pf, cf);
}
inline Xmm comisd(Xmm a, Xmm b) {
  bool zf, pf, cf;
  asm volatile("comisd %4, %3" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : "x"(a), "x"(b));
  return eflagsWord(zf, pf, cf);
}
inline Xmm ucomiss(Xmm a, Xmm b) {
  bool zf, pf, cf;
  asm volatile("ucomiss %4, %3" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : "x"(a), "x"(b));
  return eflagsWord(zf, pf, cf);
}
inline Xmm ucomisd(Xmm a, Xmm b) {
  bool zf, pf, cf;
  asm volatile("ucomisd %4, %3" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : "x"(a), "x"(b));
  return eflagsWord(zf, pf, cf);
}

// --- rounding

template <int kControl>
inline Xmm roundps(Xmm a, Xmm b) {
  asm volatile("roundps %2, %1, %0" : "+x"(a) : "x"(b), "i"(kControl));
  return a;
}
template <int kControl>
inline Xmm roundpd(Xmm a, Xmm b) {
  asm volatile("roundpd %2, %1, %0" : "+x"(a) : "x"(b), "i"(kControl));
  return a;
}
template <int kControl>
inline Xmm roundss(Xmm a, Xmm b) {
  asm volatile("roundss %2, %1, %0" : "+x"(a) : "x"(b), "i"(kControl));
  return a;
}
template <int kControl>
inline Xmm roundsd(Xmm a, Xmm b) {
  asm volatile("roundsd %2, %1, %0" : "+x"(a) : "x"(b), "i"(kControl));
  return a;
}

inline constexpr BinaryOperation kRoundps[16] = {
    roundps<0>,  roundps<1>,  roundps<2>,  roundps<3>, roundps<4>,  roundps<5>,
    roundps<6>,  roundps<7>,  roundps<8>,  roundps<9>, roundps<10>, roundps<11>,
    roundps<12>, roundps<13>, roundps<14>, roundps<15>};
inline constexpr BinaryOperation kRoundpd[16] = {
    roundpd<0>,  roundpd<1>,  roundpd<2>,  roundpd<3>, roundpd<4>,  roundpd<5>,
    roundpd<6>,  roundpd<7>,  roundpd<8>,  roundpd<9>, roundpd<10>, roundpd<11>,
    roundpd<12>, roundpd<13>, roundpd<14>, roundpd<15>};
inline constexpr BinaryOperation kRoundss[16] = {
    roundss<0>,  roundss<1>,  roundss<2>,  roundss<3>, roundss<4>,  roundss<5>,
    roundss<6>,  roundss<7>,  roundss<8>,  roundss<9>, roundss<10>, roundss<11>,
    roundss<12>, roundss<13>, roundss<14>, roundss<15>};
inline constexpr BinaryOperation kRoundsd[16] = {
    roundsd<0>,  roundsd<1>,  roundsd<2>,  roundsd<3>, roundsd<4>,  roundsd<5>,
    roundsd<6>,  roundsd<7>,  roundsd<8>,  roundsd<9>, roundsd<10>, roundsd<11>,
    roundsd<12>, roundsd<13>, roundsd<14>, roundsd<15>};

// SDM volume 2, ROUNDPD: imm8[1:0] rounding, imm8[2] by MXCSR instead, imm8[3] no precision
// exception.
inline Xmm roundpsBy(Xmm a, Xmm b, uint8_t imm) { return kRoundps[imm & 15](a, b); }
inline Xmm roundpdBy(Xmm a, Xmm b, uint8_t imm) { return kRoundpd[imm & 15](a, b); }
inline Xmm roundssBy(Xmm a, Xmm b, uint8_t imm) { return kRoundss[imm & 15](a, b); }
inline Xmm roundsdBy(Xmm a, Xmm b, uint8_t imm) { return kRoundsd[imm & 15](a, b); }

// --- conversion

inline Xmm cvtdq2ps(Xmm b) {
  asm volatile("cvtdq2ps %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm cvtps2dq(Xmm b) {
  asm volatile("cvtps2dq %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm cvttps2dq(Xmm b) {
  asm volatile("cvttps2dq %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm cvtdq2pd(Xmm b) {
  asm volatile("cvtdq2pd %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm cvtpd2dq(Xmm b) {
  asm volatile("cvtpd2dq %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm cvttpd2dq(Xmm b) {
  asm volatile("cvttpd2dq %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm cvtps2pd(Xmm b) {
  asm volatile("cvtps2pd %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm cvtpd2ps(Xmm b) {
  asm volatile("cvtpd2ps %1, %0" : "=x"(b) : "x"(b));
  return b;
}
inline Xmm cvtss2sd(Xmm a, Xmm b) {
  asm volatile("cvtss2sd %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm cvtsd2ss(Xmm a, Xmm b) {
  asm volatile("cvtsd2ss %1, %0" : "+x"(a) : "x"(b));
  return a;
}

// The mm forms convert two lanes; the unused ones are zero and so raise nothing.
inline Xmm cvtpi2ps(Xmm a, Xmm b) { return replaceLowQword(a, cvtdq2ps(b)); }
inline Xmm cvtps2pi(Xmm b) { return cvtps2dq(zeroHighQword(b)); }
inline Xmm cvttps2pi(Xmm b) { return cvttps2dq(zeroHighQword(b)); }

// From the low half of b.
inline Xmm cvtsi2ss32(Xmm a, Xmm b) {
  asm volatile("cvtsi2ssl %1, %0" : "+x"(a) : "r"(static_cast<int32_t>(lowHalf(b))));
  return a;
}
inline Xmm cvtsi2ss64(Xmm a, Xmm b) {
  asm volatile("cvtsi2ssq %1, %0" : "+x"(a) : "r"(static_cast<int64_t>(lowHalf(b))));
  return a;
}
inline Xmm cvtsi2sd32(Xmm a, Xmm b) {
  asm volatile("cvtsi2sdl %1, %0" : "+x"(a) : "r"(static_cast<int32_t>(lowHalf(b))));
  return a;
}
inline Xmm cvtsi2sd64(Xmm a, Xmm b) {
  asm volatile("cvtsi2sdq %1, %0" : "+x"(a) : "r"(static_cast<int64_t>(lowHalf(b))));
  return a;
}

// To an integer in the low half; out of range, the integer indefinite.
inline Xmm cvtss2si32(Xmm b) {
  uint32_t value;
  asm volatile("cvtss2si %1, %0" : "=r"(value) : "x"(b));
  return lowXmm(value);
}
inline Xmm cvtss2si64(Xmm b) {
  uint64_t value;
  asm volatile("cvtss2si %1, %0" : "=r"(value) : "x"(b));
  return lowXmm(value);
}
inline Xmm cvtsd2si32(Xmm b) {
  uint32_t value;
  asm volatile("cvtsd2si %1, %0" : "=r"(value) : "x"(b));
  return lowXmm(value);
}
inline Xmm cvtsd2si64(Xmm b) {
  uint64_t value;
  asm volatile("cvtsd2si %1, %0" : "=r"(value) : "x"(b));
  return lowXmm(value);
}
inline Xmm cvttss2si32(Xmm b) {
  uint32_t value;
  asm volatile("cvttss2si %1, %0" : "=r"(value) : "x"(b));
  return lowXmm(value);
}
inline Xmm cvttss2si64(Xmm b) {
  uint64_t value;
  asm volatile("cvttss2si %1, %0" : "=r"(value) : "x"(b));
  return lowXmm(value);
}
inline Xmm cvttsd2si32(Xmm b) {
  uint32_t value;
  asm volatile("cvttsd2si %1, %0" : "=r"(value) : "x"(b));
  return lowXmm(value);
}
inline Xmm cvttsd2si64(Xmm b) {
  uint64_t value;
  asm volatile("cvttsd2si %1, %0" : "=r"(value) : "x"(b));
  return lowXmm(value);
}

}  // namespace nodevm::simd

// Floating-point arithmetic and comparison.

#include "interpreter/sse_dot_product.h"
#include "interpreter/sse_handlers.h"
#include "interpreter/sse_host_float.h"

namespace nodevm {

using namespace simd;

namespace {

struct Floats {
  static constexpr auto kMultiply = mulps, kAddNeighbours = haddps;
  static constexpr auto kRaisesNothing = dotProductOfFloatsRaisesNothing;
  static constexpr unsigned kSums = 2;
  static Xmm mask(unsigned bits) { return dwordMask(static_cast<uint8_t>(bits)); }
};
struct Doubles {
  static constexpr auto kMultiply = mulpd, kAddNeighbours = haddpd;
  static constexpr auto kRaisesNothing = dotProductOfDoublesRaisesNothing;
  static constexpr unsigned kSums = 1;
  static Xmm mask(unsigned bits) { return qwordMask(static_cast<uint8_t>(bits)); }
};

template <class Lanes>
inline Xmm dotProduct(Xmm a, Xmm b) {
  Xmm sum = Lanes::kMultiply(a, b);
  for (unsigned n = 0; n < Lanes::kSums; ++n) sum = Lanes::kAddNeighbours(sum, sum);
  return sum;
}

// A function of its own: see storeWholeSlow().
template <class Lanes>
[[gnu::noinline]] bool raisesNothing(Cpu& cpu, Xmm a, Xmm b, uint8_t imm) {
  const auto* first = reinterpret_cast<const uint8_t*>(&a);
  return Lanes::kRaisesNothing(
      cpu, {first, first, reinterpret_cast<const uint8_t*>(&b), sizeof(Xmm), imm});
}

// imm8[7:4] selects the products, the others are +0; imm8[3:0] the lanes that receive the sum.
template <Path kPath, bool kMemory, class Lanes>
[[gnu::noinline]] void executeDotProduct(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise =
      kPath == Path::kFast ? executeDotProduct<Path::kSlow, kMemory, Lanes> : fault;
  const bool masked = allExceptionsMasked(cpu);
  if (!available<kPath, true, false>(cpu) || (kPath == Path::kFast && !masked)) [[unlikely]]
    return kOtherwise(cpu, i);
  Xmm source;
  if (!fetch<kPath, kMemory, Source::kXmm>(cpu, i, source)) [[unlikely]]
    return kOtherwise(cpu, i);
  const auto imm = static_cast<unsigned>(i->immediate & 0xff);
  const Xmm old = xmm(cpu, i->reg);
  if (kPath == Path::kSlow && !masked &&
      !raisesNothing<Lanes>(cpu, old, source, static_cast<uint8_t>(imm)))
    return fault(cpu, i);
  const Xmm selected = Lanes::mask(imm >> 4);
  const Xmm sum = dotProduct<Lanes>(_mm_and_si128(old, selected), _mm_and_si128(source, selected));
  setXmm(cpu, i->reg, _mm_and_si128(sum, Lanes::mask(imm & 15)));
  return next(cpu, i);
}
template <class Lanes>
constexpr HandlerSet dotProducts() {
  return forms(executeDotProduct<Path::kFast, false, Lanes>,
               executeDotProduct<Path::kFast, true, Lanes>);
}

template <auto kOp, Source kSource>
constexpr HandlerSet comparing() {
  return floating<kOp, Tiny::kNever, kSource, Target::kFlags>();
}

}  // namespace

// Arithmetic
extern const HandlerSet ADDPS_Vx_Wx = floating<addps, Tiny::kFloats>();
extern const HandlerSet ADDPD_Vx_Wx = floating<addpd, Tiny::kDoubles>();
extern const HandlerSet ADDSS_Vx_Wd = floating<addss, Tiny::kLowFloat, Source::kXmm32>();
extern const HandlerSet ADDSD_Vx_Wq = floating<addsd, Tiny::kLowDouble, Source::kXmm64>();
extern const HandlerSet SUBPS_Vx_Wx = floating<subps, Tiny::kFloats>();
extern const HandlerSet SUBPD_Vx_Wx = floating<subpd, Tiny::kDoubles>();
extern const HandlerSet SUBSS_Vx_Wd = floating<subss, Tiny::kLowFloat, Source::kXmm32>();
extern const HandlerSet SUBSD_Vx_Wq = floating<subsd, Tiny::kLowDouble, Source::kXmm64>();
extern const HandlerSet MULPS_Vx_Wx = floating<mulps, Tiny::kFloats>();
extern const HandlerSet MULPD_Vx_Wx = floating<mulpd, Tiny::kDoubles>();
extern const HandlerSet MULSS_Vx_Wd = floating<mulss, Tiny::kLowFloat, Source::kXmm32>();
extern const HandlerSet MULSD_Vx_Wq = floating<mulsd, Tiny::kLowDouble, Source::kXmm64>();
extern const HandlerSet DIVPS_Vx_Wx = floating<divps, Tiny::kFloats>();
extern const HandlerSet DIVPD_Vx_Wx = floating<divpd, Tiny::kDoubles>();
extern const HandlerSet DIVSS_Vx_Wd = floating<divss, Tiny::kLowFloat, Source::kXmm32>();
extern const HandlerSet DIVSD_Vx_Wq = floating<divsd, Tiny::kLowDouble, Source::kXmm64>();
extern const HandlerSet MINPS_Vx_Wx = floating<minps>();
extern const HandlerSet MINPD_Vx_Wx = floating<minpd>();
extern const HandlerSet MINSS_Vx_Wd = floating<minss, Tiny::kNever, Source::kXmm32>();
extern const HandlerSet MINSD_Vx_Wq = floating<minsd, Tiny::kNever, Source::kXmm64>();
extern const HandlerSet MAXPS_Vx_Wx = floating<maxps>();
extern const HandlerSet MAXPD_Vx_Wx = floating<maxpd>();
extern const HandlerSet MAXSS_Vx_Wd = floating<maxss, Tiny::kNever, Source::kXmm32>();
extern const HandlerSet MAXSD_Vx_Wq = floating<maxsd, Tiny::kNever, Source::kXmm64>();
extern const HandlerSet SQRTPS_Vx_Wx = floating<sqrtps>();
extern const HandlerSet SQRTPD_Vx_Wx = floating<sqrtpd>();
extern const HandlerSet SQRTSS_Vx_Wd = floating<sqrtss, Tiny::kNever, Source::kXmm32>();
extern const HandlerSet SQRTSD_Vx_Wq = floating<sqrtsd, Tiny::kNever, Source::kXmm64>();

// Within one register, and alternating
extern const HandlerSet HADDPS_Vx_Wx = floating<haddps, Tiny::kFloats>();
extern const HandlerSet HADDPD_Vx_Wx = floating<haddpd, Tiny::kDoubles>();
extern const HandlerSet HSUBPS_Vx_Wx = floating<hsubps, Tiny::kFloats>();
extern const HandlerSet HSUBPD_Vx_Wx = floating<hsubpd, Tiny::kDoubles>();
extern const HandlerSet ADDSUBPS_Vx_Wx = floating<addsubps, Tiny::kFloats>();
extern const HandlerSet ADDSUBPD_Vx_Wx = floating<addsubpd, Tiny::kDoubles>();
extern const HandlerSet DPPS_Vx_Wx_Ib = dotProducts<Floats>();
extern const HandlerSet DPPD_Vx_Wx_Ib = dotProducts<Doubles>();

// Approximations
extern const HandlerSet RCPPS_Vx_Wx = vector<rcpps>();
extern const HandlerSet RCPSS_Vx_Wd = vector<rcpss, Source::kXmm32>();
extern const HandlerSet RSQRTPS_Vx_Wx = vector<rsqrtps>();
extern const HandlerSet RSQRTSS_Vx_Wd = vector<rsqrtss, Source::kXmm32>();

// Rounding
extern const HandlerSet ROUNDPS_Vx_Wx_Ib = floating<roundpsBy>();
extern const HandlerSet ROUNDPD_Vx_Wx_Ib = floating<roundpdBy>();
extern const HandlerSet ROUNDSS_Vx_Wd_Ib = floating<roundssBy, Tiny::kNever, Source::kXmm32>();
extern const HandlerSet ROUNDSD_Vx_Wq_Ib = floating<roundsdBy, Tiny::kNever, Source::kXmm64>();

// Comparison
extern const HandlerSet CMPPS_Vx_Wx_Ib = floating<cmppsBy>();
extern const HandlerSet CMPPD_Vx_Wx_Ib = floating<cmppdBy>();
extern const HandlerSet CMPSS_Vx_Wd_Ib = floating<cmpssBy, Tiny::kNever, Source::kXmm32>();
extern const HandlerSet CMPSD_Vx_Wq_Ib = floating<cmpsdBy, Tiny::kNever, Source::kXmm64>();
extern const HandlerSet COMISS_Vx_Wd = comparing<comiss, Source::kXmm32>();
extern const HandlerSet COMISD_Vx_Wq = comparing<comisd, Source::kXmm64>();
extern const HandlerSet UCOMISS_Vx_Wd = comparing<ucomiss, Source::kXmm32>();
extern const HandlerSet UCOMISD_Vx_Wq = comparing<ucomisd, Source::kXmm64>();

}  // namespace nodevm

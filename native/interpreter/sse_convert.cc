// Conversion between integers, floats and doubles.

#include "interpreter/sse_handlers.h"
#include "interpreter/sse_host_float.h"

namespace nodevm {

using namespace simd;

namespace {

template <auto kNarrow, auto kWide, Source kSource>
constexpr HandlerSet toGeneral() {
  return byWidth(floating<kNarrow, Tiny::kNever, kSource, Target::kGpr32>(),
                 floating<kWide, Tiny::kNever, kSource, Target::kGpr64>());
}
template <auto kNarrow, auto kWide>
constexpr HandlerSet fromGeneral() {
  return byWidth(floating<kNarrow, Tiny::kNever, Source::kGpr32>(),
                 floating<kWide, Tiny::kNever, Source::kGpr64>());
}
template <auto kOp, Source kSource>
constexpr HandlerSet toMm() {
  return floating<kOp, Tiny::kNever, kSource, Target::kMm>();
}

}  // namespace

// Between floats and doubles
extern const HandlerSet CVTPS2PD_Vx_Wq = floating<cvtps2pd, Tiny::kNever, Source::kXmm64>();
extern const HandlerSet CVTPD2PS_Vx_Wx = floating<cvtpd2ps, Tiny::kFloats>();
extern const HandlerSet CVTSS2SD_Vx_Wd = floating<cvtss2sd, Tiny::kNever, Source::kXmm32>();
extern const HandlerSet CVTSD2SS_Vx_Wq = floating<cvtsd2ss, Tiny::kLowFloat, Source::kXmm64>();

// Packed integers; doublewords are exact as doubles
extern const HandlerSet CVTDQ2PS_Vx_Wx = floating<cvtdq2ps>();
extern const HandlerSet CVTPS2DQ_Vx_Wx = floating<cvtps2dq>();
extern const HandlerSet CVTTPS2DQ_Vx_Wx = floating<cvttps2dq>();
extern const HandlerSet CVTDQ2PD_Vx_Wq = vector<cvtdq2pd, Source::kXmm64>();
extern const HandlerSet CVTPD2DQ_Vx_Wx = floating<cvtpd2dq>();
extern const HandlerSet CVTTPD2DQ_Vx_Wx = floating<cvttpd2dq>();

// General registers
extern const HandlerSet CVTSI2SS_Vx_Ey = fromGeneral<cvtsi2ss32, cvtsi2ss64>();
extern const HandlerSet CVTSI2SD_Vx_Ey = fromGeneral<cvtsi2sd32, cvtsi2sd64>();
extern const HandlerSet CVTSS2SI_Gy_Wd = toGeneral<cvtss2si32, cvtss2si64, Source::kXmm32>();
extern const HandlerSet CVTSD2SI_Gy_Wq = toGeneral<cvtsd2si32, cvtsd2si64, Source::kXmm64>();
extern const HandlerSet CVTTSS2SI_Gy_Wd = toGeneral<cvttss2si32, cvttss2si64, Source::kXmm32>();
extern const HandlerSet CVTTSD2SI_Gy_Wq = toGeneral<cvttsd2si32, cvttsd2si64, Source::kXmm64>();

// MMX registers
extern const HandlerSet CVTPI2PS_Vx_Qq = floating<cvtpi2ps, Tiny::kNever, Source::kMm>();
extern const HandlerSet CVTPI2PD_Vx_Qq = vector<cvtdq2pd, Source::kMm>();
extern const HandlerSet CVTPS2PI_Pq_Wq = toMm<cvtps2pi, Source::kXmm64>();
extern const HandlerSet CVTPD2PI_Pq_Wx = toMm<cvtpd2dq, Source::kXmm>();
extern const HandlerSet CVTTPS2PI_Pq_Wq = toMm<cvttps2pi, Source::kXmm64>();
extern const HandlerSet CVTTPD2PI_Pq_Wx = toMm<cvttpd2dq, Source::kXmm>();

}  // namespace nodevm

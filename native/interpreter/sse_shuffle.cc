// Shuffles, packs, blends and widening moves on XMM registers.

#include "interpreter/sse_handlers.h"

namespace nodevm {

using namespace simd;

// Interleaving and packing
extern const HandlerSet UNPCKLPS_Vx_Wx = vector<_mm_unpacklo_epi32>();
extern const HandlerSet UNPCKLPD_Vx_Wx = vector<_mm_unpacklo_epi64>();
extern const HandlerSet UNPCKHPS_Vx_Wx = vector<_mm_unpackhi_epi32>();
extern const HandlerSet UNPCKHPD_Vx_Wx = vector<_mm_unpackhi_epi64>();
extern const HandlerSet PUNPCKLBW_Vx_Wx = vector<_mm_unpacklo_epi8>();
extern const HandlerSet PUNPCKLWD_Vx_Wx = vector<_mm_unpacklo_epi16>();
extern const HandlerSet PUNPCKLDQ_Vx_Wx = vector<_mm_unpacklo_epi32>();
extern const HandlerSet PUNPCKLQDQ_Vx_Wx = vector<_mm_unpacklo_epi64>();
extern const HandlerSet PUNPCKHBW_Vx_Wx = vector<_mm_unpackhi_epi8>();
extern const HandlerSet PUNPCKHWD_Vx_Wx = vector<_mm_unpackhi_epi16>();
extern const HandlerSet PUNPCKHDQ_Vx_Wx = vector<_mm_unpackhi_epi32>();
extern const HandlerSet PUNPCKHQDQ_Vx_Wx = vector<_mm_unpackhi_epi64>();
extern const HandlerSet PACKSSWB_Vx_Wx = vector<_mm_packs_epi16>();
extern const HandlerSet PACKUSWB_Vx_Wx = vector<_mm_packus_epi16>();
extern const HandlerSet PACKSSDW_Vx_Wx = vector<_mm_packs_epi32>();
extern const HandlerSet PACKUSDW_Vx_Wx = vector<_mm_packus_epi32>();

// Shuffles
extern const HandlerSet PSHUFB_Vx_Wx = vector<_mm_shuffle_epi8>();
extern const HandlerSet PSHUFD_Vx_Wx_Ib = vector<pshufd>();
extern const HandlerSet PSHUFHW_Vx_Wx_Ib = vector<pshufhw>();
extern const HandlerSet PSHUFLW_Vx_Wx_Ib = vector<pshuflw>();
extern const HandlerSet SHUFPS_Vx_Wx_Ib = vector<shufps>();
extern const HandlerSet SHUFPD_Vx_Wx_Ib = vector<shufpd>();
extern const HandlerSet PALIGNR_Vx_Wx_Ib = vector<palignr>();

// Blends
extern const HandlerSet BLENDPS_Vx_Wx_Ib = vector<blendps>();
extern const HandlerSet BLENDPD_Vx_Wx_Ib = vector<blendpd>();
extern const HandlerSet PBLENDW_Vx_Wx_Ib = vector<pblendw>();
extern const HandlerSet PBLENDVB_Vx_Wx = withXmm0<pblendvb>();
extern const HandlerSet BLENDVPS_Vx_Wx = withXmm0<blendvps>();
extern const HandlerSet BLENDVPD_Vx_Wx = withXmm0<blendvpd>();

// Widening moves
extern const HandlerSet PMOVSXBW_Vx_Wq = vector<_mm_cvtepi8_epi16, Source::kXmm64>();
extern const HandlerSet PMOVSXBD_Vx_Wd = vector<_mm_cvtepi8_epi32, Source::kXmm32>();
extern const HandlerSet PMOVSXBQ_Vx_Ww = vector<_mm_cvtepi8_epi64, Source::kXmm16>();
extern const HandlerSet PMOVSXWD_Vx_Wq = vector<_mm_cvtepi16_epi32, Source::kXmm64>();
extern const HandlerSet PMOVSXWQ_Vx_Wd = vector<_mm_cvtepi16_epi64, Source::kXmm32>();
extern const HandlerSet PMOVSXDQ_Vx_Wq = vector<_mm_cvtepi32_epi64, Source::kXmm64>();
extern const HandlerSet PMOVZXBW_Vx_Wq = vector<_mm_cvtepu8_epi16, Source::kXmm64>();
extern const HandlerSet PMOVZXBD_Vx_Wd = vector<_mm_cvtepu8_epi32, Source::kXmm32>();
extern const HandlerSet PMOVZXBQ_Vx_Ww = vector<_mm_cvtepu8_epi64, Source::kXmm16>();
extern const HandlerSet PMOVZXWD_Vx_Wq = vector<_mm_cvtepu16_epi32, Source::kXmm64>();
extern const HandlerSet PMOVZXWQ_Vx_Wd = vector<_mm_cvtepu16_epi64, Source::kXmm32>();
extern const HandlerSet PMOVZXDQ_Vx_Wq = vector<_mm_cvtepu32_epi64, Source::kXmm64>();

}  // namespace nodevm

// Integer arithmetic, comparison, logic and shifts on XMM registers.

#include "interpreter/sse_handlers.h"

namespace nodevm {

using namespace simd;

// SSE2 arithmetic
extern const HandlerSet PADDB_Vx_Wx = vector<_mm_add_epi8>();
extern const HandlerSet PADDW_Vx_Wx = vector<_mm_add_epi16>();
extern const HandlerSet PADDD_Vx_Wx = vector<_mm_add_epi32>();
extern const HandlerSet PADDQ_Vx_Wx = vector<_mm_add_epi64>();
extern const HandlerSet PADDSB_Vx_Wx = vector<_mm_adds_epi8>();
extern const HandlerSet PADDSW_Vx_Wx = vector<_mm_adds_epi16>();
extern const HandlerSet PADDUSB_Vx_Wx = vector<_mm_adds_epu8>();
extern const HandlerSet PADDUSW_Vx_Wx = vector<_mm_adds_epu16>();
extern const HandlerSet PSUBB_Vx_Wx = vector<_mm_sub_epi8>();
extern const HandlerSet PSUBW_Vx_Wx = vector<_mm_sub_epi16>();
extern const HandlerSet PSUBD_Vx_Wx = vector<_mm_sub_epi32>();
extern const HandlerSet PSUBQ_Vx_Wx = vector<_mm_sub_epi64>();
extern const HandlerSet PSUBSB_Vx_Wx = vector<_mm_subs_epi8>();
extern const HandlerSet PSUBSW_Vx_Wx = vector<_mm_subs_epi16>();
extern const HandlerSet PSUBUSB_Vx_Wx = vector<_mm_subs_epu8>();
extern const HandlerSet PSUBUSW_Vx_Wx = vector<_mm_subs_epu16>();
extern const HandlerSet PMULLW_Vx_Wx = vector<_mm_mullo_epi16>();
extern const HandlerSet PMULHUW_Vx_Wx = vector<_mm_mulhi_epu16>();
extern const HandlerSet PMULHW_Vx_Wx = vector<_mm_mulhi_epi16>();
extern const HandlerSet PMULUDQ_Vx_Wx = vector<_mm_mul_epu32>();
extern const HandlerSet PMADDWD_Vx_Wx = vector<_mm_madd_epi16>();
extern const HandlerSet PSADBW_Vx_Wx = vector<_mm_sad_epu8>();
extern const HandlerSet PAVGB_Vx_Wx = vector<_mm_avg_epu8>();
extern const HandlerSet PAVGW_Vx_Wx = vector<_mm_avg_epu16>();
extern const HandlerSet PMINUB_Vx_Wx = vector<_mm_min_epu8>();
extern const HandlerSet PMAXUB_Vx_Wx = vector<_mm_max_epu8>();
extern const HandlerSet PMINSW_Vx_Wx = vector<_mm_min_epi16>();
extern const HandlerSet PMAXSW_Vx_Wx = vector<_mm_max_epi16>();

// SSSE3 arithmetic
extern const HandlerSet PHADDW_Vx_Wx = vector<_mm_hadd_epi16>();
extern const HandlerSet PHADDD_Vx_Wx = vector<_mm_hadd_epi32>();
extern const HandlerSet PHADDSW_Vx_Wx = vector<_mm_hadds_epi16>();
extern const HandlerSet PMADDUBSW_Vx_Wx = vector<_mm_maddubs_epi16>();
extern const HandlerSet PHSUBW_Vx_Wx = vector<_mm_hsub_epi16>();
extern const HandlerSet PHSUBD_Vx_Wx = vector<_mm_hsub_epi32>();
extern const HandlerSet PHSUBSW_Vx_Wx = vector<_mm_hsubs_epi16>();
extern const HandlerSet PSIGNB_Vx_Wx = vector<_mm_sign_epi8>();
extern const HandlerSet PSIGNW_Vx_Wx = vector<_mm_sign_epi16>();
extern const HandlerSet PSIGND_Vx_Wx = vector<_mm_sign_epi32>();
extern const HandlerSet PMULHRSW_Vx_Wx = vector<_mm_mulhrs_epi16>();
extern const HandlerSet PABSB_Vx_Wx = vector<_mm_abs_epi8>();
extern const HandlerSet PABSW_Vx_Wx = vector<_mm_abs_epi16>();
extern const HandlerSet PABSD_Vx_Wx = vector<_mm_abs_epi32>();

// SSE4.1 arithmetic
extern const HandlerSet PMULDQ_Vx_Wx = vector<_mm_mul_epi32>();
extern const HandlerSet PMINSB_Vx_Wx = vector<_mm_min_epi8>();
extern const HandlerSet PMINSD_Vx_Wx = vector<_mm_min_epi32>();
extern const HandlerSet PMINUW_Vx_Wx = vector<_mm_min_epu16>();
extern const HandlerSet PMINUD_Vx_Wx = vector<_mm_min_epu32>();
extern const HandlerSet PMAXSB_Vx_Wx = vector<_mm_max_epi8>();
extern const HandlerSet PMAXSD_Vx_Wx = vector<_mm_max_epi32>();
extern const HandlerSet PMAXUW_Vx_Wx = vector<_mm_max_epu16>();
extern const HandlerSet PMAXUD_Vx_Wx = vector<_mm_max_epu32>();
extern const HandlerSet PMULLD_Vx_Wx = vector<_mm_mullo_epi32>();
extern const HandlerSet PHMINPOSUW_Vx_Wx = vector<_mm_minpos_epu16>();
extern const HandlerSet MPSADBW_Vx_Wx_Ib = vector<mpsadbw>();

// Comparison
extern const HandlerSet PCMPGTB_Vx_Wx = vector<_mm_cmpgt_epi8>();
extern const HandlerSet PCMPGTW_Vx_Wx = vector<_mm_cmpgt_epi16>();
extern const HandlerSet PCMPGTD_Vx_Wx = vector<_mm_cmpgt_epi32>();
extern const HandlerSet PCMPEQB_Vx_Wx = vector<_mm_cmpeq_epi8>();
extern const HandlerSet PCMPEQW_Vx_Wx = vector<_mm_cmpeq_epi16>();
extern const HandlerSet PCMPEQD_Vx_Wx = vector<_mm_cmpeq_epi32>();
extern const HandlerSet PCMPEQQ_Vx_Wx = vector<_mm_cmpeq_epi64>();
extern const HandlerSet PCMPGTQ_Vx_Wx = vector<_mm_cmpgt_epi64>();
extern const HandlerSet PTEST_Vx_Wx = vector<ptest, Source::kXmm, Target::kFlags>();

// Shifts
extern const HandlerSet PSRLW_Ux_Ib = counting<byCount<_mm_srl_epi16>>();
extern const HandlerSet PSRLD_Ux_Ib = counting<byCount<_mm_srl_epi32>>();
extern const HandlerSet PSRLQ_Ux_Ib = counting<byCount<_mm_srl_epi64>>();
extern const HandlerSet PSRAW_Ux_Ib = counting<byCount<_mm_sra_epi16>>();
extern const HandlerSet PSRAD_Ux_Ib = counting<byCount<_mm_sra_epi32>>();
extern const HandlerSet PSLLW_Ux_Ib = counting<byCount<_mm_sll_epi16>>();
extern const HandlerSet PSLLD_Ux_Ib = counting<byCount<_mm_sll_epi32>>();
extern const HandlerSet PSLLQ_Ux_Ib = counting<byCount<_mm_sll_epi64>>();
extern const HandlerSet PSRLDQ_Ux_Ib = counting<psrldq>();
extern const HandlerSet PSLLDQ_Ux_Ib = counting<pslldq>();
extern const HandlerSet PSRLW_Vx_Wx = vector<_mm_srl_epi16>();
extern const HandlerSet PSRLD_Vx_Wx = vector<_mm_srl_epi32>();
extern const HandlerSet PSRLQ_Vx_Wx = vector<_mm_srl_epi64>();
extern const HandlerSet PSRAW_Vx_Wx = vector<_mm_sra_epi16>();
extern const HandlerSet PSRAD_Vx_Wx = vector<_mm_sra_epi32>();
extern const HandlerSet PSLLW_Vx_Wx = vector<_mm_sll_epi16>();
extern const HandlerSet PSLLD_Vx_Wx = vector<_mm_sll_epi32>();
extern const HandlerSet PSLLQ_Vx_Wx = vector<_mm_sll_epi64>();

// Logic; the floating-point forms do the same and raise nothing
extern const HandlerSet PAND_Vx_Wx = vector<_mm_and_si128>();
extern const HandlerSet PANDN_Vx_Wx = vector<_mm_andnot_si128>();
extern const HandlerSet POR_Vx_Wx = vector<_mm_or_si128>();
extern const HandlerSet PXOR_Vx_Wx = vector<_mm_xor_si128>();
extern const HandlerSet ANDPS_Vx_Wx = vector<_mm_and_si128>();
extern const HandlerSet ANDPD_Vx_Wx = vector<_mm_and_si128>();
extern const HandlerSet ANDNPS_Vx_Wx = vector<_mm_andnot_si128>();
extern const HandlerSet ANDNPD_Vx_Wx = vector<_mm_andnot_si128>();
extern const HandlerSet ORPS_Vx_Wx = vector<_mm_or_si128>();
extern const HandlerSet ORPD_Vx_Wx = vector<_mm_or_si128>();
extern const HandlerSet XORPS_Vx_Wx = vector<_mm_xor_si128>();
extern const HandlerSet XORPD_Vx_Wx = vector<_mm_xor_si128>();

}  // namespace nodevm

// MMX registers: SDM volume 1, "MMX Instruction Set", and the SSE, SSE2 and SSSE3 additions to it.
// The operations are those of the XMM registers on 64 bits; moves between register files are in
// sse_lanes.cc, masked stores in sse_move.cc.

#include "interpreter/sse_handlers.h"

namespace nodevm {

using namespace simd;

namespace {

// MOVQ mm, mm in the encoding whose destination is ModRM.rm.
template <Path kPath>
[[gnu::noinline]] void moveMmToRm(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise = kPath == Path::kFast ? moveMmToRm<Path::kSlow> : fault;
  if (!available<kPath, false, true>(cpu)) [[unlikely]]
    return kOtherwise(cpu, i);
  enterMmx(cpu);
  setMm(cpu, i->rm, cpu.x87.registers[i->reg].mantissa);
  return next(cpu, i);
}

// SDM volume 3, "Effect of MMX Instructions on x87 FPU State": every register empty, TOP 0.
void emms(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessMmxUsable(cpu)) return fault(cpu, i);
  enterMmx(cpu);
  cpu.x87.validTags = 0;
  return next(cpu, i);
}

}  // namespace

// Data transfer
extern const HandlerSet MOVQ_Pq_Qq = mmx<copy>();
extern const HandlerSet MOVQ_Qq_Pq =
    forms(moveMmToRm<Path::kFast>, storeRegister<Path::kFast, Stored::kMm>);
extern const HandlerSet MOVNTQ_Mq_Pq = forms(nullptr, storeRegister<Path::kFast, Stored::kMm>);
extern const HandlerSet PMOVMSKB_Gd_Nq = vector<pmovmskb, Source::kMm, Target::kGpr32>();
extern const HandlerSet PSHUFW_Pq_Qq_Ib = mmx<pshufw>();

// Packing
extern const HandlerSet PUNPCKLBW_Pq_Qd = mmx<_mm_unpacklo_epi8, Source::kMm32>();
extern const HandlerSet PUNPCKLWD_Pq_Qd = mmx<_mm_unpacklo_epi16, Source::kMm32>();
extern const HandlerSet PUNPCKLDQ_Pq_Qd = mmx<_mm_unpacklo_epi32, Source::kMm32>();
extern const HandlerSet PUNPCKHBW_Pq_Qq = mmx<upperOf<_mm_unpacklo_epi8>>();
extern const HandlerSet PUNPCKHWD_Pq_Qq = mmx<upperOf<_mm_unpacklo_epi16>>();
extern const HandlerSet PUNPCKHDQ_Pq_Qq = mmx<upperOf<_mm_unpacklo_epi32>>();
extern const HandlerSet PACKSSWB_Pq_Qq = mmx<ofConcatenation<_mm_packs_epi16>>();
extern const HandlerSet PACKUSWB_Pq_Qq = mmx<ofConcatenation<_mm_packus_epi16>>();
extern const HandlerSet PACKSSDW_Pq_Qq = mmx<ofConcatenation<_mm_packs_epi32>>();

// Comparison
extern const HandlerSet PCMPGTB_Pq_Qq = mmx<_mm_cmpgt_epi8>();
extern const HandlerSet PCMPGTW_Pq_Qq = mmx<_mm_cmpgt_epi16>();
extern const HandlerSet PCMPGTD_Pq_Qq = mmx<_mm_cmpgt_epi32>();
extern const HandlerSet PCMPEQB_Pq_Qq = mmx<_mm_cmpeq_epi8>();
extern const HandlerSet PCMPEQW_Pq_Qq = mmx<_mm_cmpeq_epi16>();
extern const HandlerSet PCMPEQD_Pq_Qq = mmx<_mm_cmpeq_epi32>();

// Shifts
extern const HandlerSet PSRLW_Nq_Ib = countingMm<byCount<_mm_srl_epi16>>();
extern const HandlerSet PSRLD_Nq_Ib = countingMm<byCount<_mm_srl_epi32>>();
extern const HandlerSet PSRLQ_Nq_Ib = countingMm<byCount<_mm_srl_epi64>>();
extern const HandlerSet PSRAW_Nq_Ib = countingMm<byCount<_mm_sra_epi16>>();
extern const HandlerSet PSRAD_Nq_Ib = countingMm<byCount<_mm_sra_epi32>>();
extern const HandlerSet PSLLW_Nq_Ib = countingMm<byCount<_mm_sll_epi16>>();
extern const HandlerSet PSLLD_Nq_Ib = countingMm<byCount<_mm_sll_epi32>>();
extern const HandlerSet PSLLQ_Nq_Ib = countingMm<byCount<_mm_sll_epi64>>();
extern const HandlerSet PSRLW_Pq_Qq = mmx<_mm_srl_epi16>();
extern const HandlerSet PSRLD_Pq_Qq = mmx<_mm_srl_epi32>();
extern const HandlerSet PSRLQ_Pq_Qq = mmx<_mm_srl_epi64>();
extern const HandlerSet PSRAW_Pq_Qq = mmx<_mm_sra_epi16>();
extern const HandlerSet PSRAD_Pq_Qq = mmx<_mm_sra_epi32>();
extern const HandlerSet PSLLW_Pq_Qq = mmx<_mm_sll_epi16>();
extern const HandlerSet PSLLD_Pq_Qq = mmx<_mm_sll_epi32>();
extern const HandlerSet PSLLQ_Pq_Qq = mmx<_mm_sll_epi64>();

// Logic
extern const HandlerSet PAND_Pq_Qq = mmx<_mm_and_si128>();
extern const HandlerSet PANDN_Pq_Qq = mmx<_mm_andnot_si128>();
extern const HandlerSet POR_Pq_Qq = mmx<_mm_or_si128>();
extern const HandlerSet PXOR_Pq_Qq = mmx<_mm_xor_si128>();

// Arithmetic
extern const HandlerSet PADDB_Pq_Qq = mmx<_mm_add_epi8>();
extern const HandlerSet PADDW_Pq_Qq = mmx<_mm_add_epi16>();
extern const HandlerSet PADDD_Pq_Qq = mmx<_mm_add_epi32>();
extern const HandlerSet PADDQ_Pq_Qq = mmx<_mm_add_epi64>();
extern const HandlerSet PADDSB_Pq_Qq = mmx<_mm_adds_epi8>();
extern const HandlerSet PADDSW_Pq_Qq = mmx<_mm_adds_epi16>();
extern const HandlerSet PADDUSB_Pq_Qq = mmx<_mm_adds_epu8>();
extern const HandlerSet PADDUSW_Pq_Qq = mmx<_mm_adds_epu16>();
extern const HandlerSet PSUBB_Pq_Qq = mmx<_mm_sub_epi8>();
extern const HandlerSet PSUBW_Pq_Qq = mmx<_mm_sub_epi16>();
extern const HandlerSet PSUBD_Pq_Qq = mmx<_mm_sub_epi32>();
extern const HandlerSet PSUBQ_Pq_Qq = mmx<_mm_sub_epi64>();
extern const HandlerSet PSUBSB_Pq_Qq = mmx<_mm_subs_epi8>();
extern const HandlerSet PSUBSW_Pq_Qq = mmx<_mm_subs_epi16>();
extern const HandlerSet PSUBUSB_Pq_Qq = mmx<_mm_subs_epu8>();
extern const HandlerSet PSUBUSW_Pq_Qq = mmx<_mm_subs_epu16>();
extern const HandlerSet PMULLW_Pq_Qq = mmx<_mm_mullo_epi16>();
extern const HandlerSet PMULHUW_Pq_Qq = mmx<_mm_mulhi_epu16>();
extern const HandlerSet PMULHW_Pq_Qq = mmx<_mm_mulhi_epi16>();
extern const HandlerSet PMULUDQ_Pq_Qq = mmx<_mm_mul_epu32>();
extern const HandlerSet PMADDWD_Pq_Qq = mmx<_mm_madd_epi16>();
extern const HandlerSet PSADBW_Pq_Qq = mmx<_mm_sad_epu8>();
extern const HandlerSet PAVGB_Pq_Qq = mmx<_mm_avg_epu8>();
extern const HandlerSet PAVGW_Pq_Qq = mmx<_mm_avg_epu16>();
extern const HandlerSet PMINUB_Pq_Qq = mmx<_mm_min_epu8>();
extern const HandlerSet PMAXUB_Pq_Qq = mmx<_mm_max_epu8>();
extern const HandlerSet PMINSW_Pq_Qq = mmx<_mm_min_epi16>();
extern const HandlerSet PMAXSW_Pq_Qq = mmx<_mm_max_epi16>();

// SSSE3
extern const HandlerSet PSHUFB_Pq_Qq = mmx<pshufbMm>();
extern const HandlerSet PHADDW_Pq_Qq = mmx<ofConcatenation<_mm_hadd_epi16>>();
extern const HandlerSet PHADDD_Pq_Qq = mmx<ofConcatenation<_mm_hadd_epi32>>();
extern const HandlerSet PHADDSW_Pq_Qq = mmx<ofConcatenation<_mm_hadds_epi16>>();
extern const HandlerSet PMADDUBSW_Pq_Qq = mmx<_mm_maddubs_epi16>();
extern const HandlerSet PHSUBW_Pq_Qq = mmx<ofConcatenation<_mm_hsub_epi16>>();
extern const HandlerSet PHSUBD_Pq_Qq = mmx<ofConcatenation<_mm_hsub_epi32>>();
extern const HandlerSet PHSUBSW_Pq_Qq = mmx<ofConcatenation<_mm_hsubs_epi16>>();
extern const HandlerSet PSIGNB_Pq_Qq = mmx<_mm_sign_epi8>();
extern const HandlerSet PSIGNW_Pq_Qq = mmx<_mm_sign_epi16>();
extern const HandlerSet PSIGND_Pq_Qq = mmx<_mm_sign_epi32>();
extern const HandlerSet PMULHRSW_Pq_Qq = mmx<_mm_mulhrs_epi16>();
extern const HandlerSet PABSB_Pq_Qq = mmx<_mm_abs_epi8>();
extern const HandlerSet PABSW_Pq_Qq = mmx<_mm_abs_epi16>();
extern const HandlerSet PABSD_Pq_Qq = mmx<_mm_abs_epi32>();
extern const HandlerSet PALIGNR_Pq_Qq_Ib = mmx<palignrMm>();

// State
extern const HandlerSet EMMS = forms(emms, emms);

}  // namespace nodevm

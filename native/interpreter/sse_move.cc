// Moves between XMM registers, memory and MMX registers.

#include "interpreter/sse_handlers.h"

namespace nodevm {

using namespace simd;

bool simd::storeSelected(Cpu& cpu, const Instruction* i, Xmm data, unsigned selected,
                         unsigned size) {
  const uint64_t addressMask = ~uint64_t{0} >> (64 - (8 << i->addressSize()));
  const uint64_t ea = cpu.reg<uint64_t>(gpr::kRdi) & addressMask;
  if (!cpu.probeWrite(i->segment, ea, size)) return false;
  uint8_t bytes[16];
  storeXmm(bytes, data);
  for (unsigned n = 0; n < size; ++n) {
    if (!((selected >> n) & 1)) continue;
    if (!cpu.store<uint8_t>(i->segment, ea + n, bytes[n])) return false;
  }
  return true;
}

namespace {

// Scalar loads clear the rest of the register, scalar moves between registers keep it.
template <auto kMerge, Source kSource>
constexpr HandlerSet scalarLoad() {
  return forms(execute<Path::kFast, false, kSource, Target::kXmm, kMerge>,
               execute<Path::kFast, true, kSource, Target::kXmm, copy>);
}

// SDM volume 2, MASKMOVDQU and MASKMOVQ: to DS:rDI (or the override), by the top bit of each byte
// of rm.
void maskmovdqu(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessSseUsable(cpu)) return fault(cpu, i);
  const auto selected = static_cast<unsigned>(_mm_movemask_epi8(xmm(cpu, i->rm)));
  if (!storeSelected(cpu, i, xmm(cpu, i->reg), selected, 16)) return fault(cpu, i);
  return next(cpu, i);
}
void maskmovq(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessMmxUsable(cpu)) return fault(cpu, i);
  const auto selected = static_cast<unsigned>(_mm_movemask_epi8(mm(cpu, i->rm)));
  // Hardware changes to MMX even when the store faults.
  enterMmx(cpu);
  if (!storeSelected(cpu, i, mm(cpu, i->reg), selected, 8)) return fault(cpu, i);
  return next(cpu, i);
}

}  // namespace

// Whole registers
extern const HandlerSet MOVAPS_Vx_Wx = vector<copy>();
extern const HandlerSet MOVAPD_Vx_Wx = vector<copy>();
extern const HandlerSet MOVDQA_Vx_Wx = vector<copy>();
extern const HandlerSet MOVAPS_Wx_Vx = storing<Stored::kAligned, copy>();
extern const HandlerSet MOVAPD_Wx_Vx = storing<Stored::kAligned, copy>();
extern const HandlerSet MOVDQA_Wx_Vx = storing<Stored::kAligned, copy>();
extern const HandlerSet MOVUPS_Vx_Wx = vector<copy, Source::kXmmUnaligned>();
extern const HandlerSet MOVUPD_Vx_Wx = vector<copy, Source::kXmmUnaligned>();
extern const HandlerSet MOVDQU_Vx_Wx = vector<copy, Source::kXmmUnaligned>();
extern const HandlerSet MOVUPS_Wx_Vx = storing<Stored::kUnaligned, copy>();
extern const HandlerSet MOVUPD_Wx_Vx = storing<Stored::kUnaligned, copy>();
extern const HandlerSet MOVDQU_Wx_Vx = storing<Stored::kUnaligned, copy>();
extern const HandlerSet LDDQU_Vx_Mdq = vector<copy, Source::kXmmUnaligned>();
extern const HandlerSet MOVNTDQA_Vx_Mdq = vector<copy>();
extern const HandlerSet MOVNTPS_Mdq_Vx =
    forms(nullptr, storeRegister<Path::kFast, Stored::kAligned>);
extern const HandlerSet MOVNTPD_Mdq_Vx =
    forms(nullptr, storeRegister<Path::kFast, Stored::kAligned>);
extern const HandlerSet MOVNTDQ_Mdq_Vx =
    forms(nullptr, storeRegister<Path::kFast, Stored::kAligned>);

// Scalars
extern const HandlerSet MOVSS_Vx_Wd = scalarLoad<replaceLowDword, Source::kXmm32>();
extern const HandlerSet MOVSS_Wd_Vx = storing<Stored::kLow32, replaceLowDword>();
extern const HandlerSet MOVSD_Vx_Wq = scalarLoad<replaceLowQword, Source::kXmm64>();
extern const HandlerSet MOVSD_Wq_Vx = storing<Stored::kLow64, replaceLowQword>();
extern const HandlerSet MOVQ_Vx_Wq = vector<zeroHighQword, Source::kXmm64>();
extern const HandlerSet MOVQ_Wq_Vx = storing<Stored::kLow64, zeroHighQword>();

// Halves
extern const HandlerSet MOVLPS_Vx_Mq = vector<replaceLowQword, Source::kXmm64>();
extern const HandlerSet MOVLPD_Vx_Mq = vector<replaceLowQword, Source::kXmm64>();
extern const HandlerSet MOVHPS_Vx_Mq = vector<lowToHigh, Source::kXmm64>();
extern const HandlerSet MOVHPD_Vx_Mq = vector<lowToHigh, Source::kXmm64>();
extern const HandlerSet MOVLPS_Mq_Vx = forms(nullptr, storeRegister<Path::kFast, Stored::kLow64>);
extern const HandlerSet MOVLPD_Mq_Vx = forms(nullptr, storeRegister<Path::kFast, Stored::kLow64>);
extern const HandlerSet MOVHPS_Mq_Vx = forms(nullptr, storeRegister<Path::kFast, Stored::kHigh64>);
extern const HandlerSet MOVHPD_Mq_Vx = forms(nullptr, storeRegister<Path::kFast, Stored::kHigh64>);
extern const HandlerSet MOVHLPS_Vx_Ux = vector<highToLow>();
extern const HandlerSet MOVLHPS_Vx_Ux = vector<lowToHigh>();

// Duplicates, masks, masked stores, MMX registers
extern const HandlerSet MOVSLDUP_Vx_Wx = vector<movsldup>();
extern const HandlerSet MOVSHDUP_Vx_Wx = vector<movshdup>();
extern const HandlerSet MOVDDUP_Vx_Wq = vector<movddup, Source::kXmm64>();
extern const HandlerSet MOVMSKPS_Gd_Ux = vector<movmskps, Source::kXmm, Target::kGpr32>();
extern const HandlerSet MOVMSKPD_Gd_Ux = vector<movmskpd, Source::kXmm, Target::kGpr32>();
extern const HandlerSet PMOVMSKB_Gd_Ux = vector<pmovmskb, Source::kXmm, Target::kGpr32>();
extern const HandlerSet MASKMOVDQU_Vx_Ux = forms(maskmovdqu, nullptr);
extern const HandlerSet MASKMOVQ_Pq_Nq = forms(maskmovq, nullptr);
extern const HandlerSet MOVQ2DQ_Vx_Nq = vector<copy, Source::kMm>();
extern const HandlerSet MOVDQ2Q_Pq_Ux = vector<copy, Source::kXmm, Target::kMm>();

}  // namespace nodevm

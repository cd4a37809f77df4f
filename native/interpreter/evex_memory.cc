// EVEX instructions that touch memory element by element: gathers and scatters.

#include <algorithm>
#include <bit>
#include <type_traits>

#include "cpu/avx512.h"
#include "interpreter/handlers_common.h"
#include "interpreter/sse_control.h"
#include "interpreter/system_handler.h"

namespace nodevm {

namespace {

template <class T>
T element(const ZmmRegister& reg, unsigned n) {
  return readHost<T>(reg.bytes + n * sizeof(T));
}

// Addresses of the elements of a VSIB operand.
template <class Index>
class Addresses {
 public:
  Addresses(const Cpu& cpu, const Instruction* i)
      : base_(cpu.reg<uint64_t>(i->base) +
              static_cast<uint64_t>(static_cast<int64_t>(i->displacement))),
        indices_(readZmm(cpu, i->index)),
        scale_(i->scale),
        mask_(addressMask(i)) {}
  uint64_t operator[](unsigned n) const {
    const auto index = static_cast<int64_t>(element<std::make_signed_t<Index>>(indices_, n));
    return (base_ + (static_cast<uint64_t>(index) << scale_)) & mask_;
  }

 private:
  uint64_t base_;
  ZmmRegister indices_;
  unsigned scale_;
  uint64_t mask_;
};

// The elements that the mask selects, of as many as there are.
template <class T, class Index>
uint64_t selected(const Cpu& cpu, const Instruction* i) {
  const unsigned count =
      vectorBytes(i->operandSize()) / static_cast<unsigned>(std::max(sizeof(T), sizeof(Index)));
  return cpu.avx512.mask[i->opmask()] & ((uint64_t{1} << count) - 1);
}

// SDM volume 2, VPGATHERDD (EVEX) and following. Elements come in order, each clears its bit of the
// mask; a fault leaves those that are done, an access that TypeScript must answer repeats the whole
// instruction. What is beyond the vector length is cleared with the first element, what is
// beyond the elements with the last one, as on Zen 4.
template <class T, class Index>
bool gather(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  if (i->reg == i->index) return cpu.raise(kUd);
  const Addresses<Index> addresses(cpu, i);
  const unsigned count =
      vectorBytes(i->operandSize()) / static_cast<unsigned>(std::max(sizeof(T), sizeof(Index)));
  ZmmRegister result = readZmm(cpu, i->reg);
  uint64_t& mask = cpu.avx512.mask[i->opmask()];
  const auto commit = [&](size_t kept) {
    std::memset(result.bytes + kept, 0, sizeof result.bytes - kept);
    writeZmm(cpu, i->reg, result);
  };
  const uint64_t all = selected<T, Index>(cpu, i);
  for (uint64_t left = all; left != 0; left &= left - 1) {
    const auto n = static_cast<unsigned>(std::countr_zero(left));
    const Loaded<T> loaded = cpu.load<T>(i->segment, addresses[n]);
    if (!loaded.ok) {
      if (!cpu.fault.pending) return false;
      if (left != all) commit(vectorBytes(i->operandSize()));
      mask ^= all ^ left;
      return false;
    }
    std::memcpy(result.bytes + n * sizeof(T), &loaded.value, sizeof(T));
  }
  commit(count * sizeof(T));
  mask = 0;
  return true;
}

// SDM volume 2, VPSCATTERDD and following: the same for stores.
template <class T, class Index>
bool scatter(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  const Addresses<Index> addresses(cpu, i);
  const ZmmRegister values = readZmm(cpu, i->reg);
  uint64_t& mask = cpu.avx512.mask[i->opmask()];
  for (uint64_t left = selected<T, Index>(cpu, i); left != 0; left &= left - 1) {
    const auto n = static_cast<unsigned>(std::countr_zero(left));
    if (!cpu.store<T>(i->segment, addresses[n], element<T>(values, n))) {
      if (cpu.fault.pending) mask ^= selected<T, Index>(cpu, i) ^ left;
      return false;
    }
  }
  mask = 0;
  return true;
}

template <class T, class Index>
constexpr HandlerSet kGather = onlyMemory(thenNext<gather<T, Index>>);
template <class T, class Index>
constexpr HandlerSet kScatter = onlyMemory(thenNext<scatter<T, Index>>);

}  // namespace

extern const HandlerSet EVEX_VPGATHERDD_Vx_VMd = kGather<uint32_t, uint32_t>;
extern const HandlerSet EVEX_VPGATHERDQ_Vx_VMd = kGather<uint64_t, uint32_t>;
extern const HandlerSet EVEX_VPGATHERQD_Vx_VMq = kGather<uint32_t, uint64_t>;
extern const HandlerSet EVEX_VPGATHERQQ_Vx_VMq = kGather<uint64_t, uint64_t>;
extern const HandlerSet EVEX_VGATHERDPS_Vx_VMd = kGather<uint32_t, uint32_t>;
extern const HandlerSet EVEX_VGATHERDPD_Vx_VMd = kGather<uint64_t, uint32_t>;
extern const HandlerSet EVEX_VGATHERQPS_Vx_VMq = kGather<uint32_t, uint64_t>;
extern const HandlerSet EVEX_VGATHERQPD_Vx_VMq = kGather<uint64_t, uint64_t>;
extern const HandlerSet EVEX_VPSCATTERDD_VMd_Vx = kScatter<uint32_t, uint32_t>;
extern const HandlerSet EVEX_VPSCATTERDQ_VMd_Vx = kScatter<uint64_t, uint32_t>;
extern const HandlerSet EVEX_VPSCATTERQD_VMq_Vx = kScatter<uint32_t, uint64_t>;
extern const HandlerSet EVEX_VPSCATTERQQ_VMq_Vx = kScatter<uint64_t, uint64_t>;
extern const HandlerSet EVEX_VSCATTERDPS_VMd_Vx = kScatter<uint32_t, uint32_t>;
extern const HandlerSet EVEX_VSCATTERDPD_VMd_Vx = kScatter<uint64_t, uint32_t>;
extern const HandlerSet EVEX_VSCATTERQPS_VMq_Vx = kScatter<uint32_t, uint64_t>;
extern const HandlerSet EVEX_VSCATTERQPD_VMq_Vx = kScatter<uint64_t, uint64_t>;

}  // namespace nodevm

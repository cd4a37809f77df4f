// VEX instructions that touch memory element by element, or state beyond their operands.

#include <algorithm>
#include <type_traits>

#include "cpu/avx512.h"
#include "interpreter/handlers_common.h"
#include "interpreter/sse_control.h"
#include "interpreter/sse_memory.h"
#include "interpreter/system_handler.h"

namespace nodevm {

namespace {

// Bytes of the instruction's vectors.
unsigned vectorBytes(const Instruction* i) { return 16u << (i->operandSize() & 1); }

template <class T>
T element(const VectorRegister& reg, unsigned n) {
  T value;
  std::memcpy(&value, reg.bytes + n * sizeof(T), sizeof value);
  return value;
}
template <class T>
void setElement(VectorRegister& reg, unsigned n, T value) {
  std::memcpy(reg.bytes + n * sizeof(T), &value, sizeof value);
}
// The top bit of a mask's element.
template <class T>
bool selects(const VectorRegister& mask, unsigned n) {
  return element<T>(mask, n) >> (sizeof(T) * 8 - 1);
}

// SDM volume 2, VMASKMOV and VPMASKMOV: what is not selected is zero, and raises nothing.
template <class T>
bool loadMasked(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessAvxUsable(cpu)) return false;
  const VectorRegister& mask = cpu.vector[i->vvvv()];
  const uint64_t ea = effectiveAddress(cpu, i);
  VectorRegister result;
  for (unsigned n = 0; n < vectorBytes(i) / sizeof(T); ++n) {
    if (!selects<T>(mask, n)) continue;
    const Loaded<T> loaded = cpu.load<T>(i->segment, ea + n * sizeof(T));
    if (!loaded.ok) return false;
    setElement<T>(result, n, loaded.value);
  }
  writeYmm(cpu, i->reg, result);
  return true;
}

template <class T>
bool storeMasked(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessAvxUsable(cpu)) return false;
  const VectorRegister& mask = cpu.vector[i->vvvv()];
  const unsigned count = vectorBytes(i) / sizeof(T);
  const uint64_t ea = effectiveAddress(cpu, i);
  for (unsigned n = 0; n < count; ++n)
    if (selects<T>(mask, n) && !cpu.probeWrite(i->segment, ea + n * sizeof(T), sizeof(T)))
      return false;
  for (unsigned n = 0; n < count; ++n) {
    if (!selects<T>(mask, n)) continue;
    if (!cpu.store<T>(i->segment, ea + n * sizeof(T), element<T>(cpu.vector[i->reg], n)))
      return false;
  }
  return true;
}

bool maskmovdqu(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessAvxUsable(cpu)) return false;
  const auto selected = static_cast<unsigned>(_mm_movemask_epi8(loadXmm(cpu.vector[i->rm].bytes)));
  return simd::storeSelected(cpu, i, loadXmm(cpu.vector[i->reg].bytes), selected, 16);
}

// SDM volume 2, VPGATHERDD and following. Elements come in order, each with its element of the
// mask; a fault leaves those that are done and nothing else, an access that TypeScript must answer
// repeats the whole instruction.
template <class T, class Index>
bool gather(Cpu& cpu, const Instruction* i) {
  if (!raiseUnlessAvxUsable(cpu)) return false;
  const unsigned target = i->reg, maskNumber = i->vvvv();
  if (target == maskNumber || target == i->index || maskNumber == i->index) return cpu.raise(kUd);
  const unsigned count = vectorBytes(i) / std::max(sizeof(T), sizeof(Index));
  const uint64_t base =
      cpu.reg<uint64_t>(i->base) + static_cast<uint64_t>(static_cast<int64_t>(i->displacement));
  VectorRegister result = cpu.vector[target], mask = cpu.vector[maskNumber];
  for (unsigned n = 0; n < count; ++n) {
    if (!selects<T>(mask, n)) {
      setElement<T>(mask, n, 0);
      continue;
    }
    const auto index =
        static_cast<int64_t>(element<std::make_signed_t<Index>>(cpu.vector[i->index], n));
    const uint64_t ea = (base + (static_cast<uint64_t>(index) << i->scale)) & addressMask(i);
    const Loaded<T> loaded = cpu.load<T>(i->segment, ea);
    if (!loaded.ok) {
      if (!cpu.fault.pending) return false;
      cpu.vector[target] = result;
      cpu.vector[maskNumber] = mask;
      return false;
    }
    setElement<T>(result, n, loaded.value);
    setElement<T>(mask, n, 0);
  }
  const size_t bytes = count * sizeof(T);
  std::memset(result.bytes + bytes, 0, sizeof result.bytes - bytes);
  writeYmm(cpu, target, result);
  writeYmm(cpu, maskNumber, {});
  return true;
}

// Outside of 64-bit mode the upper eight registers stay as they are.
unsigned registerCount(const Cpu& cpu) { return cpu.code64() ? 16 : 8; }

bool zeroUpper(Cpu& cpu, const Instruction*) {
  if (!raiseUnlessAvxUsable(cpu)) return false;
  for (unsigned n = 0; n < registerCount(cpu); ++n) {
    std::memset(cpu.vector[n].bytes + 16, 0, 16);
    clearZmmUpper(cpu, n);
  }
  return true;
}

bool zeroAll(Cpu& cpu, const Instruction*) {
  if (!raiseUnlessAvxUsable(cpu)) return false;
  for (unsigned n = 0; n < registerCount(cpu); ++n) writeYmm(cpu, n, {});
  return true;
}

}  // namespace

extern const HandlerSet VMASKMOVPS_Vx_Hx_Mx = onlyMemory(thenNext<loadMasked<uint32_t>>);
extern const HandlerSet VMASKMOVPD_Vx_Hx_Mx = onlyMemory(thenNext<loadMasked<uint64_t>>);
extern const HandlerSet VPMASKMOVD_Vx_Hx_Mx = onlyMemory(thenNext<loadMasked<uint32_t>>);
extern const HandlerSet VPMASKMOVQ_Vx_Hx_Mx = onlyMemory(thenNext<loadMasked<uint64_t>>);
extern const HandlerSet VMASKMOVPS_Mx_Hx_Vx = onlyMemory(thenNext<storeMasked<uint32_t>>);
extern const HandlerSet VMASKMOVPD_Mx_Hx_Vx = onlyMemory(thenNext<storeMasked<uint64_t>>);
extern const HandlerSet VPMASKMOVD_Mx_Hx_Vx = onlyMemory(thenNext<storeMasked<uint32_t>>);
extern const HandlerSet VPMASKMOVQ_Mx_Hx_Vx = onlyMemory(thenNext<storeMasked<uint64_t>>);
extern const HandlerSet VMASKMOVDQU_Vx_Ux = onlyRegister(thenNext<maskmovdqu>);

extern const HandlerSet VPGATHERDD_Vx_VMd_Hx = onlyMemory(thenNext<gather<uint32_t, uint32_t>>);
extern const HandlerSet VPGATHERDQ_Vx_VMd_Hx = onlyMemory(thenNext<gather<uint64_t, uint32_t>>);
extern const HandlerSet VPGATHERQD_Vx_VMq_Hx = onlyMemory(thenNext<gather<uint32_t, uint64_t>>);
extern const HandlerSet VPGATHERQQ_Vx_VMq_Hx = onlyMemory(thenNext<gather<uint64_t, uint64_t>>);
extern const HandlerSet VGATHERDPS_Vx_VMd_Hx = onlyMemory(thenNext<gather<uint32_t, uint32_t>>);
extern const HandlerSet VGATHERDPD_Vx_VMd_Hx = onlyMemory(thenNext<gather<uint64_t, uint32_t>>);
extern const HandlerSet VGATHERQPS_Vx_VMq_Hx = onlyMemory(thenNext<gather<uint32_t, uint64_t>>);
extern const HandlerSet VGATHERQPD_Vx_VMq_Hx = onlyMemory(thenNext<gather<uint64_t, uint64_t>>);

extern const HandlerSet VZEROUPPER = always(thenNext<zeroUpper>);
extern const HandlerSet VZEROALL = always(thenNext<zeroAll>);

}  // namespace nodevm

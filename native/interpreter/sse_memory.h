#pragma once
// Memory operands of SIMD instructions where the TLB has them; everything else is for the slow twin
// of a handler and goes through Cpu.

#include <cstring>

#include "cpu/cpu.h"
#include "interpreter/sse_host.h"

namespace nodevm::simd {

// Host address of the operand when it lies in one page whose tag allows the access, else nullptr.
// kAligned: legacy SSE operands of 16 bytes must be aligned, #GP(0) otherwise, save where the
// instruction says else (SDM volume 1, "Memory Alignment" of SSE).
template <unsigned kSize, bool kAligned, uint64_t TlbEntry::*kTag>
[[nodiscard]] inline uint8_t* simdHost(const Cpu& cpu, uint8_t seg, uint64_t ea) {
  const uint64_t linear = (ea + cpu.segmentBase[seg]) & cpu.linearMask;
  const TlbEntry& entry = cpu.segmentTlb[seg]->at(linear);
  // Neighbouring pages have different slots, so a tag never matches the page of the last byte only.
  if (entry.*kTag != ((linear + kSize - 1) & kPageMask)) [[unlikely]]
    return nullptr;
  if (kAligned && (linear & (kSize - 1)) != 0) [[unlikely]]
    return nullptr;
  uint8_t* host = entry.host(linear);
  if (!host) __builtin_unreachable();
  return host;
}
template <unsigned kSize, bool kAligned>
[[nodiscard]] inline const uint8_t* readableSimd(const Cpu& cpu, uint8_t seg, uint64_t ea) {
  return simdHost<kSize, kAligned, &TlbEntry::readTag>(cpu, seg, ea);
}
template <unsigned kSize, bool kAligned>
[[nodiscard]] inline uint8_t* writableSimd(const Cpu& cpu, uint8_t seg, uint64_t ea) {
  return simdHost<kSize, kAligned, &TlbEntry::writeTag>(cpu, seg, ea);
}

// Stores the bytes of `data` that `selected` has a bit for to DS:rDI (or the override). All `size`
// bytes must be writable, whatever the mask, which the SDM leaves open: as on AMD Zen 4. Else
// nothing is stored and the fault is recorded.
[[nodiscard]] bool storeSelected(Cpu& cpu, const Instruction* i, Xmm data, unsigned selected,
                                 unsigned size);

}  // namespace nodevm::simd

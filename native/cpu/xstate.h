#pragma once
// The memory images of x87 and SSE state: FXSAVE area and XSAVE area. SDM volume 1, "XSAVE Area",
// and volume 2, "FXSAVE". Checks of CR0, CR4 and privilege are the instructions' own.

#include "cpu/cpu.h"

namespace nodevm {

// State components that XCR0 can enable, in its bit numbers.
namespace xstate {
inline constexpr uint64_t kX87 = 1, kSse = 2;
}
inline constexpr uint64_t kXcr0Supported = xstate::kX87 | xstate::kSse;
inline constexpr uint32_t kXsaveAreaBytes = 512 + 64;  // legacy region and header
// MXCSR_MASK of FXSAVE: DAZ is supported.
inline constexpr uint32_t kMxcsrMask = 0xffff;

// How an image is written.
struct XsaveForm {
  bool wide = false;     // REX.W: 64-bit FIP and FDP
  bool compact = false;  // XSAVEC, XSAVES
};

// The FXSAVE64 image (512 bytes, 16 XMM registers) outside of guest memory. MXCSR is cpu.mxcsr, so
// run() must not be active. Reserved MXCSR bits of an image are dropped.
void toFxsaveImage(const Cpu& cpu, uint8_t* image);
void fromFxsaveImage(Cpu& cpu, const uint8_t* image);

// The instructions' work on guest memory at seg:ea, while run() is active. Each faults before it
// commits.
[[nodiscard]] bool fxsave(Cpu& cpu, uint8_t seg, uint64_t ea, bool wide);
[[nodiscard]] bool fxrstor(Cpu& cpu, uint8_t seg, uint64_t ea, bool wide);
// `requested`: EDX:EAX, any bits.
[[nodiscard]] bool xsave(Cpu& cpu, uint8_t seg, uint64_t ea, uint64_t requested, XsaveForm form);
// compactOnly: XRSTORS.
[[nodiscard]] bool xrstor(Cpu& cpu, uint8_t seg, uint64_t ea, uint64_t requested, bool wide,
                          bool compactOnly);

}  // namespace nodevm

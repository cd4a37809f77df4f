#pragma once
// The memory images of x87 and SSE state: FXSAVE area and XSAVE area. SDM volume 1, "XSAVE Area",
// and volume 2, "FXSAVE". Checks of CR0, CR4 and privilege are the instructions' own.

#include "cpu/cpu.h"

namespace nodevm {

// State components that XCR0 can enable, in its bit numbers.
namespace xstate {
inline constexpr uint64_t kX87 = 1, kSse = 2, kAvx = 4, kOpmask = 1 << 5, kZmmHi256 = 1 << 6,
                          kHi16Zmm = 1 << 7, kAvx512 = kOpmask | kZmmHi256 | kHi16Zmm;
}
// Those that a model offers.
uint64_t supportedXcr0(FeatureSet features);
// Whether XSETBV takes the value: SDM volume 1, "Enabling the XSAVE Feature Set".
bool isValidXcr0(uint64_t value, FeatureSet features);

// A component outside of the legacy region.
struct XsaveComponent {
  uint32_t offset, bytes;  // offset in the standard form
};
// Component by number, nullptr where there is none with a place of its own.
const XsaveComponent* xsaveComponent(uint32_t number);
// Bytes of an XSAVE area with these components.
uint32_t xsaveBytes(uint64_t components, bool compact);

// MXCSR_MASK of FXSAVE: DAZ is supported.
inline constexpr uint32_t kMxcsrMask = 0xffff;

// How an image is written.
struct XsaveForm {
  bool wide = false;      // REX.W: 64-bit FIP and FDP
  bool compact = false;   // XSAVEC, XSAVES
  bool optimize = false;  // components in their initial state are left out of memory
};

// The FXSAVE64 image (512 bytes, 16 XMM registers) outside of guest memory. MXCSR is cpu.mxcsr, so
// run() must not be active. Reserved MXCSR bits of an image are dropped.
void toFxsaveImage(const Cpu& cpu, uint8_t* image);
void fromFxsaveImage(Cpu& cpu, const uint8_t* image);

// The components of XCR0 that are not in their initial state (XINUSE).
uint64_t componentsInUse(Cpu& cpu);

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

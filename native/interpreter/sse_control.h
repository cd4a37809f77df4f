#pragma once
// When SIMD instructions may run, and the guest's MXCSR. While run() is active the host's MXCSR
// holds the guest's rounding mode, DAZ and FTZ with every exception masked, and gathers the guest's
// sticky flags; so floating-point code of the emulator itself must not run inside that window.

#include "cpu/cpu.h"
#include "interpreter/sse_host.h"
#include "interpreter/sse_precision.h"
#include "interpreter/x87_state.h"

namespace nodevm {

// SDM volume 1, "MXCSR Control and Status Register".
namespace mxcsr {
inline constexpr uint32_t kInvalid = 1 << 0, kDenormal = 1 << 1, kZeroDivide = 1 << 2,
                          kOverflow = 1 << 3, kUnderflow = 1 << 4, kPrecision = 1 << 5,
                          kFlags = 0x3f, kPreComputation = kInvalid | kDenormal | kZeroDivide,
                          kMaskShift = 7, kMasks = kFlags << kMaskShift, kFlushToZero = 1 << 15,
                          kDefault = 0x1f80;
}

// At the entry of run(): the host takes over the guest's register.
void enterGuestMxcsr(Cpu& cpu);
// At its exit: sticky flags come back to cpu.mxcsr, the host gets its own default.
void leaveGuestMxcsr(Cpu& cpu);
// The guest's register while run() is active.
uint32_t readMxcsr(Cpu& cpu);
// Sets it while run() is active; the value has no reserved bit set.
void writeMxcsr(Cpu& cpu, uint32_t value);

// SDM volume 2, "Exceptions Type 1" and following: CR0.EM and CR4.OSFXSR (#UD), CR0.TS (#NM).
inline bool sseUsable(const Cpu& cpu) {
  return ((cpu.cr0 & (cr0::kEm | cr0::kTs)) | (~cpu.cr4 & cr4::kOsfxsr)) == 0;
}
// SDM volume 3, "Intel MMX Technology System Programming": CR0.EM (#UD), CR0.TS (#NM), pending x87
// exception (#MF). OSFXSR does not matter.
inline bool mmxUsable(const Cpu& cpu) {
  return ((cpu.cr0 & (cr0::kEm | cr0::kTs)) | (cpu.x87.status & x87::kSummary)) == 0;
}
// For instructions that are not usable: record the exception and return false. True where the x87
// exception goes unreported, as x87_handler.h says of CR0.NE clear.
bool raiseUnlessSseUsable(Cpu& cpu);
bool raiseUnlessMmxUsable(Cpu& cpu);

// A floating-point operation of (destination, source, imm8).
using FloatOperation = Xmm (*)(Xmm, Xmm, uint8_t);

// Where an operation's result can be tiny, so that an unmasked underflow exception needs a look at
// it.
enum class Tiny : uint8_t { kNever, kFloats, kDoubles, kLowFloat, kLowDouble, kHalves };

inline bool allExceptionsMasked(const Cpu& cpu) {
  return (cpu.mxcsr & mxcsr::kMasks) == mxcsr::kMasks;
}

// The same for VEX prefixes: real and virtual-8086 mode, CR4.OSXSAVE and XCR0 (#UD), CR0.TS (#NM).
inline bool avxEnabled(const Cpu& cpu) {
  constexpr uint64_t kSseAndAvx = 6;
  return cpu.protectedMode() && !cpu.virtual8086() && (cpu.cr4 & cr4::kOsxsave) &&
         (cpu.xcr0 & kSseAndAvx) == kSseAndAvx;
}
inline bool avxUsable(const Cpu& cpu) { return avxEnabled(cpu) && !(cpu.cr0 & cr0::kTs); }
bool raiseUnlessAvxUsable(Cpu& cpu);
// And for EVEX prefixes and opmask registers: the three components of AVX-512 in XCR0 as well.
bool raiseUnlessEvexUsable(Cpu& cpu);

// An operation with some exception unmasked runs between these two. The first gives the host the
// guest's MXCSR without flags and returns the guest's; the second, told what was computed and
// whether the result is tiny, sets the flags that the guest sees and, where one of them is
// unmasked, records #XM (#UD without CR4.OSXMMEXCPT) and returns false: the result then must not be
// used.
uint32_t beginUnmasked(Cpu& cpu);
[[nodiscard]] bool endUnmasked(Cpu& cpu, uint32_t guest, bool tiny, std::string_view mnemonic,
                               const FloatSources& sources);
bool hasTiny(Tiny where, Xmm result);

// Executes with some exception unmasked, between the two. Where cpu.fault is pending the result
// must not be used.
Xmm executeUnmasked(Cpu& cpu, FloatOperation operation, std::string_view mnemonic, Tiny tiny, Xmm a,
                    Xmm b, uint8_t imm);

}  // namespace nodevm

#pragma once
// What all x87 handlers share: when the FPU may be used, the pointers it records, and how the
// outcome of an operation becomes state.

#include <type_traits>

#include "interpreter/dispatch.h"
#include "interpreter/x87_host.h"
#include "interpreter/x87_state.h"

namespace nodevm::x87 {

// #NM, as CR0 says. SDM volume 3, "Configuring the x87 FPU Environment".
[[nodiscard]] inline bool available(Cpu& cpu) {
  return (cpu.cr0 & (cr0::kEm | cr0::kTs)) == 0 || cpu.raise(kNm);
}

// Every waiting instruction reports an unmasked exception of an earlier one.
[[nodiscard]] inline bool synchronized(Cpu& cpu) {
  return (cpu.x87.status & kSummary) == 0 || cpu.reportNumericError();
}

// FOP, FIP, FDP and their selectors; the decoder leaves FOP's 11 bits in the immediate.
inline void recordPointers(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  x87.lastOpcode = static_cast<uint16_t>(i->immediate & 0x7ff);
  x87.instructionPointer = thisRip(cpu, i);
  x87.instructionSegment = cpu.segment[kCs].selector;
  if (i->isMemory()) {
    x87.dataPointer = effectiveAddress(cpu, i) & cpu.linearMask;
    x87.dataSegment = cpu.segment[i->segment].selector;
  }
}

// Operations are functions (Cpu&, const Instruction*) that return false when memory faulted, with
// nothing committed; those without a memory operand return nothing. Out of line, so that their
// local operands do not keep a handler from leaving by a tail call.
template <auto kOperation>
[[gnu::noinline]] bool perform(Cpu& cpu, const Instruction* i) {
  if constexpr (std::is_void_v<decltype(kOperation(cpu, i))>) {
    kOperation(cpu, i);
    return true;
  } else {
    return kOperation(cpu, i);
  }
}

// Instructions that compute or move data.
template <auto kOperation>
void numeric(Cpu& cpu, const Instruction* i) {
  if (!available(cpu) || !synchronized(cpu) || !perform<kOperation>(cpu, i)) return fault(cpu, i);
  recordPointers(cpu, i);
  return next(cpu, i);
}

// Control instructions: the pointers stay. SDM volume 1, "x87 FPU Instruction and Data (Operand)
// Pointers".
template <auto kOperation>
void waitingControl(Cpu& cpu, const Instruction* i) {
  if (!available(cpu) || !synchronized(cpu) || !perform<kOperation>(cpu, i)) return fault(cpu, i);
  return next(cpu, i);
}

// The same without a look at pending exceptions (FN...).
template <auto kOperation>
void control(Cpu& cpu, const Instruction* i) {
  if (!available(cpu) || !perform<kOperation>(cpu, i)) return fault(cpu, i);
  return next(cpu, i);
}

// x87 handlers do not depend on the operand size, but for FNSTENV and its kin, which ask
// themselves.
constexpr HandlerSet only(Handler handler) {
  return {{handler, handler, handler, handler}, {handler, handler, handler, handler}};
}

// Exceptions found before computing: unmasked, they leave all operands as they were. SDM volume 1,
// "x87 FPU Floating-Point Exception Conditions".
inline constexpr uint16_t kBeforeComputing = kInvalid | kDenormal | kZeroDivide;

// Takes over the status of an operation; true when its result is to be written.
[[nodiscard]] inline bool accept(X87State& x87, uint16_t status, uint16_t conditions = kC1,
                                 uint16_t forbidding = kBeforeComputing) {
  mergeStatus(x87, status & (kExceptions | conditions), conditions);
  return (unmasked(x87, status) & forbidding) == 0;
}

// A memory operand of 2, 4, 8 or 10 bytes.
template <unsigned kBytes>
[[nodiscard]] inline bool readImage(Cpu& cpu, const Instruction* i, Image& image) {
  const uint8_t* bytes = cpu.loadBytes(i->segment, effectiveAddress(cpu, i), kBytes);
  if (!bytes) return false;
  std::memcpy(image.bytes, bytes, kBytes);
  return true;
}
template <unsigned kBytes>
[[nodiscard]] inline bool writeImage(Cpu& cpu, const Instruction* i, const Image& image) {
  return cpu.storeBytes(i->segment, effectiveAddress(cpu, i), image.bytes, kBytes);
}

}  // namespace nodevm::x87

#pragma once
// From the forms in which translated code leaves the arithmetic flags to those of the interpreter.

#include <cstdint>
#include <optional>

#include "jit/emitter.h"
#include "jit/thunks.h"

namespace nodevm {

// Brings JitState::flagWord back to kWords.
void settleFlags(Cpu& cpu);

// The flags of the form kWords as PUSHF stores them, for POPF on the host.
uint64_t packWords(const Cpu& cpu);

// Emits the way from the host's flags to those of the form kPacked in flagA, without changing them,
// and back. Clobbers R11, R10.
void emitPackFlags(Emitter& emitter, const Layout& layout);
void emitUnpackFlags(Emitter& emitter, const Layout& layout);

// What has to be done with b, to what flagA is of an addition or subtraction, for its flags.
template <class Function>
void repeatWith(FlagSource source, const Function& apply) {
  if (source == FlagSource::kSum) apply(Alu::kSub);
  if (source == FlagSource::kDifference) apply(Alu::kAdd);
  apply(source == FlagSource::kSum || source == FlagSource::kAdd ? Alu::kAdd : Alu::kCmp);
}

// ModRM.reg of the instructions of group 2; nullopt: no shift.
constexpr std::optional<uint8_t> shiftDigit(FlagSource source) {
  switch (source) {
    case FlagSource::kShiftLeft:
      return 4;
    case FlagSource::kShiftRight:
      return 5;
    case FlagSource::kShiftArithmeticRight:
      return 7;
    default:
      return std::nullopt;
  }
}

// Emits the operation that is in memory in this form. Clobbers R9 and R10.
void emitSavedOperation(Emitter& emitter, const Layout& layout, FlagForm form);

}  // namespace nodevm

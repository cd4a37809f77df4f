#pragma once
// From the forms in which translated code leaves the arithmetic flags to those of the interpreter.

#include <cstdint>

#include "jit/emitter.h"
#include "jit/thunks.h"

namespace nodevm {

// Brings JitState::flagForm back to kWords.
void settleFlags(Cpu& cpu);

// The flags of the form kWords as PUSHF stores them, for POPF on the host.
uint64_t packWords(const Cpu& cpu);

// Emits the way from the host's flags to those of the form kPacked in flagA, without changing them,
// and back. Clobbers R11, R10.
void emitPackFlags(Emitter& emitter, const Layout& layout);
void emitUnpackFlags(Emitter& emitter, const Layout& layout);

// Emits the operation whose operands are in flagA and flagB: 0 addition, 1 subtraction, 2 logic.
// Clobbers R9.
void emitSavedOperation(Emitter& emitter, const Layout& layout, unsigned operation, unsigned size);

}  // namespace nodevm

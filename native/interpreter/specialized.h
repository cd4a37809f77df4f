#pragma once
// Handlers for what an instruction is after decoding: its condition, a memory operand without an
// index, a zeroing idiom. The handler sets of the rows do everything without them.

#include "decoder/row.h"
#include "interpreter/dispatch.h"

namespace nodevm {

// A better handler for an instruction of `row` than the row's own, or nullptr. `memory`: whether
// ModRM.rm is a memory operand.
Handler specialize(const Instruction& i, const Row& row, bool memory);

}  // namespace nodevm

#include "jit/string_thunks.h"

#include "interpreter/strings.h"
#include "jit/tlb_probe.h"

namespace nodevm {

namespace {

constexpr unsigned kCarry = 2, kZero = 4, kNotZero = 5, kAbove = 7;  // condition codes
constexpr unsigned kShiftRight = 5;

// Bytes from the address to the end of its page.
void roomBehind(Emitter& e, uint8_t address, uint8_t to) {
  constexpr unsigned kNegate = 3;
  e.move(8, to, address);
  e.aluImmediate(Alu::kOr, 8, to, static_cast<int32_t>(kPageMask));
  e.instruction({.byte = 0xf7}, 8, kNegate, to);
}

// R9: elements that lie on a page, of both ranges. Clobbers R10.
void countElements(Emitter& e, bool moves, unsigned scale) {
  constexpr uint8_t kMoveIf = 0x40;
  const auto moveIf = [&](unsigned condition, uint8_t to, uint8_t from) {
    e.instruction({.map = OpcodeMap::k0F, .byte = static_cast<uint8_t>(kMoveIf | condition)}, 8, to,
                  from);
  };
  roomBehind(e, host::kRdi, host::kR9);
  if (moves) {
    roomBehind(e, host::kRsi, host::kR10);
    e.alu(Alu::kCmp, 8, host::kR10, host::kR9);
    moveIf(kCarry, host::kR9, host::kR10);
  }
  if (scale != 0) e.shiftImmediate(kShiftRight, 8, host::kR9, scale);
  e.alu(Alu::kCmp, 8, host::kR9, host::kRcx);
  moveIf(kAbove, host::kR9, host::kRcx);
}

// The address's page in R11, and its addend in R10, or jumps with NZ.
Emitter::Fixup probe(Emitter& e, const Layout& layout, uint8_t address, bool write) {
  emitPageOf(e, host::kR11, {.base = address});
  return emitPageProbe(e, layout, host::kR11, write);
}

// Ranges that overlap are copied as the guest's instruction does. As much as the interpreter
// executes at once, which then takes as many instructions.
const uint8_t* emitRepeat(Emitter& e, const Layout& layout, bool moves, unsigned scale) {
  const uint8_t opcode = static_cast<uint8_t>((moves ? 0xa4 : 0xaa) | (scale != 0 ? 1 : 0));
  const uint8_t* start = e.here();
  e.aluImmediate(Alu::kCmp, 8, host::kRcx, static_cast<int32_t>(kBulkBytes >> scale));
  const Emitter::Fixup tooMany = e.jumpIf(kAbove);
  const uint8_t* page = e.here();
  e.test(8, host::kRcx, host::kRcx);
  const Emitter::Fixup done = e.jumpIf(kZero);
  countElements(e, moves, scale);
  Emitter::Fixup noSource = nullptr;
  if (moves) {
    noSource = probe(e, layout, host::kRsi, false);
    e.push(host::kR10);
  }
  const Emitter::Fixup noTarget = probe(e, layout, host::kRdi, true);
  if (moves) e.pop(host::kR11);
  e.alu(Alu::kSub, 8, host::kRcx, host::kR9);
  e.push(host::kRcx);
  e.move(8, host::kRcx, host::kR9);
  if (moves) e.alu(Alu::kAdd, 8, host::kRsi, host::kR11);
  e.alu(Alu::kAdd, 8, host::kRdi, host::kR10);
  e.repeat(opcode, 1u << scale);
  if (moves) e.alu(Alu::kSub, 8, host::kRsi, host::kR11);
  e.alu(Alu::kSub, 8, host::kRdi, host::kR10);
  e.pop(host::kRcx);
  e.test(8, host::kR9, host::kR9);
  e.bind(e.jumpIf(kNotZero), page);
  // An element on two pages.
  e.aluImmediate(Alu::kOr, 8, host::kRcx, 0);
  e.ret();
  e.bind(noTarget);
  if (moves) e.pop(host::kR11);
  if (noSource) e.bind(noSource);
  e.bind(done);
  e.bind(tooMany);
  e.ret();
  return start;
}

}  // namespace

void emitStringThunks(Emitter& e, const Layout& layout, Thunks& thunks) {
  for (unsigned scale = 0; scale < Thunks::kStringSizes; ++scale) {
    thunks.repeatMove[scale] = emitRepeat(e, layout, true, scale);
    thunks.repeatStore[scale] = emitRepeat(e, layout, false, scale);
  }
}

}  // namespace nodevm

// SSE and AVX. Vector registers are those of the guest, on the host's from block to block
// (vector_thunks.h). While run() is active MXCSR is the guest's as well
// (interpreter/sse_control.h), so that the results are the processor's own.

#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kNotZero = 5;  // condition code

// What may keep the instruction from being run, of simd_state.
uint8_t blockersOf(const Shape& shape) {
  if (!shape.isVector()) return 0;
  const uint8_t kind = shape.opcode.vex ? simd_state::kAvxBlocked : simd_state::kSseBlocked;
  return shape.isFloat ? kind | simd_state::kFloatBlocked : kind;
}

// Of a vector register, at any address.
bool isPlainStore(const Shape& shape) {
  return shape.memoryWritten && shape.vectorReg && !shape.aligned && shape.immediateBytes == 0;
}

}  // namespace

// The first vector instruction asks for those that follow, and a loop of nothing else before it
// begins. An interpreted one in between may change all that was asked.
void Translator::placeVectorChecks() {
  uint8_t blockers = 0;
  bool interrupted = false;
  for (size_t slot = shapes_.size(); slot-- > 0;) {
    Shape& shape = shapes_[slot];
    if (!shape.native()) blockers = 0;
    interrupted |= !shape.native();
    shape.keepsVectors = blockers != 0;
    blockers |= blockersOf(shape);
    shape.blockers = blockers;
  }
  if (loops_ && !interrupted) loopBlockers_ = blockers;
  bool asked = loopBlockers_ != 0;
  for (Shape& shape : shapes_) {
    asked &= shape.native();
    const bool asks = shape.isVector() && !asked;
    asked |= asks;
    if (!asks) shape.blockers = 0;
    shape.keepsVectors = loopBlockers_ != 0 || (shape.keepsVectors && asked);
    shape.observes |= asks;
  }
}

// Where they are blocked, the rest of the block is interpreted.
void Translator::checkVectors(uint8_t blockers) {
  const bool wide = blockers & simd_state::kAvxBlocked;
  hostFlags_ = false;
  e_.instruction({.byte = 0xf6}, 1, 0, layout_.at(layout_.simd));  // test byte, bits
  e_.immediate(blockers | (wide ? simd_state::kNotWide : simd_state::kNotLoaded), 1);
  detour(Detour::Kind::kInterpretRest, e_.jumpIf(kNotZero));
  detours_.back().blockers = blockers;
  detours_.back().checked = e_.here();
  held_ = AccessPlan::kNoGroup;
  forgetValues();
}

void Translator::simd(const Instruction& i, const Shape& shape) {
  if (shape.blockers) checkVectors(shape.blockers);
  HostRm rm(host::kNone);
  HostOpcode opcode = shape.opcode;
  if (shape.memory) {
    const size_t before = detours_.size();
    rm = access(i, shape);
    if (isPlainStore(shape) && i.segment < kFs && detours_.size() != before)
      detours_.back().store = {shape.opcode, shape.size, i.reg, operandBytes(i, shape)};
    if (shape.aligned) {
      e_.lea(host::kR11, rm.memory);  // as far into a page as the guest's address
      e_.instruction({.byte = 0xf6}, 1, 0, host::kR11, {.rm = true});  // test r11b, size - 1
      e_.immediate(shape.memorySize - 1, 1);
      detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kNotZero));
    }
  } else if (shape.vectorRm) {
    rm = i.rm;
  } else if (shape.rm & Shape::kWrite) {
    rm = isPinned(i.rm) ? hostOf(i.rm) : host::kR10;
  } else if (shape.rm) {
    rm = readable(i.rm, host::kR11);
  }
  opcode.vvvv = shape.vectorVvvv ? static_cast<uint8_t>(i.vvvv()) : 0;
  uint8_t reg = shape.digit;
  if (shape.vectorReg) {
    reg = i.reg;
  } else if (shape.reg) {
    reg = isPinned(i.reg) ? hostOf(i.reg) : host::kR11;
  }
  // Numbers of vector registers are not those of general ones.
  const bool keepsAddend =
      !e_.lost(host::kR10) && (rm.isMemory || shape.vectorRm || rm.reg != host::kR10);
  const bool keepsR9 = !e_.lost(host::kR9);
  e_.instruction(opcode, shape.size, reg, rm);
  if (keepsAddend) e_.keep(host::kR10);
  if (keepsR9) e_.keep(host::kR9);
  if (shape.immediateBytes) e_.immediate(shape.immediate, shape.immediateBytes);
  if (shape.reg & Shape::kWrite) writeBack(i.reg, reg);
  if (!shape.memory && shape.rm & Shape::kWrite) writeBack(i.rm, rm.reg);
  if (shape.flags == FlagEffect::kNone) return;
  if (wanted().inMemory) shape.isFloat ? saveOrder(i, shape, rm) : savePacked();
  hostFlags_ = true;
}

// What UCOMISS and the like compare, without changing the host's flags.
void Translator::saveOrder(const Instruction& i, const Shape& shape, const HostRm& second) {
  const bool isDouble = shape.opcode.prefix == 0x66;
  const HostOpcode store{.map = OpcodeMap::k0F,
                         .byte = 0x11,
                         .prefix = static_cast<uint8_t>(isDouble ? 0xf2 : 0xf3),
                         .vex = shape.opcode.vex};
  e_.instruction(store, 16, i.reg, layout_.at(layout_.flagA));
  if (second.isMemory) {
    e_.move(shape.memorySize, host::kR11, second);
    e_.store(shape.memorySize, layout_.at(layout_.flagB), host::kR11);
  } else {
    e_.instruction(store, 16, second.reg, layout_.at(layout_.flagB));
  }
  storeForm(FlagSource::kOrder, static_cast<SizeCode>(isDouble ? 3 : 2));
}

}  // namespace nodevm

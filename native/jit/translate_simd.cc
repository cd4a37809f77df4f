// SSE. XMM registers are those of the guest, loaded when a block first uses them and written back
// before anybody else looks: at its end, and before the interpreter is called. While run() is
// active MXCSR is the guest's as well (interpreter/sse_control.h), so that the results are the
// processor's own.

#include "interpreter/sse_control.h"
#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kNotZero = 5;
constexpr HostOpcode kMovapsLoad{.map = OpcodeMap::k0F, .byte = 0x28},
    kMovapsStore{.map = OpcodeMap::k0F, .byte = 0x29};

}  // namespace

HostMemory Translator::vectorSlot(unsigned number) const {
  return layout_.at(layout_.vector + static_cast<int32_t>(number * sizeof(VectorRegister)));
}

void Translator::useVector(unsigned number, uint8_t use) {
  const auto bit = static_cast<uint16_t>(1u << number);
  if ((use & Shape::kRead) && !(vectorsLoaded_ & bit))
    e_.instruction(kMovapsLoad, 16, static_cast<uint8_t>(number), vectorSlot(number));
  vectorsLoaded_ |= bit;
  if (use & Shape::kWrite) vectorsDirty_ |= bit;
}

void Translator::storeVectors(uint16_t which) {
  for (unsigned n = 0; n < 16; ++n)
    if (which >> n & 1) e_.instruction(kMovapsStore, 16, static_cast<uint8_t>(n), vectorSlot(n));
}

void Translator::loadVectors(uint16_t which) {
  for (unsigned n = 0; n < 16; ++n)
    if (which >> n & 1) e_.instruction(kMovapsLoad, 16, static_cast<uint8_t>(n), vectorSlot(n));
}

// The interpreter is next: nothing stays in host registers.
void Translator::dropVectors() {
  storeVectors(vectorsDirty_);
  vectorsLoaded_ = vectorsDirty_ = 0;
}

// What sseUsable() and allExceptionsMasked() ask, once for all instructions of the block that
// they hold for: where they do not, the rest of the block is interpreted.
void Translator::checkSimd(const Shape& shape) {
  if (shape.checksSimd) {
    hostFlags_ = false;
    e_.move(4, host::kR9, layout_.at(layout_.cr4));
    e_.aluImmediate(Alu::kXor, 4, host::kR9, static_cast<int32_t>(cr4::kOsfxsr));
    e_.aluImmediate(Alu::kAnd, 4, host::kR9, static_cast<int32_t>(cr4::kOsfxsr));
    e_.move(4, host::kR10, layout_.at(layout_.cr0));
    e_.aluImmediate(Alu::kAnd, 4, host::kR10, static_cast<int32_t>(cr0::kEm | cr0::kTs));
    e_.alu(Alu::kOr, 4, host::kR9, host::kR10);
    detour(Detour::Kind::kInterpretRest, e_.jumpIf(kNotZero));
  }
  if (shape.checksFloat) {
    hostFlags_ = false;
    e_.move(4, host::kR9, layout_.at(layout_.mxcsr));
    e_.aluImmediate(Alu::kAnd, 4, host::kR9, static_cast<int32_t>(mxcsr::kMasks));
    e_.aluImmediate(Alu::kCmp, 4, host::kR9, static_cast<int32_t>(mxcsr::kMasks));
    detour(Detour::Kind::kInterpretRest, e_.jumpIf(kNotZero));
  }
}

void Translator::simd(const Instruction& i, const Shape& shape) {
  checkSimd(shape);
  HostRm rm(host::kNone);
  if (shape.memory) {
    rm = access(i, shape);
    if (shape.aligned) {
      if (plans_.operands[slot_].grouped())
        address({i.base, i.index, i.scale}, i.displacement, host::kR9, host::kR11);
      e_.instruction({.byte = 0xf6}, 1, 0, host::kR9, {.rm = true});  // test r9b, 15
      e_.immediate(15, 1);
      detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kNotZero));
    }
  } else if (shape.vectorRm) {
    useVector(i.rm, shape.vectorRm);
    rm = i.rm;
  } else if (shape.rm & Shape::kWrite) {
    rm = isPinned(i.rm) ? kHostOf[i.rm >> 3] : host::kR10;
  } else if (shape.rm) {
    rm = locate(i.rm);
  }
  uint8_t reg = shape.digit;
  if (shape.vectorReg) {
    useVector(i.reg, shape.vectorReg);
    reg = i.reg;
  } else if (shape.reg) {
    reg = isPinned(i.reg) ? kHostOf[i.reg >> 3] : host::kR11;
  }
  e_.instruction(shape.opcode, shape.size, reg, rm);
  if (shape.immediateBytes) e_.immediate(shape.immediate, shape.immediateBytes);
  if (shape.reg & Shape::kWrite) writeBack(i.reg, reg);
  if (!shape.memory && shape.rm & Shape::kWrite) writeBack(i.rm, rm.reg);
  if (shape.flags == FlagEffect::kNone) return;
  if (wanted().inMemory) savePacked();
  hostFlags_ = true;
}

}  // namespace nodevm

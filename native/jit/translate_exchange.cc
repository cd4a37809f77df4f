// Instructions that rearrange what they move: XCHG, CMPXCHG8B, MOVBE, AH..BH, bits in memory. One
// processor runs at a time, so that LOCK, which XCHG implies, is left out.

#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kNotZero = 5;  // condition code
constexpr unsigned kRotateLeft = 0, kRotateRight = 1, kShiftRight = 5, kArithmeticRight = 7;

}  // namespace

// With an operand in memory the host needs a REX prefix, which takes the name of AH..BH away.
void Translator::moveHighByte(const Instruction& i, const Shape& shape) {
  const HostMemory operand = access(i, shape);
  const uint8_t whole = hostOf(i.reg);
  if (shape.memoryWritten) {
    e_.move(4, host::kR11, whole);
    e_.shiftImmediate(kShiftRight, 4, host::kR11, 8);
    return e_.store(1, operand, host::kR11);
  }
  e_.move(1, host::kR11, operand);
  e_.shiftImmediate(kRotateRight, 8, whole, 8);
  setRegister(1, i.reg & ~7, host::kR11);
  e_.shiftImmediate(kRotateLeft, 8, whole, 8);
}

void Translator::moveBigEndian(const Instruction& i, const Shape& shape) {
  const HostMemory operand = access(i, shape);
  if (shape.memoryWritten) {
    e_.move(8, host::kR11, locate(i.reg));
    e_.swapBytes(shape.size, host::kR11);
    return e_.store(shape.size, operand, host::kR11);
  }
  e_.move(shape.size, host::kR11, operand);
  e_.swapBytes(shape.size, host::kR11);
  setRegister(shape.size, i.reg, host::kR11);
}

void Translator::exchange(const Instruction& i, const Shape& shape) {
  HostMemory operand = access(i, shape);
  uint8_t reg = hostOf(i.reg);
  if (!isPinned(i.reg)) {
    e_.lea(host::kR9, operand);
    operand = {.base = host::kR9};
    reg = readable(i.reg, host::kR10);
  }
  e_.move(shape.size, host::kR11, operand);
  e_.store(shape.size, operand, reg);
  setRegister(shape.size, i.reg, host::kR11);
}

// Elsewhere than on the host's boundary the one of 16 bytes raises #GP. Only ZF changes.
void Translator::compareExchangeWide(const Instruction& i, const Shape& shape) {
  HostMemory operand = access(i, shape);
  if (shape.memorySize == 16) {
    if (!has(cpu_.features, Feature::kCx16)) return detour(Detour::Kind::kInterpretSlot, e_.jump());
    e_.lea(host::kR11, operand);
    e_.aluImmediate(Alu::kAnd, 4, host::kR11, 15);
    detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kNotZero));
  }
  const bool exact = wanted().any();
  if (exact) operand = withHostFlags(operand);
  e_.instruction({.map = OpcodeMap::k0F, .byte = 0xc7}, shape.size, 1, operand);
  keepFlags(exact);
}

// SDM volume 1, "Bit String": the operand is the element that the bit lies in, the offset is
// signed. Leaves its address in R9.
HostMemory Translator::bitStringElement(const Instruction& i, const Shape& shape) {
  constexpr HostOpcode kMovsxd{.byte = 0x63}, kMovsx{.map = OpcodeMap::k0F, .byte = 0xbf};
  hostFlags_ = false;
  operandAddress(i);
  const HostRm offset = locate(i.reg);
  if (shape.size == 8) {
    e_.move(8, host::kR11, offset);
  } else {
    e_.instruction(shape.size == 4 ? kMovsxd : kMovsx, 8, host::kR11, offset);
  }
  e_.shiftImmediate(kArithmeticRight, 8, host::kR11, 3);
  e_.aluImmediate(Alu::kAnd, 8, host::kR11, -static_cast<int32_t>(shape.size));
  e_.alu(Alu::kAdd, 8, host::kR9, host::kR11);
  detour(Detour::Kind::kInterpretSlot,
         probeAt({.base = host::kR9}, shape.memorySize, shape.memoryWritten));
  return {.base = host::kR9, .index = host::kR10};
}

// Only CF changes.
void Translator::bitString(const Instruction& i, const Shape& shape) {
  HostMemory element = bitStringElement(i, shape);
  const bool exact = wanted().any();
  if (exact) {
    element = withHostFlags(element);
  } else {
    e_.lea(host::kR9, element);
    element = {.base = host::kR9};
  }
  e_.move(shape.size, host::kR11, element);
  e_.instruction(shape.opcode, shape.size, readable(i.reg, host::kR10), host::kR11);
  if (shape.memoryWritten) e_.store(shape.size, element, host::kR11);
  keepFlags(exact);
}

}  // namespace nodevm

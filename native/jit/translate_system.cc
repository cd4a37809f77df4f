// What a kernel does at each entry, exit and spin lock.

#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kZero = 4, kNotZero = 5;  // condition codes

}  // namespace

// Elsewhere the interpreter knows the rules.
void Translator::requireLevel0() {
  hostFlags_ = false;
  e_.aluImmediate(Alu::kCmp, 1, layout_.at(layout_.cpl), 0);
  detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kNotZero));
}

void Translator::pushFlags() {
  needHostFlags();
  e_.pushf();
  e_.pop(layout_.at(layout_.target));
  const HostMemory top = stackAccess(gpr::kRsp, -8, true);
  hostFlags_ = false;
  e_.move(8, host::kR11, layout_.at(layout_.target));
  e_.aluImmediate(Alu::kAnd, 4, host::kR11, static_cast<int32_t>(eflags::kArithmetic));
  e_.alu(Alu::kOr, 8, host::kR11, layout_.at(layout_.eflagsRest));
  // SDM volume 2, "PUSHF/PUSHFD/PUSHFQ": the image has VM and RF clear.
  e_.aluImmediate(Alu::kAnd, 8, host::kR11, static_cast<int32_t>(~(eflags::kVm | eflags::kRf)));
  e_.store(8, top, host::kR11);
  const uint8_t rsp = hostOf(gpr::kRsp);
  e_.lea(rsp, {.base = rsp, .displacement = -8});
}

// A bit of RFLAGS that is no arithmetic one.
void Translator::setRest(uint64_t bit, bool value) {
  const auto mask = static_cast<int32_t>(value ? bit : ~bit);
  e_.aluImmediate(value ? Alu::kOr : Alu::kAnd, 8, layout_.at(layout_.eflagsRest), mask);
}

// Z where it is 0.
void Translator::testRest(uint64_t bit) {
  e_.instruction({.byte = 0xf7}, 4, 0, layout_.at(layout_.eflagsRest));
  e_.immediate(static_cast<int64_t>(bit), 4);
}

void Translator::clearInterrupt() {
  requireLevel0();
  setRest(eflags::kIf, false);
}

void Translator::setDirection(const Shape& shape) {
  hostFlags_ = false;
  setRest(eflags::kDf, shape.immediate != 0);
}

void Translator::changeCarry(const Shape& shape) {
  if (wanted().any()) {
    needHostFlags();
    e_.byte(shape.opcode.byte);
  }
  keepFlags(wanted().any());
}

// What is allowed then is known beforehand.
void Translator::allowUserAccess(const Shape& shape) {
  requireLevel0();
  e_.callTo(jit_.thunks().userAccess[shape.immediate != 0]);
}

// What is not done here is left to the interpreter, which ends the block.
void Translator::endAndGoOn(const Shape& shape) {
  hostFlags_ = false;
  switch (shape.way) {
    case Way::kRepeatString:
      return repeatString(shape);
    case Way::kSetInterrupt:
      return setInterrupt();
    default:
      return readTimeStamp();
  }
}

void Translator::repeatString(const Shape& shape) {
  const bool moves = (shape.opcode.byte & 0xfe) == 0xa4;
  const Thunks& thunks = jit_.thunks();
  testRest(eflags::kDf);
  askLast(e_.jumpIf(kNotZero));
  e_.callTo((moves ? thunks.repeatMove : thunks.repeatStore)[sizeCodeOf(shape)]);
  askLast(e_.jumpIf(kNotZero));
}

void Translator::setInterrupt() {
  e_.aluImmediate(Alu::kCmp, 1, layout_.at(layout_.cpl), 0);
  askLast(e_.jumpIf(kNotZero));
  testRest(eflags::kIf);
  const Emitter::Fixup open = e_.jumpIf(kNotZero);
  e_.callTo(jit_.thunks().mayGoOn);
  askLast(e_.jumpIf(kZero));
  setRest(eflags::kIf, true);
  e_.bind(open);
}

// No path goes on behind it, so that just what has been retired is charged.
void Translator::readTimeStamp() {
  constexpr unsigned kShiftRight = 5;
  e_.instruction({.byte = 0xf6}, 1, 0, layout_.at(layout_.control[4]));
  e_.immediate(static_cast<int64_t>(cr4::kTsd), 1);
  askLast(e_.jumpIf(kNotZero));
  e_.callTo(jit_.thunks().readTsc);
  e_.move(4, host::kRax, host::kR11);
  e_.move(8, host::kRdx, host::kR11);
  e_.shiftImmediate(kShiftRight, 8, host::kRdx, 32);
}

// In 64-bit mode nothing but the base itself depends on a base.
void Translator::swapGs() {
  requireLevel0();
  const HostMemory base = layout_.at(layout_.segmentBase + 8 * kGs);
  const HostMemory kernelBase = layout_.at(layout_.kernelGsBase);
  const HostMemory hidden = segmentField(kGs, offsetof(SegmentRegister, base));
  e_.move(8, host::kR10, hidden);
  e_.move(8, host::kR11, kernelBase);
  e_.store(8, base, host::kR11);
  e_.store(8, hidden, host::kR11);
  e_.store(8, kernelBase, host::kR10);
}

HostMemory Translator::segmentField(unsigned segment, size_t offset) const {
  const size_t place = segment * sizeof(SegmentRegister) + offset;
  return layout_.at(layout_.segment + static_cast<int32_t>(place));
}

void Translator::readSegment(const Instruction& i, const Shape& shape) {
  e_.move(2, host::kR11, segmentField(i.reg, offsetof(SegmentRegister, selector)));
  setRegister(shape.size, i.rm, host::kR11);
}

void Translator::readControl(const Instruction& i) {
  requireLevel0();
  e_.move(8, host::kR11, layout_.at(layout_.control[i.reg]));
  setRegister(8, i.rm, host::kR11);
}

// CR4.FSGSBASE. Returns whose base it is.
Segment Translator::requireBaseInstructions(const Shape& shape) {
  hostFlags_ = false;
  e_.instruction({.byte = 0xf7}, 4, 0, layout_.at(layout_.control[4]));
  e_.immediate(static_cast<int64_t>(cr4::kFsgsbase), 4);
  detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kZero));
  return (shape.digit & 1) != 0 ? kGs : kFs;
}

void Translator::readBase(const Instruction& i, const Shape& shape) {
  const Segment segment = requireBaseInstructions(shape);
  e_.move(shape.size, host::kR11, segmentField(segment, offsetof(SegmentRegister, base)));
  setRegister(shape.size, i.rm, host::kR11);
}

void Translator::writeBase(const Instruction& i, const Shape& shape) {
  constexpr unsigned kShiftLeft = 4, kArithmeticRight = 7, kNotAddress = 16;
  const Segment segment = requireBaseInstructions(shape);
  e_.move(shape.size, host::kR11, locate(i.rm));
  if (shape.size == 8) {  // canonical, else #GP
    e_.move(8, host::kR9, host::kR11);
    e_.shiftImmediate(kShiftLeft, 8, host::kR9, kNotAddress);
    e_.shiftImmediate(kArithmeticRight, 8, host::kR9, kNotAddress);
    e_.alu(Alu::kCmp, 8, host::kR9, host::kR11);
    detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kNotZero));
  }
  e_.store(8, segmentField(segment, offsetof(SegmentRegister, base)), host::kR11);
  e_.store(8, layout_.at(layout_.segmentBase + 8 * segment), host::kR11);
}

}  // namespace nodevm

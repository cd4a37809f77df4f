// General-purpose instructions that neither branch nor use the stack.

#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr uint8_t kMovToRm = 0x89, kMovFromRm = 0x8b;

bool movesRegister(const Shape& shape) {
  return !shape.memory && shape.size >= 4 && shape.opcode.map == OpcodeMap::kOneByte &&
         (shape.opcode.byte == kMovToRm || shape.opcode.byte == kMovFromRm);
}

// AL..BL, AH..BH: as encoded without a REX prefix.
uint8_t byteRegister(uint8_t slot) {
  return static_cast<uint8_t>((slot >> 3) + ((slot & 7) != 0 ? 4 : 0));
}

}  // namespace

// Group 1 and TEST: with their operands saved, their flags can be had again at any time.
void Translator::alu(const Instruction& i, const Shape& shape) {
  const uint8_t toSlot = shape.accumulator ? gpr::kRax : shape.toRm ? i.rm : i.reg;
  const uint8_t fromSlot = shape.toRm ? i.reg : i.rm;
  HostRm guest(host::kNone);
  if (shape.memory) guest = access(i, shape);
  const bool toMemory = shape.memory && shape.toRm, fromMemory = shape.memory && !shape.toRm;
  const HostRm to = toMemory ? guest : locate(toSlot);
  const HostRm from = fromMemory ? guest : locate(fromSlot);
  const HostRm* source = shape.fromImmediate ? nullptr : &from;

  const bool carries = shape.readsFlags;  // ADC and SBB
  if (carries) {
    HostRm folded = guest;
    if (shape.memory) {
      folded = withHostFlags(guest.memory);
    } else {
      needHostFlags();
    }
    const HostRm foldedFrom = fromMemory ? folded : from;
    combine(shape, toMemory ? folded : to, source ? &foldedFrom : nullptr);
    pending_.reset();
    return keepFlags(true);
  }

  pending_ = pendingAfter(i, shape);
  if (pending_) {
    combine(shape, to, source);
    hostFlags_ = true;
    return;
  }
  if (keepsLoaded(shape)) {
    pending_ = aluOfMemory(i, shape, to, source);
    hostFlags_ = true;
    return;
  }
  if (wanted().inMemory) saveOperands(shape, to, source);
  combine(shape, to, source);
  hostFlags_ = true;
}

// What is loaded is kept where flags are. R11 is the scratch.
Translator::PendingFlags Translator::aluOfMemory(const Instruction& i, const Shape& shape,
                                                 const HostRm& to, const HostRm* from) {
  const bool toMemory = shape.toRm;
  const FlagSource source =
      shape.isTest ? FlagSource::kLogic : sourceOf(shape.operation, !toMemory);
  const bool logic = source == FlagSource::kLogic;
  PendingFlags pending{.source = source,
                       .size = sizeCodeOf(shape),
                       .a = toMemory ? PendingFlags::kSaved : i.reg,
                       .b = toMemory && from && !logic ? i.reg : gpr::kZero,
                       .immediate = static_cast<int32_t>(shape.immediate)};
  const auto keep = [&](int32_t place) { e_.store(8, layout_.at(place), host::kR11); };
  if (logic) {
    if (shape.isTest) {
      Shape result = shape;
      result.isTest = false;
      e_.move(shape.size, host::kR11, to);
      combine(result, host::kR11, from);
    } else {
      combine(shape, to, from);
      if (toMemory) e_.move(shape.size, host::kR11, to);
    }
    if (toMemory) keep(layout_.flagA);
  } else if (toMemory) {
    e_.move(shape.size, host::kR11, to);
    keep(layout_.flagA);
    combine(shape, shape.operation == Alu::kCmp ? HostRm(host::kR11) : to, from);
  } else {
    const HostRm loaded(host::kR11);
    e_.move(shape.size, host::kR11, *from);
    keep(layout_.flagB);
    combine(shape, to, &loaded);
    pending.b = PendingFlags::kSaved;
  }
  return pending;
}

// The operation itself. from: nullptr for the immediate. Where R11 is taken, nothing else accesses
// memory, and R9 is free.
void Translator::combine(const Shape& shape, HostRm to, const HostRm* from) {
  const bool writes = !shape.isTest && shape.operation != Alu::kCmp;
  const auto immediate = static_cast<int32_t>(shape.immediate);
  HostRm second = from ? *from : HostRm(host::kNone);
  const HostRm home = to;
  const bool toGuestMemory = to.isMemory && !isHome(to);
  if (isHome(second)) second = inRegister(second, toGuestMemory ? host::kR11 : host::kR9);
  if (isHome(to) && !(writes && shape.size == 8)) {
    const bool taken = !second.isMemory && second.reg == host::kR11;
    to = inRegister(home, taken ? host::kR9 : host::kR11);
  }
  if (second.isMemory && to.isMemory) {
    e_.move(shape.size, host::kR11, second);
    second = host::kR11;
  }
  const ByteOperands bytes{.reg = shape.size == 1, .rm = shape.size == 1};
  if (shape.isTest && !from) {
    e_.instruction({.byte = static_cast<uint8_t>(shape.size == 1 ? 0xf6 : 0xf7)}, shape.size, 0, to,
                   {.rm = shape.size == 1});
    e_.immediate(immediate, shape.size == 8 ? 4 : shape.size);
  } else if (!from) {
    e_.aluImmediate(shape.operation, shape.size, to, immediate);
  } else if (shape.isTest) {
    e_.instruction({.byte = static_cast<uint8_t>(shape.size == 1 ? 0x84 : 0x85)}, shape.size,
                   second.reg, to, bytes);
  } else if (to.isMemory) {
    e_.aluToMemory(shape.operation, shape.size, to.memory, second.reg);
  } else {
    e_.alu(shape.operation, shape.size, to.reg, second);
  }
  if (writes && isHome(home) && !to.isMemory) writeBack(slotAt(home), to.reg);
}

// Between registers, whole ones.
void Translator::moveRegister(const Instruction& i, const Shape& shape) {
  const bool toRm = shape.opcode.byte == kMovToRm;
  const uint8_t to = toRm ? i.rm : i.reg, from = toRm ? i.reg : i.rm;
  const uint8_t known = scratchWith(from);
  const HostRm place = known == host::kNone ? locate(from) : HostRm(known);
  if (isPinned(to)) return e_.move(shape.size, hostOf(to), place);
  const bool copies = place.isMemory || shape.size == 4;
  if (copies) e_.move(shape.size, host::kR11, place);
  writeBack(to, copies ? host::kR11 : place.reg);
}

// The instruction as it is, with its registers renamed: ModRM.reg through R11 and ModRM.rm through
// R10 where they have no host register.
void Translator::renamed(const Instruction& i, const Shape& shape) {
  if (movesRegister(shape)) return moveRegister(i, shape);
  HostRm rm(host::kNone);
  const bool exact = wanted().any() && shape.flags == FlagEffect::kSome;
  const bool needsFlags = shape.readsFlags || exact;
  constexpr uint8_t rmScratch = host::kR10;
  if (shape.memory) {
    rm = access(i, shape);
    if (needsFlags) rm = withHostFlags(rm.memory);
  } else {
    if (needsFlags) needHostFlags();
    if (shape.rm) rm = shape.bytes.high ? HostRm(byteRegister(i.rm)) : locate(i.rm);
  }
  const bool rmWritten = shape.rm & Shape::kWrite;
  const bool inPlace = rmWritten && shape.size == 8 && !shape.rmInRegister;
  const bool rmTemporary = !shape.memory && rm.isMemory && !inPlace;
  if (rmTemporary)
    rm = (shape.rm & Shape::kRead) || shape.size < 4 ? inRegister(rm, rmScratch) : rmScratch;
  uint8_t reg = shape.digit;
  if (shape.reg) {
    const bool load = (shape.reg & Shape::kRead) || shape.size < 4;
    const bool taken = rmTemporary && rm.reg == host::kR11;
    const uint8_t scratch = taken ? host::kR9 : host::kR11;
    reg = shape.bytes.high  ? byteRegister(i.reg)
          : load            ? readable(i.reg, scratch)
          : isPinned(i.reg) ? hostOf(i.reg)
                            : scratch;
  }
  const std::optional<PendingFlags> shift = pendingShift(shape);
  if (shift && wanted().inMemory) storeSaved(layout_.flagA, rm, host::kR11);
  e_.instruction(shape.opcode, shape.size, reg, rm, shape.bytes);
  if (shape.immediateBytes) e_.immediate(shape.immediate, shape.immediateBytes);
  if (shape.reg & Shape::kWrite) writeBack(i.reg, reg);
  if (rmTemporary && rmWritten) writeBack(i.rm, rm.reg);
  if (shift) {
    pending_ = wanted().inMemory ? shift : std::nullopt;
    hostFlags_ = true;
    return;
  }
  if (shape.flags != FlagEffect::kNone) keepFlags(shape.flags == FlagEffect::kAll || exact);
}

// The checks leave out what raises #DE, and whatever else is rare.
void Translator::divide(const Instruction& i, const Shape& shape) {
  constexpr unsigned kAboveOrEqual = 3, kNotEqual = 5, kBelowOrEqual = 6;
  constexpr unsigned kDiv = 6, kArithmeticRight = 7;
  if (shape.memory) {
    const HostMemory operand = access(i, shape);
    e_.move(shape.size, host::kR11, operand);
  } else {
    e_.move(shape.size, host::kR11, locate(i.rm));
  }
  hostFlags_ = false;
  if (shape.digit == kDiv) {
    e_.alu(Alu::kCmp, shape.size, host::kRdx, host::kR11);
    detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kAboveOrEqual));
  } else {  // RDX is the sign of RAX, the divisor neither 0 nor -1
    e_.move(shape.size, host::kR9, host::kRax);
    e_.shiftImmediate(kArithmeticRight, shape.size, host::kR9, 8u * shape.size - 1);
    e_.alu(Alu::kCmp, shape.size, host::kR9, host::kRdx);
    detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kNotEqual));
    e_.lea(host::kR9, {.base = host::kR11, .displacement = 1});
    e_.aluImmediate(Alu::kCmp, shape.size, host::kR9, 1);
    detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kBelowOrEqual));
  }
  const bool exact = wanted().any();
  if (exact) needHostFlags();
  e_.instruction({.byte = 0xf7}, shape.size, shape.digit, host::kR11);
  keepFlags(exact);
}

// CBW, CWD and their wider forms.
void Translator::implied(const Instruction&, const Shape& shape) {
  if (shape.size == 2) e_.byte(0x66);
  if (shape.size == 8) e_.byte(0x48);
  e_.byte(shape.opcode.byte);
}

void Translator::moveImmediate(const Instruction& i, const Shape& shape) {
  const uint8_t to = isPinned(i.reg) ? hostOf(i.reg) : host::kR11;
  if (shape.size >= 4) {
    e_.moveImmediate(to, shape.size == 4 ? static_cast<uint32_t>(i.immediate) : i.immediate);
    return writeBack(i.reg, to);
  }
  const bool byte = shape.size == 1, high = (i.reg & 7) != 0;
  const uint8_t part = high ? byteRegister(i.reg) : readable(i.reg, host::kR11);
  e_.instruction({.byte = static_cast<uint8_t>(byte ? 0xc6 : 0xc7)}, shape.size, 0, part,
                 {.rm = byte, .high = high});
  e_.immediate(static_cast<int64_t>(i.immediate), shape.size);
  if (!high) writeBack(i.reg, part);
}

void Translator::loadAddress(const Instruction& i, const Shape& shape) {
  const uint8_t to = shape.size != 2 && isPinned(i.reg) ? hostOf(i.reg) : host::kR9;
  const HostMemory operand = addressOperand({i.base, i.index, i.scale}, i.displacement, host::kR9);
  e_.instruction({.byte = 0x8d}, shape.size, to, operand);
  if (shape.size == 2) return setRegister(2, i.reg, host::kR9);
  writeBack(i.reg, to);
}

void Translator::byteSwap(const Instruction& i, const Shape& shape) {
  const uint8_t reg = readable(i.reg, host::kR11);
  e_.swapBytes(shape.size, reg);
  writeBack(i.reg, reg);
}

void Translator::exchangeAccumulator(const Instruction& i, const Shape& shape) {
  const uint8_t reg = readable(i.reg, host::kR11);
  e_.instruction({.byte = 0x87}, shape.size, host::kRax, reg);
  writeBack(i.reg, reg);
}

// BMI. Where they have no host register, ModRM.rm is in R10, ModRM.reg in R11, and VEX.vvvv in R11
// when it is read, in R9 when it is written.
void Translator::vexGeneral(const Instruction& i, const Shape& shape) {
  const HostRm rm = shape.memory ? HostRm(access(i, shape)) : readable(i.rm, host::kR10);
  const auto vvvvSlot = static_cast<uint8_t>(i.vvvv() * 8);
  HostOpcode opcode = shape.opcode;
  if (shape.vvvv & Shape::kRead) {
    const bool taken = !rm.isMemory && rm.reg == host::kR11;
    opcode.vvvv = readable(vvvvSlot, taken ? host::kR9 : host::kR11);
  } else if (shape.vvvv) {
    opcode.vvvv = isPinned(vvvvSlot) ? hostOf(vvvvSlot) : host::kR9;
  }
  uint8_t reg = shape.digit;
  if (shape.reg) reg = isPinned(i.reg) ? hostOf(i.reg) : host::kR11;
  e_.instruction(opcode, shape.size, reg, rm);
  if (shape.immediateBytes) e_.immediate(shape.immediate, shape.immediateBytes);
  if (shape.vvvv & Shape::kWrite) writeBack(vvvvSlot, opcode.vvvv);
  if (shape.reg) writeBack(i.reg, reg);
  if (shape.flags != FlagEffect::kNone) keepFlags(true);
}

}  // namespace nodevm

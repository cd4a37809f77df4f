// The arithmetic flags: on the host between neighbours, in memory for whoever may look at the whole
// state.

#include "jit/flags.h"
#include "jit/translator.h"

namespace nodevm {

// None of these changes the host's flags; R11 is their scratch.

// Of an operation; writes: its result takes the first operand's place.
FlagSource Translator::sourceOf(Alu operation, bool writes) {
  switch (operation) {
    case Alu::kAdd:
      return writes ? FlagSource::kSum : FlagSource::kAdd;
    case Alu::kSub:
      return writes ? FlagSource::kDifference : FlagSource::kSubtract;
    case Alu::kCmp:
      return FlagSource::kSubtract;
    default:
      return FlagSource::kLogic;
  }
}

// b: the immediate, where the operation has one.
void Translator::storeForm(FlagSource source, SizeCode size, std::optional<int32_t> b) {
  const bool inWord = b && FlagForm::fits(*b);
  if (b && !inWord) e_.storeImmediate(8, layout_.at(layout_.flagB), *b);
  const FlagForm form{source, size, inWord};
  const int32_t word = form.word(b.value_or(0));
  if (word_ != word) e_.storeImmediate(inWord ? 4 : 1, layout_.at(layout_.flagWord), word);
  word_ = word;
}

// Before an addition or subtraction of registers. b: nullptr for the immediate.
void Translator::saveOperands(const Shape& shape, const HostRm& a, const HostRm* b) {
  storeSaved(layout_.flagA, a, host::kR11);
  if (b) storeSaved(layout_.flagB, *b, host::kR11);
  std::optional<int32_t> immediate;
  if (!b) immediate = static_cast<int32_t>(shape.immediate);
  storeForm(sourceOf(shape.operation, false), sizeCodeOf(shape), immediate);
}

void Translator::storeSaved(int32_t to, const HostRm& from, uint8_t scratch) {
  if (from.isMemory) e_.move(8, scratch, from);
  e_.store(8, layout_.at(to), from.isMemory ? scratch : from.reg);
}

void Translator::savePacked() {
  emitPackFlags(e_, layout_);
  storeForm(FlagSource::kPacked);
}

// What the operation, of registers, leaves to be found out later.
std::optional<Translator::PendingFlags> Translator::pendingAfter(const Instruction& i,
                                                                 const Shape& shape) const {
  if (shape.memory) return std::nullopt;
  const uint8_t to = shape.accumulator ? gpr::kRax : shape.toRm ? i.rm : i.reg;
  const uint8_t from = shape.fromImmediate ? gpr::kZero : shape.toRm ? i.reg : i.rm;
  const bool writes = !shape.isTest && shape.operation != Alu::kCmp;
  const FlagSource source = shape.isTest ? FlagSource::kLogic : sourceOf(shape.operation, writes);
  // Of a sum and a difference with itself nothing is left to start from.
  if (writes && from == to && source != FlagSource::kLogic) return std::nullopt;
  return PendingFlags{.source = source,
                      .size = sizeCodeOf(shape),
                      .a = to,
                      .b = from,
                      .immediate = static_cast<int32_t>(shape.immediate),
                      .isTest = shape.isTest};
}

// Of a register by a constant: its operand is to be saved in flagA.
std::optional<Translator::PendingFlags> Translator::pendingShift(const Shape& shape) {
  const bool byOne = shape.opcode.byte == 0xd0 || shape.opcode.byte == 0xd1;
  const bool isShift = shape.way == Way::kRenamed && shape.opcode.map == OpcodeMap::kOneByte &&
                       (byOne || shape.opcode.byte == 0xc0 || shape.opcode.byte == 0xc1);
  // Rotates change some flags only, and so does a count of 0; AH..BH are not a register's lowest
  // byte.
  if (!isShift || shape.memory || shape.flags != FlagEffect::kAll || shape.bytes.high)
    return std::nullopt;
  const FlagSource source = shape.digit == 7   ? FlagSource::kShiftArithmeticRight
                            : shape.digit == 5 ? FlagSource::kShiftRight
                                               : FlagSource::kShiftLeft;
  const int64_t mask = shape.size == 8 ? 63 : 31;
  return PendingFlags{.source = source,
                      .size = sizeCodeOf(shape),
                      .a = PendingFlags::kSaved,
                      .b = gpr::kZero,
                      .immediate = byOne ? 1 : static_cast<int32_t>(shape.immediate & mask)};
}

HostRm Translator::placeOfA(const PendingFlags& pending) const {
  return pending.a == PendingFlags::kSaved ? HostRm(layout_.at(layout_.flagA)) : locate(pending.a);
}

HostRm Translator::placeOfB(const PendingFlags& pending) const {
  return pending.b == PendingFlags::kSaved ? HostRm(layout_.at(layout_.flagB)) : locate(pending.b);
}

// The operation on R9.
void Translator::operateOnB(Alu operation, const PendingFlags& pending) {
  const unsigned size = 1u << pending.size;
  if (pending.b == gpr::kZero)
    return e_.aluImmediate(operation, size, host::kR9, pending.immediate);
  e_.alu(operation, size, host::kR9, placeOfB(pending));
}

// Into memory. The host's flags stay as they are, or become those of the operation. Clobbers R9.
void Translator::savePending(const PendingFlags& pending) {
  std::optional<int32_t> immediate;
  if (pending.isTest && pending.a != pending.b) {
    e_.move(8, host::kR9, locate(pending.a));
    operateOnB(Alu::kAnd, pending);
    e_.store(8, layout_.at(layout_.flagA), host::kR9);
  } else if (pending.a != PendingFlags::kSaved) {
    storeSaved(layout_.flagA, locate(pending.a), host::kR9);
  }
  if (pending.source != FlagSource::kLogic) {
    if (pending.b == gpr::kZero) {
      immediate = pending.immediate;
    } else if (pending.b != PendingFlags::kSaved) {
      storeSaved(layout_.flagB, locate(pending.b), host::kR9);
    }
  }
  storeForm(pending.source, pending.size, immediate);
}

void Translator::settlePending() {
  if (!pending_) return;
  savePending(*pending_);
  pending_.reset();
  flagsInMemory_ = true;
}

// Where the instruction of slot_ overwrites what the flags could be had from, and they are wanted
// afterwards.
void Translator::settleBefore(const Shape& shape) {
  if (!pending_) return;
  const bool ends = slot_ + 1u == shapes_.size();
  // From registers rather than from memory; saving them spoils nothing.
  if (ends && shape.way == Way::kJumpIf) needHostFlags();
  if (shape.way == Way::kInterpret || (ends && wanted().inMemory)) return settlePending();
  if (shape.flags != FlagEffect::kNone || !(shape.writes & pending_->sources())) return;
  const bool onHost = hostFlags_ && !shape.observes;  // an access does away with the host's
  if (wanted().inMemory || (wanted().onHost && !onHost)) settlePending();
}

// For the host's flags. Clobbers R9.
void Translator::repeatOperation(const PendingFlags& pending) {
  const unsigned size = 1u << pending.size;
  const bool logic = pending.source == FlagSource::kLogic;
  if (logic && !pending.isTest) {
    const uint8_t result = inRegister(placeOfA(pending), host::kR9);
    return e_.test(size, result, result);
  }
  e_.move(8, host::kR9, placeOfA(pending));
  if (const auto digit = shiftDigit(pending.source))
    return e_.shiftImmediate(*digit, size, host::kR9, static_cast<unsigned>(pending.immediate));
  if (logic) return operateOnB(Alu::kAnd, pending);
  repeatWith(pending.source, [&](Alu operation) { operateOnB(operation, pending); });
}

// Clobbers R9 and R10.
void Translator::needHostFlags() {
  if (hostFlags_) return;
  hostFlags_ = true;
  if (pending_) return repeatOperation(*pending_);
  if (word_) {
    const FlagForm form = FlagForm::of(static_cast<uint8_t>(*word_));
    if (form.source == FlagSource::kPacked) return emitUnpackFlags(e_, layout_);
    if (form.source != FlagSource::kWords) return emitSavedOperation(e_, layout_, form);
  }
  e_.callTo(jit_.thunks().restoreFlags);
}

// Flags spoil R9 and R10, of which the operand may be made. R11 goes, too.
HostMemory Translator::withHostFlags(const HostMemory& operand) {
  e_.lea(host::kR11, operand);
  needHostFlags();
  e_.move(8, host::kR9, host::kR11);
  return {.base = host::kR9};
}

// Those that an operation has left on the host.
void Translator::keepFlags(bool onHost) {
  if (wanted().inMemory) savePacked();
  hostFlags_ = onHost;
}

}  // namespace nodevm

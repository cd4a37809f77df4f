// The arithmetic flags: on the host between neighbours, in memory for whoever may look at the whole
// state.

#include "jit/flags.h"
#include "jit/translator.h"

namespace nodevm {

// None of these changes the host's flags; R11 is their scratch.

void Translator::setForm(FlagForm form) {
  if (form_ == form) return;
  storeForm(form);
  form_ = form;
}

// Before an addition or subtraction of registers. b: nullptr for the immediate.
void Translator::saveOperands(const Shape& shape, const HostRm& a, const HostRm* b) {
  const auto save = [&](const HostRm& operand, int32_t to) {
    if (operand.isMemory) e_.move(8, host::kR11, operand);
    e_.store(8, layout_.at(to), operand.isMemory ? host::kR11 : operand.reg);
  };
  save(a, layout_.flagA);
  if (b) {
    save(*b, layout_.flagB);
  } else {
    e_.storeImmediate(8, layout_.at(layout_.flagB), static_cast<int32_t>(shape.immediate));
  }
  const bool adds = shape.operation == Alu::kAdd;
  setForm(withSize(adds ? FlagForm::kAdd : FlagForm::kSubtract,
                   static_cast<SizeCode>(__builtin_ctz(shape.size))));
}

void Translator::savePacked() {
  emitPackFlags(e_, layout_);
  setForm(FlagForm::kPacked);
}

// What the operation, of registers, leaves to be found out later.
std::optional<Translator::PendingFlags> Translator::pendingAfter(const Instruction& i,
                                                                 const Shape& shape) const {
  if (shape.memory) return std::nullopt;
  const uint8_t to = shape.accumulator ? gpr::kRax : shape.toRm ? i.rm : i.reg;
  const uint8_t from = shape.fromImmediate ? gpr::kZero : shape.toRm ? i.reg : i.rm;
  const bool writes = !shape.isTest && shape.operation != Alu::kCmp;
  const bool subtracts = shape.operation == Alu::kSub || shape.operation == Alu::kCmp;
  const bool adds = shape.operation == Alu::kAdd;
  // Of a sum and a difference with itself nothing is left to start from.
  if (writes && from == to && (subtracts || adds)) return std::nullopt;
  // Its negative does not fit.
  if (adds && shape.immediate == INT32_MIN) return std::nullopt;
  return PendingFlags{.form = subtracts ? FlagForm::kSubtract
                              : adds    ? FlagForm::kAdd
                                        : FlagForm::kLogic,
                      .size = static_cast<SizeCode>(__builtin_ctz(shape.size)),
                      .a = to,
                      .b = from,
                      .immediate = static_cast<int32_t>(shape.immediate),
                      .overwritten = writes,
                      .isTest = shape.isTest};
}

HostRm Translator::placeOfA(const PendingFlags& pending) const {
  return pending.a == PendingFlags::kSaved ? HostRm(layout_.at(layout_.flagA)) : locate(pending.a);
}

HostRm Translator::placeOfB(const PendingFlags& pending) const {
  return pending.b == PendingFlags::kSaved ? HostRm(layout_.at(layout_.flagB)) : locate(pending.b);
}

// The first operand, without changing the host's flags; R9 where it is no longer in its place.
// Clobbers R10.
HostRm Translator::firstOperand(const PendingFlags& pending) {
  if (!pending.overwritten || pending.form == FlagForm::kLogic) return placeOfA(pending);
  const uint8_t result = readable(pending.a, host::kR9);
  const bool adds = pending.form == FlagForm::kAdd;
  if (pending.b == gpr::kZero) {
    const int32_t back = adds ? -pending.immediate : pending.immediate;
    e_.lea(host::kR9, {.base = result, .displacement = back});
    return host::kR9;
  }
  uint8_t second = host::kR10;
  if (const HostRm place = placeOfB(pending); place.isMemory) {
    e_.move(8, second, place);
  } else {
    second = place.reg;
  }
  if (!adds) {
    e_.lea(host::kR9, {.base = result, .index = second});
    return host::kR9;
  }
  // a = sum - b = ~(~sum + b)
  e_.move(8, host::kR9, result);
  e_.complement(host::kR9);
  e_.lea(host::kR9, {.base = host::kR9, .index = second});
  e_.complement(host::kR9);
  return host::kR9;
}

// The operands, into memory. The host's flags stay as they are, or become those of the operation.
// Clobbers R9 and R10.
void Translator::storePending(const PendingFlags& pending) {
  const auto store = [&](int32_t to, const HostRm& from, uint8_t scratch) {
    if (from.isMemory) e_.move(8, scratch, from);
    e_.store(8, layout_.at(to), from.isMemory ? scratch : from.reg);
  };
  const unsigned size = 1u << pending.size;
  if (pending.isTest && pending.a != pending.b) {
    e_.move(8, host::kR9, locate(pending.a));
    if (pending.b == gpr::kZero) {
      e_.aluImmediate(Alu::kAnd, size, host::kR9, pending.immediate);
    } else {
      e_.alu(Alu::kAnd, size, host::kR9, locate(pending.b));
    }
    store(layout_.flagA, host::kR9, host::kR9);
  } else {
    if (pending.a != PendingFlags::kSaved) store(layout_.flagA, firstOperand(pending), host::kR9);
    if (pending.form == FlagForm::kLogic || pending.b == PendingFlags::kSaved) return;
    if (pending.b != gpr::kZero) return store(layout_.flagB, locate(pending.b), host::kR10);
    e_.storeImmediate(8, layout_.at(layout_.flagB), pending.immediate);
  }
}

void Translator::settlePending() {
  if (!pending_) return;
  storePending(*pending_);
  setForm(withSize(pending_->form, pending_->size));
  pending_.reset();
  flagsInMemory_ = true;
}

// Where the instruction of slot_ overwrites what the flags could be had from, and they are wanted
// afterwards.
void Translator::settleBefore(const Shape& shape) {
  if (!pending_) return;
  const bool ends = slot_ + 1u == shapes_.size();
  if (shape.way == Way::kInterpret || (ends && wanted().inMemory)) return settlePending();
  if (shape.flags != FlagEffect::kNone || !(shape.writes & pending_->sources())) return;
  const bool onHost = hostFlags_ && !shape.observes;  // an access does away with the host's
  if (wanted().inMemory || (wanted().onHost && !onHost)) settlePending();
}

// For the host's flags. Clobbers R9 and R10.
void Translator::repeatOperation(const PendingFlags& pending) {
  const unsigned size = 1u << pending.size;
  const HostRm a = firstOperand(pending);
  const bool logic = pending.form == FlagForm::kLogic;
  if (logic && !pending.isTest) {
    if (a.isMemory) e_.move(8, host::kR9, a);
    const uint8_t result = a.isMemory ? host::kR9 : a.reg;
    return e_.test(size, result, result);
  }
  if (a.isMemory || a.reg != host::kR9) e_.move(8, host::kR9, a);
  const Alu operation = logic ? Alu::kAnd : pending.form == FlagForm::kAdd ? Alu::kAdd : Alu::kCmp;
  if (pending.b == gpr::kZero) {
    e_.aluImmediate(operation, size, host::kR9, pending.immediate);
  } else {
    e_.alu(operation, size, host::kR9, placeOfB(pending));
  }
}

// Clobbers R9 and R10.
void Translator::needHostFlags() {
  if (hostFlags_) return;
  hostFlags_ = true;
  if (pending_) return repeatOperation(*pending_);
  if (form_ && *form_ >= FlagForm::kAdd) {
    const unsigned index = static_cast<unsigned>(*form_) - static_cast<unsigned>(FlagForm::kAdd);
    return emitSavedOperation(e_, layout_, index / 4, 1u << (index & 3));
  }
  if (form_ == FlagForm::kPacked) return emitUnpackFlags(e_, layout_);
  dropVectors();  // C++ may use them
  e_.callTo(jit_.thunks().restoreFlags);
}

}  // namespace nodevm

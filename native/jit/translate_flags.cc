// The arithmetic flags: on the host between neighbours, in memory for whoever may look at the whole
// state.

#include "jit/flags.h"
#include "jit/translator.h"

namespace nodevm {

// None of these changes the host's flags; R11 is their scratch.

void Translator::setForm(FlagForm form) {
  if (form_ == form) return;
  e_.storeImmediate(1, layout_.at(layout_.flagForm), static_cast<int32_t>(form));
  form_ = form;
}

// Before the operation. b: nullptr for the immediate.
void Translator::saveOperands(FlagForm form, unsigned size, const HostRm& a, const HostRm* b,
                              int64_t immediate) {
  const auto save = [&](const HostRm& operand, int32_t to) {
    if (operand.isMemory) e_.move(size, host::kR11, operand);
    e_.store(8, layout_.at(to), operand.isMemory ? host::kR11 : operand.reg);
  };
  save(a, layout_.flagA);
  if (b) {
    save(*b, layout_.flagB);
  } else {
    e_.storeImmediate(8, layout_.at(layout_.flagB), static_cast<int32_t>(immediate));
  }
  setForm(form);
}

// After a logical operation.
void Translator::saveResult(unsigned size, const HostRm& result) {
  if (result.isMemory) e_.move(size, host::kR11, result);
  e_.store(8, layout_.at(layout_.flagA), result.isMemory ? host::kR11 : result.reg);
  setForm(withSize(FlagForm::kLogic, static_cast<SizeCode>(__builtin_ctz(size))));
}

void Translator::savePacked() {
  e_.pushf();
  e_.pop(layout_.at(layout_.flagA));
  setForm(FlagForm::kPacked);
}

// Clobbers R9 and R10.
void Translator::needHostFlags() {
  if (hostFlags_) return;
  hostFlags_ = true;
  if (form_ && *form_ >= FlagForm::kAdd) {
    const unsigned index = static_cast<unsigned>(*form_) - static_cast<unsigned>(FlagForm::kAdd);
    return emitSavedOperation(e_, layout_, index / 4, 1u << (index & 3));
  }
  dropVectors();  // C++ may use them
  e_.callTo(jit_.thunks().restoreFlags);
}

}  // namespace nodevm

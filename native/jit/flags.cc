#include "jit/flags.h"

#include "cpu/cpu.h"

namespace nodevm {

namespace {

template <class T>
Flags flagsOf(unsigned operation, T a, T b) {
  switch (operation) {
    case 0:
      return flagsOfAdd<T>(a, b, static_cast<T>(a + b));
    case 1:
      return flagsOfSubtract<T>(a, b, static_cast<T>(a - b));
    default:
      return flagsOfLogic<T>(a);
  }
}

Flags savedFlags(const JitState& state) {
  if (state.flagForm == FlagForm::kPacked) return Flags::unpack(state.flagA);
  const unsigned index =
      static_cast<unsigned>(state.flagForm) - static_cast<unsigned>(FlagForm::kAdd);
  const unsigned operation = index / 4;
  const uint64_t a = state.flagA, b = state.flagB;
  switch (index & 3) {
    case 0:
      return flagsOf(operation, static_cast<uint8_t>(a), static_cast<uint8_t>(b));
    case 1:
      return flagsOf(operation, static_cast<uint16_t>(a), static_cast<uint16_t>(b));
    case 2:
      return flagsOf(operation, static_cast<uint32_t>(a), static_cast<uint32_t>(b));
    default:
      return flagsOf(operation, a, b);
  }
}

}  // namespace

void settleFlags(Cpu& cpu) {
  if (cpu.jitState.flagForm == FlagForm::kWords) return;
  const Flags flags = savedFlags(cpu.jitState);
  cpu.flags.result = flags.result;
  cpu.flags.carries = flags.carries;
  cpu.jitState.flagForm = FlagForm::kWords;
}

uint64_t packWords(const Cpu& cpu) { return cpu.flags.pack() | eflags::kFixed; }

void emitSavedOperation(Emitter& e, const Layout& layout, unsigned operation, unsigned size) {
  e.move(8, host::kR9, layout.at(layout.flagA));
  switch (operation) {
    case 0:
      return e.alu(Alu::kAdd, size, host::kR9, layout.at(layout.flagB));
    case 1:
      return e.alu(Alu::kCmp, size, host::kR9, layout.at(layout.flagB));
    default:
      return e.test(size, host::kR9, host::kR9);
  }
}

}  // namespace nodevm

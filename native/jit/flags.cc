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

// AH of LAHF, and OF in AL.
Flags unpackFlags(uint64_t packed) {
  return Flags::unpack((packed >> 8 & (eflags::kArithmetic & ~eflags::kOf)) |
                       ((packed & 1) != 0 ? eflags::kOf : 0));
}

Flags savedFlags(const JitState& state) {
  if (state.flagForm == FlagForm::kPacked) return unpackFlags(state.flagA);
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

// PUSHF and POPF would do, but take ten times as long as these.
void emitPackFlags(Emitter& e, const Layout& layout) {
  e.move(8, host::kR11, host::kRax);
  e.lahf();
  e.overflowToAl();
  e.store(4, layout.at(layout.flagA), host::kRax);
  e.move(8, host::kRax, host::kR11);
}

void emitUnpackFlags(Emitter& e, const Layout& layout) {
  constexpr int32_t kOverflows = 0x7f;  // 8 bits with a sign, when 1 is added
  e.move(8, host::kR10, host::kRax);
  e.move(4, host::kRax, layout.at(layout.flagA));
  e.aluImmediate(Alu::kAdd, 1, host::kRax, kOverflows);
  e.sahf();
  e.move(8, host::kRax, host::kR10);
}

}  // namespace nodevm

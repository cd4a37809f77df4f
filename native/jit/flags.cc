#include "jit/flags.h"

#include "cpu/cpu.h"

namespace nodevm {

namespace {

template <class T>
Flags flagsOf(FlagSource source, uint64_t saved, uint64_t second) {
  const auto a = static_cast<T>(saved), b = static_cast<T>(second);
  const auto sum = static_cast<T>(a + b), difference = static_cast<T>(a - b);
  switch (source) {
    case FlagSource::kAdd:
      return flagsOfAdd<T>(a, b, sum);
    case FlagSource::kSubtract:
      return flagsOfSubtract<T>(a, b, difference);
    case FlagSource::kSum:
      return flagsOfAdd<T>(difference, b, a);
    case FlagSource::kDifference:
      return flagsOfSubtract<T>(sum, b, a);
    default:
      return flagsOfLogic<T>(a);
  }
}

// AH of LAHF, and OF in AL.
Flags unpackFlags(uint64_t packed) {
  return Flags::unpack((packed >> 8 & (eflags::kArithmetic & ~eflags::kOf)) |
                       ((packed & 1) != 0 ? eflags::kOf : 0));
}

Flags savedFlags(const JitState& state, FlagForm form) {
  const uint64_t a = state.flagA;
  const uint64_t b =
      form.immediate ? state.flagWord >> FlagForm::kImmediateShift : int64_t(state.flagB);
  if (form.source == FlagSource::kPacked) return unpackFlags(a);
  switch (form.size) {
    case 0:
      return flagsOf<uint8_t>(form.source, a, b);
    case 1:
      return flagsOf<uint16_t>(form.source, a, b);
    case 2:
      return flagsOf<uint32_t>(form.source, a, b);
    default:
      return flagsOf<uint64_t>(form.source, a, b);
  }
}

}  // namespace

void settleFlags(Cpu& cpu) {
  const FlagForm form = FlagForm::of(static_cast<uint8_t>(cpu.jitState.flagWord));
  if (form.source == FlagSource::kWords) return;
  const Flags flags = savedFlags(cpu.jitState, form);
  cpu.flags.result = flags.result;
  cpu.flags.carries = flags.carries;
  cpu.jitState.flagWord = FlagForm{}.word(0);
}

uint64_t packWords(const Cpu& cpu) { return cpu.flags.pack() | eflags::kFixed; }

void emitSavedOperation(Emitter& e, const Layout& layout, FlagForm form) {
  constexpr unsigned kArithmeticRight = 7;
  constexpr HostOpcode kMovsxd{.byte = 0x63};
  const unsigned size = 1u << form.size;
  e.move(8, host::kR9, layout.at(layout.flagA));
  if (form.source == FlagSource::kLogic) return e.test(size, host::kR9, host::kR9);
  if (form.immediate) {
    e.instruction(kMovsxd, 8, host::kR10, layout.at(layout.flagWord));
    e.shiftImmediate(kArithmeticRight, 8, host::kR10, FlagForm::kImmediateShift);
  } else {
    e.move(8, host::kR10, layout.at(layout.flagB));
  }
  repeatWith(form.source, [&](Alu operation) { e.alu(operation, size, host::kR9, host::kR10); });
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

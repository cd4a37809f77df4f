#include "jit/flags.h"

#include "cpu/cpu.h"
#include "interpreter/logic_shift.h"
#include "interpreter/sse_host.h"

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
    case FlagSource::kShiftLeft:
      return ShiftLeft::apply<T>(a, b, {}).flags;
    case FlagSource::kShiftRight:
      return ShiftRight::apply<T>(a, b, {}).flags;
    case FlagSource::kShiftArithmeticRight:
      return ShiftArithmeticRight::apply<T>(a, b, {}).flags;
    default:
      return flagsOfLogic<T>(a);
  }
}

// AH of LAHF, and OF in AL.
Flags unpackFlags(uint64_t packed) {
  return Flags::unpack((packed >> 8 & (eflags::kArithmetic & ~eflags::kOf)) |
                       ((packed & 1) != 0 ? eflags::kOf : 0));
}

// SDM volume 2, "UCOMISD": unordered sets ZF, PF and CF.
Flags flagsOfOrder(bool atLeast, bool atMost) {
  return Flags::unpack((atLeast ? 0 : eflags::kCf) | (atLeast == atMost ? eflags::kZf : 0) |
                       (atLeast || atMost ? 0 : eflags::kPf));
}

// Comparisons that are repeated set no flag of MXCSR that the first time has not set. Not all
// compilers know that what is unordered is not at most the other.
Flags orderOf(const JitState& state, SizeCode size) {
  const Xmm a = _mm_cvtsi64_si128(static_cast<int64_t>(state.flagA));
  const Xmm b = _mm_cvtsi64_si128(static_cast<int64_t>(state.flagB));
  if (size == 3) {
    const __m128d first = _mm_castsi128_pd(a), second = _mm_castsi128_pd(b);
    return flagsOfOrder(_mm_ucomige_sd(first, second), _mm_ucomige_sd(second, first));
  }
  const __m128 first = _mm_castsi128_ps(a), second = _mm_castsi128_ps(b);
  return flagsOfOrder(_mm_ucomige_ss(first, second), _mm_ucomige_ss(second, first));
}

Flags savedFlags(const JitState& state, FlagForm form) {
  const uint64_t a = state.flagA;
  const uint64_t b =
      form.immediate ? state.flagWord >> FlagForm::kImmediateShift : int64_t(state.flagB);
  if (form.source == FlagSource::kPacked) return unpackFlags(a);
  if (form.source == FlagSource::kOrder) return orderOf(state, form.size);
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

// A register of the guest lends its lower half. What is below RSP is ours (System V ABI, "red
// zone").
void emitOrder(Emitter& e, const Layout& layout, SizeCode size) {
  constexpr HostOpcode kMovqStore{.map = OpcodeMap::k0F, .byte = 0xd6, .prefix = 0x66},
      kMovlpd{.map = OpcodeMap::k0F, .byte = 0x12, .prefix = 0x66},
      kUcomiss{.map = OpcodeMap::k0F, .byte = 0x2e},
      kUcomisd{.map = OpcodeMap::k0F, .byte = 0x2e, .prefix = 0x66};
  constexpr HostMemory kSpare{.base = host::kRsp, .displacement = -8};
  e.instruction(kMovqStore, 16, 0, kSpare);
  e.instruction(kMovlpd, 16, 0, layout.at(layout.flagA));
  e.instruction(size == 3 ? kUcomisd : kUcomiss, 16, 0, layout.at(layout.flagB));
  e.instruction(kMovlpd, 16, 0, kSpare);
}

// The count lies behind the form in flagWord.
void emitShift(Emitter& e, const Layout& layout, SizeCode size, uint8_t digit) {
  static_assert(FlagForm::kImmediateShift == 8);
  const HostOpcode shift{.byte = static_cast<uint8_t>(size == 0 ? 0xd2 : 0xd3)};
  e.move(8, host::kR10, host::kRcx);
  e.move(1, host::kRcx, layout.at(layout.flagWord + 1));
  e.move(8, host::kR9, layout.at(layout.flagA));
  e.instruction(shift, 1u << size, digit, host::kR9, {.rm = size == 0});
  e.move(8, host::kRcx, host::kR10);
}

void emitSavedOperation(Emitter& e, const Layout& layout, FlagForm form) {
  if (form.source == FlagSource::kOrder) return emitOrder(e, layout, form.size);
  if (const auto digit = shiftDigit(form.source)) return emitShift(e, layout, form.size, *digit);
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

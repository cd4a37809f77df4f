// SDM volume 1, "x87 FPU Basic Arithmetic Instructions" and "x87 FPU Comparison and Classification
// Instructions".

#include "interpreter/x87_handler.h"

namespace nodevm {
namespace x87 {
namespace {

enum class To { kSt0, kSti, kStiAndPop };

// ST(0) op ST(i). The reversed forms of opcodes DC and DE have the ModRM digits of D8: they compute
// the same value and differ in where it goes.
template <Binary kOperation, To kTo>
void onRegisters(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  const unsigned other = i->rm & 7;
  const unsigned destination = kTo == To::kSt0 ? 0 : other;
  if (isEmpty(x87, 0) || isEmpty(x87, other)) {
    if (!stackFault(x87, StackFault::kUnderflow)) return;
    setSt(x87, destination, kIndefinite);
  } else {
    const Outcome out = binary<kOperation>(Environment(x87), st(x87, 0), st(x87, other));
    if (!accept(x87, out.status)) return;
    setSt(x87, destination, out.st0);
  }
  if (kTo == To::kStiAndPop) pop(x87);
}

constexpr unsigned bytesOf(Format format) {
  return format == Format::kInt16 ? 2 : format == Format::kDouble ? 8 : 4;
}

template <Binary kOperation, Format kFormat>
bool onMemory(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  Image image;
  if (!readImage<bytesOf(kFormat)>(cpu, i, image)) return false;
  if (isEmpty(x87, 0)) {
    if (stackFault(x87, StackFault::kUnderflow)) setSt(x87, 0, kIndefinite);
    return true;
  }
  const Outcome out = binary<kOperation, kFormat>(Environment(x87), st(x87, 0), image);
  if (accept(x87, out.status)) setSt(x87, 0, out.st0);
  return true;
}

// --- comparisons

constexpr uint16_t kUnorderedCodes = kC0 | kC2 | kC3;

template <unsigned kPops>
void finishComparison(X87State& x87, uint16_t status) {
  if (!accept(x87, status, kConditions)) return;
  for (unsigned n = 0; n < kPops; ++n) pop(x87);
}

// Operands that are not there compare as unordered, masked or not (as seen on hardware).
template <unsigned kPops>
void compareMissing(X87State& x87) {
  const bool masked = stackFault(x87, StackFault::kUnderflow);
  x87.status |= kUnorderedCodes;
  if (!masked) return;
  for (unsigned n = 0; n < kPops; ++n) pop(x87);
}

template <Comparison kComparison, unsigned kPops>
void compareRegisters(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  const unsigned other = i->rm & 7;
  if (isEmpty(x87, 0) || isEmpty(x87, other)) return compareMissing<kPops>(x87);
  const Outcome out = compare<kComparison>(Environment(x87), st(x87, 0), st(x87, other));
  finishComparison<kPops>(x87, out.status);
}

template <Format kFormat, unsigned kPops>
bool compareMemory(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  Image image;
  if (!readImage<bytesOf(kFormat)>(cpu, i, image)) return false;
  if (isEmpty(x87, 0)) {
    compareMissing<kPops>(x87);
  } else {
    finishComparison<kPops>(x87, compare<kFormat>(Environment(x87), st(x87, 0), image).status);
  }
  return true;
}

void testZero(Cpu& cpu, const Instruction*) {
  X87State& x87 = cpu.x87;
  if (isEmpty(x87, 0)) return compareMissing<0>(x87);
  const Outcome out = compare<Comparison::kWithZero>(Environment(x87), st(x87, 0), kPlusZero);
  finishComparison<0>(x87, out.status);
}

// C3, C2 and C0 sit where ZF, PF and CF do in EFLAGS, eight bits up.
constexpr unsigned kConditionsToFlags = 8;

template <Comparison kComparison, unsigned kPops>
void compareToFlags(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  const unsigned other = i->rm & 7;
  uint16_t codes = kUnorderedCodes;
  bool mayPop = false;
  if (isEmpty(x87, 0) || isEmpty(x87, other)) {
    mayPop = stackFault(x87, StackFault::kUnderflow);
  } else {
    const Outcome out = compare<kComparison>(Environment(x87), st(x87, 0), st(x87, other));
    codes = out.status & kUnorderedCodes;
    mayPop = accept(x87, out.status, 0);
  }
  cpu.flags = Flags::unpack(codes >> kConditionsToFlags);
  if (!mayPop) return;
  for (unsigned n = 0; n < kPops; ++n) pop(x87);
}

// FXAM: the class in C3 C2 C0, the sign in C1.
void examine(Cpu& cpu, const Instruction*) {
  X87State& x87 = cpu.x87;
  const Float80& value = st(x87, 0);
  const unsigned exponent = value.signExponent & kExponentMask;
  uint16_t codes = (value.signExponent & kSignBit) ? kC1 : 0;
  if (isEmpty(x87, 0)) {
    codes |= kC3 | kC0;
  } else if (exponent == 0) {
    codes |= value.mantissa == 0 ? kC3 : kC3 | kC2;  // zero, denormal
  } else if (value.mantissa & kIntegerBit) {         // without it: unsupported, all clear
    const bool infinity = value.mantissa == kIntegerBit;
    codes |= exponent != kExponentMask ? kC2 : infinity ? kC2 | kC0 : kC0;  // normal, infinity, NaN
  }
  x87.status = static_cast<uint16_t>((x87.status & ~kConditions) | codes);
}

template <Binary kOperation, Format kFormat>
constexpr HandlerSet memoryForm() {
  return only(numeric<onMemory<kOperation, kFormat>>);
}
template <Binary kOperation, To kTo>
constexpr HandlerSet registerForm() {
  return only(numeric<onRegisters<kOperation, kTo>>);
}
template <Format kFormat, unsigned kPops>
constexpr HandlerSet comparisonWithMemory() {
  return only(numeric<compareMemory<kFormat, kPops>>);
}
template <Comparison kComparison, unsigned kPops>
constexpr HandlerSet comparison() {
  return only(numeric<compareRegisters<kComparison, kPops>>);
}
template <Comparison kComparison, unsigned kPops>
constexpr HandlerSet comparisonToFlags() {
  return only(numeric<compareToFlags<kComparison, kPops>>);
}

}  // namespace
}  // namespace x87

using x87::Binary;
using x87::Comparison;
using x87::Format;
using x87::To;

extern const HandlerSet FADD_Md = x87::memoryForm<Binary::kAdd, Format::kSingle>();
extern const HandlerSet FADD_Mq = x87::memoryForm<Binary::kAdd, Format::kDouble>();
extern const HandlerSet FIADD_Mw = x87::memoryForm<Binary::kAdd, Format::kInt16>();
extern const HandlerSet FIADD_Md = x87::memoryForm<Binary::kAdd, Format::kInt32>();
extern const HandlerSet FADD_ST0_STi = x87::registerForm<Binary::kAdd, To::kSt0>();
extern const HandlerSet FADD_STi_ST0 = x87::registerForm<Binary::kAdd, To::kSti>();
extern const HandlerSet FADDP_STi_ST0 = x87::registerForm<Binary::kAdd, To::kStiAndPop>();

extern const HandlerSet FMUL_Md = x87::memoryForm<Binary::kMul, Format::kSingle>();
extern const HandlerSet FMUL_Mq = x87::memoryForm<Binary::kMul, Format::kDouble>();
extern const HandlerSet FIMUL_Mw = x87::memoryForm<Binary::kMul, Format::kInt16>();
extern const HandlerSet FIMUL_Md = x87::memoryForm<Binary::kMul, Format::kInt32>();
extern const HandlerSet FMUL_ST0_STi = x87::registerForm<Binary::kMul, To::kSt0>();
extern const HandlerSet FMUL_STi_ST0 = x87::registerForm<Binary::kMul, To::kSti>();
extern const HandlerSet FMULP_STi_ST0 = x87::registerForm<Binary::kMul, To::kStiAndPop>();

extern const HandlerSet FSUB_Md = x87::memoryForm<Binary::kSub, Format::kSingle>();
extern const HandlerSet FSUB_Mq = x87::memoryForm<Binary::kSub, Format::kDouble>();
extern const HandlerSet FISUB_Mw = x87::memoryForm<Binary::kSub, Format::kInt16>();
extern const HandlerSet FISUB_Md = x87::memoryForm<Binary::kSub, Format::kInt32>();
extern const HandlerSet FSUB_ST0_STi = x87::registerForm<Binary::kSub, To::kSt0>();
extern const HandlerSet FSUB_STi_ST0 = x87::registerForm<Binary::kSubr, To::kSti>();
extern const HandlerSet FSUBP_STi_ST0 = x87::registerForm<Binary::kSubr, To::kStiAndPop>();

extern const HandlerSet FSUBR_Md = x87::memoryForm<Binary::kSubr, Format::kSingle>();
extern const HandlerSet FSUBR_Mq = x87::memoryForm<Binary::kSubr, Format::kDouble>();
extern const HandlerSet FISUBR_Mw = x87::memoryForm<Binary::kSubr, Format::kInt16>();
extern const HandlerSet FISUBR_Md = x87::memoryForm<Binary::kSubr, Format::kInt32>();
extern const HandlerSet FSUBR_ST0_STi = x87::registerForm<Binary::kSubr, To::kSt0>();
extern const HandlerSet FSUBR_STi_ST0 = x87::registerForm<Binary::kSub, To::kSti>();
extern const HandlerSet FSUBRP_STi_ST0 = x87::registerForm<Binary::kSub, To::kStiAndPop>();

extern const HandlerSet FDIV_Md = x87::memoryForm<Binary::kDiv, Format::kSingle>();
extern const HandlerSet FDIV_Mq = x87::memoryForm<Binary::kDiv, Format::kDouble>();
extern const HandlerSet FIDIV_Mw = x87::memoryForm<Binary::kDiv, Format::kInt16>();
extern const HandlerSet FIDIV_Md = x87::memoryForm<Binary::kDiv, Format::kInt32>();
extern const HandlerSet FDIV_ST0_STi = x87::registerForm<Binary::kDiv, To::kSt0>();
extern const HandlerSet FDIV_STi_ST0 = x87::registerForm<Binary::kDivr, To::kSti>();
extern const HandlerSet FDIVP_STi_ST0 = x87::registerForm<Binary::kDivr, To::kStiAndPop>();

extern const HandlerSet FDIVR_Md = x87::memoryForm<Binary::kDivr, Format::kSingle>();
extern const HandlerSet FDIVR_Mq = x87::memoryForm<Binary::kDivr, Format::kDouble>();
extern const HandlerSet FIDIVR_Mw = x87::memoryForm<Binary::kDivr, Format::kInt16>();
extern const HandlerSet FIDIVR_Md = x87::memoryForm<Binary::kDivr, Format::kInt32>();
extern const HandlerSet FDIVR_ST0_STi = x87::registerForm<Binary::kDivr, To::kSt0>();
extern const HandlerSet FDIVR_STi_ST0 = x87::registerForm<Binary::kDiv, To::kSti>();
extern const HandlerSet FDIVRP_STi_ST0 = x87::registerForm<Binary::kDiv, To::kStiAndPop>();

extern const HandlerSet FCOM_Md = x87::comparisonWithMemory<Format::kSingle, 0>();
extern const HandlerSet FCOM_Mq = x87::comparisonWithMemory<Format::kDouble, 0>();
extern const HandlerSet FICOM_Mw = x87::comparisonWithMemory<Format::kInt16, 0>();
extern const HandlerSet FICOM_Md = x87::comparisonWithMemory<Format::kInt32, 0>();
extern const HandlerSet FCOMP_Md = x87::comparisonWithMemory<Format::kSingle, 1>();
extern const HandlerSet FCOMP_Mq = x87::comparisonWithMemory<Format::kDouble, 1>();
extern const HandlerSet FICOMP_Mw = x87::comparisonWithMemory<Format::kInt16, 1>();
extern const HandlerSet FICOMP_Md = x87::comparisonWithMemory<Format::kInt32, 1>();
extern const HandlerSet FCOM_STi = x87::comparison<Comparison::kOrdered, 0>();
extern const HandlerSet FCOMP_STi = x87::comparison<Comparison::kOrdered, 1>();
extern const HandlerSet FCOMPP = x87::comparison<Comparison::kOrdered, 2>();
extern const HandlerSet FUCOM_STi = x87::comparison<Comparison::kUnordered, 0>();
extern const HandlerSet FUCOMP_STi = x87::comparison<Comparison::kUnordered, 1>();
extern const HandlerSet FUCOMPP = x87::comparison<Comparison::kUnordered, 2>();
// The aliases that the manual does not list.
extern const HandlerSet FCOM2_STi = x87::comparison<Comparison::kOrdered, 0>();
extern const HandlerSet FCOMP3_STi = x87::comparison<Comparison::kOrdered, 1>();
extern const HandlerSet FCOMP5_STi = x87::comparison<Comparison::kOrdered, 1>();
extern const HandlerSet FCOMI_ST0_STi = x87::comparisonToFlags<Comparison::kOrdered, 0>();
extern const HandlerSet FCOMIP_ST0_STi = x87::comparisonToFlags<Comparison::kOrdered, 1>();
extern const HandlerSet FUCOMI_ST0_STi = x87::comparisonToFlags<Comparison::kUnordered, 0>();
extern const HandlerSet FUCOMIP_ST0_STi = x87::comparisonToFlags<Comparison::kUnordered, 1>();
extern const HandlerSet FTST = x87::only(x87::numeric<x87::testZero>);
extern const HandlerSet FXAM = x87::only(x87::numeric<x87::examine>);

}  // namespace nodevm

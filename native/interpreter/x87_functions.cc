// SDM volume 1, "x87 FPU Transcendental Instructions" and those basic arithmetic instructions that
// take their operands from the top of the stack only.

#include "interpreter/x87_handler.h"

namespace nodevm {
namespace x87 {
namespace {

constexpr bool usesSt1(Function function) {
  return function == Function::kPrem || function == Function::kPrem1 ||
         function == Function::kScale;
}

// FSIN and FCOS say in C2 whether the operand was in range. FPREM leaves quotient bits in the other
// condition codes if it computed one (as seen on hardware).
constexpr uint16_t conditionsOf(Function function, bool computed) {
  const bool partial = function == Function::kPrem || function == Function::kPrem1;
  if (partial && computed) return kConditions;
  return partial || function == Function::kSin || function == Function::kCos ? kC1 | kC2 : kC1;
}
constexpr uint16_t conditionsOf(PushingFunction function) {
  return function == PushingFunction::kExtract ? kC1 : kC1 | kC2;
}

// A stack fault clears C2 in instructions that use it (as seen on hardware).
void clearRangeCode(X87State& x87, uint16_t conditions) {
  x87.status = static_cast<uint16_t>(x87.status & ~(conditions & kC2));
}

template <Function kFunction>
void inPlace(Cpu& cpu, const Instruction*) {
  X87State& x87 = cpu.x87;
  if (isEmpty(x87, 0) || (usesSt1(kFunction) && isEmpty(x87, 1))) {
    clearRangeCode(x87, conditionsOf(kFunction, false));
    if (stackFault(x87, StackFault::kUnderflow)) setSt(x87, 0, kIndefinite);
    return;
  }
  const Outcome out = evaluate<kFunction>(Environment(x87), st(x87, 0), st(x87, 1));
  const bool nan = (out.st0.signExponent & kExponentMask) == kExponentMask;
  const bool computed = !nan && !(unmasked(x87, out.status) & kBeforeComputing);
  if (accept(x87, out.status, conditionsOf(kFunction, computed))) setSt(x87, 0, out.st0);
}

// Replaces ST(0) by one result and pushes another.
template <PushingFunction kFunction>
void pushing(Cpu& cpu, const Instruction*) {
  X87State& x87 = cpu.x87;
  constexpr uint16_t kCodes = conditionsOf(kFunction);
  const bool empty = isEmpty(x87, 0);
  if (empty || !isEmpty(x87, 7)) {
    clearRangeCode(x87, kCodes);
    if (!stackFault(x87, empty ? StackFault::kUnderflow : StackFault::kOverflow)) return;
    setSt(x87, 0, kIndefinite);
    return push(x87, kIndefinite);
  }
  const Outcome out = evaluate<kFunction>(Environment(x87), st(x87, 0));
  if (!accept(x87, out.status, kCodes)) return;
  if (out.status & kCodes & kC2) return;  // operand out of range
  setSt(x87, 0, out.st1);
  push(x87, out.st0);
}

// Puts the result in ST(1) and pops.
template <PoppingFunction kFunction>
void popping(Cpu& cpu, const Instruction*) {
  X87State& x87 = cpu.x87;
  if (isEmpty(x87, 0) || isEmpty(x87, 1)) {
    if (!stackFault(x87, StackFault::kUnderflow)) return;
    setSt(x87, 1, kIndefinite);
  } else {
    const Outcome out = evaluate<kFunction>(Environment(x87), st(x87, 0), st(x87, 1));
    if (!accept(x87, out.status)) return;
    setSt(x87, 1, out.st0);
  }
  pop(x87);
}

// FCHS and FABS: NaNs too, without exceptions.
template <uint16_t kKeep, uint16_t kFlip>
void changeSign(Cpu& cpu, const Instruction*) {
  X87State& x87 = cpu.x87;
  if (isEmpty(x87, 0)) {
    if (stackFault(x87, StackFault::kUnderflow)) setSt(x87, 0, kIndefinite);
    return;
  }
  Float80 value = st(x87, 0);
  value.signExponent = (value.signExponent & kKeep) ^ kFlip;
  mergeStatus(x87, 0);
  setSt(x87, 0, value);
}

}  // namespace
}  // namespace x87

using x87::Function;
using x87::numeric;
using x87::only;
using x87::PoppingFunction;
using x87::PushingFunction;

extern const HandlerSet FCHS = only(numeric<x87::changeSign<0xffff, x87::kSignBit>>);
extern const HandlerSet FABS = only(numeric<x87::changeSign<x87::kExponentMask, 0>>);
extern const HandlerSet F2XM1 = only(numeric<x87::inPlace<Function::k2Xm1>>);
extern const HandlerSet FPREM = only(numeric<x87::inPlace<Function::kPrem>>);
extern const HandlerSet FPREM1 = only(numeric<x87::inPlace<Function::kPrem1>>);
extern const HandlerSet FSQRT = only(numeric<x87::inPlace<Function::kSqrt>>);
extern const HandlerSet FRNDINT = only(numeric<x87::inPlace<Function::kRound>>);
extern const HandlerSet FSCALE = only(numeric<x87::inPlace<Function::kScale>>);
extern const HandlerSet FSIN = only(numeric<x87::inPlace<Function::kSin>>);
extern const HandlerSet FCOS = only(numeric<x87::inPlace<Function::kCos>>);
extern const HandlerSet FPTAN = only(numeric<x87::pushing<PushingFunction::kTan>>);
extern const HandlerSet FXTRACT = only(numeric<x87::pushing<PushingFunction::kExtract>>);
extern const HandlerSet FSINCOS = only(numeric<x87::pushing<PushingFunction::kSinCos>>);
extern const HandlerSet FYL2X = only(numeric<x87::popping<PoppingFunction::kYLog2X>>);
extern const HandlerSet FPATAN = only(numeric<x87::popping<PoppingFunction::kAtan>>);
extern const HandlerSet FYL2XP1 = only(numeric<x87::popping<PoppingFunction::kYLog2Xp1>>);

}  // namespace nodevm

// DAA, DAS, AAA, AAS, AAM, AAD. SDM volume 1, "Decimal Arithmetic Instructions".
// Flags that the SDM leaves undefined are those of the AMD Zen family, which come from the addition
// or subtraction of the adjustment: of AL, but for AAA and AAS of AX.

#include "interpreter/arithmetic.h"

namespace nodevm {

namespace {

constexpr uint8_t kLowAdjustment = 0x06, kHighAdjustment = 0x60;
constexpr uint16_t kUnpackedAdjustment = 0x0106;

bool lowDigitOverflows(const Cpu& cpu, uint8_t al) { return (al & 15) > 9 || cpu.flags.af(); }

// The flags of the adjusting operation, with CF and AF as the decimal result has them.
void setDecimalFlags(Cpu& cpu, const Flags& operation, bool carry, bool adjust) {
  Flags flags = operation.withCarry(carry);
  flags.carries = (flags.carries & ~Flags::kAdjust) | (adjust ? Flags::kAdjust : 0);
  setFlags(cpu, flags);
}

// DAA with Add, DAS with Subtract.
template <class Operation>
void adjustPacked(Cpu& cpu, const Instruction* i) {
  const uint8_t al = cpu.reg<uint8_t>(gpr::kRax);
  const bool low = lowDigitOverflows(cpu, al), high = al > 0x99 || cpu.flags.cf();
  const auto adjustment =
      static_cast<uint8_t>((low ? kLowAdjustment : 0) | (high ? kHighAdjustment : 0));
  const Result<uint8_t> result = Operation::template apply<uint8_t>(al, adjustment, cpu.flags);
  // DAS alone also carries when the low digit's subtraction borrows from all of AL.
  const bool borrows =
      Operation::template apply<uint8_t>(al, low ? kLowAdjustment : 0, cpu.flags).flags.cf();
  cpu.setReg<uint8_t>(gpr::kRax, result.value);
  setDecimalFlags(cpu, result.flags, high || borrows, low);
  return next(cpu, i);
}

// AAA with Add, AAS with Subtract.
template <class Operation>
void adjustUnpacked(Cpu& cpu, const Instruction* i) {
  const uint16_t ax = cpu.reg<uint16_t>(gpr::kRax);
  const bool adjust = lowDigitOverflows(cpu, static_cast<uint8_t>(ax));
  const Result<uint16_t> result =
      Operation::template apply<uint16_t>(ax, adjust ? kUnpackedAdjustment : 0, cpu.flags);
  cpu.setReg<uint16_t>(gpr::kRax, result.value & 0xff0f);
  setDecimalFlags(cpu, result.flags, adjust, adjust);
  return next(cpu, i);
}

void adjustAfterMultiply(Cpu& cpu, const Instruction* i) {
  const auto base = static_cast<uint8_t>(i->immediate);
  if (base == 0) return raise(cpu, i, kDe);
  const uint8_t al = cpu.reg<uint8_t>(gpr::kRax);
  const auto digit = static_cast<uint8_t>(al % base);
  cpu.setReg<uint16_t>(gpr::kRax, static_cast<uint16_t>((al / base) << 8 | digit));
  setFlags(cpu, flagsOfLogic<uint8_t>(digit));
  return next(cpu, i);
}

void adjustBeforeDivide(Cpu& cpu, const Instruction* i) {
  const uint16_t ax = cpu.reg<uint16_t>(gpr::kRax);
  const auto tens = static_cast<uint8_t>((ax >> 8) * i->immediate);
  const Result<uint8_t> result = Add::apply<uint8_t>(static_cast<uint8_t>(ax), tens, cpu.flags);
  cpu.setReg<uint16_t>(gpr::kRax, result.value);
  setFlags(cpu, result.flags);
  return next(cpu, i);
}

}  // namespace

extern const HandlerSet DAA = alwaysSet(adjustPacked<Add>);
extern const HandlerSet DAS = alwaysSet(adjustPacked<Subtract>);
extern const HandlerSet AAA = alwaysSet(adjustUnpacked<Add>);
extern const HandlerSet AAS = alwaysSet(adjustUnpacked<Subtract>);
extern const HandlerSet AAM_Ib = alwaysSet(adjustAfterMultiply);
extern const HandlerSet AAD_Ib = alwaysSet(adjustBeforeDivide);

}  // namespace nodevm

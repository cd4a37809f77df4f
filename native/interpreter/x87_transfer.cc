// SDM volume 1, "x87 FPU Data Transfer Instructions" and "x87 FPU Load Constant Instructions".

#include "interpreter/x87_handler.h"

namespace nodevm {
namespace x87 {
namespace {

// True when there is a free register; otherwise the overflow is dealt with.
bool canPush(X87State& x87) {
  if (isEmpty(x87, 7)) return true;
  if (stackFault(x87, StackFault::kOverflow)) push(x87, kIndefinite);
  return false;
}

// --- loads

constexpr unsigned bytesOf(Load format) {
  switch (format) {
    case Load::kInt16:
      return 2;
    case Load::kSingle:
    case Load::kInt32:
      return 4;
    case Load::kDouble:
    case Load::kInt64:
      return 8;
    case Load::kBcd:
      return 10;
  }
}

// A denormal operand is loaded even if that exception is unmasked (as seen on hardware).
template <Load kFormat>
bool loadConverted(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  Image image;
  if (!readImage<bytesOf(kFormat)>(cpu, i, image)) return false;
  if (!canPush(x87)) return true;
  const Outcome out = loadImage<kFormat>(Environment(x87), image);
  if (accept(x87, out.status, kC1, kInvalid)) push(x87, out.st0);
  return true;
}

// 80-bit values move unchanged: no exception but the stack's.
bool loadExtended(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  Image image;
  if (!readImage<kExtendedBytes>(cpu, i, image)) return false;
  if (!canPush(x87)) return true;
  mergeStatus(x87, 0);
  push(x87, readExtended(image.bytes));
  return true;
}

void loadRegister(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  const unsigned source = i->rm & 7;
  if (isEmpty(x87, source)) {
    if (stackFault(x87, StackFault::kUnderflow)) push(x87, kIndefinite);
    return;
  }
  if (!canPush(x87)) return;
  mergeStatus(x87, 0);
  push(x87, st(x87, source));
}

// --- constants

// `mantissa` is rounded down; the value nearest to the constant is it or the next one.
struct Constant {
  uint16_t exponent;
  uint64_t mantissa;
  bool nearestIsNext;
};
constexpr Constant kLog2Ten{0x4000, 0xd49a784bcd1b8afe, false};
constexpr Constant kLog2E{0x3fff, 0xb8aa3b295c17f0bb, true};
constexpr Constant kPi{0x4000, 0xc90fdaa22168c234, true};
constexpr Constant kLog10Two{0x3ffd, 0x9a209a84fbcff798, true};
constexpr Constant kLnTwo{0x3ffe, 0xb17217f7d1cf79ab, true};

template <const Float80& kValue>
void loadExact(Cpu& cpu, const Instruction*) {
  if (!canPush(cpu.x87)) return;
  mergeStatus(cpu.x87, 0);
  push(cpu.x87, kValue);
}

template <const Constant& kConstant>
void loadConstant(Cpu& cpu, const Instruction*) {
  X87State& x87 = cpu.x87;
  if (!canPush(x87)) return;
  const unsigned rounding = (x87.control >> kRoundingShift) & 3;
  const bool next = rounding == kUp || (rounding == kNearest && kConstant.nearestIsNext);
  mergeStatus(x87, 0);
  push(x87, Float80{kConstant.mantissa + next, kConstant.exponent});
}

// --- stores

constexpr unsigned bytesOf(Store format) {
  switch (format) {
    case Store::kInt16:
    case Store::kTruncate16:
      return 2;
    case Store::kSingle:
    case Store::kInt32:
    case Store::kTruncate32:
      return 4;
    case Store::kDouble:
    case Store::kInt64:
    case Store::kTruncate64:
      return 8;
    case Store::kBcd:
      return 10;
  }
}

// With a destination in memory, every unmasked exception but the inexact result keeps the
// instruction from storing. SDM volume 1, "Numeric Overflow Exception (#O)" and "Numeric Underflow
// Exception (#U)".
constexpr uint16_t kBeforeStoring = kBeforeComputing | kOverflow | kUnderflow;

// The address is checked also where an unmasked exception keeps the value back, as seen on
// hardware.
template <unsigned kBytes>
bool addressWritable(Cpu& cpu, const Instruction* i) {
  return cpu.probeWrite(i->segment, effectiveAddress(cpu, i), kBytes);
}

template <Store kFormat, bool kPop>
bool storeConverted(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  const bool empty = isEmpty(x87, 0);
  if (empty && !(x87.control & kInvalid)) {
    if (!addressWritable<bytesOf(kFormat)>(cpu, i)) return false;
    stackFault(x87, StackFault::kUnderflow);
    return true;
  }
  Image image;
  const uint16_t status =
      storeImage<kFormat>(Environment(x87), empty ? kIndefinite : st(x87, 0), image);
  const bool stored = (unmasked(x87, status) & kBeforeStoring) == 0;
  const bool writable = stored ? writeImage<bytesOf(kFormat)>(cpu, i, image)
                               : addressWritable<bytesOf(kFormat)>(cpu, i);
  if (!writable) return false;
  mergeStatus(x87, status & (kExceptions | kC1));
  if (empty) stackFault(x87, StackFault::kUnderflow);
  if (stored && kPop) pop(x87);
  return true;
}

bool storeExtended(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  const bool empty = isEmpty(x87, 0);
  if (empty && !(x87.control & kInvalid)) {
    if (!addressWritable<kExtendedBytes>(cpu, i)) return false;
    stackFault(x87, StackFault::kUnderflow);
    return true;
  }
  Image image;
  writeExtended(image.bytes, empty ? kIndefinite : st(x87, 0));
  if (!writeImage<kExtendedBytes>(cpu, i, image)) return false;
  mergeStatus(x87, 0);
  if (empty) stackFault(x87, StackFault::kUnderflow);
  pop(x87);
  return true;
}

template <bool kPop>
void storeRegister(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  if (isEmpty(x87, 0)) {
    if (!stackFault(x87, StackFault::kUnderflow)) return;
    setSt(x87, i->rm & 7, kIndefinite);
  } else {
    mergeStatus(x87, 0);
    setSt(x87, i->rm & 7, st(x87, 0));
  }
  if (kPop) pop(x87);
}

// The alias D9 D8+i does not object to an empty ST(0): it only pops then (as seen on hardware).
void storeRegisterUnchecked(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  mergeStatus(x87, 0);
  if (!isEmpty(x87, 0)) setSt(x87, i->rm & 7, st(x87, 0));
  pop(x87);
}

// --- between registers

void exchange(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  const unsigned other = i->rm & 7;
  mergeStatus(x87, 0);
  if (isEmpty(x87, 0) || isEmpty(x87, other)) {
    if (!stackFault(x87, StackFault::kUnderflow)) return;
    if (isEmpty(x87, 0)) setSt(x87, 0, kIndefinite);
    if (isEmpty(x87, other)) setSt(x87, other, kIndefinite);
  }
  const Float80 first = st(x87, 0);
  setSt(x87, 0, st(x87, other));
  setSt(x87, other, first);
}

// kCondition as in SDM volume 1 appendix B, "EFLAGS Condition Codes".
template <unsigned kCondition>
void moveIf(Cpu& cpu, const Instruction* i) {
  X87State& x87 = cpu.x87;
  const unsigned source = i->rm & 7;
  if (isEmpty(x87, 0) || isEmpty(x87, source)) {
    if (stackFault(x87, StackFault::kUnderflow)) setSt(x87, 0, kIndefinite);
    return;
  }
  if (cpu.flags.condition(kCondition)) setSt(x87, 0, st(x87, source));
}

}  // namespace
}  // namespace x87

using x87::Load;
using x87::numeric;
using x87::only;
using x87::Store;

extern const HandlerSet FLD_Md = only(numeric<x87::loadConverted<Load::kSingle>>);
extern const HandlerSet FLD_Mq = only(numeric<x87::loadConverted<Load::kDouble>>);
extern const HandlerSet FLD_Mt = only(numeric<x87::loadExtended>);
extern const HandlerSet FLD_STi = only(numeric<x87::loadRegister>);
extern const HandlerSet FILD_Mw = only(numeric<x87::loadConverted<Load::kInt16>>);
extern const HandlerSet FILD_Md = only(numeric<x87::loadConverted<Load::kInt32>>);
extern const HandlerSet FILD_Mq = only(numeric<x87::loadConverted<Load::kInt64>>);
extern const HandlerSet FBLD_Mt = only(numeric<x87::loadConverted<Load::kBcd>>);

extern const HandlerSet FLD1 = only(numeric<x87::loadExact<x87::kOne>>);
extern const HandlerSet FLDZ = only(numeric<x87::loadExact<x87::kPlusZero>>);
extern const HandlerSet FLDL2T = only(numeric<x87::loadConstant<x87::kLog2Ten>>);
extern const HandlerSet FLDL2E = only(numeric<x87::loadConstant<x87::kLog2E>>);
extern const HandlerSet FLDPI = only(numeric<x87::loadConstant<x87::kPi>>);
extern const HandlerSet FLDLG2 = only(numeric<x87::loadConstant<x87::kLog10Two>>);
extern const HandlerSet FLDLN2 = only(numeric<x87::loadConstant<x87::kLnTwo>>);

extern const HandlerSet FST_Md = only(numeric<x87::storeConverted<Store::kSingle, false>>);
extern const HandlerSet FST_Mq = only(numeric<x87::storeConverted<Store::kDouble, false>>);
extern const HandlerSet FST_STi = only(numeric<x87::storeRegister<false>>);
extern const HandlerSet FSTP_Md = only(numeric<x87::storeConverted<Store::kSingle, true>>);
extern const HandlerSet FSTP_Mq = only(numeric<x87::storeConverted<Store::kDouble, true>>);
extern const HandlerSet FSTP_Mt = only(numeric<x87::storeExtended>);
extern const HandlerSet FSTP_STi = only(numeric<x87::storeRegister<true>>);
extern const HandlerSet FIST_Mw = only(numeric<x87::storeConverted<Store::kInt16, false>>);
extern const HandlerSet FIST_Md = only(numeric<x87::storeConverted<Store::kInt32, false>>);
extern const HandlerSet FISTP_Mw = only(numeric<x87::storeConverted<Store::kInt16, true>>);
extern const HandlerSet FISTP_Md = only(numeric<x87::storeConverted<Store::kInt32, true>>);
extern const HandlerSet FISTP_Mq = only(numeric<x87::storeConverted<Store::kInt64, true>>);
extern const HandlerSet FISTTP_Mw = only(numeric<x87::storeConverted<Store::kTruncate16, true>>);
extern const HandlerSet FISTTP_Md = only(numeric<x87::storeConverted<Store::kTruncate32, true>>);
extern const HandlerSet FISTTP_Mq = only(numeric<x87::storeConverted<Store::kTruncate64, true>>);
extern const HandlerSet FBSTP_Mt = only(numeric<x87::storeConverted<Store::kBcd, true>>);

extern const HandlerSet FXCH_STi = only(numeric<x87::exchange>);
extern const HandlerSet FCMOVB_ST0_STi = only(numeric<x87::moveIf<2>>);
extern const HandlerSet FCMOVNB_ST0_STi = only(numeric<x87::moveIf<3>>);
extern const HandlerSet FCMOVE_ST0_STi = only(numeric<x87::moveIf<4>>);
extern const HandlerSet FCMOVNE_ST0_STi = only(numeric<x87::moveIf<5>>);
extern const HandlerSet FCMOVBE_ST0_STi = only(numeric<x87::moveIf<6>>);
extern const HandlerSet FCMOVNBE_ST0_STi = only(numeric<x87::moveIf<7>>);
extern const HandlerSet FCMOVU_ST0_STi = only(numeric<x87::moveIf<10>>);
extern const HandlerSet FCMOVNU_ST0_STi = only(numeric<x87::moveIf<11>>);

// The aliases that the manual does not list.
extern const HandlerSet FXCH4_STi = only(numeric<x87::exchange>);
extern const HandlerSet FXCH7_STi = only(numeric<x87::exchange>);
extern const HandlerSet FSTP1_STi = only(numeric<x87::storeRegisterUnchecked>);
extern const HandlerSet FSTP8_STi = only(numeric<x87::storeRegister<true>>);
extern const HandlerSet FSTP9_STi = only(numeric<x87::storeRegister<true>>);

}  // namespace nodevm

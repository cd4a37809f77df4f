// Flag control, NOP and its hints, fences, CLFLUSH, and the opcodes that are undefined by
// definition. SDM volume 1, "Flag Control (EFLAG) Instructions" and "Miscellaneous Instructions".

#include "interpreter/handlers_common.h"

namespace nodevm {

namespace {

void noOperation(Cpu& cpu, const Instruction* i) { return next(cpu, i); }

void undefined(Cpu& cpu, const Instruction* i) { return raise(cpu, i, kUd); }

void clearCarry(Cpu& cpu, const Instruction* i) {
  setFlags(cpu, cpu.flags.withCarry(false));
  return next(cpu, i);
}
void setCarry(Cpu& cpu, const Instruction* i) {
  setFlags(cpu, cpu.flags.withCarry(true));
  return next(cpu, i);
}
void complementCarry(Cpu& cpu, const Instruction* i) {
  setFlags(cpu, cpu.flags.withCarry(!cpu.flags.cf()));
  return next(cpu, i);
}
void clearDirection(Cpu& cpu, const Instruction* i) {
  cpu.eflagsRest &= ~eflags::kDf;
  return next(cpu, i);
}
void setDirection(Cpu& cpu, const Instruction* i) {
  cpu.eflagsRest |= eflags::kDf;
  return next(cpu, i);
}

constexpr uint8_t kAh = gpr::kRax + 1;

void loadFlagsToAh(Cpu& cpu, const Instruction* i) {
  // OF lies above the low byte.
  cpu.setReg<uint8_t>(kAh, static_cast<uint8_t>(cpu.flags.pack() | eflags::kFixed));
  return next(cpu, i);
}
void storeAhToFlags(Cpu& cpu, const Instruction* i) {
  const uint64_t low = cpu.reg<uint8_t>(kAh) & eflags::kArithmetic;
  setFlags(cpu, Flags::unpack(low | (cpu.flags.of() ? eflags::kOf : 0)));
  return next(cpu, i);
}

void setAlFromCarry(Cpu& cpu, const Instruction* i) {
  cpu.setReg<uint8_t>(gpr::kRax, cpu.flags.cf() ? 0xff : 0);
  return next(cpu, i);
}

// Guest memory is coherent, so that only the access rights matter (SDM volume 2, CLFLUSH: as a
// load).
void touch(Cpu&, const Instruction*, uint8_t) {}
void flushCacheLine(Cpu& cpu, const Instruction* i) {
  return loadOperand<uint8_t, AnyAddress, &touch>(cpu, i);
}

}  // namespace

extern const HandlerSet CLC = alwaysSet(clearCarry);
extern const HandlerSet STC = alwaysSet(setCarry);
extern const HandlerSet CMC = alwaysSet(complementCarry);
extern const HandlerSet CLD = alwaysSet(clearDirection);
extern const HandlerSet STD = alwaysSet(setDirection);
extern const HandlerSet LAHF = alwaysSet(loadFlagsToAh);
extern const HandlerSet SAHF = alwaysSet(storeAhToFlags);
extern const HandlerSet SALC = alwaysSet(setAlFromCarry);

extern const HandlerSet PREFETCHW_Mb = alwaysSet(noOperation);
extern const HandlerSet PREFETCH_Ev = alwaysSet(noOperation);
extern const HandlerSet NOP_Ev_19 = alwaysSet(noOperation);
extern const HandlerSet NOP_Ev_1A = alwaysSet(noOperation);
extern const HandlerSet NOP_Ev_1B = alwaysSet(noOperation);
extern const HandlerSet NOP_Ev_1C = alwaysSet(noOperation);
extern const HandlerSet NOP_Ev_1D = alwaysSet(noOperation);
extern const HandlerSet ENDBR32 = alwaysSet(noOperation);
extern const HandlerSet ENDBR64 = alwaysSet(noOperation);
extern const HandlerSet NOP_Ev_1E = alwaysSet(noOperation);
extern const HandlerSet NOP_Ev = alwaysSet(noOperation);
// The interpreter performs loads and stores in program order.
extern const HandlerSet LFENCE = alwaysSet(noOperation);
extern const HandlerSet MFENCE = alwaysSet(noOperation);
extern const HandlerSet SFENCE = alwaysSet(noOperation);
extern const HandlerSet CLFLUSH_Mb = alwaysSet(flushCacheLine);
extern const HandlerSet CLFLUSHOPT_Mb = alwaysSet(flushCacheLine);
extern const HandlerSet CLWB_Mb = alwaysSet(flushCacheLine);

extern const HandlerSet UD0_Gv_Ev = alwaysSet(undefined);
extern const HandlerSet UD1_Gv_Ev = alwaysSet(undefined);
extern const HandlerSet UD2 = alwaysSet(undefined);

}  // namespace nodevm

// XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B. SDM volume 1, "Exchange Instructions".
// One processor runs at a time, so that a locked access is a plain one.

#include "interpreter/arithmetic.h"

namespace nodevm {

namespace {

struct Exchange {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    const T source = cpu.reg<T>(i->reg);
    cpu.setReg<T>(i->reg, cpu.reg<T>(i->rm));
    cpu.setReg<T>(i->rm, source);
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    const T source = cpu.reg<T>(i->reg);
    const Loaded<T> old = exchangeMemory<T>(cpu, i->segment, effectiveAddress(cpu, i),
                                            [source](T) { return source; });
    if (!old.ok) return fault(cpu, i);
    cpu.setReg<T>(i->reg, old.value);
    return next(cpu, i);
  }
};

// 90 is NOP, F3 90 is PAUSE; neither touches even the upper half of RAX. With REX.B, XCHG R8, RAX.
struct ExchangeAccumulator {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    if (i->reg != gpr::kRax) {
      const T source = cpu.reg<T>(i->reg);
      cpu.setReg<T>(i->reg, cpu.reg<T>(gpr::kRax));
      cpu.setReg<T>(gpr::kRax, source);
    }
    return next(cpu, i);
  }
};

struct ExchangeAdd {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    const T old = cpu.reg<T>(i->rm);
    const Result<T> result = Add::apply<T>(old, cpu.reg<T>(i->reg), cpu.flags);
    cpu.setReg<T>(i->reg, old);
    cpu.setReg<T>(i->rm, result.value);
    setFlags(cpu, result.flags);
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    const T source = cpu.reg<T>(i->reg);
    const Loaded<T> old =
        exchangeMemory<T>(cpu, i->segment, effectiveAddress(cpu, i),
                          [source](T value) { return static_cast<T>(value + source); });
    if (!old.ok) return fault(cpu, i);
    cpu.setReg<T>(i->reg, old.value);
    setFlags(cpu, Add::apply<T>(old.value, source, cpu.flags).flags);
    return next(cpu, i);
  }
};

// The register that is not replaced keeps its upper half, as processors do.
struct CompareExchange {
  template <class T>
  static void compare(Cpu& cpu, T accumulator, T old) {
    setFlags(cpu, Subtract::apply<T>(accumulator, old, cpu.flags).flags);
    if (old != accumulator) cpu.setReg<T>(gpr::kRax, old);
  }
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    const T accumulator = cpu.reg<T>(gpr::kRax), old = cpu.reg<T>(i->rm);
    const T source = cpu.reg<T>(i->reg);
    compare<T>(cpu, accumulator, old);
    if (old == accumulator) cpu.setReg<T>(i->rm, source);
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    const T accumulator = cpu.reg<T>(gpr::kRax), source = cpu.reg<T>(i->reg);
    const Loaded<T> old =
        exchangeMemory<T>(cpu, i->segment, effectiveAddress(cpu, i),
                          [=](T value) { return value == accumulator ? source : value; });
    if (!old.ok) return fault(cpu, i);
    compare<T>(cpu, accumulator, old.value);
    return next(cpu, i);
  }
};

// Only ZF changes. The old value is written back where it differs, as a locked cycle does.
void setZero(Cpu& cpu, bool zero) {
  const uint64_t others = cpu.flags.pack() & ~eflags::kZf;
  setFlags(cpu, Flags::unpack(others | (zero ? eflags::kZf : 0)));
}

// EDX:EAX against m64, or RDX:RAX against m128, which must be aligned. T: half of the operand.
template <class T>
[[gnu::noinline]] bool compareExchangePair(Cpu& cpu, const Instruction* i) {
  const uint64_t ea = effectiveAddress(cpu, i);
  if (sizeof(T) == 8 && !has(cpu.features, Feature::kCx16)) return cpu.raise(kUd);
  if (sizeof(T) == 8 && (((ea + cpu.segmentBase[i->segment]) & 15) != 0)) return cpu.raise(kGp, 0);
  const Loaded<uint64_t> low = cpu.loadForWrite(i->segment, ea, sizeof(T));
  if (!low.ok) return false;
  const Loaded<uint64_t> high = cpu.loadForWrite(i->segment, ea + sizeof(T), sizeof(T));
  if (!high.ok) return false;
  const T oldLow = static_cast<T>(low.value), oldHigh = static_cast<T>(high.value);
  const bool equal = oldLow == cpu.reg<T>(gpr::kRax) && oldHigh == cpu.reg<T>(gpr::kRdx);
  const T newLow = equal ? cpu.reg<T>(gpr::kRbx) : oldLow;
  const T newHigh = equal ? cpu.reg<T>(gpr::kRcx) : oldHigh;
  if (!cpu.storeSlow(i->segment, ea, newLow, sizeof(T)) ||
      !cpu.storeSlow(i->segment, ea + sizeof(T), newHigh, sizeof(T)))
    return false;
  if (!equal) {
    cpu.setReg<T>(gpr::kRax, oldLow);
    cpu.setReg<T>(gpr::kRdx, oldHigh);
  }
  setZero(cpu, equal);
  return true;
}
template <class T>
void compareExchangeWide(Cpu& cpu, const Instruction* i) {
  if (!compareExchangePair<T>(cpu, i)) return fault(cpu, i);
  return next(cpu, i);
}

}  // namespace

extern const HandlerSet XCHG_Eb_Gb = byteSet<Exchange>();
extern const HandlerSet XCHG_Ev_Gv = wideSet<Exchange>();
extern const HandlerSet XCHG_Zv_rAX = wideOnly<ExchangeAccumulator>();
extern const HandlerSet XADD_Eb_Gb = byteSet<ExchangeAdd>();
extern const HandlerSet XADD_Ev_Gv = wideSet<ExchangeAdd>();
extern const HandlerSet CMPXCHG_Eb_Gb = byteSet<CompareExchange>();
extern const HandlerSet CMPXCHG_Ev_Gv = wideSet<CompareExchange>();
// CMPXCHG16B with REX.W.
extern const HandlerSet CMPXCHG8B_M = {
    {}, {nullptr, nullptr, compareExchangeWide<uint32_t>, compareExchangeWide<uint64_t>}};

}  // namespace nodevm

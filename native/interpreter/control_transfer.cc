// Near JMP, Jcc, CALL, RET, LOOP, JCXZ, and BOUND. SDM volume 1, "Control Transfer Instructions".

#include "interpreter/control_transfer.h"

#include <type_traits>

namespace nodevm {

namespace {

struct JumpRelative {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    return jumpTo<T>(cpu, i, relativeTarget<T>(cpu, i));
  }
};

template <class T>
[[gnu::noinline, gnu::cold]] void callSlow(Cpu& cpu, const Instruction* i, T target) {
  if (!push<T>(cpu, static_cast<T>(followingRip<T>(cpu, i)))) return fault(cpu, i);
  cpu.rip = target;
  return endBlock(cpu);
}
template <class T>
inline void callTo(Cpu& cpu, const Instruction* i, T target) {
  if (!isValidTarget<T>(cpu, target)) [[unlikely]]
    return raiseBadTarget(cpu, i);
  if (uint8_t* host = pushHost<T>(cpu)) [[likely]] {
    commitPush<T>(cpu, host, static_cast<T>(followingRip<T>(cpu, i)));
    cpu.rip = target;
    return endBlock(cpu);
  }
  return callSlow<T>(cpu, i, target);
}
struct CallRelative {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    return callTo<T>(cpu, i, relativeTarget<T>(cpu, i));
  }
};

// JMP and CALL r/m: kGo is jumpTo<T> or callTo<T>.
template <class T, auto kGo>
[[gnu::noinline, gnu::cold]] void branchThroughMemorySlow(Cpu& cpu, const Instruction* i) {
  const Loaded<uint64_t> target = cpu.loadSlow(i->segment, effectiveAddress(cpu, i), sizeof(T));
  if (!target.ok) return fault(cpu, i);
  return kGo(cpu, i, static_cast<T>(target.value));
}
template <class T, auto kGo>
inline void branchThroughMemory(Cpu& cpu, const Instruction* i) {
  if (const uint8_t* host = readableHost<T>(cpu, i->segment, effectiveAddress(cpu, i))) [[likely]]
    return kGo(cpu, i, readHost<T>(host));
  return branchThroughMemorySlow<T, kGo>(cpu, i);
}
struct JumpIndirect {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    return jumpTo<T>(cpu, i, cpu.reg<T>(i->rm));
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return branchThroughMemory<T, &jumpTo<T>>(cpu, i);
  }
};
struct CallIndirect {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    return callTo<T>(cpu, i, cpu.reg<T>(i->rm));
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return branchThroughMemory<T, &callTo<T>>(cpu, i);
  }
};

template <class T>
inline void returnTo(Cpu& cpu, const Instruction* i, T target) {
  if (!isValidTarget<T>(cpu, target)) [[unlikely]]
    return raiseBadTarget(cpu, i);
  // The immediate, 0 without one, counts bytes of arguments.
  cpu.gpr[gpr::kRsp / 8] = movedRsp<T>(cpu, sizeof(T) + i->immediate);
  cpu.rip = target;
  return endBlock(cpu);
}
template <class T>
[[gnu::noinline, gnu::cold]] void returnSlow(Cpu& cpu, const Instruction* i) {
  const Loaded<T> target = peekStack<T>(cpu);
  if (!target.ok) return fault(cpu, i);
  return returnTo<T>(cpu, i, target.value);
}
struct Return {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    if (const uint8_t* host = popHost<T>(cpu)) [[likely]]
      return returnTo<T>(cpu, i, readHost<T>(host));
    return returnSlow<T>(cpu, i);
  }
};

// LOOPNE, LOOPE, LOOP: rCX in the address size counts; kZero is the ZF asked for, -1 for none.
template <int kZero>
struct Loop {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    const uint64_t mask = addressMask(i);
    const uint64_t count = (cpu.gpr[gpr::kRcx / 8] - 1) & mask;
    const bool taken = count != 0 && (kZero < 0 || cpu.flags.zf() == (kZero != 0));
    const T target = taken ? relativeTarget<T>(cpu, i) : static_cast<T>(followingRip<T>(cpu, i));
    if (taken && !isValidTarget<T>(cpu, target)) [[unlikely]]
      return raiseBadTarget(cpu, i);
    setAddressRegister(cpu, gpr::kRcx, count, mask);
    cpu.rip = target;
    return endBlock(cpu);
  }
};

struct CounterIsZero {
  static bool holds(const Cpu& cpu, const Instruction* i) {
    return (cpu.gpr[gpr::kRcx / 8] & addressMask(i)) == 0;
  }
};

// BOUND: two signed bounds in memory, both inclusive.
struct Bound {
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    using Signed = std::make_signed_t<T>;
    const uint64_t ea = effectiveAddress(cpu, i);
    const Loaded<T> lower = cpu.load<T>(i->segment, ea);
    if (!lower.ok) return fault(cpu, i);
    const Loaded<T> upper = cpu.load<T>(i->segment, (ea + sizeof(T)) & addressMask(i));
    if (!upper.ok) return fault(cpu, i);
    const auto index = static_cast<Signed>(cpu.reg<T>(i->reg));
    if (index < static_cast<Signed>(lower.value) || index > static_cast<Signed>(upper.value))
      return raise(cpu, i, kBr);
    return next(cpu, i);
  }
};

}  // namespace

// Without specialize() every condition goes through the encoded one.
extern const HandlerSet Jcc_Jb = wideOnly<JumpIf<EncodedCondition>>();
extern const HandlerSet Jcc_Jz = Jcc_Jb;
extern const HandlerSet JCXZ_Jb = wideOnly<JumpIf<CounterIsZero>>();
extern const HandlerSet LOOPNE_Jb = wideOnly<Loop<0>>();
extern const HandlerSet LOOPE_Jb = wideOnly<Loop<1>>();
extern const HandlerSet LOOP_Jb = wideOnly<Loop<-1>>();
extern const HandlerSet JMP_Jb = wideOnly<JumpRelative>();
extern const HandlerSet JMP_Jz = JMP_Jb;
extern const HandlerSet JMP_Ev = wideSet<JumpIndirect>();
extern const HandlerSet CALL_Jz = wideOnly<CallRelative>();
extern const HandlerSet CALL_Ev = wideSet<CallIndirect>();
extern const HandlerSet RET = wideOnly<Return>();
extern const HandlerSet RET_Iw = RET;
extern const HandlerSet SETcc_Eb =
    alwaysSet(SetIf<EncodedCondition>::reg, SetIf<EncodedCondition>::mem);
extern const HandlerSet BOUND_Gv_Ma = wideMemorySet<Bound>();

}  // namespace nodevm

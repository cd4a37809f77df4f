// PUSH, POP, PUSHA, POPA, ENTER, LEAVE. SDM volume 1, "Procedure Calls, Interrupts, and
// Exceptions".

#include "interpreter/handlers_common.h"

namespace nodevm {

namespace {

template <class T, auto kValue>
[[gnu::noinline, gnu::cold]] void pushSlow(Cpu& cpu, const Instruction* i) {
  if (!push<T>(cpu, kValue(cpu, i))) return fault(cpu, i);
  return next(cpu, i);
}
template <class T, auto kValue>
void pushOperand(Cpu& cpu, const Instruction* i) {
  if (uint8_t* host = pushHost<T>(cpu)) [[likely]] {
    commitPush<T>(cpu, host, kValue(cpu, i));
    return next(cpu, i);
  }
  return pushSlow<T, kValue>(cpu, i);
}

template <class Source>
struct Push {
  template <class T>
  static T value(const Cpu& cpu, const Instruction* i) {
    return Source::template get<T>(cpu, i);
  }
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    return pushOperand<T, &value<T>>(cpu, i);
  }
};

struct PushRm {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    return Push<FromRm>::run<T>(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    const Loaded<T> loaded = cpu.load<T>(i->segment, effectiveAddress(cpu, i));
    if (!loaded.ok || !push<T>(cpu, loaded.value)) return fault(cpu, i);
    return next(cpu, i);
  }
};

template <class T, class Destination>
[[gnu::noinline, gnu::cold]] void popSlow(Cpu& cpu, const Instruction* i) {
  const Loaded<T> top = peekStack<T>(cpu);
  if (!top.ok) return fault(cpu, i);
  dropStack(cpu, sizeof(T));
  cpu.setReg<T>(Destination::slot(i), top.value);
  return next(cpu, i);
}
// RSP moves first, so that POP RSP leaves the popped value in it.
template <class Destination>
struct PopRegister {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    if (const uint8_t* host = popHost<T>(cpu)) [[likely]] {
      const T value = readHost<T>(host);
      cpu.gpr[gpr::kRsp / 8] = movedRsp<T>(cpu, sizeof(T));
      cpu.setReg<T>(Destination::slot(i), value);
      return next(cpu, i);
    }
    return popSlow<T, Destination>(cpu, i);
  }
};

// An address with RSP as its base is computed with RSP already incremented (SDM volume 2, POP).
uint64_t popDestination(const Cpu& cpu, const Instruction* i, uint64_t newRsp) {
  const uint64_t ea = effectiveAddress(cpu, i);
  // kAddress: the address was computed by the pseudo-instruction before this one.
  const uint8_t base = i->base == gpr::kAddress ? i[-1].base : i->base;
  if (base != gpr::kRsp) return ea;
  return (ea + newRsp - cpu.gpr[gpr::kRsp / 8]) & addressMask(i);
}

struct PopRm {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    return PopRegister<RmOperand>::run<T>(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    const Loaded<T> top = peekStack<T>(cpu);
    if (!top.ok) return fault(cpu, i);
    const uint64_t newRsp = movedRsp<T>(cpu, sizeof(T));
    if (!cpu.store<T>(i->segment, popDestination(cpu, i, newRsp), top.value)) return fault(cpu, i);
    cpu.gpr[gpr::kRsp / 8] = newRsp;
    return next(cpu, i);
  }
};

inline constexpr unsigned kAllRegisters = 8;

template <class T>
[[gnu::noinline]] bool pushAllRegisters(Cpu& cpu) {
  const uint64_t rsp = cpu.gpr[gpr::kRsp / 8];
  const auto slot = [&](unsigned n) { return (rsp - (n + 1) * sizeof(T)) & cpu.stackMask; };
  for (unsigned n = 0; n < kAllRegisters; ++n)
    if (!cpu.probeWrite(kSs, slot(n), sizeof(T))) return false;
  for (unsigned n = 0; n < kAllRegisters; ++n)
    if (!cpu.store<T>(kSs, slot(n), cpu.reg<T>(static_cast<uint8_t>(n * 8)))) return false;
  cpu.gpr[gpr::kRsp / 8] = movedRsp<T>(cpu, -uint64_t{kAllRegisters * sizeof(T)});
  return true;
}
template <class T>
[[gnu::noinline]] bool popAllRegisters(Cpu& cpu) {
  T values[kAllRegisters];
  for (unsigned n = 0; n < kAllRegisters; ++n) {
    const Loaded<T> loaded = peekStack<T>(cpu, (kAllRegisters - 1 - n) * sizeof(T));
    if (!loaded.ok) return false;
    values[n] = loaded.value;
  }
  dropStack(cpu, kAllRegisters * sizeof(T));
  for (unsigned n = 0; n < kAllRegisters; ++n) {
    const auto slot = static_cast<uint8_t>(n * 8);
    if (slot != gpr::kRsp) cpu.setReg<T>(slot, values[n]);
  }
  return true;
}
struct PushAll {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    if (!pushAllRegisters<T>(cpu)) return fault(cpu, i);
    return next(cpu, i);
  }
};
struct PopAll {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    if (!popAllRegisters<T>(cpu)) return fault(cpu, i);
    return next(cpu, i);
  }
};

// What lies below RSP may have been written when a later access faults; RSP and RBP have not.
template <class T>
[[gnu::noinline]] bool enterFrame(Cpu& cpu, const Instruction* i) {
  const uint64_t mask = cpu.stackMask;
  const uint64_t rsp = cpu.gpr[gpr::kRsp / 8];
  const unsigned allocated = i->immediate & 0xffff, level = (i->immediate >> 16) & 31;
  uint64_t top = (rsp - sizeof(T)) & mask;
  if (!cpu.store<T>(kSs, top, cpu.reg<T>(gpr::kRbp))) return false;
  const uint64_t frame = (rsp & ~mask) | top;
  for (unsigned n = 1; n < level; ++n) {
    const Loaded<T> display = cpu.load<T>(kSs, (cpu.gpr[gpr::kRbp / 8] - n * sizeof(T)) & mask);
    top = (top - sizeof(T)) & mask;
    if (!display.ok || !cpu.store<T>(kSs, top, display.value)) return false;
  }
  if (level > 0) {
    top = (top - sizeof(T)) & mask;
    if (!cpu.store<T>(kSs, top, static_cast<T>(frame))) return false;
  }
  top = (top - allocated) & mask;
  // The final stack pointer must be writable (SDM volume 2, ENTER, #PF).
  if (!cpu.probeWrite(kSs, top, sizeof(T))) return false;
  cpu.gpr[gpr::kRsp / 8] = (rsp & ~mask) | top;
  cpu.setReg<T>(gpr::kRbp, static_cast<T>(frame));
  return true;
}
struct Enter {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    if (!enterFrame<T>(cpu, i)) return fault(cpu, i);
    return next(cpu, i);
  }
};

struct LeaveFrame {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    const uint64_t mask = cpu.stackMask, rbp = cpu.gpr[gpr::kRbp / 8];
    const Loaded<T> saved = cpu.load<T>(kSs, rbp & mask);
    if (!saved.ok) return fault(cpu, i);
    uint64_t& rsp = cpu.gpr[gpr::kRsp / 8];
    rsp = (rsp & ~mask) | ((rbp + sizeof(T)) & mask);
    cpu.setReg<T>(gpr::kRbp, saved.value);
    return next(cpu, i);
  }
};

}  // namespace

extern const HandlerSet PUSH_Zv = wideOnly<Push<FromReg>>();
extern const HandlerSet PUSH_Iz = wideOnly<Push<FromImmediate>>();
extern const HandlerSet PUSH_Is = PUSH_Iz;
extern const HandlerSet PUSH_Ev = wideSet<PushRm>();
extern const HandlerSet POP_Zv = wideOnly<PopRegister<RegOperand>>();
extern const HandlerSet POP_Ev = wideSet<PopRm>();
extern const HandlerSet PUSHA = wideOnly<PushAll>();
extern const HandlerSet POPA = wideOnly<PopAll>();
extern const HandlerSet ENTER_Iw_Ib = wideOnly<Enter>();
extern const HandlerSet LEAVE = wideOnly<LeaveFrame>();

}  // namespace nodevm

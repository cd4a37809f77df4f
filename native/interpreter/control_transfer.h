#pragma once
// Near branches. SDM volume 1, "Control Transfer Instructions". T is the operand size: 64 bits in
// 64-bit mode and only there, so that the width also tells the rules for targets.

#include "cpu/descriptor.h"
#include "interpreter/handlers_common.h"

namespace nodevm {

// The condition of a kPlusCond row, fixed at compile time or taken from the instruction.
template <unsigned kCode>
struct FixedCondition {
  static bool holds(const Cpu& cpu, const Instruction*) { return cpu.flags.condition(kCode); }
};
struct EncodedCondition {
  static bool holds(const Cpu& cpu, const Instruction* i) { return cpu.flags.condition(i->reg); }
};

// RIP of the next instruction; 64-bit code needs no mask.
template <class T>
inline uint64_t followingRip(const Cpu& cpu, const Instruction* i) {
  if constexpr (sizeof(T) == 8) return cpu.gpr[gpr::kBlockRip / 8] + i->offset + i->length;
  return nextRip(cpu, i);
}
template <class T>
inline T relativeTarget(const Cpu& cpu, const Instruction* i) {
  return static_cast<T>(followingRip<T>(cpu, i) + i->immediate);
}

// 64-bit targets must be canonical, others inside the code segment.
template <class T>
inline bool isValidTarget(const Cpu& cpu, T target) {
  if constexpr (sizeof(T) == 8) {
    return isCanonical(target);
  } else {
    return target <= cpu.segment[kCs].limit;
  }
}
[[gnu::noinline, gnu::cold]] inline void raiseBadTarget(Cpu& cpu, const Instruction* i) {
  return raise(cpu, i, kGp, 0);
}
template <class T>
inline void jumpTo(Cpu& cpu, const Instruction* i, T target) {
  if (!isValidTarget<T>(cpu, target)) [[unlikely]]
    return raiseBadTarget(cpu, i);
  cpu.rip = target;
  return endBlock(cpu);
}

template <class Condition>
struct JumpIf {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    if (Condition::holds(cpu, i)) return jumpTo<T>(cpu, i, relativeTarget<T>(cpu, i));
    cpu.rip = followingRip<T>(cpu, i);
    return endBlock(cpu);
  }
};

// SETcc. SDM volume 1, "Bit and Byte Instructions".
template <class Condition>
struct SetIf {
  static uint8_t value(const Cpu& cpu, const Instruction* i) { return Condition::holds(cpu, i); }
  static void reg(Cpu& cpu, const Instruction* i) {
    cpu.setReg<uint8_t>(i->rm, value(cpu, i));
    return next(cpu, i);
  }
  static void mem(Cpu& cpu, const Instruction* i) {
    return storeOperand<uint8_t, AnyAddress, &value>(cpu, i);
  }
};

}  // namespace nodevm

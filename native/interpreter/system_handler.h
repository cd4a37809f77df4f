#pragma once
// How system instructions are written: as an operation, a function that either does all or records
// a fault and returns false. Templates make the handlers; the operation stays out of line, so that
// its locals do not keep a handler from leaving by a tail call.

#include "interpreter/dispatch.h"

namespace nodevm {

using Operation = bool (*)(Cpu& cpu, const Instruction* i);

template <Operation kOperation>
[[gnu::noinline]] bool perform(Cpu& cpu, const Instruction* i) {
  return kOperation(cpu, i);
}

// Instructions that change nothing the dispatcher or the decoder looks at.
template <Operation kOperation>
void thenNext(Cpu& cpu, const Instruction* i) {
  if (!perform<kOperation>(cpu, i)) [[unlikely]]
    return fault(cpu, i);
  return next(cpu, i);
}

// After an instruction that ends the block, with RIP set: what the dispatcher would do, without it.
inline void leaveOrGoOn(Cpu& cpu) {
  if (cpu.mayGoOn()) return goOn(cpu);
  return leaveBlock(cpu);
}

// Instructions that fall through, but end the block (kEndsBlock). RIP is taken before the operation
// changes the mode.
template <Operation kOperation>
void thenLeave(Cpu& cpu, const Instruction* i) {
  const uint64_t rip = nextRip(cpu, i);
  if (!perform<kOperation>(cpu, i)) [[unlikely]]
    return fault(cpu, i);
  cpu.rip = rip;
  return leaveOrGoOn(cpu);
}

// The same where the dispatcher has nothing to look at.
template <Operation kOperation>
void thenChain(Cpu& cpu, const Instruction* i) {
  const uint64_t rip = nextRip(cpu, i);
  if (!perform<kOperation>(cpu, i)) [[unlikely]]
    return fault(cpu, i);
  cpu.rip = rip;
  return goOn(cpu);
}

// Instructions that set RIP themselves.
template <Operation kOperation>
void thenTransfer(Cpu& cpu, const Instruction* i) {
  if (!perform<kOperation>(cpu, i)) [[unlikely]]
    return fault(cpu, i);
  return leaveOrGoOn(cpu);
}

constexpr HandlerSet both(Handler reg, Handler mem) {
  return {{reg, reg, reg, reg}, {mem, mem, mem, mem}};
}
constexpr HandlerSet always(Handler handler) { return both(handler, handler); }
constexpr HandlerSet onlyMemory(Handler handler) { return both(nullptr, handler); }
constexpr HandlerSet onlyRegister(Handler handler) { return both(handler, nullptr); }

// Checks that many system instructions begin with.
[[nodiscard]] inline bool requireLevel0(Cpu& cpu) { return cpu.cpl == 0 || cpu.raise(kGp, 0); }
[[nodiscard]] inline bool requireProtectedMode(Cpu& cpu) {
  return (cpu.protectedMode() && !cpu.virtual8086()) || cpu.raise(kUd);
}
// CR4.UMIP: SGDT, SIDT, SLDT, SMSW, STR are for level 0 only.
[[nodiscard]] inline bool requireUserAllowed(Cpu& cpu) {
  return cpu.cpl == 0 || !(cpu.cr4 & cr4::kUmip) || cpu.raise(kGp, 0);
}

// A 16-bit source operand.
[[nodiscard]] inline bool readWord(Cpu& cpu, const Instruction* i, uint16_t& value) {
  if (!i->isMemory()) {
    value = cpu.reg<uint16_t>(i->rm);
    return true;
  }
  const Loaded<uint16_t> loaded = cpu.load<uint16_t>(i->segment, effectiveAddress(cpu, i));
  value = loaded.value;
  return loaded.ok;
}

// A general register at the instruction's operand size of 2, 4 or 8 bytes.
inline void setRegister(Cpu& cpu, uint8_t slot, SizeCode size, uint64_t value) {
  switch (size) {
    case 1:
      return cpu.setReg<uint16_t>(slot, static_cast<uint16_t>(value));
    case 2:
      return cpu.setReg<uint32_t>(slot, static_cast<uint32_t>(value));
    default:
      return cpu.setReg<uint64_t>(slot, value);
  }
}

// Stores a 16-bit quantity to memory, or zero-extended to a register of the operand's size.
[[nodiscard]] inline bool writeWord(Cpu& cpu, const Instruction* i, uint16_t value) {
  if (i->isMemory()) return cpu.store<uint16_t>(i->segment, effectiveAddress(cpu, i), value);
  setRegister(cpu, i->rm, i->operandSize(), value);
  return true;
}

inline void setZeroFlag(Cpu& cpu, bool zero) {
  const Flags flags = Flags::unpack((cpu.flags.pack() & ~eflags::kZf) | (zero ? eflags::kZf : 0));
  cpu.flags.result = flags.result;
  cpu.flags.carries = flags.carries;
}

}  // namespace nodevm

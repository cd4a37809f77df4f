// Instructions on IF, AC and the whole of EFLAGS. SDM volume 2, "CLI", "STI", "PUSHF", "POPF", and
// volume 3, "8086 Emulation" and "Protected-Mode Virtual Interrupts".

#include "interpreter/system_handler.h"

namespace nodevm {

namespace {

// Which interrupt flag CLI, STI, and in virtual-8086 mode PUSHF and POPF, act on.
enum class InterruptFlag : uint8_t { kReal, kVirtual, kNone };

InterruptFlag interruptFlagInUse(const Cpu& cpu) {
  if (cpu.realMode() || cpu.cpl <= cpu.iopl()) return InterruptFlag::kReal;
  const uint64_t extension = cpu.virtual8086() ? cr4::kVme : cr4::kPvi;
  return cpu.cpl == 3 && (cpu.cr4 & extension) ? InterruptFlag::kVirtual : InterruptFlag::kNone;
}

bool clearInterrupt(Cpu& cpu, const Instruction*) {
  switch (interruptFlagInUse(cpu)) {
    case InterruptFlag::kReal:
      cpu.eflagsRest &= ~eflags::kIf;
      return true;
    case InterruptFlag::kVirtual:
      cpu.eflagsRest &= ~eflags::kVif;
      return true;
    case InterruptFlag::kNone:
      break;
  }
  return cpu.raise(kGp, 0);
}

bool setInterrupt(Cpu& cpu, const Instruction*) {
  switch (interruptFlagInUse(cpu)) {
    case InterruptFlag::kReal:
      // Interrupts wait for the next instruction if they were off before.
      if (!(cpu.eflagsRest & eflags::kIf)) cpu.interruptShadow = true;
      cpu.eflagsRest |= eflags::kIf;
      return true;
    case InterruptFlag::kVirtual:
      if (cpu.eflagsRest & eflags::kVip) break;
      cpu.eflagsRest |= eflags::kVif;
      return true;
    case InterruptFlag::kNone:
      break;
  }
  return cpu.raise(kGp, 0);
}

// STI with interrupts already on changes nothing.
void setInterruptAndLeave(Cpu& cpu, const Instruction* i) {
  if (!perform<setInterrupt>(cpu, i)) return fault(cpu, i);
  cpu.rip = nextRip(cpu, i);
  return cpu.interruptShadow ? leaveOrGoOn(cpu) : goOn(cpu);
}

bool virtualizesFlags(const Cpu& cpu) { return cpu.virtual8086() && cpu.iopl() < 3; }

template <class T>
bool pushFlags(Cpu& cpu, const Instruction*) {
  constexpr uint64_t kHidden = eflags::kVm | eflags::kRf;
  uint64_t image = cpu.rflags() & ~kHidden;
  if (virtualizesFlags(cpu)) {
    if (sizeof(T) > 2 || !(cpu.cr4 & cr4::kVme)) return cpu.raise(kGp, 0);
    image = (image & ~eflags::kIf) | eflags::kIopl | ((image & eflags::kVif) ? eflags::kIf : 0);
  }
  return push<T>(cpu, static_cast<T>(image));
}

// With the virtual-8086 mode extensions POPF sets VIF in place of IF.
bool popVirtualFlags(Cpu& cpu, uint64_t image, uint64_t mask) {
  const bool enables = image & eflags::kIf;
  if ((image & eflags::kTf) || (enables && (cpu.eflagsRest & eflags::kVip)))
    return cpu.raise(kGp, 0);
  const uint64_t flags = (cpu.rflags() & ~(mask | eflags::kVif)) | (image & mask);
  cpu.setRflags((flags & ~eflags::kRf) | (enables ? eflags::kVif : 0));
  return true;
}

template <class T>
bool popFlags(Cpu& cpu, const Instruction*) {
  if (virtualizesFlags(cpu) && (sizeof(T) > 2 || !(cpu.cr4 & cr4::kVme))) return cpu.raise(kGp, 0);
  const Loaded<T> image = peekStack<T>(cpu);
  if (!image.ok) return false;
  uint64_t mask = eflags::kArithmetic | eflags::kTf | eflags::kDf | eflags::kNt;
  if constexpr (sizeof(T) > 2) mask |= eflags::kAc | eflags::kId;
  if (virtualizesFlags(cpu)) {
    if (!popVirtualFlags(cpu, image.value, mask)) return false;
  } else {
    if (cpu.cpl <= cpu.iopl()) mask |= eflags::kIf;
    if (cpu.cpl == 0) mask |= eflags::kIopl;
    cpu.setRflags(((cpu.rflags() & ~mask) | (image.value & mask)) & ~eflags::kRf);
  }
  dropStack(cpu, sizeof(T));
  return true;
}

// The dispatcher has to look only when IF or TF came on.
template <class T>
void popFlagsAndLeave(Cpu& cpu, const Instruction* i) {
  const uint64_t before = cpu.eflagsRest;
  if (!perform<popFlags<T>>(cpu, i)) return fault(cpu, i);
  cpu.rip = nextRip(cpu, i);
  const bool opened = (cpu.eflagsRest & ~before) & (eflags::kIf | eflags::kTf);
  return opened ? leaveOrGoOn(cpu) : goOn(cpu);
}

// CLAC and STAC are for level 0 only: #UD elsewhere.
template <uint64_t kValue>
bool setAlignmentCheck(Cpu& cpu, const Instruction*) {
  if (cpu.cpl != 0) return cpu.raise(kUd);
  cpu.eflagsRest = (cpu.eflagsRest & ~eflags::kAc) | kValue;
  cpu.updateRights();
  return true;
}

constexpr HandlerSet sized(Handler word, Handler doubleword, Handler quadword) {
  return {{nullptr, word, doubleword, quadword}, {nullptr, word, doubleword, quadword}};
}

}  // namespace

extern const HandlerSet CLI = always(thenNext<clearInterrupt>);
extern const HandlerSet STI = always(setInterruptAndLeave);
extern const HandlerSet PUSHF = sized(thenNext<pushFlags<uint16_t>>, thenNext<pushFlags<uint32_t>>,
                                      thenNext<pushFlags<uint64_t>>);
extern const HandlerSet POPF =
    sized(popFlagsAndLeave<uint16_t>, popFlagsAndLeave<uint32_t>, popFlagsAndLeave<uint64_t>);
extern const HandlerSet CLAC = always(thenNext<setAlignmentCheck<0>>);
extern const HandlerSet STAC = always(thenNext<setAlignmentCheck<eflags::kAc>>);

}  // namespace nodevm

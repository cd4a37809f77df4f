// IRET in every mode. SDM volume 2, "IRET/IRETD/IRETQ", and volume 3, "8086 Emulation".

#include "cpu/far_transfers.h"
#include "cpu/task_switch.h"

namespace nodevm {

namespace {

constexpr uint64_t kAlways = eflags::kArithmetic | eflags::kTf | eflags::kDf | eflags::kNt;
constexpr uint64_t kOnlyWide = eflags::kRf | eflags::kAc | eflags::kId;
constexpr uint64_t kVirtualInterrupt = eflags::kVif | eflags::kVip;

struct Frame {
  uint64_t rip = 0, cs = 0, flags = 0;
};

bool popFrame(Cpu& cpu, StackCursor& stack, SizeCode size, Frame& frame) {
  return stack.pop(cpu, size, frame.rip) && stack.pop(cpu, size, frame.cs) &&
         stack.pop(cpu, size, frame.flags);
}

uint64_t mergeFlags(const Cpu& cpu, uint64_t image, uint64_t mask) {
  return (cpu.rflags() & ~mask) | (image & mask);
}

// What IRET may change in protected mode at the level that executes it.
uint64_t protectedFlags(const Cpu& cpu, uint64_t image, SizeCode size) {
  uint64_t mask = kAlways | (size > 1 ? kOnlyWide : 0);
  if (cpu.cpl <= cpu.iopl()) mask |= eflags::kIf;
  if (cpu.cpl == 0) mask |= eflags::kIopl | (size > 1 ? kVirtualInterrupt : 0);
  return mergeFlags(cpu, image, mask);
}

// Real-address mode, and virtual-8086 mode as far as the stack and CS go.
bool returnToSegment(Cpu& cpu, const Frame& frame, const StackCursor& stack, uint64_t flags) {
  CodeTarget target{.cs = cpu.segment[kCs], .rip = frame.rip};
  setRealModeSegment(target.cs, static_cast<uint16_t>(frame.cs));
  if (!checkTarget(cpu, target)) return false;
  stack.commit(cpu);
  cpu.segment[kCs] = target.cs;
  cpu.rip = target.rip;
  cpu.setRflags(flags);
  cpu.updateMode();
  return true;
}

bool returnInRealMode(Cpu& cpu, SizeCode size) {
  StackCursor stack(cpu);
  Frame frame;
  if (!popFrame(cpu, stack, size, frame)) return false;
  const uint64_t mask = kAlways | eflags::kIf | eflags::kIopl | (size > 1 ? kOnlyWide : 0);
  return returnToSegment(cpu, frame, stack, mergeFlags(cpu, frame.flags, mask));
}

// With IOPL below 3, the virtual-8086 mode extensions let a 16-bit IRET set VIF in place of IF.
bool returnInVirtual8086(Cpu& cpu, SizeCode size) {
  const bool virtualized = cpu.iopl() < 3;
  if (virtualized && (!(cpu.cr4 & cr4::kVme) || size > 1)) return cpu.raise(kGp, 0);
  StackCursor stack(cpu);
  Frame frame;
  if (!popFrame(cpu, stack, size, frame)) return false;
  if (!virtualized) {
    const uint64_t mask = kAlways | eflags::kIf | (size > 1 ? kOnlyWide : 0);
    return returnToSegment(cpu, frame, stack, mergeFlags(cpu, frame.flags, mask));
  }
  const bool enables = frame.flags & eflags::kIf;
  if ((frame.flags & eflags::kTf) || (enables && (cpu.eflagsRest & eflags::kVip)))
    return cpu.raise(kGp, 0);
  const uint64_t flags = mergeFlags(cpu, frame.flags, kAlways) & ~eflags::kVif;
  return returnToSegment(cpu, frame, stack, flags | (enables ? eflags::kVif : 0));
}

// Into virtual-8086 mode, by a monitor at level 0.
bool returnToVirtual8086(Cpu& cpu, const Frame& frame, StackCursor& stack) {
  uint64_t rsp = 0;
  uint64_t selectors[kSegmentCount] = {};
  if (!stack.pop(cpu, 2, rsp)) return false;
  for (const Segment seg : {kSs, kEs, kDs, kFs, kGs})
    if (!stack.pop(cpu, 2, selectors[seg])) return false;
  selectors[kCs] = frame.cs;
  if (frame.rip > 0xffff) return cpu.raise(kGp, 0);
  for (unsigned n = 0; n < kSegmentCount; ++n)
    cpu.segment[n] = virtual8086Segment(static_cast<uint16_t>(selectors[n]));
  cpu.gpr[gpr::kRsp / 8] = rsp;
  cpu.rip = frame.rip;
  cpu.cpl = 3;
  cpu.setRflags(frame.flags);
  cpu.updateMode();
  return true;
}

// NT: back to the task that the current TSS names.
bool returnToTask(Cpu& cpu, uint64_t next) {
  const Loaded<uint64_t> link = cpu.loadSystem(cpu.tr.base, 2);
  return link.ok && cpu.taskSwitch(static_cast<uint16_t>(link.value),
                                   static_cast<int>(TaskSwitchKind::kReturn), next, false, 0);
}

bool returnInProtectedMode(Cpu& cpu, SizeCode size) {
  StackCursor stack(cpu);
  Frame frame;
  if (!popFrame(cpu, stack, size, frame)) return false;
  if ((frame.flags & eflags::kVm) && size == 2 && cpu.cpl == 0 && !cpu.longMode())
    return returnToVirtual8086(cpu, frame, stack);

  const auto selector = static_cast<uint16_t>(frame.cs);
  CodeTarget target{.cs = {}, .rip = frame.rip};
  if (!fetchReturnCode(cpu, selector, target.cs)) return false;
  const uint64_t flags = protectedFlags(cpu, frame.flags, size);
  if (cpu.code64() || target.cpl() > cpu.cpl) {
    uint64_t rsp = 0, ss = 0;
    if (!stack.pop(cpu, size, rsp) || !stack.pop(cpu, size, ss) ||
        !returnWithStack(cpu, target, static_cast<uint16_t>(ss), rsp, 0))
      return false;
  } else {
    if (!checkTarget(cpu, target)) return false;
    stack.commit(cpu);
    commitTarget(cpu, target);
    cpu.updateMode();
  }
  cpu.setRflags(flags);
  return true;
}

}  // namespace

bool Cpu::interruptReturn(SizeCode opSize, uint64_t next) {
  const auto dispatch = [&] {
    if (realMode()) return returnInRealMode(*this, opSize);
    if (virtual8086()) return returnInVirtual8086(*this, opSize);
    if (!(eflagsRest & eflags::kNt)) return returnInProtectedMode(*this, opSize);
    return longMode() ? raise(kGp, 0) : returnToTask(*this, next);
  };
  // Also where it faults: SDM volume 3, "Handling Multiple NMIs".
  nmiBlocked = false;
  return dispatch();
}

}  // namespace nodevm

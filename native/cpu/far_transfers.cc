// Far JMP, CALL and RET. SDM volume 3, "Privilege Level Checking When Transferring Program Control
// Between Code Segments", and volume 2, "JMP", "CALL", "RET".

#include "cpu/far_transfers.h"

#include "cpu/task_switch.h"

namespace nodevm {

namespace {

constexpr uint64_t kWidth[4] = {0xff, 0xffff, 0xffffffff, ~uint64_t{0}};

uint16_t withRpl(uint16_t selector, unsigned cpl) {
  return static_cast<uint16_t>((selector & ~3u) | cpl);
}

bool isReal(const Cpu& cpu) { return cpu.realMode() || cpu.virtual8086(); }

CodeTarget realTarget(const Cpu& cpu, uint16_t selector, uint64_t offset) {
  CodeTarget target{.cs = cpu.segment[kCs], .rip = offset};
  setRealModeSegment(target.cs, selector);
  return target;
}

// Real-address and virtual-8086 mode: the selector is no selector, so CPL does not come from it.
void commitReal(Cpu& cpu, const CodeTarget& target) {
  cpu.segment[kCs] = target.cs;
  cpu.rip = target.rip;
  cpu.updateMode();
}

// A code segment reached without a gate, or by JMP through one: the privilege level stays.
bool checkSameLevel(Cpu& cpu, Descriptor& code, uint16_t selector, bool viaGate) {
  const bool allowed = code.isConforming()
                           ? code.dpl() <= cpu.cpl
                           : code.dpl() == cpu.cpl && (viaGate || rplOf(selector) <= cpu.cpl);
  if (!code.isCode() || !allowed) return cpu.raise(kGp, selectorError(selector));
  return checkCodeSize(cpu, code, selector) &&
         (code.present() || cpu.raise(kNp, selectorError(selector))) && markAccessed(cpu, code);
}

struct CallGate {
  uint16_t selector = 0;
  uint64_t offset = 0;
  unsigned parameters = 0;
  SizeCode size = 2;
};

CallGate callGateOf(const Cpu& cpu, const Descriptor& gate) {
  if (cpu.longMode())
    return {
        .selector = gate.gateSelector(), .offset = gate.gateOffset(), .parameters = 0, .size = 3};
  const bool wide = gate.type() == kCallGate;
  return {.selector = gate.gateSelector(),
          .offset = gate.gateOffset() & (wide ? 0xffffffff : 0xffff),
          .parameters = gate.gateParameters(),
          .size = static_cast<SizeCode>(wide ? 2 : 1)};
}

// The code segment a call gate leads to. 64-bit gates lead to 64-bit code only.
bool fetchGateTarget(Cpu& cpu, const CallGate& gate, Descriptor& code) {
  if (isNull(gate.selector)) return cpu.raise(kGp, 0);
  if (!fetchDescriptor(cpu, gate.selector, kGp, code)) return false;
  const bool badSize = cpu.longMode() && (!code.longCode() || code.big());
  if (!code.isCode() || code.dpl() > cpu.cpl || badSize)
    return cpu.raise(kGp, selectorError(gate.selector));
  return true;
}

bool pushReturn(Cpu& cpu, StackCursor& stack, SizeCode size, uint64_t next) {
  return stack.push(cpu, cpu.segment[kCs].selector, size) && stack.push(cpu, next, size);
}

// CALL at the same level: pushes on the stack in use.
bool callSameLevel(Cpu& cpu, const CodeTarget& target, SizeCode size, uint64_t next) {
  StackCursor stack(cpu);
  if (!checkTarget(cpu, target) || !pushReturn(cpu, stack, size, next)) return false;
  stack.commit(cpu);
  commitTarget(cpu, target);
  cpu.updateMode();
  return true;
}

// Copies the parameters of a call gate from the caller's stack, in place order.
bool copyParameters(Cpu& cpu, StackCursor& to, const CallGate& gate) {
  const uint64_t from = cpu.gpr[gpr::kRsp / 8];
  const unsigned bytes = 1u << gate.size;
  for (unsigned n = gate.parameters; n-- > 0;) {
    const Loaded<uint64_t> word = cpu.loadSlow(kSs, (from + n * bytes) & cpu.stackMask, bytes);
    if (!word.ok || !to.push(cpu, word.value, gate.size)) return false;
  }
  return true;
}

bool callInnerLevel(Cpu& cpu, const CallGate& gate, const Descriptor& code, uint64_t next) {
  const unsigned level = code.dpl();
  const bool wide = cpu.longMode();
  SegmentRegister ss = nullSegment(static_cast<uint16_t>(level), level);
  uint64_t rsp = 0;
  if (!(wide ? readLongModeStack(cpu, level, rsp) : openInnerStack(cpu, level, ss, rsp)))
    return false;
  const CodeTarget target{.cs = segmentOf(code, withRpl(gate.selector, level)), .rip = gate.offset};
  StackCursor stack(ss, rsp, stackMaskOf(ss, wide));
  if (!checkTarget(cpu, target) || !stack.push(cpu, cpu.segment[kSs].selector, gate.size) ||
      !stack.push(cpu, cpu.gpr[gpr::kRsp / 8], gate.size) || !copyParameters(cpu, stack, gate) ||
      !pushReturn(cpu, stack, gate.size, next))
    return false;
  stack.commit(cpu);
  cpu.segment[kSs] = ss;
  commitTarget(cpu, target);
  cpu.updateMode();
  return true;
}

bool transferByCallGate(Cpu& cpu, const Descriptor& descriptor, bool isCall, uint64_t next) {
  const CallGate gate = callGateOf(cpu, descriptor);
  Descriptor code;
  if (!fetchGateTarget(cpu, gate, code)) return false;
  if (isCall && !code.isConforming() && code.dpl() < cpu.cpl) {
    if (!code.present()) return cpu.raise(kNp, selectorError(gate.selector));
    return markAccessed(cpu, code) && callInnerLevel(cpu, gate, code, next);
  }
  if (!checkSameLevel(cpu, code, gate.selector, true)) return false;
  const CodeTarget target{.cs = segmentOf(code, withRpl(gate.selector, cpu.cpl)),
                          .rip = gate.offset};
  if (isCall) return callSameLevel(cpu, target, gate.size, next);
  if (!checkTarget(cpu, target)) return false;
  commitTarget(cpu, target);
  cpu.updateMode();
  return true;
}

// Call gates, task gates and TSS descriptors.
bool transferBySystemDescriptor(Cpu& cpu, const Descriptor& descriptor, uint16_t selector,
                                bool isCall, uint64_t next) {
  const unsigned type = descriptor.type();
  const bool callGate = type == kCallGate || (type == kCallGate16 && !cpu.longMode());
  const bool task =
      !cpu.longMode() && (type == kTaskGate || type == kTssAvailable || type == kTss16Available);
  if (!callGate && !task) return cpu.raise(kGp, selectorError(selector));
  if (descriptor.dpl() < cpu.cpl || descriptor.dpl() < rplOf(selector))
    return cpu.raise(kGp, selectorError(selector));
  if (!descriptor.present()) return cpu.raise(kNp, selectorError(selector));
  if (callGate) return transferByCallGate(cpu, descriptor, isCall, next);
  const auto kind = static_cast<int>(isCall ? TaskSwitchKind::kCall : TaskSwitchKind::kJump);
  return cpu.taskSwitch(type == kTaskGate ? descriptor.gateSelector() : selector, kind, next, false,
                        0);
}

// Protected mode: a selector leads to code, or through a gate or TSS.
bool farTransfer(Cpu& cpu, uint16_t selector, uint64_t offset, SizeCode opSize, bool isCall,
                 uint64_t next) {
  if (isNull(selector)) return cpu.raise(kGp, 0);
  Descriptor descriptor;
  if (!fetchDescriptor(cpu, selector, kGp, descriptor)) return false;
  if (!descriptor.isCodeOrData())
    return transferBySystemDescriptor(cpu, descriptor, selector, isCall, next);
  if (!checkSameLevel(cpu, descriptor, selector, false)) return false;
  const CodeTarget target{.cs = segmentOf(descriptor, withRpl(selector, cpu.cpl)), .rip = offset};
  if (isCall) return callSameLevel(cpu, target, opSize, next);
  if (!checkTarget(cpu, target)) return false;
  commitTarget(cpu, target);
  cpu.updateMode();
  return true;
}

}  // namespace

bool checkTarget(Cpu& cpu, const CodeTarget& target) {
  const bool ok = cpu.longMode() && target.cs.longCode() ? isCanonical(target.rip)
                                                         : target.rip <= target.cs.limit;
  return ok || cpu.raise(kGp, 0);
}

bool checkCodeSize(Cpu& cpu, const Descriptor& code, uint16_t selector) {
  const bool reserved = cpu.longMode() && code.longCode() && code.big();
  return !reserved || cpu.raise(kGp, selectorError(selector));
}

void commitTarget(Cpu& cpu, const CodeTarget& target) {
  cpu.segment[kCs] = target.cs;
  cpu.cpl = static_cast<uint8_t>(target.cpl());
  cpu.rip = target.rip;
}

bool openInnerStack(Cpu& cpu, unsigned level, SegmentRegister& stack, uint64_t& rsp) {
  uint16_t selector = 0;
  if (!readInnerStack(cpu, level, selector, rsp)) return false;
  if (isNull(selector)) return cpu.raise(kTs, 0);
  return fetchStackSegment(cpu, selector, level, kTs, stack);
}

bool fetchReturnCode(Cpu& cpu, uint16_t selector, SegmentRegister& code) {
  if (isNull(selector)) return cpu.raise(kGp, 0);
  Descriptor descriptor;
  if (!fetchDescriptor(cpu, selector, kGp, descriptor)) return false;
  const unsigned rpl = rplOf(selector);
  const bool level = descriptor.isConforming() ? descriptor.dpl() <= rpl : descriptor.dpl() == rpl;
  if (!descriptor.isCode() || rpl < cpu.cpl || !level)
    return cpu.raise(kGp, selectorError(selector));
  if (!checkCodeSize(cpu, descriptor, selector)) return false;
  if (!descriptor.present()) return cpu.raise(kNp, selectorError(selector));
  if (!markAccessed(cpu, descriptor)) return false;
  code = segmentOf(descriptor, selector);
  return true;
}

bool returnWithStack(Cpu& cpu, const CodeTarget& target, uint16_t stackSelector, uint64_t rsp,
                     unsigned popBytes) {
  const unsigned newCpl = target.cpl();
  const bool long64 = cpu.longMode() && target.cs.longCode();
  SegmentRegister ss = nullSegment(stackSelector, newCpl);
  if (isNull(stackSelector)) {
    if (!long64 || newCpl == 3 || rplOf(stackSelector) != newCpl) return cpu.raise(kGp, 0);
  } else if (!fetchStackSegment(cpu, stackSelector, newCpl, kGp, ss)) {
    return false;
  }
  if (!checkTarget(cpu, target)) return false;
  const bool outer = newCpl > cpu.cpl;
  const uint64_t mask = stackMaskOf(ss, long64);
  uint64_t& current = cpu.gpr[gpr::kRsp / 8];
  current =
      mask == 0xffff ? (current & ~mask) | ((rsp + popBytes) & mask) : (rsp + popBytes) & mask;
  cpu.segment[kSs] = ss;
  commitTarget(cpu, target);
  if (outer) dropPrivilegedSegments(cpu, newCpl);
  cpu.updateMode();
  return true;
}

bool Cpu::farJump(uint16_t selector, uint64_t offset, SizeCode opSize, uint64_t next) {
  offset &= kWidth[opSize];
  if (!isReal(*this)) return farTransfer(*this, selector, offset, opSize, false, next);
  const CodeTarget target = realTarget(*this, selector, offset);
  if (!checkTarget(*this, target)) return false;
  commitReal(*this, target);
  return true;
}

bool Cpu::farCall(uint16_t selector, uint64_t offset, SizeCode opSize, uint64_t next) {
  offset &= kWidth[opSize];
  if (!isReal(*this)) return farTransfer(*this, selector, offset, opSize, true, next);
  const CodeTarget target = realTarget(*this, selector, offset);
  StackCursor stack(*this);
  if (!checkTarget(*this, target) || !pushReturn(*this, stack, opSize, next)) return false;
  stack.commit(*this);
  commitReal(*this, target);
  return true;
}

bool Cpu::farReturn(SizeCode opSize, unsigned popBytes) {
  StackCursor stack(*this);
  uint64_t offset = 0, selector = 0;
  if (!stack.pop(*this, opSize, offset) || !stack.pop(*this, opSize, selector)) return false;
  stack.skip(popBytes);
  if (isReal(*this)) {
    const CodeTarget real = realTarget(*this, static_cast<uint16_t>(selector), offset);
    if (!checkTarget(*this, real)) return false;
    stack.commit(*this);
    commitReal(*this, real);
    return true;
  }
  CodeTarget target{.cs = {}, .rip = offset};
  if (!fetchReturnCode(*this, static_cast<uint16_t>(selector), target.cs)) return false;
  if (target.cpl() > cpl) {
    uint64_t rsp = 0, ss = 0;
    return stack.pop(*this, opSize, rsp) && stack.pop(*this, opSize, ss) &&
           returnWithStack(*this, target, static_cast<uint16_t>(ss), rsp, popBytes);
  }
  if (!checkTarget(*this, target)) return false;
  stack.commit(*this);
  commitTarget(*this, target);
  updateMode();
  return true;
}

}  // namespace nodevm

// Far control transfers, interrupts, and the fast system calls. SDM volume 2; volume 3, "Fast
// System Calls in 64-Bit Mode" and "Performing Fast Calls to System Procedures with the SYSENTER
// and SYSEXIT Instructions".

#include "cpu/descriptor.h"
#include "interpreter/system_handler.h"

namespace nodevm {

namespace {

// --- JMP, CALL, RET, IRET, INT

struct FarPointer {
  uint16_t selector = 0;
  uint64_t offset = 0;
};

FarPointer immediatePointer(const Instruction* i) {
  return {.selector = static_cast<uint16_t>(i->immediate >> 32),
          .offset = i->immediate & 0xffffffff};
}

bool readPointer(Cpu& cpu, const Instruction* i, FarPointer& pointer) {
  const uint64_t ea = effectiveAddress(cpu, i);
  const unsigned bytes = 1u << i->operandSize();
  const Loaded<uint64_t> offset = cpu.loadSlow(i->segment, ea, bytes);
  if (!offset.ok) return false;
  const Loaded<uint16_t> selector = cpu.load<uint16_t>(i->segment, ea + bytes);
  pointer = {.selector = selector.value, .offset = offset.value};
  return selector.ok;
}

// Far transfers are kept by the flight recorder. INT n has its vector as immediate operand.
template <RecordKind kKind, Operation kOperation, uint8_t kVector = 0>
bool noted(Cpu& cpu, const Instruction* i) {
  constexpr bool kImmediateVector = kKind == RecordKind::kSoftwareInterrupt && kVector == 0;
  Record record{.linear = cpu.codeLinear(thisRip(cpu, i)),
                .kind = kKind,
                .vector = kImmediateVector ? static_cast<uint8_t>(i->immediate) : kVector,
                .flags = cpu.recordFlags()};
  if (!kOperation(cpu, i)) return false;
  record.value = cpu.codeLinear(cpu.rip);
  record.info = cpu.segment[kCs].selector;
  record.detail = cpu.recordFlags();
  cpu.note(record);
  return true;
}

bool jumpFar(Cpu& cpu, const Instruction* i) {
  const FarPointer to = immediatePointer(i);
  return cpu.farJump(to.selector, to.offset, i->operandSize(), nextRip(cpu, i));
}

bool callFar(Cpu& cpu, const Instruction* i) {
  const FarPointer to = immediatePointer(i);
  return cpu.farCall(to.selector, to.offset, i->operandSize(), nextRip(cpu, i));
}

bool jumpFarIndirect(Cpu& cpu, const Instruction* i) {
  FarPointer to;
  return readPointer(cpu, i, to) &&
         cpu.farJump(to.selector, to.offset, i->operandSize(), nextRip(cpu, i));
}

bool callFarIndirect(Cpu& cpu, const Instruction* i) {
  FarPointer to;
  return readPointer(cpu, i, to) &&
         cpu.farCall(to.selector, to.offset, i->operandSize(), nextRip(cpu, i));
}

bool returnFar(Cpu& cpu, const Instruction* i) {
  return cpu.farReturn(i->operandSize(), static_cast<unsigned>(i->immediate & 0xffff));
}

bool returnFromInterrupt(Cpu& cpu, const Instruction* i) {
  return cpu.interruptReturn(i->operandSize(), nextRip(cpu, i));
}

bool interrupt(Cpu& cpu, const Instruction* i) {
  return cpu.softwareInterrupt(Cpu::EventKind::kSoftware, static_cast<uint8_t>(i->immediate),
                               nextRip(cpu, i));
}

bool breakpoint(Cpu& cpu, const Instruction* i) {
  return cpu.softwareInterrupt(Cpu::EventKind::kInt3OrInto, kBp, nextRip(cpu, i));
}

bool overflow(Cpu& cpu, const Instruction* i) {
  return cpu.softwareInterrupt(Cpu::EventKind::kInt3OrInto, kOf, nextRip(cpu, i));
}

bool interruptOnOverflow(Cpu& cpu, const Instruction* i) {
  if (cpu.flags.of()) return noted<RecordKind::kSoftwareInterrupt, overflow, kOf>(cpu, i);
  cpu.rip = nextRip(cpu, i);
  return true;
}

bool debugInterrupt(Cpu& cpu, const Instruction* i) {
  return cpu.softwareInterrupt(Cpu::EventKind::kInt1, kDb, nextRip(cpu, i));
}

// --- SYSCALL and its kin

// Flat segments as these instructions load them, without looking at descriptors.
constexpr uint16_t kCode64 = 0xa09b, kCode32 = 0xc09b, kData = 0xc093;

SegmentRegister flat(uint64_t selector, uint16_t access, unsigned level) {
  return {.selector = static_cast<uint16_t>((selector & ~uint64_t{3}) | level),
          .access = static_cast<uint16_t>(access | level << access::kDplShift),
          .limit = 0xffffffff,
          .base = 0};
}

void enterFlat(Cpu& cpu, uint64_t codeSelector, uint64_t stackSelector, bool is64, unsigned level) {
  const bool was64 = cpu.code64();
  cpu.segment[kCs] = flat(codeSelector, is64 ? kCode64 : kCode32, level);
  cpu.segment[kSs] = flat(stackSelector, kData, level);
  cpu.cpl = static_cast<uint8_t>(level);
  if (was64 && is64) return cpu.updatePrivilege();
  cpu.updateMode();
}

constexpr unsigned kSyscallSelector = 32, kSysretSelector = 48;  // bits of IA32_STAR
constexpr uint64_t kSysretFlags = 0x3c7fd7;                      // all but RF, VM and reserved bits

bool systemCall(Cpu& cpu, const Instruction* i) {
  if (!cpu.code64() || !(cpu.msr.efer & efer::kSce)) return cpu.raise(kUd);
  const uint64_t flags = cpu.rflags();
  const uint64_t selector = (cpu.msr.star >> kSyscallSelector) & 0xffff;
  cpu.gpr[gpr::kRcx / 8] = nextRip(cpu, i);
  cpu.gpr[gpr::kR11 / 8] = flags & ~eflags::kRf;
  cpu.rip = cpu.msr.lstar;
  cpu.setRflags(flags & ~(cpu.msr.sfmask | eflags::kRf));
  enterFlat(cpu, selector, selector + 8, true, 0);
  return true;
}

bool systemReturn(Cpu& cpu, const Instruction* i) {
  if (!cpu.code64() || !(cpu.msr.efer & efer::kSce)) return cpu.raise(kUd);
  const bool to64 = i->operandSize() == 3;
  const uint64_t rip = cpu.gpr[gpr::kRcx / 8];
  // Checked at level 0, with the kernel's stack still in use.
  if (cpu.cpl != 0 || (to64 && !isCanonical(rip))) return cpu.raise(kGp, 0);
  const uint64_t selector = (cpu.msr.star >> kSysretSelector) & 0xffff;
  cpu.rip = to64 ? rip : rip & 0xffffffff;
  cpu.setRflags(cpu.gpr[gpr::kR11 / 8] & kSysretFlags);
  enterFlat(cpu, selector + (to64 ? 16 : 0), selector + 8, to64, 3);
  cpu.trapByResultingFlags();
  return true;
}

bool systemEnter(Cpu& cpu, const Instruction*) {
  if (cpu.realMode() || isNull(static_cast<uint16_t>(cpu.msr.sysenterCs))) return cpu.raise(kGp, 0);
  const bool is64 = cpu.longMode();
  const uint64_t mask = is64 ? ~uint64_t{0} : 0xffffffff;
  cpu.setRflags(cpu.rflags() & ~(eflags::kVm | eflags::kIf | eflags::kRf));
  cpu.rip = cpu.msr.sysenterEip & mask;
  cpu.gpr[gpr::kRsp / 8] = cpu.msr.sysenterEsp & mask;
  enterFlat(cpu, cpu.msr.sysenterCs, cpu.msr.sysenterCs + 8, is64, 0);
  return true;
}

bool systemExit(Cpu& cpu, const Instruction* i) {
  const bool to64 = i->operandSize() == 3;
  const uint64_t rip = cpu.gpr[gpr::kRdx / 8], rsp = cpu.gpr[gpr::kRcx / 8];
  if (cpu.realMode() || cpu.cpl != 0 || isNull(static_cast<uint16_t>(cpu.msr.sysenterCs)) ||
      (to64 && !(isCanonical(rip) && isCanonical(rsp))))
    return cpu.raise(kGp, 0);
  const uint64_t mask = to64 ? ~uint64_t{0} : 0xffffffff;
  const uint64_t selector = cpu.msr.sysenterCs + (to64 ? 32 : 16);
  cpu.rip = rip & mask;
  cpu.gpr[gpr::kRsp / 8] = rsp & mask;
  enterFlat(cpu, selector, selector + 8, to64, 3);
  return true;
}

// SYSCALL masks IF as a rule, so that nothing has to be looked at between the two blocks.
void enterSystem(Cpu& cpu, const Instruction* i) {
  if (!perform<systemCall>(cpu, i)) return fault(cpu, i);
  cpu.trapByResultingFlags();
  if (cpu.eflagsRest & (eflags::kTf | eflags::kIf)) return leaveBlock(cpu);
  return goOn(cpu);
}

}  // namespace

extern const HandlerSet CALL_Ap = always(thenTransfer<noted<RecordKind::kFarCall, callFar>>);
extern const HandlerSet JMP_Ap = always(thenTransfer<noted<RecordKind::kFarJump, jumpFar>>);
extern const HandlerSet CALL_Mp =
    onlyMemory(thenTransfer<noted<RecordKind::kFarCall, callFarIndirect>>);
extern const HandlerSet JMP_Mp =
    onlyMemory(thenTransfer<noted<RecordKind::kFarJump, jumpFarIndirect>>);
extern const HandlerSet RETF_Iw = always(thenTransfer<noted<RecordKind::kFarReturn, returnFar>>);
extern const HandlerSet RETF = always(thenTransfer<noted<RecordKind::kFarReturn, returnFar>>);
extern const HandlerSet IRET =
    always(thenTransfer<noted<RecordKind::kInterruptReturn, returnFromInterrupt>>);
extern const HandlerSet INT_Ib =
    always(thenTransfer<noted<RecordKind::kSoftwareInterrupt, interrupt>>);
extern const HandlerSet INT3 =
    always(thenTransfer<noted<RecordKind::kSoftwareInterrupt, breakpoint, kBp>>);
extern const HandlerSet INTO = always(thenTransfer<interruptOnOverflow>);
extern const HandlerSet INT1 =
    always(thenTransfer<noted<RecordKind::kSoftwareInterrupt, debugInterrupt, kDb>>);
extern const HandlerSet SYSCALL = always(enterSystem);
extern const HandlerSet SYSRET = always(thenTransfer<systemReturn>);
extern const HandlerSet SYSENTER = always(thenTransfer<systemEnter>);
extern const HandlerSet SYSEXIT = always(thenTransfer<systemExit>);

}  // namespace nodevm

// Segment registers, descriptor-table registers, and the instructions that look at descriptors. SDM
// volume 2; volume 3, "Protected-Mode Memory Management".

#include "cpu/segments.h"
#include "interpreter/system_handler.h"

namespace nodevm {

namespace {

// MOV SS and POP SS hold interrupts and debug traps off until the next instruction is done. SDM
// volume 3, "Masking Exceptions and Interrupts When Switching Stacks".
void shadowStackSwitch(Cpu& cpu, Segment seg) {
  if (seg == kSs) cpu.interruptShadow = cpu.debugShadow = true;
}

// --- MOV, PUSH, POP

bool moveFromSegment(Cpu& cpu, const Instruction* i) {
  if (i->reg >= kSegmentCount) return cpu.raise(kUd);
  return writeWord(cpu, i, cpu.segment[i->reg].selector);
}

bool moveToSegment(Cpu& cpu, const Instruction* i) {
  if (i->reg >= kSegmentCount || i->reg == kCs) return cpu.raise(kUd);
  const auto seg = static_cast<Segment>(i->reg);
  uint16_t selector = 0;
  if (!readWord(cpu, i, selector) || !cpu.loadSegment(seg, selector)) return false;
  shadowStackSwitch(cpu, seg);
  return true;
}

uint64_t movedStack(const Cpu& cpu, uint64_t displacement) {
  const uint64_t rsp = cpu.gpr[gpr::kRsp / 8];
  return (rsp & ~cpu.stackMask) | ((rsp + displacement) & cpu.stackMask);
}

// A 32-bit push writes the selector only, as Intel processors do; a 64-bit one extends it by zeros.
template <Segment kSeg>
bool pushSegment(Cpu& cpu, const Instruction* i) {
  const uint64_t rsp = movedStack(cpu, -(uint64_t{1} << i->operandSize()));
  const uint16_t selector = cpu.segment[kSeg].selector;
  const bool ok = i->operandSize() == 3 ? cpu.store<uint64_t>(kSs, rsp & cpu.stackMask, selector)
                                        : cpu.store<uint16_t>(kSs, rsp & cpu.stackMask, selector);
  if (ok) cpu.gpr[gpr::kRsp / 8] = rsp;
  return ok;
}

template <Segment kSeg>
bool popSegment(Cpu& cpu, const Instruction* i) {
  const uint64_t rsp = movedStack(cpu, uint64_t{1} << i->operandSize());
  const Loaded<uint16_t> selector = peekStack<uint16_t>(cpu);
  if (!selector.ok || !cpu.loadSegment(kSeg, selector.value)) return false;
  cpu.gpr[gpr::kRsp / 8] = rsp;
  shadowStackSwitch(cpu, kSeg);
  return true;
}

// LDS, LES, LFS, LGS, LSS.
template <Segment kSeg>
bool loadFarPointer(Cpu& cpu, const Instruction* i) {
  const uint64_t ea = effectiveAddress(cpu, i);
  const unsigned bytes = 1u << i->operandSize();
  const Loaded<uint64_t> offset = cpu.loadSlow(i->segment, ea, bytes);
  if (!offset.ok) return false;
  const Loaded<uint16_t> selector = cpu.load<uint16_t>(i->segment, ea + bytes);
  if (!selector.ok || !cpu.loadSegment(kSeg, selector.value)) return false;
  setRegister(cpu, i->reg, i->operandSize(), offset.value);
  return true;
}

// --- descriptor-table registers

bool storeTable(Cpu& cpu, const Instruction* i, const DescriptorTableRegister& table) {
  if (!requireUserAllowed(cpu)) return false;
  const uint64_t ea = effectiveAddress(cpu, i);
  const unsigned baseBytes = cpu.code64() ? 8 : 4;
  return cpu.probeWrite(i->segment, ea, 2 + baseBytes) &&
         cpu.store<uint16_t>(i->segment, ea, table.limit) &&
         cpu.storeSlow(i->segment, ea + 2, table.base, baseBytes);
}

bool loadTable(Cpu& cpu, const Instruction* i, DescriptorTableRegister& table) {
  if (!requireLevel0(cpu)) return false;
  const uint64_t ea = effectiveAddress(cpu, i);
  const Loaded<uint16_t> limit = cpu.load<uint16_t>(i->segment, ea);
  if (!limit.ok) return false;
  const bool wide = cpu.code64();
  const Loaded<uint64_t> base = cpu.loadSlow(i->segment, ea + 2, wide ? 8 : 4);
  if (!base.ok) return false;
  if (wide && !isCanonical(base.value)) return cpu.raise(kGp, 0);
  // A 16-bit operand size has a 24-bit base, as the 80286 had.
  const bool narrow = !wide && i->operandSize() == 1;
  table = {.base = narrow ? base.value & 0xffffff : base.value, .limit = limit.value};
  return true;
}

bool storeGdt(Cpu& cpu, const Instruction* i) { return storeTable(cpu, i, cpu.gdtr); }
bool storeIdt(Cpu& cpu, const Instruction* i) { return storeTable(cpu, i, cpu.idtr); }
bool loadGdt(Cpu& cpu, const Instruction* i) { return loadTable(cpu, i, cpu.gdtr); }
bool loadIdt(Cpu& cpu, const Instruction* i) { return loadTable(cpu, i, cpu.idtr); }

bool storeLdt(Cpu& cpu, const Instruction* i) {
  return requireProtectedMode(cpu) && requireUserAllowed(cpu) &&
         writeWord(cpu, i, cpu.ldtr.selector);
}

bool storeTask(Cpu& cpu, const Instruction* i) {
  return requireProtectedMode(cpu) && requireUserAllowed(cpu) && writeWord(cpu, i, cpu.tr.selector);
}

bool loadLdt(Cpu& cpu, const Instruction* i) {
  uint16_t selector = 0;
  return requireProtectedMode(cpu) && requireLevel0(cpu) && readWord(cpu, i, selector) &&
         cpu.loadLdtr(selector);
}

bool loadTask(Cpu& cpu, const Instruction* i) {
  uint16_t selector = 0;
  return requireProtectedMode(cpu) && requireLevel0(cpu) && readWord(cpu, i, selector) &&
         cpu.loadTr(selector);
}

// --- looking at descriptors

bool levelAllows(const Cpu& cpu, const Descriptor& descriptor, uint16_t selector) {
  return descriptor.isConforming() ||
         (descriptor.dpl() >= cpu.cpl && descriptor.dpl() >= rplOf(selector));
}

// Whether the selector in the source operand names a descriptor that `accepts` and the privilege
// level may see; its absence is no fault.
template <class Accepts>
bool examine(Cpu& cpu, const Instruction* i, Descriptor& descriptor, bool& visible,
             Accepts accepts) {
  uint16_t selector = 0;
  if (!requireProtectedMode(cpu) || !readWord(cpu, i, selector)) return false;
  visible = false;
  if (isNull(selector)) return true;
  const Lookup lookup = lookUpDescriptor(cpu, selector, descriptor);
  if (lookup == Lookup::kFaulted) return false;
  visible =
      lookup == Lookup::kFound && accepts(descriptor) && levelAllows(cpu, descriptor, selector);
  return true;
}

bool verifyRead(Cpu& cpu, const Instruction* i) {
  Descriptor descriptor;
  bool visible = false;
  if (!examine(cpu, i, descriptor, visible, [](const Descriptor& d) { return d.isReadable(); }))
    return false;
  setZeroFlag(cpu, visible);
  return true;
}

bool verifyWrite(Cpu& cpu, const Instruction* i) {
  Descriptor descriptor;
  bool visible = false;
  if (!examine(cpu, i, descriptor, visible, [](const Descriptor& d) { return d.isWritableData(); }))
    return false;
  setZeroFlag(cpu, visible);
  return true;
}

// SDM volume 2, "LAR", table "Segment and Gate Types".
bool hasAccessRights(const Cpu& cpu, const Descriptor& descriptor) {
  if (descriptor.isCodeOrData()) return true;
  switch (descriptor.type()) {
    case kLdtType:
    case kTssAvailable:
    case kTssBusy:
    case kCallGate:
      return true;
    case kTss16Available:
    case kTss16Busy:
    case kCallGate16:
    case kTaskGate:
      return !cpu.longMode();
    default:
      return false;
  }
}

// SDM volume 2, "LSL", table "Segment and Gate Descriptor Types".
bool hasLimit(const Cpu& cpu, const Descriptor& descriptor) {
  const bool gate = !descriptor.isCodeOrData() && (descriptor.type() & 4);
  return hasAccessRights(cpu, descriptor) && !gate;
}

bool loadAccessRights(Cpu& cpu, const Instruction* i) {
  // Bits 16..19 are undefined by the SDM; processors leave the limit's bits there.
  constexpr uint64_t kRights = 0x00ffff00;
  Descriptor descriptor;
  bool visible = false;
  if (!examine(cpu, i, descriptor, visible,
               [&cpu](const Descriptor& d) { return hasAccessRights(cpu, d); }))
    return false;
  if (visible) setRegister(cpu, i->reg, i->operandSize(), (descriptor.low >> 32) & kRights);
  setZeroFlag(cpu, visible);
  return true;
}

bool loadLimit(Cpu& cpu, const Instruction* i) {
  Descriptor descriptor;
  bool visible = false;
  if (!examine(cpu, i, descriptor, visible,
               [&cpu](const Descriptor& d) { return hasLimit(cpu, d); }))
    return false;
  if (visible) setRegister(cpu, i->reg, i->operandSize(), descriptor.limit());
  setZeroFlag(cpu, visible);
  return true;
}

bool adjustRpl(Cpu& cpu, const Instruction* i) {
  if (!requireProtectedMode(cpu)) return false;
  const uint64_t ea = effectiveAddress(cpu, i);
  uint16_t selector = 0;
  if (i->isMemory()) {
    const Loaded<uint64_t> old = cpu.loadForWrite(i->segment, ea, 2);
    if (!old.ok) return false;
    selector = static_cast<uint16_t>(old.value);
  } else {
    selector = cpu.reg<uint16_t>(i->rm);
  }
  const unsigned rpl = rplOf(cpu.reg<uint16_t>(i->reg));
  const bool raised = rplOf(selector) < rpl;
  const auto adjusted = static_cast<uint16_t>((selector & ~3u) | rpl);
  if (raised && i->isMemory() && !cpu.storeSlow(i->segment, ea, adjusted, 2)) return false;
  if (raised && !i->isMemory()) cpu.setReg<uint16_t>(i->rm, adjusted);
  setZeroFlag(cpu, raised);
  return true;
}

}  // namespace

extern const HandlerSet MOV_Ev_Sw = always(thenNext<moveFromSegment>);
extern const HandlerSet MOV_Sw_Ew = always(thenLeave<moveToSegment>);
extern const HandlerSet PUSH_ES = always(thenNext<pushSegment<kEs>>);
extern const HandlerSet PUSH_CS = always(thenNext<pushSegment<kCs>>);
extern const HandlerSet PUSH_SS = always(thenNext<pushSegment<kSs>>);
extern const HandlerSet PUSH_DS = always(thenNext<pushSegment<kDs>>);
extern const HandlerSet PUSH_FS = always(thenNext<pushSegment<kFs>>);
extern const HandlerSet PUSH_GS = always(thenNext<pushSegment<kGs>>);
extern const HandlerSet POP_ES = always(thenLeave<popSegment<kEs>>);
extern const HandlerSet POP_SS = always(thenLeave<popSegment<kSs>>);
extern const HandlerSet POP_DS = always(thenLeave<popSegment<kDs>>);
extern const HandlerSet POP_FS = always(thenLeave<popSegment<kFs>>);
extern const HandlerSet POP_GS = always(thenLeave<popSegment<kGs>>);
extern const HandlerSet LES_Gv_Mp = onlyMemory(thenLeave<loadFarPointer<kEs>>);
extern const HandlerSet LDS_Gv_Mp = onlyMemory(thenLeave<loadFarPointer<kDs>>);
extern const HandlerSet LSS_Gv_Mp = onlyMemory(thenLeave<loadFarPointer<kSs>>);
extern const HandlerSet LFS_Gv_Mp = onlyMemory(thenLeave<loadFarPointer<kFs>>);
extern const HandlerSet LGS_Gv_Mp = onlyMemory(thenLeave<loadFarPointer<kGs>>);

extern const HandlerSet SGDT_Ms = onlyMemory(thenNext<storeGdt>);
extern const HandlerSet SIDT_Ms = onlyMemory(thenNext<storeIdt>);
extern const HandlerSet LGDT_Ms = onlyMemory(thenNext<loadGdt>);
extern const HandlerSet LIDT_Ms = onlyMemory(thenNext<loadIdt>);
extern const HandlerSet SLDT_Ev = always(thenNext<storeLdt>);
extern const HandlerSet STR_Ev = always(thenNext<storeTask>);
extern const HandlerSet LLDT_Ew = always(thenNext<loadLdt>);
extern const HandlerSet LTR_Ew = always(thenNext<loadTask>);

extern const HandlerSet VERR_Ew = always(thenNext<verifyRead>);
extern const HandlerSet VERW_Ew = always(thenNext<verifyWrite>);
extern const HandlerSet LAR_Gv_Ew = always(thenNext<loadAccessRights>);
extern const HandlerSet LSL_Gv_Ew = always(thenNext<loadLimit>);
extern const HandlerSet ARPL_Ew_Gw = always(thenNext<adjustRpl>);

}  // namespace nodevm

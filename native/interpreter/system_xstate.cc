// Saving and restoring x87 and SSE state, XCR0, MXCSR. SDM volume 1, "Managing State Using the
// XSAVE Feature Set"; volume 2.

#include "cpu/xstate.h"
#include "interpreter/sse_control.h"
#include "interpreter/system_handler.h"

namespace nodevm {

namespace {

bool isWide(const Instruction* i) { return i->operandSize() == 3; }

// FXSAVE and FXRSTOR: #NM with EM or TS, and no look at pending x87 exceptions.
bool requireFpu(Cpu& cpu) { return !(cpu.cr0 & (cr0::kEm | cr0::kTs)) || cpu.raise(kNm); }

bool requireXsave(Cpu& cpu) {
  if (!(cpu.cr4 & cr4::kOsxsave)) return cpu.raise(kUd);
  return !(cpu.cr0 & cr0::kTs) || cpu.raise(kNm);
}

uint64_t requestedComponents(const Cpu& cpu) {
  return uint64_t{cpu.reg<uint32_t>(gpr::kRdx)} << 32 | cpu.reg<uint32_t>(gpr::kRax);
}

bool saveFpu(Cpu& cpu, const Instruction* i) {
  return requireFpu(cpu) && fxsave(cpu, i->segment, effectiveAddress(cpu, i), isWide(i));
}

bool restoreFpu(Cpu& cpu, const Instruction* i) {
  return requireFpu(cpu) && fxrstor(cpu, i->segment, effectiveAddress(cpu, i), isWide(i));
}

enum class Save : uint8_t { kPlain, kOptimized, kCompacted };

template <Save kForm>
bool saveState(Cpu& cpu, const Instruction* i) {
  const XsaveForm form = {
      .wide = isWide(i), .compact = kForm == Save::kCompacted, .optimize = kForm != Save::kPlain};
  return requireXsave(cpu) &&
         xsave(cpu, i->segment, effectiveAddress(cpu, i), requestedComponents(cpu), form);
}

bool restoreState(Cpu& cpu, const Instruction* i) {
  return requireXsave(cpu) && xrstor(cpu, i->segment, effectiveAddress(cpu, i),
                                     requestedComponents(cpu), isWide(i), false);
}

// XSAVES and XRSTORS; IA32_XSS enables nothing, so that the components are those of XCR0.
bool saveSupervisorState(Cpu& cpu, const Instruction* i) {
  return requireXsave(cpu) && requireLevel0(cpu) && saveState<Save::kCompacted>(cpu, i);
}

bool restoreSupervisorState(Cpu& cpu, const Instruction* i) {
  return requireXsave(cpu) && requireLevel0(cpu) &&
         xrstor(cpu, i->segment, effectiveAddress(cpu, i), requestedComponents(cpu), isWide(i),
                true);
}

// kRaiseUnlessUsable: raiseUnlessSseUsable, or raiseUnlessAvxUsable for the VEX forms.
template <auto kRaiseUnlessUsable>
bool loadMxcsr(Cpu& cpu, const Instruction* i) {
  if (!kRaiseUnlessUsable(cpu)) return false;
  const Loaded<uint32_t> value = cpu.load<uint32_t>(i->segment, effectiveAddress(cpu, i));
  if (!value.ok) return false;
  if (value.value & ~kMxcsrMask) return cpu.raise(kGp, 0);
  writeMxcsr(cpu, value.value);
  return true;
}

template <auto kRaiseUnlessUsable>
bool storeMxcsr(Cpu& cpu, const Instruction* i) {
  return kRaiseUnlessUsable(cpu) &&
         cpu.store<uint32_t>(i->segment, effectiveAddress(cpu, i), readMxcsr(cpu));
}

// ECX = 1, where CPUID offers it, reports the components in use.
bool getExtendedControl(Cpu& cpu, const Instruction*) {
  if (!(cpu.cr4 & cr4::kOsxsave)) return cpu.raise(kUd);
  const uint32_t index = cpu.reg<uint32_t>(gpr::kRcx);
  if (index > (has(cpu.features, Feature::kXgetbv1) ? 1 : 0)) return cpu.raise(kGp, 0);
  const uint64_t value = index == 0 ? cpu.xcr0 : componentsInUse(cpu);
  cpu.setReg<uint32_t>(gpr::kRax, static_cast<uint32_t>(value));
  cpu.setReg<uint32_t>(gpr::kRdx, static_cast<uint32_t>(value >> 32));
  return true;
}

bool setExtendedControl(Cpu& cpu, const Instruction*) {
  if (!(cpu.cr4 & cr4::kOsxsave)) return cpu.raise(kUd);
  const uint64_t value = requestedComponents(cpu);
  if (cpu.cpl != 0 || cpu.reg<uint32_t>(gpr::kRcx) != 0 || !isValidXcr0(value, cpu.features))
    return cpu.raise(kGp, 0);
  cpu.xcr0 = value;
  cpu.updateMode();
  return true;
}

}  // namespace

extern const HandlerSet FXSAVE_M = onlyMemory(thenNext<saveFpu>);
extern const HandlerSet FXRSTOR_M = onlyMemory(thenNext<restoreFpu>);
extern const HandlerSet LDMXCSR_Md = onlyMemory(thenNext<loadMxcsr<raiseUnlessSseUsable>>);
extern const HandlerSet STMXCSR_Md = onlyMemory(thenNext<storeMxcsr<raiseUnlessSseUsable>>);
extern const HandlerSet VLDMXCSR_Md = onlyMemory(thenNext<loadMxcsr<raiseUnlessAvxUsable>>);
extern const HandlerSet VSTMXCSR_Md = onlyMemory(thenNext<storeMxcsr<raiseUnlessAvxUsable>>);
extern const HandlerSet XSAVE_M = onlyMemory(thenNext<saveState<Save::kPlain>>);
extern const HandlerSet XRSTOR_M = onlyMemory(thenNext<restoreState>);
extern const HandlerSet XSAVEOPT_M = onlyMemory(thenNext<saveState<Save::kOptimized>>);
extern const HandlerSet XSAVEC_M = onlyMemory(thenNext<saveState<Save::kCompacted>>);
extern const HandlerSet XSAVES_M = onlyMemory(thenNext<saveSupervisorState>);
extern const HandlerSet XRSTORS_M = onlyMemory(thenNext<restoreSupervisorState>);
extern const HandlerSet XGETBV = always(thenNext<getExtendedControl>);
extern const HandlerSet XSETBV = always(thenLeave<setExtendedControl>);

}  // namespace nodevm

// What a kernel does at each entry, exit and spin lock.

#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kNotZero = 5;  // condition code

}  // namespace

// Elsewhere the interpreter knows the rules.
void Translator::requireLevel0() {
  hostFlags_ = false;
  e_.aluImmediate(Alu::kCmp, 1, layout_.at(layout_.cpl), 0);
  detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kNotZero));
}

void Translator::pushFlags() {
  needHostFlags();
  e_.pushf();
  e_.pop(layout_.at(layout_.target));
  const HostMemory top = stackAccess(gpr::kRsp, -8, true);
  hostFlags_ = false;
  e_.move(8, host::kR11, layout_.at(layout_.target));
  e_.aluImmediate(Alu::kAnd, 4, host::kR11, static_cast<int32_t>(eflags::kArithmetic));
  e_.alu(Alu::kOr, 8, host::kR11, layout_.at(layout_.eflagsRest));
  // SDM volume 2, "PUSHF/PUSHFD/PUSHFQ": the image has VM and RF clear.
  e_.aluImmediate(Alu::kAnd, 8, host::kR11, static_cast<int32_t>(~(eflags::kVm | eflags::kRf)));
  e_.store(8, top, host::kR11);
  const uint8_t rsp = hostOf(gpr::kRsp);
  e_.lea(rsp, {.base = rsp, .displacement = -8});
}

void Translator::clearInterrupt() {
  requireLevel0();
  e_.aluImmediate(Alu::kAnd, 8, layout_.at(layout_.eflagsRest), static_cast<int32_t>(~eflags::kIf));
}

// In 64-bit mode nothing but the base itself depends on a base.
void Translator::swapGs() {
  requireLevel0();
  const HostMemory base = layout_.at(layout_.segmentBase + 8 * kGs);
  const HostMemory kernelBase = layout_.at(layout_.kernelGsBase);
  e_.move(8, host::kR10, layout_.at(layout_.gsBase));
  e_.move(8, host::kR11, kernelBase);
  e_.store(8, base, host::kR11);
  e_.store(8, layout_.at(layout_.gsBase), host::kR11);
  e_.store(8, kernelBase, host::kR10);
}

}  // namespace nodevm

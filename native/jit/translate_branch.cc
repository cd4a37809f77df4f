// Near branches, which end the block. Nothing is committed before the target is known to be
// translated; where it is not, the interpreter executes the branch from its start.

#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr uint8_t kGuestRsp = kHostOf[gpr::kRsp >> 3];

}  // namespace

void Translator::branch(const Instruction& i, const Shape& shape) {
  switch (shape.way) {
    case Way::kJump:
      return goTo(e_.jump(), targetOf(i));
    case Way::kJumpIf: {
      needHostFlags();
      const unsigned condition = i.reg;
      const Emitter::Fixup taken = e_.jumpIf(condition);
      goTo(e_.jump(), static_cast<int64_t>(pageOffsetOf(i)) + i.length);
      return goTo(taken, targetOf(i));
    }
    case Way::kFallThrough:
      return goTo(e_.jump(), static_cast<int64_t>(pageOffsetOf(i)));
    case Way::kJumpIndirect:
      indirectTarget(i, shape);
      probeJumpCache();
      enterFoundPage();
      return e_.jump(host::kR11);
    case Way::kCall:
    case Way::kCallIndirect:
      return call(i, shape);
    default:
      return returnNear(i);
  }
}

int64_t Translator::targetOf(const Instruction& i) const {
  return static_cast<int64_t>(pageOffsetOf(i)) + i.length + static_cast<int64_t>(i.immediate);
}

// Binds a branch: to the other block, when the page says what it is; else by way of the jump cache.
void Translator::goTo(Emitter::Fixup from, int64_t pageOffset) {
  if (samePage(pageOffset)) return exits_.push_back({from, pageOffset, slot_});
  e_.bind(from);
  e_.move(8, host::kR9, layout_.at(layout_.pageRip));
  e_.lea(host::kR9, {.base = host::kR9, .displacement = static_cast<int32_t>(pageOffset)});
  probeJumpCache();
  enterFoundPage();
  e_.jump(host::kR11);
}

// The target in R9.
void Translator::indirectTarget(const Instruction& i, const Shape& shape) {
  if (shape.memory) {
    const HostMemory operand = access(i, shape);
    e_.move(8, host::kR9, operand);
  } else {
    e_.move(8, host::kR9, locate(i.rm));
  }
}

void Translator::probeJumpCache() {
  for (const Emitter::Fixup miss : emitJumpCacheProbe(e_, layout_))
    detour(Detour::Kind::kInterpretRest, miss);
}

// R9: the target.
void Translator::enterFoundPage() {
  e_.aluImmediate(Alu::kAnd, 8, host::kR9, static_cast<int32_t>(kPageMask));
  e_.store(8, layout_.at(layout_.pageRip), host::kR9);
}

// The push of a call, with everything that could go wrong behind it but the access itself.
void Translator::pushReturn(const Instruction& i) {
  const HostMemory top = stackAccess(gpr::kRsp, -8, true);
  e_.move(8, host::kR11, layout_.at(layout_.pageRip));
  e_.lea(host::kR11,
         {.base = host::kR11, .displacement = static_cast<int32_t>(pageOffsetOf(i) + i.length)});
  e_.store(8, top, host::kR11);
  e_.lea(kGuestRsp, {.base = kGuestRsp, .displacement = -8});
}

void Translator::call(const Instruction& i, const Shape& shape) {
  const bool direct = shape.way == Way::kCall;
  if (direct && samePage(targetOf(i))) {
    pushReturn(i);
    return goTo(e_.jump(), targetOf(i));
  }
  if (direct) {
    e_.move(8, host::kR9, layout_.at(layout_.pageRip));
    e_.lea(host::kR9, {.base = host::kR9, .displacement = static_cast<int32_t>(targetOf(i))});
  } else {
    indirectTarget(i, shape);
  }
  probeJumpCache();
  e_.store(8, layout_.at(layout_.target), host::kR9);
  e_.store(8, layout_.at(layout_.targetCode), host::kR11);
  pushReturn(i);
  e_.move(8, host::kR9, layout_.at(layout_.target));
  enterFoundPage();
  e_.jump(layout_.at(layout_.targetCode));
}

void Translator::returnNear(const Instruction& i) {
  const HostMemory top = stackAccess(gpr::kRsp, 0, false);
  e_.move(8, host::kR9, top);
  probeJumpCache();
  e_.lea(kGuestRsp, {.base = kGuestRsp, .displacement = static_cast<int32_t>(8 + i.immediate)});
  enterFoundPage();
  e_.jump(host::kR11);
}

}  // namespace nodevm

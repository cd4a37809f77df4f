// Near branches, which end the block. Nothing is committed before the target is known to be
// translated; where it is not, the interpreter executes the branch from its start.

#include <algorithm>

#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr uint8_t kGuestRsp = kHostOf[gpr::kRsp >> 3];
constexpr unsigned kZero = 4, kNotZero = 5;  // condition codes

// An entry of the ring of returns.
constexpr HostMemory kReturnRip = {.base = host::kR10};
constexpr HostMemory kReturnCode = {
    .base = host::kR10, .displacement = offsetof(ReturnRing, code) - offsetof(ReturnRing, rips)};

}  // namespace

void Translator::branch(const Instruction& i, const Shape& shape) {
  if (shape.endsAndGoesOn()) {
    endAndGoOn(shape);
    return goTo(placeOf(i) + i.length);
  }
  switch (shape.way) {
    case Way::kJump:
      return goTo(targetOf(i));
    case Way::kJumpIf:
      needHostFlags();
      return goToEither(i.reg, targetOf(i), placeOf(i) + i.length);
    case Way::kFallThrough:
      return goTo(placeOf(i));
    case Way::kJumpIndirect:
      indirectTarget(i, shape);
      return goToTarget();
    case Way::kCall:
    case Way::kCallIndirect:
      return call(i, shape);
    default:
      return returnNear(i);
  }
}

// Where the block of the path goes on.
int64_t Translator::nextPlace() const {
  const bool last = part_ + 1 == parts_.size();
  return startOf(parts_[last ? 0 : part_ + 1]);
}

// A branch in the middle of a path, or back to its beginning.
void Translator::continuePath(const Instruction& i, const Shape& shape) {
  if (shape.endsAndGoesOn()) {
    endAndGoOn(shape);
  } else if (shape.way == Way::kCall) {
    pushReturn(i);
  } else if (shape.way == Way::kReturn) {
    checkReturn(i);
  } else if (shape.way == Way::kJumpIndirect || shape.way == Way::kCallIndirect) {
    followIndirect(i, shape);
  } else if (shape.way == Way::kJumpIf) {
    needHostFlags();
    const int64_t taken = targetOf(i), other = placeOf(i) + i.length;
    const unsigned condition = i.reg;
    if (taken != nextPlace()) {
      leavePath(e_.jumpIf(condition), taken);
    } else if (other != taken) {
      leavePath(e_.jumpIf(condition ^ 1), other);
    }
  }
  if (part_ + 1 == parts_.size()) closeLoop();
}

// To where its call, which is in the path, pushed; should the stack say something else, it is left.
void Translator::checkReturn(const Instruction& i) {
  const HostMemory top = stackAccess(gpr::kRsp, 0, false);
  e_.move(8, host::kR11, top);
  e_.alu(Alu::kSub, 8, host::kR11, pageRip());
  e_.aluImmediate(Alu::kCmp, 8, host::kR11, static_cast<int32_t>(nextPlace()));
  leavePath(e_.jumpIf(kNotZero), std::nullopt);
  e_.lea(kGuestRsp, {.base = kGuestRsp, .displacement = static_cast<int32_t>(8 + i.immediate)});
}

// To where it has always led; should it lead elsewhere, the path is left behind it.
void Translator::followIndirect(const Instruction& i, const Shape& shape) {
  indirectTarget(i, shape);
  if (shape.way == Way::kCallIndirect) {
    e_.store(8, layout_.at(layout_.target), host::kR9);
    pushReturn(i);
    e_.move(8, host::kR11, layout_.at(layout_.target));
  } else {
    e_.move(8, host::kR11, host::kR9);
  }
  hostFlags_ = false;
  e_.alu(Alu::kSub, 8, host::kR11, pageRip());
  e_.aluImmediate(Alu::kCmp, 8, host::kR11, static_cast<int32_t>(nextPlace()));
  leavePath(e_.jumpIf(kNotZero), std::nullopt);
}

// To the block at the RIP in R9, by the jump cache.
void Translator::leaveToTarget() {
  e_.callTo(jit_.thunks().lookUp);
  e_.bind(e_.jumpIf(kZero), jit_.thunks().exit);
  enterFound(host::kR11);
}

void Translator::leavePath(Emitter::Fixup from, std::optional<int64_t> place) {
  if (careful_) return leaveCarefully(from);
  sideExits_.push_back({.from = from,
                        .place = place,
                        .slot = slot_,
                        .part = part_,
                        .flags = pending_,
                        .flagsInMemory = flagsInMemory_});
}

int64_t Translator::targetOf(const Instruction& i) const {
  return placeOf(i) + i.length + static_cast<int64_t>(i.immediate);
}

// On the pages of the path.
std::optional<uint64_t> Translator::knownGpa(int64_t place) const {
  const uint64_t offset = static_cast<uint64_t>(place) & kPageOffset;
  for (const auto& [block, distance, first, end, behind, returnedBy] : parts_) {
    if (distance == pageOf(place)) return (block->gpa & kPageMask) | offset;
    const bool crosses = block->secondPage != Block::kNoPage;
    if (crosses && distance + int64_t{kPageSize} == pageOf(place))
      return block->secondPage | offset;
  }
  return std::nullopt;
}

// A conditional branch. Not taken is the way to another page, which looks where that is, or the one
// to the block that is going to be translated next.
void Translator::goToEither(unsigned condition, int64_t taken, int64_t other) {
  const bool near = pageOf(taken) == 0 && pageOf(other) == 0;
  if (near ? jit_.isSooner(*knownGpa(taken), *knownGpa(other)) : pageOf(taken) != 0) {
    std::swap(taken, other);
    condition ^= 1;
  }
  const Emitter::Fixup from = e_.jumpIf(condition);
  goTo(other);
  if (pageOf(taken) == 0) return exits_.push_back({from, *knownGpa(taken)});
  e_.bind(from);
  goTo(taken);
}

// To the other block, when the page says what it is; else by a look at where the other page is.
void Translator::goTo(int64_t place) {
  if (const std::optional<uint64_t> gpa = knownGpa(place)) {
    movePage(pageOf(place));
    return exits_.push_back({e_.jump(), *gpa});
  }
  if (jit_.links()) return followPageLink(checkPageLink(place), place);
  targetAt(place);
  lookUpTarget();
  enterFound(host::kR11);
}

// R9: a RIP by its distance from the block's page.
void Translator::targetAt(int64_t place) {
  e_.move(8, host::kR9, layout_.at(layout_.pageRip));
  e_.lea(host::kR9, {.base = host::kR9, .displacement = static_cast<int32_t>(place)});
}

// Returns the jumps that are taken where the page that runs is elsewhere, or in another context.
std::array<Emitter::Fixup, 2> Translator::checkPages(const PageCheck& check) {
  e_.move(8, host::kR10, pageRip());
  e_.compareWith(host::kR10, &check.rip);
  const Emitter::Fixup elsewhere = e_.jumpIf(kNotZero);
  e_.move(8, host::kR11, layout_.at(layout_.context));
  e_.compareWith(host::kR11, &check.context);
  return {elsewhere, e_.jumpIf(kNotZero)};
}

// Of all parts at once; nullopt: they are on one page.
std::optional<Translator::CheckedPages> Translator::checkPages() {
  const bool one = std::all_of(parts_.begin(), parts_.end(), [](const Part& part) {
    return part.distance == 0 && part.block->secondPage == Block::kNoPage;
  });
  if (one) return std::nullopt;
  PageCheck* const check = jit_.takeCheck();
  const std::array<Emitter::Fixup, 2> elsewhere = checkPages(*check);
  return CheckedPages{check, elsewhere, e_.here()};
}

// Goes on inside, or returns the jump that is taken where they are not at hand.
Emitter::Fixup Translator::lookForPages(const CheckedPages& pages, uint32_t number) {
  for (const Emitter::Fixup from : pages.elsewhere) e_.bind(from);
  e_.moveImmediate(host::kR10, number);
  e_.callTo(jit_.thunks().lookUpPath);
  const Emitter::Fixup absent = e_.jumpIf(kZero);
  e_.jumpTo(pages.inside);
  return absent;
}

// That the page of the place is where it was. Behind it followPageLink() leads there.
uint32_t Translator::checkPageLink(int64_t place) {
  const uint32_t number = jit_.pageLink(*parts_[0].block, pageOf(place));
  const std::array<Emitter::Fixup, 2> elsewhere = checkPages(jit_.pageCheck(number));
  lookUps_.push_back({.from = elsewhere,
                      .thunk = jit_.thunks().lookUpPage,
                      .slot = slot_,
                      .resume = e_.here(),
                      .link = number});
  return number;
}

void Translator::followPageLink(uint32_t number, int64_t place) {
  movePage(pageOf(place));
  exits_.push_back({e_.jump(), static_cast<uint64_t>(place) & kPageOffset, number});
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

// Falls through when the target in R9 is the one of last time.
Translator::LookUp Translator::checkTarget(FarLink& link) {
  link.start = e_.here();
  link.check = jit_.takeCheck();
  e_.move(8, host::kR10, host::kR9);
  e_.alu(Alu::kSub, 8, host::kR10, pageRip());
  e_.compareWith(host::kR10, &link.check->rip);
  const Emitter::Fixup changed = e_.jumpIf(kNotZero);
  e_.move(8, host::kR11, layout_.at(layout_.context));
  e_.compareWith(host::kR11, &link.check->context);
  return {.from = {changed, e_.jumpIf(kNotZero)},
          .thunk = jit_.thunks().lookUpLink,
          .slot = slot_,
          .mayGiveUp = true};
}

// To the target in R9.
void Translator::goToTarget() {
  if (!jit_.links()) {
    lookUpTarget();
    return enterFound(host::kR11);
  }
  FarLink link;
  LookUp lookUp = checkTarget(link);
  enterPage(host::kR9);
  link.code = e_.jump();
  lookUp.link = farLink_ = jit_.addFarLink(link);
  lookUps_.push_back(lookUp);
}

// R9: the target. Its translation in R11, which is at hand when the target is the one of last time.
void Translator::findTarget() {
  if (!jit_.links()) return lookUpTarget();
  FarLink link;
  LookUp lookUp = checkTarget(link);
  link.code = e_.leaRelative(host::kR11);
  lookUp.link = farLink_ = jit_.addFarLink(link);
  lookUp.resume = e_.here();
  lookUps_.push_back(lookUp);
}

// The same by the jump cache alone.
void Translator::lookUpTarget() {
  e_.callTo(jit_.thunks().lookUp);
  detour(Detour::Kind::kInterpretRest, e_.jumpIf(kZero));
}

// Falls through where there is no translation.
void Translator::emitLookUp(const LookUp& lookUp) {
  Emitter::Fixup asked = nullptr;
  if (lookUp.mayGiveUp) {
    jit_.farLink(*lookUp.link).giveUp = e_.here();
    const std::array<Emitter::Fixup, 2> missed = emitJumpCacheProbe(e_, layout_);
    followLookUp(lookUp, kJumpCacheCode);
    for (const Emitter::Fixup miss : missed) e_.bind(miss);
    e_.callTo(jit_.thunks().ask);
    asked = e_.jump();
  }
  for (const Emitter::Fixup from : lookUp.from)
    if (from) e_.bind(from);
  if (lookUp.link) e_.moveImmediate(host::kR10, *lookUp.link);
  e_.callTo(lookUp.thunk);
  if (asked) e_.bind(asked);
  const Emitter::Fixup absent = e_.jumpIf(kZero);
  followLookUp(lookUp, host::kR11);
  e_.bind(absent);
}

// Goes where a look-up has led, or on with the branch, which wants it in R11.
void Translator::followLookUp(const LookUp& lookUp, const HostRm& code) {
  if (!lookUp.resume) return enterFound(code);
  if (code.isMemory) e_.move(8, host::kR11, code);
  e_.jumpTo(lookUp.resume);
}

// To the code of the block at the RIP in R9, or out to the dispatcher, which wants it there.
void Translator::enterFound(const HostRm& code) {
  const uint8_t scratch = code.isMemory ? host::kR11 : host::kR10;
  e_.move(8, scratch, host::kR9);
  enterPage(scratch);
  e_.jump(code);
}

// rip: the next one, by register, which is spoiled.
void Translator::enterPage(uint8_t rip) {
  e_.aluImmediate(Alu::kAnd, 8, rip, static_cast<int32_t>(kPageMask));
  e_.store(8, layout_.at(layout_.pageRip), rip);
}

// The push of a call, with everything that could go wrong behind it but the access itself.
void Translator::pushReturn(const Instruction& i) {
  const HostMemory top = stackAccess(gpr::kRsp, -8, true);
  e_.move(8, host::kR11, layout_.at(layout_.pageRip));
  e_.lea(host::kR11,
         {.base = host::kR11, .displacement = static_cast<int32_t>(placeOf(i) + i.length)});
  e_.store(8, top, host::kR11);
  e_.lea(kGuestRsp, {.base = kGuestRsp, .displacement = -8});
  // A call that returns in the path is noted by those who leave that in between.
  if (!part().returnedBy) noteReturnPoint(placeOf(i) + i.length);
}

// R10: the newest call's entry of the ring. Makes the next or the previous one the newest.
void Translator::turnReturnRing(int32_t entries) {
  e_.aluImmediate(Alu::kAdd, 1, host::kR10, entries * static_cast<int32_t>(sizeof(uint64_t)));
  e_.store(8, layout_.at(layout_.newestReturn), host::kR10);
}

// R11: the RIP that was pushed. Clobbers R10.
void Translator::noteReturnPoint(int64_t place) {
  const std::optional<uint64_t> gpa = knownGpa(place);
  if (!jit_.links() || !gpa) return;
  e_.move(8, host::kR10, layout_.at(layout_.newestReturn));
  turnReturnRing(1);
  e_.store(8, kReturnRip, host::kR11);
  const Emitter::Fixup code = e_.leaRelative(host::kR11);
  e_.store(8, kReturnCode, host::kR11);
  exits_.push_back({code, *gpa});
}

// Those that have not returned where the path is left, behind the last instruction of its part if
// that is an indirect call.
void Translator::noteOpenCalls() {
  const bool called = shapes_[slot_].way == Way::kCallIndirect && goesOn(slot_, part_);
  for (size_t n = 0; n < part_ + called; ++n) {
    const Part& call = parts_[n];
    if (!call.returnedBy || *call.returnedBy <= part_) continue;
    const Instruction& i = instruction(call.end - 1);
    const int64_t place = startOf(call) + i.offset + i.length;
    e_.move(8, host::kR11, pageRip());
    e_.lea(host::kR11, {.base = host::kR11, .displacement = static_cast<int32_t>(place)});
    noteReturnPoint(place);
  }
}

void Translator::call(const Instruction& i, const Shape& shape) {
  const bool direct = shape.way == Way::kCall;
  if (direct && knownGpa(targetOf(i))) {
    pushReturn(i);
    return goTo(targetOf(i));
  }
  if (direct && jit_.links()) {
    const uint32_t link = checkPageLink(targetOf(i));
    pushReturn(i);
    return followPageLink(link, targetOf(i));
  }
  if (direct) {
    targetAt(targetOf(i));
  } else {
    indirectTarget(i, shape);
  }
  findTarget();
  e_.store(8, layout_.at(layout_.target), host::kR9);
  e_.store(8, layout_.at(layout_.targetCode), host::kR11);
  pushReturn(i);
  e_.move(8, host::kR9, layout_.at(layout_.target));
  enterFound(layout_.at(layout_.targetCode));
}

// R9: the target. Its translation in R11.
void Translator::probeReturnPoint() {
  e_.move(8, host::kR10, layout_.at(layout_.newestReturn));
  e_.alu(Alu::kCmp, 8, host::kR9, kReturnRip);
  const Emitter::Fixup other = e_.jumpIf(kNotZero);
  e_.move(8, host::kR11, kReturnCode);
  turnReturnRing(-1);
  lookUps_.push_back({.from = {other},
                      .thunk = jit_.thunks().lookUpReturn,
                      .slot = slot_,
                      .resume = e_.here(),
                      .link = std::nullopt});
}

void Translator::returnNear(const Instruction& i) {
  const HostMemory top = stackAccess(gpr::kRsp, 0, false);
  e_.move(8, host::kR9, top);
  returnTo(i);
}

// R9: the target.
void Translator::returnTo(const Instruction& i) {
  if (jit_.links()) {
    probeReturnPoint();
  } else {
    lookUpTarget();
  }
  e_.lea(kGuestRsp, {.base = kGuestRsp, .displacement = static_cast<int32_t>(8 + i.immediate)});
  enterFound(host::kR11);
}

}  // namespace nodevm

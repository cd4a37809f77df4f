// What leaves the straight line: instructions that the interpreter executes, and ways out of a
// path.

#include <algorithm>

#include "jit/flags.h"
#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kZero = 4, kSign = 8;  // condition codes

}  // namespace

// A run of instructions without translation; an address computation stays with its user.
unsigned Translator::interpretRun(unsigned slot) {
  unsigned end = slot;
  bool touchesFlags = false;
  while (shapes_[end].way == Way::kInterpret && end - slot < JitSlots::kMost) {
    touchesFlags |= shapes_[end].touchesFlags();
    ++end;
  }
  const bool splits = instruction(end - 1).length == 0;
  if (splits && end - slot > 1 && shapes_[end].way == Way::kInterpret) --end;
  const Emitter::Fixup from = e_.jump();
  detours_.push_back({.kind = Detour::Kind::kUntranslated,
                      .from = from,
                      .slot = slot,
                      .count = end - slot,
                      .resume = e_.here(),
                      .touchesFlags = touchesFlags,
                      .access = std::nullopt,
                      .flags = std::nullopt});
  hostFlags_ = false;
  flagsInMemory_ = true;
  forgetValues();
  if (touchesFlags) word_ = FlagForm{}.word(0);
  return end;
}

// From the path's first page to another one, or back.
void Translator::movePage(int64_t distance) {
  if (distance != 0) e_.aluImmediate(Alu::kAdd, 8, pageRip(), static_cast<int32_t>(distance));
}

// Into the loop. None of it changes the host's flags.
void Translator::swapHomes() {
  homes_ = swaps_.homes();
  for (const auto& [in, out] : swaps_) {
    e_.store(8, slotOf(out), hostOf(in));
    e_.move(8, hostOf(in), slotOf(in));
  }
}

// Out of it: everybody else expects registers where they are elsewhere.
void Translator::restoreHomes() {
  homes_ = kHostOf;
  for (const auto& [in, out] : swaps_) {
    e_.store(8, slotOf(in), hostOf(out));
    e_.move(8, hostOf(out), slotOf(out));
  }
}

// The interpreter is to know exactly how many instructions have been retired, and on which page it
// is.
void Translator::giveBack(unsigned part) {
  giveBackCharge(part);
  movePage(parts_[part].distance);
}

void Translator::giveBackCharge(unsigned part) {
  const auto behind = static_cast<int32_t>(parts_[part].behind);
  if (behind != 0) e_.aluImmediate(Alu::kAdd, 8, layout_.at(layout_.remaining), behind);
}

// The next instruction is that of slot `next`.
void Translator::takeAgain(unsigned part, unsigned next) {
  const auto behind = static_cast<int32_t>(parts_[part].behind);
  if (behind != 0) {
    e_.aluImmediate(Alu::kSub, 8, layout_.at(layout_.remaining), behind);
    sliceEnds_.push_back({e_.jumpIf(kSign), next, part});
  }
  movePage(-parts_[part].distance);
}

// Of each part its requests to the interpreter, then the ways to them.
void Translator::emitDetours() {
  for (part_ = 0; part_ < parts_.size(); ++part_) {
    const auto ofPart = [&](const auto& way) {
      return way.slot >= part().first && way.slot < part().end;
    };
    const auto count = std::count_if(detours_.begin(), detours_.end(), [&](const Detour& detour) {
      return ofPart(detour) && detour.kind != Detour::Kind::kInterpretRest && !detour.careful;
    });
    requests_.call = requests_.nearest = e_.here();
    e_.callTo(jit_.thunks().interpret);
    e_.dword(block().number);
    requests_.next = e_.here();
    requests_.made = 0;
    e_.moveTo(requests_.next + static_cast<size_t>(count) * sizeof(Request));
    for (const Detour& detour : detours_)
      if (ofPart(detour)) emitDetour(detour);
    for (const LookUp& lookUp : lookUps_) {
      if (!ofPart(lookUp)) continue;
      emitLookUp(lookUp);
      movePage(part().distance);
      interpretRest(lookUp.slot);
    }
  }
}

// See Thunks::interpret.
void Translator::askInterpreter(int32_t request) {
  e_.pushImmediate(request);
  if (e_.reachesShort(requests_.nearest)) return e_.shortJump(requests_.nearest);
  requests_.nearest = e_.here();
  e_.jumpTo(requests_.call);
}

void Translator::interpretRest(unsigned slot) {
  askInterpreter(~static_cast<int32_t>(slot - part().first));
}

// The interpreter goes on at `resume`; nullptr: behind this.
void Translator::request(Request request, const uint8_t* resume) {
  askInterpreter(static_cast<int32_t>(requests_.made++));
  request.resume = static_cast<int32_t>((resume ? resume : e_.here()) - requests_.next);
  e_.write(requests_.next, &request, sizeof request);
  requests_.next += sizeof request;
}

void Translator::emitDetour(const Detour& detour) {
  e_.bind(detour.from);
  word_.reset();
  homes_ = swaps_.homes();
  if (detour.blockers) {
    e_.callTo(jit_.thunks().needVectors[detour.blockers]);
    e_.bind(e_.jumpIf(kZero), detour.checked);
  }
  if (detour.access && detour.access->window) moveWindow(*detour.access->window);
  if (detour.careful) return e_.jumpTo(detour.careful);
  if (detour.access) slowAccess(*detour.access);
  if (detour.store) splitStore(detour);
  restoreHomes();
  if (detour.flags) savePending(*detour.flags);
  giveBack(part_);
  if (detour.kind == Detour::Kind::kInterpretRest) return interpretRest(detour.slot);
  const auto slot = static_cast<uint8_t>(detour.slot - part().first);
  if (detour.kind == Detour::Kind::kInterpretLast) return request({.slot = slot});
  forgetGroups(detour);
  auto bits = static_cast<uint8_t>(detour.count);
  if (detour.touchesFlags) bits |= Request::kTouchesFlags;
  if (detour.kind == Detour::Kind::kInterpretSlot) bits |= Request::kMissed;
  if (shapes_[detour.slot].keepsVectors) bits |= Request::kReloadVectors;
  const bool returnsItself = part().behind != 0 || part().distance != 0 || cells_ ||
                             !swaps_.empty() || detour.slotInR9 != gpr::kZero;
  if (detour.restoreFlags && !returnsItself) bits |= Request::kRestoreFlags;
  if (!returnsItself) return request({.slot = slot, .bits = bits}, detour.resume);
  request({.slot = slot, .bits = bits});
  takeAgain(part_, detour.slot + detour.count);
  if (cells_) renewCells();
  if (detour.restoreFlags) e_.callTo(jit_.thunks().restoreFlags);
  swapHomes();
  loadR9(detour.slotInR9);
  e_.jumpTo(detour.resume);
}

void Translator::emitLeaves() {
  for (const Leave& end : sliceEnds_) {
    e_.bind(end.from);
    part_ = end.part;
    const Instruction& next = instruction(end.slot);
    const unsigned unused = block().count - next.ordinal + part().behind;
    e_.moveImmediate(host::kR11,
                     ShortSlice::pack(unused, (block().gpa & kPageOffset) + next.offset));
    e_.jumpTo(jit_.thunks().sliceEnds);
  }
}

// Behind the straight line, as they are taken now and then.
void Translator::emitSideExit(SideExit& exit) {
  exit.start = e_.here();
  e_.bind(exit.from);
  restoreHomes();
  part_ = exit.part;
  slot_ = exit.slot;
  if (!exit.place) e_.store(8, layout_.at(layout_.target), host::kR11);
  word_.reset();
  if (exit.flags) {
    savePending(*exit.flags);
  } else if (!exit.flagsInMemory) {
    emitPackFlags(e_, layout_);
    storeForm(FlagSource::kPacked);
  }
  giveBackCharge(part_);
  noteOpenCalls();
  if (exit.place) return goTo(*exit.place);
  e_.move(8, host::kR9, layout_.at(layout_.target));
  e_.alu(Alu::kAdd, 8, host::kR9, pageRip());
  shapes_[slot_].way == Way::kReturn ? returnTo(instruction(slot_)) : leaveToTarget();
}

void Translator::emitExits() {
  const Block& first = *parts_[0].block;
  for (const auto& [from, gpa, pageLink] : exits_)
    pageLink ? jit_.linkPage(first, from, gpa, *pageLink) : jit_.link(first, from, gpa);
}

}  // namespace nodevm

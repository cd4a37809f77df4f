// Stretches: members of access groups that follow one another closely trust the first of them, and
// a copy that trusts nobody is there for when the first has nothing to say.

#include <algorithm>
#include <cassert>

#include "jit/translator.h"

namespace nodevm {

namespace {

// Instructions from one access of a group to the next: what lies between is there twice.
constexpr unsigned kMostBetween = 16;

}  // namespace

void Translator::setFlagState(const FlagState& state) {
  hostFlags_ = state.onHost;
  flagsInMemory_ = state.inMemory;
  word_ = state.word;
  pending_ = state.pending;
}

// Of the ways that the last instruction may go, the copy has a return's only: others are long.
bool Translator::trusts(const AccessPlan& plan) const {
  if (!plan.grouped() || plan.first) return false;
  const bool last = slot_ + 1 == shapes_.size();
  if (last && (shapes_[slot_].way != Way::kReturn || goesOn(slot_, part_))) return false;
  return slot_ - proofs_[plan.group].slot <= kMostBetween;
}

// From its proof on: R10 becomes the addend.
void Translator::trust(const AccessPlan& plan) {
  const Proof& proof = proofs_[plan.group];
  Stretch stretch{.first = proof.slot, .end = slot_ + 1, .before = proof.before, .after = {}};
  while (!stretches_.empty() && stretches_.back().end > stretch.first) {
    const Stretch& last = stretches_.back();
    if (last.first <= stretch.first) {
      stretch.first = last.first;
      stretch.before = last.before;
    }
    stretches_.pop_back();
  }
  stretches_.push_back(stretch);
  if (!holds(plan)) e_.move(8, host::kR10, addendOf(plan));
  trusted_ = true;
  prove(plan);
}

// R10 is the addend, and there is one.
void Translator::prove(const AccessPlan& plan) {
  proofs_[plan.group] = {slot_, before_};
  held_ = plan.group;
  inR10_ = gpr::kZero;
  e_.keep(host::kR10);
}

void Translator::endSlot() {
  if (careful_ || stretches_.empty() || stretches_.back().end != slot_ + 1) return;
  stretches_.back().resume = e_.here();
  stretches_.back().slotInR9 = slotInR9();
  stretches_.back().after = flagState();
}

void Translator::emitStretches() {
  if (stretches_.empty()) return;
  const auto ofLine = static_cast<std::ptrdiff_t>(detours_.size());
  carefulSlots_.assign(shapes_.size(), nullptr);
  careful_ = true;
  for (const Stretch& stretch : stretches_) emitCarefully(stretch);
  careful_ = false;
  const auto redirected = std::remove_if(detours_.begin(), detours_.begin() + ofLine,
                                         [this](Detour& detour) { return redirect(detour); });
  detours_.erase(redirected, detours_.begin() + ofLine);
}

// To the copy, once the window has been moved in vain. True: nothing is left of the detour.
bool Translator::redirect(Detour& detour) {
  const uint8_t* careful = carefulSlots_[detour.slot];
  if (!careful || (detour.kind == Detour::Kind::kInterpretRest && !detour.access)) return false;
  if (detour.access && detour.access->window) {
    detour.careful = careful;
    return false;
  }
  e_.bind(detour.from, careful);
  return true;
}

void Translator::emitCarefully(const Stretch& stretch) {
  part_ = 0;
  homes_ = swaps_.homes();
  forgetValues();
  setFlagState(stretch.before);
  for (unsigned slot = stretch.first; slot < stretch.end;) {
    while (part().end <= slot) ++part_;
    slot = emitSlot(slot);
  }
  assert(flagState() == stretch.after);
  if (stretch.end == shapes_.size()) return;
  loadR9(stretch.slotInR9);
  e_.jumpTo(stretch.resume);
}

// Whoever comes here from the midst of the instruction has tried an access: the host's flags are
// gone.
void Translator::beginCareful(const Shape& shape) {
  if (shape.observes) hostFlags_ = false;
  carefulSlots_[slot_] = e_.here();
}

// The line's way out is at the same place of the guest's.
void Translator::leaveCarefully(Emitter::Fixup from) {
  const auto same = std::find_if(sideExits_.begin(), sideExits_.end(),
                                 [this](const SideExit& exit) { return exit.slot == slot_; });
  e_.bind(from, same->start);
}

// By itself. Those of its group that follow behind the stretch will do the same.
HostMemory Translator::carefulAccess(const GuestBytes& bytes, const AccessPlan& plan) {
  hostFlags_ = false;
  detour(Detour::Kind::kInterpretSlot, probeAlone(bytes, &plan));
  return {.base = host::kR9, .index = host::kR10};
}

}  // namespace nodevm

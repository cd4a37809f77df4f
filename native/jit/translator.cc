#include "jit/translator.h"

#include <algorithm>
#include <cassert>

#include "jit/tlb_probe.h"

namespace nodevm {

namespace {

constexpr unsigned kSign = 8;  // condition code S

template <class T>
std::vector<T>& emptied(std::vector<T>& vector) {
  vector.clear();
  return vector;
}

}  // namespace

Translator::Translator(Cpu& cpu, Jit& jit, std::span<const Path::Step> steps, unsigned turns,
                       Emitter& emitter, TranslatorScratch& scratch)
    : cpu_(cpu),
      jit_(jit),
      e_(emitter),
      layout_(jit.layout()),
      loops_(turns != 0),
      parts_(emptied(scratch.parts)),
      shapes_(emptied(scratch.shapes)),
      instructions_(emptied(scratch.instructions)),
      plans_(scratch.plans),
      live_(scratch.live),
      stretches_(emptied(scratch.stretches)),
      carefulSlots_(emptied(scratch.carefulSlots)),
      detours_(emptied(scratch.detours)),
      lookUps_(emptied(scratch.lookUps)),
      sideExits_(emptied(scratch.sideExits)),
      sliceEnds_(emptied(scratch.sliceEnds)),
      exits_(emptied(scratch.exits)) {
  for (unsigned turn = 0; turn < std::max(turns, 1u); ++turn) addParts(steps);
  for (const Part& part : parts_) {
    // Whoever leaves a path in the middle sees to the flags himself.
    Shape& last = shapes_[part.end - 1];
    if (goesOn(part.end - 1, static_cast<unsigned>(&part - parts_.data())))
      last.observes =
          last.way != Way::kJumpIf && last.way != Way::kJump && last.way != Way::kFallThrough;
    for (unsigned slot = part.first; slot < part.end; ++slot)
      instructions_.push_back(
          {part.block->code + slot - part.first, &shapes_[slot], startOf(part)});
  }
  live_.resize(shapes_.size());
  planAccesses(instructions_, plans_);
}

// Behind those that there are.
void Translator::addParts(std::span<const Path::Step> steps) {
  const size_t before = parts_.size();
  for (const auto& [block, distance, call] : steps) {
    if (call) parts_[before + *call].returnedBy = parts_.size();
    const auto first = static_cast<unsigned>(shapes_.size());
    for (unsigned slot = 0; slot < block->slots; ++slot) shapes_.push_back(shapeOf(*block, slot));
    for (Part& part : parts_) part.behind += block->count;
    parts_.push_back({block, distance, first, first + block->slots});
  }
}

// From the instructions' charge to the last one. Returns the end of what is run each time.
const uint8_t* Translator::emitBody(const uint8_t* cold) {
  for (part_ = 0; part_ < parts_.size(); ++part_)
    for (unsigned slot = part().first; slot < part().end;) slot = emitSlot(slot);
  for (SideExit& exit : sideExits_) emitSideExit(exit);
  const uint8_t* end = e_.here();
  e_.moveTo(cold);
  emitStretches();
  emitDetours();
  emitLeaves();
  emitExits();
  return end;
}

std::optional<TranslatedBlock> Translator::translateBlock(const uint8_t* cold, uint32_t number) {
  if (!worthwhile()) return std::nullopt;
  placeVectorChecks();
  analyze();
  const Block& only = *parts_[0].block;
  const bool counts = jit_.makesPaths();
  const uint8_t* stop = e_.here();
  e_.callTo(counts ? jit_.thunks().stopCounted : jit_.thunks().stop);
  const uint8_t* counting = e_.here();
  if (counts) {
    e_.decrementRelative(&jit_.table().visitsLeft(only.number));
    e_.shortJumpIf(kSign, stop);
  } else {
    e_.dword(only.number);
  }
  const uint8_t* linked = e_.here();
  e_.aluImmediate(Alu::kSub, 8, layout_.at(layout_.remaining), only.count);
  e_.shortJumpIf(kSign, stop);
  assert(e_.here() - linked == BlockHead::kChargeBytes);
  const std::optional<CheckedPages> pages = checkPages();
  const uint8_t* end = emitBody(cold);
  if (pages) {
    e_.bind(lookForPages(*pages, number));
    e_.aluImmediate(Alu::kAdd, 8, layout_.at(layout_.remaining), only.count);
    targetAt(startOf(parts_[0]));
    e_.jumpTo(jit_.thunks().exit);
  }
  return TranslatedBlock{
      counts ? counting : linked, linked, pages ? pages->check : nullptr, end, e_.here(), farLink_};
}

// Charged at once; with less left than that, its first block is run alone.
TranslatedPath Translator::translatePath(const uint8_t* cold, uint32_t number) {
  placeVectorChecks();
  analyze();
  const Part& first = parts_[0];
  const auto count = static_cast<int32_t>(first.block->count + first.behind);
  if (loops_) swaps_ = HomeSwaps(instructions_);
  openCells();
  e_.align(32);
  const uint8_t* linked = e_.here();
  const std::optional<CheckedPages> pages = checkPages();
  e_.aluImmediate(Alu::kSub, 8, layout_.at(layout_.remaining), count);
  const Emitter::Fixup tooShort = e_.jumpIf(kSign);
  const Emitter::Fixup stale = cells_ ? emitGenerationCheck(e_, layout_, *cells_) : nullptr;
  const uint8_t* renewed = e_.here();
  swapHomes();
  if (loopBlockers_) checkVectors(loopBlockers_);
  start_ = e_.here();
  const uint8_t* end = emitBody(cold);
  if (cells_) {
    e_.bind(stale);
    renewCells();
    e_.jumpTo(renewed);
    jit_.cells().close(*cells_);
  }
  if (again_) {
    e_.bind(again_->tooShort);
    restoreHomes();
    word_.reset();
    if (again_->flags) savePending(*again_->flags);
  }
  e_.bind(tooShort);
  e_.aluImmediate(Alu::kAdd, 8, layout_.at(layout_.remaining), count);
  e_.jumpTo(first.block->plain);
  if (pages) e_.bind(lookForPages(*pages, number), first.block->plain);
  return {linked, pages ? pages->check : nullptr, end, e_.here()};
}

// Back to the beginning.
void Translator::closeLoop() {
  const Part& first = parts_[0];
  e_.aluImmediate(Alu::kSub, 8, layout_.at(layout_.remaining),
                  static_cast<int32_t>(first.block->count + first.behind));
  again_ = Again{e_.jumpIf(kSign), pending_};
  e_.jumpTo(start_);
}

// An instruction that goes through the interpreter costs several times what it costs there.
bool Translator::worthwhile() const {
  unsigned native = 0, interpreted = 0;
  for (const Shape& shape : shapes_) {
    if (shape.native() || shape.way == Way::kInterpretLast) ++native;
    if (shape.way == Way::kInterpret) ++interpreted;
  }
  return native > 0 && native >= 2 * interpreted;
}

// Which flags are wanted after each instruction, and in what form.
void Translator::analyze() {
  const Liveness atStart = propagate({.inMemory = true});
  if (loops_ && !atStart.any() && endsPending()) propagate({});
}

// The branch back follows an operation whose flags can be had again, should the slice end there.
bool Translator::endsPending() const {
  if (parts_.back().end < 2) return false;
  const size_t setter = parts_.back().end - 2;
  const Shape& shape = shapes_[setter];
  return shapes_.back().writes == 0 && shape.way == Way::kAlu && !shape.readsFlags &&
         pendingAfter(*instructions_[setter].code, shape).has_value();
}

// Backwards from what is wanted behind the last one; returns what is wanted before the first.
Translator::Liveness Translator::propagate(Liveness after) {
  for (size_t slot = shapes_.size(); slot-- > 0;) {
    const Shape& shape = shapes_[slot];
    live_[slot] = after;
    Liveness before = after;
    if (shape.flags == FlagEffect::kAll) before = {};
    if (shape.flags == FlagEffect::kSome) before = {.onHost = after.any()};
    if (shape.readsFlags) before.onHost = true;
    if (shape.observes) before.inMemory = true;
    after = before;
  }
  return after;
}

unsigned Translator::emitSlot(unsigned slot) {
  slot_ = slot;
  const Shape& shape = shapes_[slot];
  settleBefore(shape);
  if (careful_) beginCareful(shape);
  before_ = flagState();
  trusted_ = false;
  if (shape.way == Way::kInterpret) return interpretRun(slot);
  fresh_ = 0;
  inLine_ = !careful_;  // into the midst of a copy there are ways
  const size_t firstDetour = detours_.size();
  if (goesOn(slot, part_)) {
    continuePath(instruction(slot), shape);
  } else {
    translate(instruction(slot), shape);
  }
  inLine_ = false;
  for (uint8_t* value : {&inR9_, &inR10_, &inR11_})
    if ((shape.writes & ~fresh_) >> (*value >> 3) & 1) *value = gpr::kZero;
  for (size_t n = firstDetour; n < detours_.size(); ++n) {
    detours_[n].resume = e_.here();
    detours_[n].slotInR9 = slotInR9();
    detours_[n].touchesFlags = shape.touchesFlags();
    detours_[n].restoreFlags = hostFlags_;
  }
  // A detour leaves the flags in a form of its own.
  const bool hasDetour = trusted_ || detours_.size() > firstDetour;
  if (hasDetour) inR10_ = inR11_ = gpr::kZero;
  if (hasDetour && (shape.touchesFlags() || before_.pending)) word_.reset();
  if (shape.flags != FlagEffect::kNone) {
    if (shape.way != Way::kAlu && !pendingShift(shape)) pending_.reset();
    flagsInMemory_ = wanted().inMemory && !pending_;
  } else if (pending_ && (shape.writes & pending_->sources())) {
    pending_.reset();
  }
  endSlot();
  return slot + 1;
}

void Translator::translate(const Instruction& i, const Shape& shape) {
  switch (shape.way) {
    case Way::kInterpretRest:
      detour(Detour::Kind::kInterpretRest, e_.jump());
      break;
    case Way::kInterpretLast:
      detour(Detour::Kind::kInterpretLast, e_.jump());
      break;
    case Way::kNothing:
      break;
    case Way::kAlu:
      alu(i, shape);
      break;
    case Way::kRenamed:
      renamed(i, shape);
      break;
    case Way::kDivide:
      divide(i, shape);
      break;
    case Way::kImplied:
      implied(i, shape);
      break;
    case Way::kMoveImmediate:
      moveImmediate(i, shape);
      break;
    case Way::kLea:
      loadAddress(i, shape);
      break;
    case Way::kByteSwap:
      byteSwap(i, shape);
      break;
    case Way::kExchangeAccumulator:
      exchangeAccumulator(i, shape);
      break;
    case Way::kMoveHighByte:
      moveHighByte(i, shape);
      break;
    case Way::kMoveBigEndian:
      moveBigEndian(i, shape);
      break;
    case Way::kExchange:
      exchange(i, shape);
      break;
    case Way::kCompareExchangeWide:
      compareExchangeWide(i, shape);
      break;
    case Way::kBitString:
      bitString(i, shape);
      break;
    case Way::kSimd:
      simd(i, shape);
      break;
    case Way::kZeroUpper:
      if (shape.blockers) checkVectors(shape.blockers);
      e_.zeroUpper();
      break;
    case Way::kVexGeneral:
      vexGeneral(i, shape);
      break;
    case Way::kPush:
    case Way::kPushImmediate:
      push(i, shape);
      break;
    case Way::kPop:
      pop(i);
      break;
    case Way::kLeave:
      leave();
      break;
    case Way::kPushFlags:
      pushFlags();
      break;
    case Way::kClearInterrupt:
      clearInterrupt();
      break;
    case Way::kDirection:
      setDirection(shape);
      break;
    case Way::kCarry:
      changeCarry(shape);
      break;
    case Way::kUserAccess:
      allowUserAccess(shape);
      break;
    case Way::kSwapGs:
      swapGs();
      break;
    case Way::kReadSegment:
      readSegment(i, shape);
      break;
    case Way::kReadControl:
      readControl(i);
      break;
    case Way::kReadBase:
      readBase(i, shape);
      break;
    case Way::kWriteBase:
      writeBase(i, shape);
      break;
    default:
      branch(i, shape);
      break;
  }
}

HostRm Translator::locate(uint8_t slot) const {
  return isPinned(slot) ? HostRm(hostOf(slot)) : HostRm(slotOf(slot));
}

uint8_t Translator::slotAt(const HostRm& place) {
  const int32_t offset = place.memory.displacement + kCpuBias;
  const bool isGeneral = isHome(place) && offset >= 0 && offset < 8 * int{kHostOf.size()};
  return isGeneral ? static_cast<uint8_t>(offset) : gpr::kZero;
}

uint8_t Translator::inRegister(const HostRm& place, uint8_t scratch) {
  if (!place.isMemory) return place.reg;
  const uint8_t slot = slotAt(place), known = scratchWith(slot);
  if (known != host::kNone) return known;
  e_.move(8, scratch, place);
  noteValue(scratch, slot);
  return scratch;
}

uint8_t Translator::scratchWith(uint8_t slot) const {
  if (!inLine_ || slot == gpr::kZero) return host::kNone;
  if (inR11_ == slot && !e_.lost(host::kR11)) return host::kR11;
  if (inR9_ == slot && !e_.lost(host::kR9)) return host::kR9;
  if (inR10_ == slot && !e_.lost(host::kR10)) return host::kR10;
  return host::kNone;
}

void Translator::noteValue(uint8_t scratch, uint8_t slot) {
  if (!inLine_ || slot == gpr::kZero) return;
  uint8_t& value = scratch == host::kR9 ? inR9_ : scratch == host::kR10 ? inR10_ : inR11_;
  value = slot;
  if (scratch == host::kR10) held_ = AccessPlan::kNoGroup;
  e_.keep(scratch);
}

void Translator::writeBack(uint8_t slot, uint8_t from) {
  if (isPinned(slot)) return;
  e_.store(8, slotOf(slot), from);
  for (uint8_t* value : {&inR9_, &inR10_, &inR11_})
    if (*value == slot) *value = gpr::kZero;
  if (from != host::kR9 && from != host::kR10 && from != host::kR11) return;
  noteValue(from, slot);
  fresh_ |= 1u << (slot >> 3);
}

// As the guest's instruction would: of 32 bits the upper half is cleared. `from` is zero-extended.
// Clobbers R10.
void Translator::setRegister(unsigned size, uint8_t slot, uint8_t from) {
  if (!isPinned(slot) && size >= 4) return writeBack(slot, from);
  const HostOpcode opcode{.byte = static_cast<uint8_t>(size == 1 ? 0x88 : 0x89)};
  const uint8_t to = readable(slot, host::kR10);
  e_.instruction(opcode, size, from, to, {.reg = size == 1, .rm = size == 1});
  writeBack(slot, to);
}

}  // namespace nodevm

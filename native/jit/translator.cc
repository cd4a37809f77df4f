#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kSign = 8;  // condition code S

}  // namespace

Translator::Translator(Cpu& cpu, Jit& jit, const Block& block, Emitter& emitter)
    : cpu_(cpu), jit_(jit), block_(block), e_(emitter), layout_(cpu) {
  for (unsigned slot = 0; slot < block.slots; ++slot) shapes_.push_back(shapeOf(block, slot));
  live_.resize(block.slots);
  plans_ = planAccesses(block, shapes_);
}

std::optional<TranslatedBlock> Translator::run(const uint8_t* cold) {
  if (!worthwhile()) return std::nullopt;
  placeSimdChecks();
  analyze();
  e_.align(16);
  const uint8_t* linked = e_.here();
  e_.aluImmediate(Alu::kSub, 8, layout_.at(layout_.remaining), block_.count);
  const Emitter::Fixup tooShort = e_.jumpIf(kSign);
  const uint8_t* charged = e_.here();
  for (unsigned slot = 0; slot < block_.slots;) slot = emitSlot(slot);
  const uint8_t* end = e_.here();

  e_.moveTo(cold);
  emitDetours();
  emitExits();

  e_.bind(tooShort);
  e_.moveImmediate(host::kR11, ShortSlice::pack(block_.count, block_.gpa & kPageOffset));
  e_.jumpTo(jit_.thunks().sliceEnds);

  const uint8_t* handler = e_.here();
  e_.moveImmediate(host::kR11, reinterpret_cast<uint64_t>(charged));
  e_.jumpTo(jit_.thunks().enter);
  return TranslatedBlock{handler, linked, end, e_.here()};
}

// An instruction that goes through the interpreter costs several times what it costs there.
bool Translator::worthwhile() const {
  unsigned native = 0, interpreted = 0;
  for (const Shape& shape : shapes_) {
    if (shape.native()) ++native;
    if (shape.way == Way::kInterpret) ++interpreted;
  }
  return native > 0 && native >= 2 * interpreted;
}

// CR0, CR4 and XCR0 cannot change within a block, MXCSR only by an instruction that is interpreted;
// upper halves of ZMM, which block VEX instructions, come into use by those that say so.
void Translator::placeSimdChecks() {
  bool sse = false, avx = false, masked = false;
  for (Shape& shape : shapes_) {
    if (!shape.native()) masked = false;
    if (shape.writesZmm) avx = false;
    if (!shape.isVector()) continue;
    const bool vex = shape.opcode.vex;
    wideVectors_ |= vex;
    shape.checksSimd = !vex && !sse;
    shape.checksAvx = vex && !avx;
    shape.checksFloat = shape.isFloat && !masked;
    shape.observes |= shape.checksSimd || shape.checksAvx || shape.checksFloat;
    (vex ? avx : sse) = true;
    masked |= shape.isFloat;
  }
}

// Backwards: which flags are wanted after each instruction, and in what form.
void Translator::analyze() {
  Liveness after{.inMemory = true};
  for (unsigned slot = block_.slots; slot-- > 0;) {
    const Shape& shape = shapes_[slot];
    live_[slot] = after;
    Liveness before = after;
    if (shape.flags == FlagEffect::kAll) before = {};
    if (shape.flags == FlagEffect::kSome) before = {.onHost = after.any()};
    if (shape.readsFlags) before.onHost = true;
    if (shape.observes) before.inMemory = true;
    after = before;
  }
}

unsigned Translator::emitSlot(unsigned slot) {
  slot_ = slot;
  const Instruction& i = block_.code[slot];
  const Shape& shape = shapes_[slot];
  const bool ends = slot + 1u == block_.slots;
  if (ends || shape.way == Way::kInterpret) dropVectors();
  if (shape.way == Way::kInterpret) return interpretRun(slot);
  const size_t firstDetour = detours_.size();
  switch (shape.way) {
    case Way::kInterpretRest:
      detour(Detour::Kind::kInterpretRest, e_.jump());
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
    case Way::kSimd:
      simd(i, shape);
      break;
    case Way::kZeroUpper:
      zeroUpper(shape);
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
    case Way::kSwapGs:
      swapGs();
      break;
    default:
      branch(i, shape);
      break;
  }
  for (size_t n = firstDetour; n < detours_.size(); ++n) {
    detours_[n].resume = e_.here();
    detours_[n].touchesFlags = shape.touchesFlags();
    detours_[n].restoreFlags = hostFlags_;
    detours_[n].vectorsLoaded = vectorsLoaded_;
  }
  // The interpreter, on its way, leaves the flags in its own form.
  if (detours_.size() > firstDetour && shape.touchesFlags()) form_.reset();
  return slot + 1;
}

// A run of instructions without translation; an address computation stays with its user.
unsigned Translator::interpretRun(unsigned slot) {
  unsigned end = slot;
  bool touchesFlags = false;
  while (shapes_[end].way == Way::kInterpret && end - slot < JitSlots::kMost) {
    touchesFlags |= shapes_[end].touchesFlags();
    ++end;
  }
  const bool splits = block_.code[end - 1].length == 0;
  if (splits && end - slot > 1 && shapes_[end].way == Way::kInterpret) --end;
  e_.moveImmediate(host::kR10, reinterpret_cast<uint64_t>(&block_));
  e_.moveImmediate(host::kR11, SlotRange::pack(slot, end - slot, touchesFlags));
  e_.callTo(jit_.thunks().interpretSlots);
  hostFlags_ = false;
  if (touchesFlags) form_ = FlagForm::kWords;
  return end;
}

void Translator::emitDetours() {
  std::vector<Emitter::Fixup> slotCalls, restJumps;
  for (const Detour& detour : detours_) {
    e_.bind(detour.from);
    if (detour.access) lonelyAccess(*detour.access);
    storeVectors(detour.vectorsDirty);
    if (detour.vectorsDirty) releaseUpper();
    if (detour.kind == Detour::Kind::kInterpretRest) {
      e_.moveImmediate(host::kR11, detour.slot);
      restJumps.push_back(e_.jump());
      continue;
    }
    forgetGroups(detour);
    e_.moveImmediate(host::kR11,
                     SlotRange::pack(detour.slot, 1, detour.touchesFlags) | SlotRange::kMissed);
    slotCalls.push_back(e_.call());
    if (detour.restoreFlags) e_.callTo(jit_.thunks().restoreFlags);
    loadVectors(detour.vectorsLoaded);
    e_.jumpTo(detour.resume);
  }
  for (const LookUp& lookUp : lookUps_) {
    emitLookUp(lookUp);
    e_.moveImmediate(host::kR11, lookUp.slot);
    restJumps.push_back(e_.jump());
  }
  const auto common = [&](const std::vector<Emitter::Fixup>& fixups, const uint8_t* thunk) {
    if (fixups.empty()) return;
    for (const Emitter::Fixup fixup : fixups) e_.bind(fixup);
    e_.moveImmediate(host::kR10, reinterpret_cast<uint64_t>(&block_));
    e_.jumpTo(thunk);
  };
  common(slotCalls, jit_.thunks().interpretSlots);
  common(restJumps, jit_.thunks().interpretRest);
}

// Where jumps within the page go as long as their target has no translation.
void Translator::emitExits() {
  for (const Exit& exit : exits_) {
    const uint8_t* unlinked = e_.here();
    e_.moveImmediate(host::kR11, static_cast<uint64_t>(exit.pageOffset));
    e_.jumpTo(jit_.thunks().probe);
    jit_.link(block_, exit.from, unlinked,
              (block_.gpa & kPageMask) + static_cast<uint64_t>(exit.pageOffset));
  }
}

HostRm Translator::locate(uint8_t slot) const {
  return isPinned(slot) ? HostRm(kHostOf[slot >> 3]) : HostRm(slotOf(slot));
}

uint8_t Translator::readable(uint8_t slot, uint8_t scratch) {
  if (isPinned(slot)) return kHostOf[slot >> 3];
  e_.move(8, scratch, slotOf(slot));
  return scratch;
}

void Translator::writeBack(uint8_t slot, uint8_t from) {
  if (!isPinned(slot)) e_.store(8, slotOf(slot), from);
}

}  // namespace nodevm

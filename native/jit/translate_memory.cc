// Memory operands: the TLB probe of Cpu::load() and Cpu::writableHost() in line, everything else by
// the interpreter, which executes the whole instruction.

#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kNotZero = 5, kShiftRight = 5;
constexpr unsigned kEntryShift = 5;  // log2 sizeof(TlbEntry)
static_assert(sizeof(TlbEntry) == 1 << kEntryShift);

}  // namespace

// The address as one host operand, where its registers are in host registers.
bool Translator::plainAddress(const Instruction& i, HostMemory& operand) const {
  if (i.base == gpr::kBlockRip) return false;
  operand = {.scale = i.scale, .displacement = i.displacement};
  if (i.base != gpr::kZero) {
    if (!isPinned(i.base)) return false;
    operand.base = kHostOf[i.base >> 3];
  }
  if (i.index != gpr::kZero) {
    if (!isPinned(i.index)) return false;
    operand.index = kHostOf[i.index >> 3];
  }
  return true;
}

// The effective address; clobbers R10.
void Translator::address(const Instruction& i, uint8_t to) {
  HostMemory operand;
  if (plainAddress(i, operand)) return e_.lea(to, operand);
  operand = {.scale = i.scale, .displacement = i.displacement};
  if (i.base == gpr::kBlockRip) {
    e_.move(8, to, layout_.at(layout_.pageRip));
    operand.base = to;
    operand.displacement += static_cast<int32_t>(block_.gpa & kPageOffset);
  } else if (i.base != gpr::kZero) {
    operand.base = readable(i.base, to);
  }
  if (i.index != gpr::kZero) operand.index = readable(i.index, host::kR10);
  e_.lea(to, operand);
}

HostMemory Translator::access(const Instruction& i, const Shape& shape) {
  address(i, host::kR9);
  if (i.segment >= kFs)
    e_.alu(Alu::kAdd, 8, host::kR9, layout_.at(layout_.segmentBase + 8 * i.segment));
  return probe(i.segment, shape.memorySize, shape.memoryWritten);
}

// R9: linear address.
HostMemory Translator::probe(uint8_t segment, unsigned size, bool write) {
  hostFlags_ = false;
  e_.move(8, host::kR10, host::kR9);
  e_.shiftImmediate(kShiftRight, 8, host::kR10, 12 - kEntryShift);
  e_.aluImmediate(Alu::kAnd, 4, host::kR10, (Tlb::kEntries - 1) << kEntryShift);
  e_.alu(Alu::kAdd, 8, host::kR10, layout_.at(layout_.segmentTlb + 8 * segment));
  // Of the last byte: an access that crosses pages then misses, as neighbours never share an entry.
  e_.lea(host::kR11, {.base = host::kR9, .displacement = static_cast<int32_t>(size) - 1});
  e_.aluImmediate(Alu::kAnd, 8, host::kR11, static_cast<int32_t>(kPageMask));
  const size_t tag = write ? offsetof(TlbEntry, writeTag) : offsetof(TlbEntry, readTag);
  e_.alu(Alu::kCmp, 8, host::kR11,
         HostMemory{.base = host::kR10, .displacement = static_cast<int32_t>(tag)});
  detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kNotZero));
  e_.move(8, host::kR10,
          HostMemory{.base = host::kR10,
                     .displacement = static_cast<int32_t>(offsetof(TlbEntry, addend))});
  return {.base = host::kR9, .index = host::kR10};
}

void Translator::detour(Detour::Kind kind, Emitter::Fixup from) {
  // A block's last instruction has nothing to come back to.
  const bool last = slot_ + 1u == block_.slots;
  detours_.push_back({.kind = last ? Detour::Kind::kInterpretRest : kind,
                      .from = from,
                      .slot = slot_,
                      .vectorsDirty = vectorsDirty_});
}

void Translator::push(const Instruction& i, const Shape& shape) {
  const uint8_t rsp = kHostOf[gpr::kRsp >> 3];
  e_.lea(host::kR9, {.base = rsp, .displacement = -8});
  const HostMemory top = probe(kSs, 8, true);
  if (shape.way == Way::kPushImmediate) {
    e_.storeImmediate(8, top, static_cast<int32_t>(i.immediate));
  } else {
    const bool byOpcode = kRows[i.row].has(kPlusReg);
    e_.store(8, top, readable(byOpcode ? i.reg : i.rm, host::kR11));
  }
  e_.lea(rsp, {.base = rsp, .displacement = -8});
}

void Translator::pop(const Instruction& i) {
  const uint8_t rsp = kHostOf[gpr::kRsp >> 3];
  e_.move(8, host::kR9, rsp);
  const HostMemory top = probe(kSs, 8, false);
  const uint8_t to = isPinned(i.reg) ? kHostOf[i.reg >> 3] : host::kR11;
  e_.move(8, to, top);
  writeBack(i.reg, to);
  e_.lea(rsp, {.base = rsp, .displacement = 8});
}

void Translator::leave() {
  const uint8_t rsp = kHostOf[gpr::kRsp >> 3], rbp = kHostOf[gpr::kRbp >> 3];
  e_.move(8, host::kR9, rbp);
  const HostMemory frame = probe(kSs, 8, false);
  e_.lea(rsp, {.base = rbp, .displacement = 8});
  e_.move(8, rbp, frame);
}

}  // namespace nodevm

// Memory operands: the TLB probe of Cpu::load() and Cpu::writableHost() in line, everything else by
// the interpreter, which executes the whole instruction.

#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kZero = 4, kNotZero = 5;  // condition codes
constexpr unsigned kShiftRight = 5;
constexpr unsigned kEntryShift = 5;  // log2 sizeof(TlbEntry)
static_assert(sizeof(TlbEntry) == 1 << kEntryShift);

}  // namespace

// The address as one host operand, where its registers are in host registers.
bool Translator::plainAddress(const AddressRegisters& registers, int32_t displacement,
                              HostMemory& operand) const {
  const auto& [base, index, scale] = registers;
  if (base == gpr::kBlockRip) return false;
  operand = {.scale = scale, .displacement = displacement};
  if (base != gpr::kZero) {
    if (!isPinned(base)) return false;
    operand.base = kHostOf[base >> 3];
  }
  if (index != gpr::kZero) {
    if (!isPinned(index)) return false;
    operand.index = kHostOf[index >> 3];
  }
  return true;
}

// The effective address.
void Translator::address(const AddressRegisters& registers, int32_t displacement, uint8_t to,
                         uint8_t scratch) {
  const auto& [base, index, scale] = registers;
  HostMemory operand;
  if (plainAddress(registers, displacement, operand)) return e_.lea(to, operand);
  operand = {.scale = scale, .displacement = displacement};
  if (base == gpr::kBlockRip) {
    e_.move(8, to, layout_.at(layout_.pageRip));
    operand.base = to;
    operand.displacement += static_cast<int32_t>(block().gpa & kPageOffset);
  } else if (base != gpr::kZero) {
    operand.base = readable(base, to);
  }
  if (index != gpr::kZero) operand.index = readable(index, scratch);
  e_.lea(to, operand);
}

HostMemory Translator::access(const Instruction& i, const Shape& shape) {
  const AddressRegisters registers{i.base, i.index, i.scale};
  const AccessPlan& plan = plans_.operands[slot_];
  if (plan.grouped())
    return groupedAccess(registers, i.displacement, shape.memorySize, shape.memoryWritten, plan);
  address(registers, i.displacement, host::kR9);
  if (i.segment >= kFs)
    e_.alu(Alu::kAdd, 8, host::kR9, layout_.at(layout_.segmentBase + 8 * i.segment));
  detour(Detour::Kind::kInterpretSlot, probe(i.segment, shape.memorySize, shape.memoryWritten));
  return {.base = host::kR9, .index = host::kR10};
}

// Eight bytes on the stack.
HostMemory Translator::stackAccess(uint8_t base, int32_t displacement, bool write) {
  const AccessPlan& plan = plans_.stack[slot_];
  if (plan.grouped()) return groupedAccess({.base = base}, displacement, 8, write, plan);
  address({.base = base}, displacement, host::kR9);
  detour(Detour::Kind::kInterpretSlot, probe(kSs, 8, write));
  return {.base = host::kR9, .index = host::kR10};
}

// The group's first access looks into the TLB for all of them; those that follow only ask whether
// that went well.
HostMemory Translator::groupedAccess(const AddressRegisters& registers, int32_t displacement,
                                     unsigned size, bool write, const AccessPlan& plan) {
  Emitter::Fixup alone = nullptr;
  if (plan.first) {
    address(registers, plan.low, host::kR9);
    alone = probe(kDs, plan.span, plan.written);
    e_.store(8, addendOf(plan), host::kR10);
  } else {
    hostFlags_ = false;
    e_.move(8, host::kR10, addendOf(plan));
    e_.test(8, host::kR10, host::kR10);
    alone = e_.jumpIf(kZero);
  }
  detour(Detour::Kind::kInterpretSlot, alone);
  detours_.back().access = LonelyAccess{registers, displacement, size, write, &plan, e_.here()};
  HostMemory operand;
  if (registers.index == gpr::kZero && registers.base != gpr::kZero &&
      plainAddress(registers, displacement, operand)) {
    operand.index = host::kR10;
    return operand;
  }
  address(registers, displacement, host::kR9, host::kR11);
  return {.base = host::kR9, .index = host::kR10};
}

// Behind the straight line: the access by itself. Goes back there, or falls through when it misses.
void Translator::lonelyAccess(const LonelyAccess& access) {
  if (access.plan->first) e_.storeImmediate(8, addendOf(*access.plan), 0);
  address(access.registers, access.displacement, host::kR9);
  const Emitter::Fixup miss = probe(kDs, access.size, access.write);
  e_.jumpTo(access.resume);
  e_.bind(miss);
}

// The interpreter executes the whole instruction: the look-ups that it was to make for others are
// not made. lonelyAccess() has said so for its own.
void Translator::forgetGroups(const Detour& detour) {
  for (const AccessPlan* plan : {&plans_.operands[detour.slot], &plans_.stack[detour.slot]}) {
    if (!plan->first || (detour.access && detour.access->plan == plan)) continue;
    e_.storeImmediate(8, addendOf(*plan), 0);
  }
}

// R9: linear address. Leaves the addend in R10; clobbers R11.
Emitter::Fixup Translator::probe(uint8_t segment, unsigned size, bool write) {
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
  const Emitter::Fixup miss = e_.jumpIf(kNotZero);
  e_.move(8, host::kR10,
          HostMemory{.base = host::kR10,
                     .displacement = static_cast<int32_t>(offsetof(TlbEntry, addend))});
  return miss;
}

void Translator::detour(Detour::Kind kind, Emitter::Fixup from) {
  // A block's last instruction has nothing to come back to.
  const bool stays = slot_ + 1u == part().end || keepsLoaded(shapes_[slot_]);
  detours_.push_back({.kind = stays ? Detour::Kind::kInterpretRest : kind,
                      .from = from,
                      .slot = slot_,
                      .vectorsDirty = vectorsDirty_,
                      .access = std::nullopt,
                      .flags = pending_});
}

void Translator::push(const Instruction& i, const Shape& shape) {
  const uint8_t rsp = kHostOf[gpr::kRsp >> 3];
  if (shape.memory) {
    const HostMemory operand = access(i, shape);
    e_.move(8, host::kR11, operand);
    e_.store(8, layout_.at(layout_.target), host::kR11);
  }
  const HostMemory top = stackAccess(gpr::kRsp, -8, true);
  if (shape.memory) {
    e_.move(8, host::kR11, layout_.at(layout_.target));
    e_.store(8, top, host::kR11);
  } else if (shape.way == Way::kPushImmediate) {
    e_.storeImmediate(8, top, static_cast<int32_t>(i.immediate));
  } else {
    const bool byOpcode = kRows[i.row].has(kPlusReg);
    e_.store(8, top, readable(byOpcode ? i.reg : i.rm, host::kR11));
  }
  e_.lea(rsp, {.base = rsp, .displacement = -8});
}

void Translator::pop(const Instruction& i) {
  const uint8_t rsp = kHostOf[gpr::kRsp >> 3];
  const HostMemory top = stackAccess(gpr::kRsp, 0, false);
  const uint8_t to = isPinned(i.reg) ? kHostOf[i.reg >> 3] : host::kR11;
  e_.move(8, to, top);
  writeBack(i.reg, to);
  e_.lea(rsp, {.base = rsp, .displacement = 8});
}

void Translator::leave() {
  const uint8_t rsp = kHostOf[gpr::kRsp >> 3], rbp = kHostOf[gpr::kRbp >> 3];
  const HostMemory frame = stackAccess(gpr::kRbp, 0, false);
  e_.lea(rsp, {.base = rbp, .displacement = 8});
  e_.move(8, rbp, frame);
}

}  // namespace nodevm

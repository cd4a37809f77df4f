// Memory operands: the TLB probe of Cpu::load() and Cpu::writableHost() in line, everything else by
// the interpreter, which executes the whole instruction.

#include <algorithm>
#include <new>

#include "jit/tlb_probe.h"
#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kZero = 4, kNotZero = 5;  // condition codes

// What the instruction writes to a register is a byte, zero-extended.
bool makesByte(const Shape& shape) {
  constexpr uint8_t kMovzx = 0xb6;
  if (shape.size < 4) return false;
  if (shape.way == Way::kAlu)
    return shape.operation == Alu::kAnd && shape.fromImmediate && (shape.immediate & ~0xff) == 0;
  return shape.way == Way::kRenamed && shape.opcode.map == OpcodeMap::k0F &&
         shape.opcode.byte == kMovzx;
}

// A pointer from a place that is the same each time: a variable, or a field of what stays.
bool loadsVariable(const Instruction& i, const Shape& shape, uint32_t written) {
  constexpr uint8_t kMov = 0x8b;
  const bool loads = shape.way == Way::kRenamed && shape.opcode.map == OpcodeMap::kOneByte &&
                     shape.opcode.byte == kMov && shape.size == 8;
  return loads && ((written >> (i.base >> 3) | written >> (i.index >> 3)) & 1) == 0;
}

}  // namespace

// The address as one host operand, where its registers are in host registers.
bool Translator::plainAddress(const AddressRegisters& registers, int32_t displacement,
                              HostMemory& operand) const {
  const auto& [base, index, scale] = registers;
  if (base == gpr::kBlockRip) return false;
  operand = {.scale = scale, .displacement = displacement};
  if (base != gpr::kZero) {
    if (!isPinned(base)) return false;
    operand.base = hostOf(base);
  }
  if (index != gpr::kZero) {
    if (!isPinned(index)) return false;
    operand.index = hostOf(index);
  }
  return true;
}

// The effective address as one host operand, for which the two scratch registers may be loaded.
HostMemory Translator::addressOperand(const AddressRegisters& registers, int32_t displacement,
                                      uint8_t scratch, uint8_t second) {
  const auto& [base, index, scale] = registers;
  HostMemory operand;
  if (plainAddress(registers, displacement, operand)) return operand;
  operand = {.scale = scale, .displacement = displacement};
  if (base == gpr::kBlockRip) {
    e_.move(8, scratch, layout_.at(layout_.pageRip));
    operand.base = scratch;
    const int64_t start = startOf(part()), place = start + displacement;
    operand.displacement = static_cast<int32_t>(place);
    if (operand.displacement != place) {
      e_.lea(scratch, {.base = scratch, .displacement = static_cast<int32_t>(start)});
      operand.displacement = displacement;
    }
  } else if (base != gpr::kZero) {
    operand.base = readable(base, scratch);
  }
  if (index != gpr::kZero)
    operand.index = readable(index, operand.base == second ? scratch : second);
  return operand;
}

void Translator::address(const AddressRegisters& registers, int32_t displacement, uint8_t to,
                         uint8_t scratch) {
  e_.lea(to, addressOperand(registers, displacement, to, scratch));
}

// The linear address, in R9.
void Translator::operandAddress(const Instruction& i) {
  address({i.base, i.index, i.scale}, i.displacement, host::kR9);
  if (i.segment < kFs) return;
  e_.alu(Alu::kAdd, 8, host::kR9, layout_.at(layout_.segmentBase + 8 * i.segment));
}

Translator::GuestBytes Translator::operandBytes(const Instruction& i, const Shape& shape) {
  return {{i.base, i.index, i.scale}, i.displacement, shape.memorySize, shape.memoryWritten};
}

HostMemory Translator::access(const Instruction& i, const Shape& shape) {
  inR10_ = inR11_ = gpr::kZero;
  const GuestBytes bytes = operandBytes(i, shape);
  if (i.segment < kFs) return access(bytes, plans_.operands[slot_]);
  hostFlags_ = false;
  operandAddress(i);
  detour(Detour::Kind::kInterpretSlot, probeAt({.base = host::kR9}, bytes.size, bytes.write));
  return {.base = host::kR9, .index = host::kR10};
}

// Eight bytes on the stack.
HostMemory Translator::stackAccess(uint8_t base, int32_t displacement, bool write) {
  return access({{.base = base}, displacement, 8, write}, plans_.stack[slot_]);
}

// A group's first access looks into the TLB for all of them; those that follow ask whether that
// went well, or trust one that has asked.
HostMemory Translator::access(const GuestBytes& bytes, const AccessPlan& plan) {
  inR10_ = inR11_ = gpr::kZero;  // there are ways back that do not have them
  if (careful_) return carefulAccess(bytes, plan);
  hostFlags_ = false;
  if (trusts(plan)) {
    trust(plan);
    return operandOf(bytes, true);
  }
  SlowAccess slow{.bytes = bytes, .plan = plan.grouped() ? &plan : nullptr};
  if (plan.grouped() && !plan.first) {
    e_.move(8, host::kR10, addendOf(plan));
    e_.test(8, host::kR10, host::kR10);
    detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kZero));
  } else {
    GuestBytes all = bytes;
    if (plan.first) all = {bytes.registers, plan.low, plan.span, plan.written};
    PageCell* cell = takeCell(all);
    detour(Detour::Kind::kInterpretSlot, cell ? probeByCell(all, *cell) : probe(all));
    if (isStack(all) || cell) slow.window = SlowAccess::Window{all, e_.here(), cell, slotInR9()};
    if (plan.first && isRipRelative(all)) e_.alu(Alu::kAdd, 8, host::kR10, pageRip());
    if (plan.first) e_.store(8, addendOf(plan), host::kR10);
  }
  if (plan.grouped()) prove(plan);
  slow.resume = e_.here();
  slow.slotInR9 = slotInR9();
  if (slow.plan || slow.window || mayBeSplit(bytes)) detours_.back().access = slow;
  return operandOf(bytes, plan.grouped());
}

// R10: the addend, that of a group behind RIP counted from the block's page. R9: as probe() has it.
HostMemory Translator::operandOf(const GuestBytes& bytes, bool grouped) {
  if (isRipRelative(bytes)) {
    const int64_t place = placeOf(bytes);
    if (grouped) return {.base = host::kR10, .displacement = static_cast<int32_t>(place)};
    return {.base = host::kR9,
            .index = host::kR10,
            .displacement = static_cast<int32_t>(place & kPageOffset)};
  }
  if (std::optional<HostMemory> operand = behindOneRegister(bytes)) {
    operand->index = host::kR10;
    return *operand;
  }
  if (grouped) address(bytes.registers, bytes.displacement, host::kR9, host::kR11);
  return {.base = host::kR9, .index = host::kR10};
}

// The address, where it is a register and a constant. R9 is the register where it has no host
// register.
std::optional<HostMemory> Translator::behindOneRegister(const GuestBytes& bytes) {
  const auto& [base, index, scale] = bytes.registers;
  if (index != gpr::kZero || base == gpr::kZero || base == gpr::kBlockRip) return std::nullopt;
  return HostMemory{.base = isPinned(base) ? hostOf(base) : baseInR9(base),
                    .displacement = bytes.displacement};
}

uint8_t Translator::baseInR9(uint8_t slot) {
  if (slotInR9() != slot) {
    e_.move(8, host::kR9, slotOf(slot));
    e_.keep(host::kR9);
    inR9_ = slot;
  }
  return host::kR9;
}

// Whoever comes back to the straight line brings what it has in R9. The host's flags stay.
void Translator::loadR9(uint8_t slot) {
  if (slot != gpr::kZero) e_.move(8, host::kR9, slotOf(slot));
}

// Leaves the addend in R10; clobbers R11. R9: the address, or its page where that is behind RIP; of
// an address that is one register and a constant, as behindOneRegister() has it.
Emitter::Fixup Translator::probe(const GuestBytes& bytes) {
  if (const std::optional<HostMemory> first = behindOneRegister(bytes)) {
    if (isStack(bytes)) return emitWindowCheck(e_, layout_, *first, bytes.size);
    return probeAt(*first, bytes.size, bytes.write);
  }
  if (!isRipRelative(bytes)) {
    address(bytes.registers, bytes.displacement, host::kR9);
    return probeAt({.base = host::kR9}, bytes.size, bytes.write);
  }
  const int64_t place = placeOf(bytes);
  const auto offset = static_cast<int32_t>(place & kPageOffset);
  const auto page = static_cast<int32_t>(place - offset);
  e_.move(8, host::kR9, pageRip());
  if (page != 0) e_.lea(host::kR9, {.base = host::kR9, .displacement = page});
  if (offset + bytes.size <= kPageSize) return emitPageProbe(e_, layout_, host::kR9, bytes.write);
  return probeAt({.base = host::kR9, .displacement = offset}, bytes.size, bytes.write);
}

// nullptr: by the TLB, or by the stack window.
PageCell* Translator::takeCell(const GuestBytes& bytes) {
  if (!cells_ || cells_->count == shapes_.size()) return nullptr;
  if (isStack(bytes) || isRipRelative(bytes)) return nullptr;
  const auto& [base, index, scale] = bytes.registers;
  if (loaded_ >> (base >> 3) & 1) return nullptr;
  if ((loaded_ >> (index >> 3) & 1) && !indexesTable(bytes.registers)) return nullptr;
  return new (&cells_->cells[cells_->count++]) PageCell;
}

// The index is a byte, whatever it is made of: of such a table nearly all lies on one page.
bool Translator::indexesTable(const AddressRegisters& registers) const {
  constexpr unsigned kMostScale = 2;  // 1 KiB
  if (registers.scale > kMostScale) return false;
  for (unsigned slot = slot_; slot-- > 0;)
    if (shapes_[slot].writes >> (registers.index >> 3) & 1) return makesByte(shapes_[slot]);
  return false;
}

// As probe().
Emitter::Fixup Translator::probeByCell(const GuestBytes& bytes, const PageCell& cell) {
  if (const std::optional<HostMemory> first = behindOneRegister(bytes))
    return emitCellCheck(e_, cell, *first);
  address(bytes.registers, bytes.displacement, host::kR9);
  return emitCellCheck(e_, cell, {.base = host::kR9});
}

// General registers, by number, of which the path loads what later addresses may be made of.
uint32_t Translator::loadedRegisters() const {
  constexpr uint32_t kGeneral = 0xffff & ~(1u << (gpr::kRsp >> 3));
  uint32_t written = 0, loaded = 0, before = 0;
  for (const Shape& shape : shapes_) written |= shape.writes & kGeneral;
  do {
    before = loaded;
    for (const auto& [code, shape, start] : instructions_) {
      const bool loads = (shape->memory && !loadsVariable(*code, *shape, written)) ||
                         shape->way == Way::kPop || shape->way == Way::kLeave;
      const uint32_t operands = 1u << (code->reg >> 3) | 1u << (code->rm >> 3) |
                                1u << (code->base >> 3) | 1u << (code->index >> 3);
      if (loads || (operands & loaded)) loaded |= shape->writes & kGeneral;
    }
  } while (loaded != before);
  return loaded;
}

// Addresses of a loop that it counts up mostly stay on their page; those that follow pointers do
// not, and a miss costs more than what ten hits gain. Between instructions that may change rights
// there are too few.
void Translator::openCells() {
  const auto sameRights = std::none_of(shapes_.begin(), shapes_.end(),
                                       [](const Shape& shape) { return shape.mayChangeRights(); });
  const auto accesses = std::any_of(
      instructions_.begin(), instructions_.end(), [](const PlannedInstruction& planned) {
        const Instruction& i = *planned.code;
        return planned.shape->memory && i.segment < kFs && i.base != gpr::kBlockRip &&
               (i.base != gpr::kRsp || i.index != gpr::kZero);
      });
  if (!loops_ || !sameRights || !accesses) return;
  cells_ = jit_.cells().open(shapes_.size());
  loaded_ = loadedRegisters();
}

void Translator::renewCells() {
  e_.leaPlace(host::kR10, cells_);
  e_.callTo(jit_.thunks().renewCells);
}

Emitter::Fixup Translator::probeAt(const HostMemory& first, unsigned size, bool write) {
  HostMemory last = first;
  last.displacement += static_cast<int32_t>(size) - 1;
  return emitTlbProbe(e_, layout_, first, last, write);
}

// Behind the straight line: what did not lie in the window or the cell. Goes back there, or falls
// through when it misses.
void Translator::moveWindow(const SlowAccess::Window& window) {
  const Thunks& thunks = jit_.thunks();
  const GuestBytes& all = window.bytes;
  address(all.registers, all.displacement, host::kR9);
  e_.moveImmediate(host::kR11, all.size);
  if (window.cell) {
    e_.leaPlace(host::kR10, window.cell);
    e_.callTo(all.write ? thunks.fillWriteCell : thunks.fillReadCell);
  } else {
    e_.callTo(all.write ? thunks.probeStackWrite : thunks.probeStackRead);
  }
  loadR9(window.slotInR9);
  e_.bind(e_.jumpIf(kZero), window.resume);
}

// One access of a group, if it is in one, by itself: its address in R9, the addend in R10.
Emitter::Fixup Translator::probeAlone(const GuestBytes& bytes, const AccessPlan* plan) {
  const Thunks& thunks = jit_.thunks();
  if (plan && plan->first) e_.storeImmediate(8, addendOf(*plan), 0);
  address(bytes.registers, bytes.displacement, host::kR9);
  e_.callTo((bytes.write ? thunks.probeWrite : thunks.probeRead)[__builtin_ctz(bytes.size)]);
  return e_.jumpIf(kNotZero);
}

// An access of a group by itself, or one that may lie on two pages, then: as moveWindow().
void Translator::slowAccess(const SlowAccess& slow) {
  const GuestBytes& bytes = slow.bytes;
  if (!slow.plan && !mayBeSplit(bytes)) return;
  const Emitter::Fixup miss = probeAlone(bytes, slow.plan);
  if (isRipRelative(bytes)) e_.alu(Alu::kAdd, 8, host::kR10, pageRip());
  loadR9(slow.slotInR9);
  e_.jumpTo(slow.resume);
  e_.bind(miss);
}

// To a copy of what is on both pages, then: goes on behind the instruction, or falls through.
void Translator::splitStore(const Detour& detour) {
  const Thunks& thunks = jit_.thunks();
  const auto& [opcode, size, reg, bytes] = *detour.store;
  address(bytes.registers, bytes.displacement, host::kR9);
  e_.callTo(thunks.splitWrite[__builtin_ctz(bytes.size)]);
  const Emitter::Fixup miss = e_.jumpIf(kNotZero);
  e_.instruction(opcode, size, reg, HostMemory{.base = host::kR9, .index = host::kR10});
  e_.callTo(thunks.writeSplit);
  loadR9(detour.slotInR9);
  e_.jumpTo(detour.resume);
  e_.bind(miss);
}

// The interpreter executes the whole instruction: the look-ups that it was to make for others are
// not made. slowAccess() has said so for its own.
void Translator::forgetGroups(const Detour& detour) {
  for (const AccessPlan* plan : {&plans_.operands[detour.slot], &plans_.stack[detour.slot]}) {
    if (!plan->first || (detour.access && detour.access->plan == plan)) continue;
    e_.storeImmediate(8, addendOf(*plan), 0);
  }
}

void Translator::detour(Detour::Kind kind, Emitter::Fixup from) {
  // A block's last instruction has nothing to come back to.
  const bool stays = slot_ + 1u == part().end || keepsLoaded(shapes_[slot_]);
  detours_.push_back(
      {.kind = stays && kind == Detour::Kind::kInterpretSlot ? Detour::Kind::kInterpretRest : kind,
       .from = from,
       .slot = slot_,
       .access = std::nullopt,
       .flags = pending_});
}

void Translator::push(const Instruction& i, const Shape& shape) {
  const uint8_t rsp = hostOf(gpr::kRsp);
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
  const uint8_t rsp = hostOf(gpr::kRsp);
  const HostMemory top = stackAccess(gpr::kRsp, 0, false);
  const uint8_t to = isPinned(i.reg) ? hostOf(i.reg) : host::kR11;
  e_.move(8, to, top);
  writeBack(i.reg, to);
  if (i.reg != gpr::kRsp) e_.lea(rsp, {.base = rsp, .displacement = 8});
}

void Translator::leave() {
  const uint8_t rsp = hostOf(gpr::kRsp), rbp = hostOf(gpr::kRbp);
  const HostMemory frame = stackAccess(gpr::kRbp, 0, false);
  e_.lea(rsp, {.base = rbp, .displacement = 8});
  e_.move(8, rbp, frame);
}

}  // namespace nodevm

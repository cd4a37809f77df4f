#include "interpreter/binding.h"

#include "interpreter/specialized.h"

namespace nodevm {

#define ROW(id, ...) extern const HandlerSet id;
#include "decoder/opcodes/opcodes.inc"
#undef ROW

namespace {

const HandlerSet* const kHandlerSets[] = {
#define ROW(id, ...) &id,
#include "decoder/opcodes/opcodes.inc"
#undef ROW
};

}  // namespace

Handler bind(const Instruction& i) {
  if (const Handler special = specialize(i, kRows[i.row], i.isMemory())) return special;
  const HandlerSet& set = *kHandlerSets[i.row];
  const Handler handler = (i.isMemory() ? set.mem : set.reg)[i.operandSize()];
  return handler ? handler : raiseUndefined;
}

void computeAddress(Cpu& cpu, const Instruction* i) {
  static constexpr uint64_t kMask[4] = {0, 0xffff, 0xffffffff, ~uint64_t{0}};
  const uint64_t ea =
      cpu.reg<uint64_t>(i->base) + (cpu.reg<uint64_t>(i->index) << i->scale) + i->immediate;
  cpu.gpr[gpr::kAddress / 8] = ea & kMask[i->addressSize()];
  return next(cpu, i);
}

void fallThrough(Cpu& cpu, const Instruction* i) {
  cpu.rip = thisRip(cpu, i);
  return endBlock(cpu);
}

void raiseUndefined(Cpu& cpu, const Instruction* i) { return raise(cpu, i, kUd); }

void raiseTooLong(Cpu& cpu, const Instruction* i) { return raise(cpu, i, kGp, 0); }

void leaveDeadBlock(Cpu& cpu, const Instruction* i) {
  cpu.rip = thisRip(cpu, i);
  cpu.remaining += cpu.block->count - i->ordinal;
  cpu.leave = Leave::kLookup;
}

}  // namespace nodevm

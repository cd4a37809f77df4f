#pragma once
// Which accesses of a block lie close together behind the same registers, so that one look into the
// TLB serves all of them.

#include <cstdint>
#include <vector>

#include "interpreter/block_cache.h"
#include "jit/shape.h"

namespace nodevm {

// The registers of an address, by GPR byte offset.
struct AddressRegisters {
  uint8_t base = gpr::kZero, index = gpr::kZero, scale = 0;
  bool operator==(const AddressRegisters&) const = default;
};

// What the translator does about one access.
struct AccessPlan {
  static constexpr uint8_t kNoGroup = 0xff;

  uint8_t group = kNoGroup;
  bool first = false;  // looks into the TLB for all of the group
  bool written = false;
  AccessPlan* next = nullptr;  // of the group
  // First only: the group's bytes, `low` from the address that the registers make at this time.
  int32_t low = 0;
  uint32_t span = 0;

  bool grouped() const { return group != kNoGroup; }
};

struct AccessPlans {
  std::vector<AccessPlan> operands;  // of the memory operand, by slot
  std::vector<AccessPlan> stack;     // of an implied access to the stack, by slot
};

struct PlannedInstruction {
  const Instruction* code;
  const Shape* shape;
  int64_t
      start;  // of its block, from the path's first page: displacements from RIP count from there
};
void planAccesses(const std::vector<PlannedInstruction>& instructions, AccessPlans& plans);

}  // namespace nodevm

#include "jit/access_groups.h"

#include <algorithm>
#include <array>
#include <optional>

#include "jit/state.h"

namespace nodevm {

namespace {

// A wider group would too often reach into the next page.
constexpr int64_t kMostSpan = 256;
// Leaves room in 32 bits for the span and for the place within a page.
constexpr int64_t kMostDisplacement = 1 << 30;

struct Member {
  AccessPlan* plan;
  int64_t position;  // as Group::low
};

struct Group {
  AddressRegisters registers;
  int64_t low, high;  // displacements from the address at the beginning of the block
  bool written;
  std::vector<Member> members;
};

class Planner {
 public:
  explicit Planner(const std::vector<PlannedInstruction>& instructions)
      : instructions_(instructions) {
    plans_.operands.resize(instructions.size());
    plans_.stack.resize(instructions.size());
  }

  AccessPlans run() {
    for (unsigned slot = 0; slot < instructions_.size(); ++slot) {
      const Instruction& i = *instructions_[slot].code;
      const Shape& shape = *instructions_[slot].shape;
      moved_[gpr::kBlockRip >> 3] = instructions_[slot].start;
      if (!shape.native()) {  // may change rights, and anything else
        close(open_);
        continue;
      }
      if (shape.memory && i.segment < kFs && std::abs(int64_t{i.displacement}) < kMostDisplacement)
        note(plans_.operands[slot], {i.base, i.index, i.scale}, i.displacement, shape.memorySize,
             shape.memoryWritten);
      stackAccess(plans_.stack[slot], shape.way);
      follow(i, shape);
    }
    close(open_);
    return std::move(plans_);
  }

 private:
  void stackAccess(AccessPlan& plan, Way way) {
    switch (way) {
      case Way::kPush:
      case Way::kPushImmediate:
      case Way::kPushFlags:
      case Way::kCall:
      case Way::kCallIndirect:
        return note(plan, {.base = gpr::kRsp}, -8, 8, true);
      case Way::kPop:
      case Way::kReturn:
        return note(plan, {.base = gpr::kRsp}, 0, 8, false);
      case Way::kLeave:
        return note(plan, {.base = gpr::kRbp}, 0, 8, false);
      default:
        return;
    }
  }

  void note(AccessPlan& plan, AddressRegisters registers, int64_t displacement, unsigned size,
            bool written) {
    const int64_t low = displacement + moved_[registers.base >> 3], high = low + size;
    const auto same = std::find_if(open_.begin(), open_.end(), [&](const Group& group) {
      const int64_t first = std::min(group.low, low), end = std::max(group.high, high);
      if (!(group.registers == registers) || end - first > kMostSpan) return false;
      return registers.base != gpr::kBlockRip || onOnePage(first, end - 1);
    });
    if (same == open_.end()) {
      open_.push_back({registers, low, high, written, {{&plan, moved_[registers.base >> 3]}}});
      return;
    }
    same->low = std::min(same->low, low);
    same->high = std::max(same->high, high);
    same->written |= written;
    same->members.push_back({&plan, 0});
  }

  // Displacements from RIP are taken from the start of a page.
  static bool onOnePage(int64_t first, int64_t last) {
    return ((first ^ last) & static_cast<int64_t>(kPageMask)) == 0;
  }

  // What the instruction does to registers: groups end where theirs are written, but for constants
  // added to a base.
  void follow(const Instruction& i, const Shape& shape) {
    uint32_t written = shape.writes;
    if (const std::optional<int64_t> step = stepOf(i, shape)) {
      const unsigned reg = steppedRegister(i, shape);
      moved_[reg] += *step;
      written &= ~(1u << reg);
      endWhere([&](const Group& group) { return group.registers.index >> 3 == int(reg); });
    }
    endWhere([&](const Group& group) {
      return (written >> (group.registers.base >> 3) | written >> (group.registers.index >> 3)) & 1;
    });
    for (unsigned reg = 0; reg < 16; ++reg)
      if (written >> reg & 1) moved_[reg] = 0;
  }

  static unsigned steppedRegister(const Instruction& i, const Shape& shape) {
    if (shape.way == Way::kAlu) return i.rm >> 3;
    return shape.way == Way::kLea ? i.reg >> 3 : gpr::kRsp >> 3;
  }

  // By how much the instruction moves steppedRegister().
  static std::optional<int64_t> stepOf(const Instruction& i, const Shape& shape) {
    switch (shape.way) {
      case Way::kPush:
      case Way::kPushImmediate:
      case Way::kPushFlags:
        return -8;
      case Way::kPop:
        return 8;
      case Way::kLea:
        if (shape.size != 8 || i.base != i.reg || i.index != gpr::kZero) return std::nullopt;
        return i.displacement;
      case Way::kAlu: {
        const bool constant = shape.fromImmediate && shape.toRm && !shape.accumulator;
        if (!constant || shape.memory || shape.size != 8 || shape.isTest) return std::nullopt;
        if (shape.operation == Alu::kAdd) return shape.immediate;
        if (shape.operation == Alu::kSub) return -shape.immediate;
        return std::nullopt;
      }
      default:
        return std::nullopt;
    }
  }

  template <class Predicate>
  void endWhere(Predicate ends) {
    const auto first = std::stable_partition(open_.begin(), open_.end(),
                                             [&](const Group& group) { return !ends(group); });
    std::vector<Group> ended(std::make_move_iterator(first), std::make_move_iterator(open_.end()));
    open_.erase(first, open_.end());
    close(ended);
  }

  // Groups of one are not worth it.
  void close(std::vector<Group>& groups) {
    for (const Group& group : groups) {
      if (group.members.size() < 2 || used_ == JitState::kMostGroups) continue;
      const auto number = static_cast<uint8_t>(used_++);
      for (const Member& member : group.members) member.plan->group = number;
      AccessPlan& first = *group.members.front().plan;
      first.first = true;
      first.written = group.written;
      first.low = static_cast<int32_t>(group.low - group.members.front().position);
      first.span = static_cast<uint32_t>(group.high - group.low);
    }
    groups.clear();
  }

  const std::vector<PlannedInstruction>& instructions_;
  AccessPlans plans_;
  std::vector<Group> open_;
  std::array<int64_t, gpr::kSlots> moved_{};  // by constants, since the register was last written
  unsigned used_ = 0;
};

}  // namespace

AccessPlans planAccesses(const std::vector<PlannedInstruction>& instructions) {
  return Planner(instructions).run();
}

}  // namespace nodevm

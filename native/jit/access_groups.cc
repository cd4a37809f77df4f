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

// More that are open at the same time are not worth it.
constexpr unsigned kMostOpen = 16;

struct Group {
  AddressRegisters registers;
  int64_t low, high;  // displacements from the address at the beginning of the block
  bool written;
  AccessPlan *first, *last;
  int64_t position;  // of the first, as low
};

class Planner {
 public:
  Planner(const std::vector<PlannedInstruction>& instructions, AccessPlans& plans)
      : instructions_(instructions), plans_(plans) {
    plans_.operands.assign(instructions.size(), {});
    plans_.stack.assign(instructions.size(), {});
  }

  void run() {
    for (unsigned slot = 0; slot < instructions_.size(); ++slot) {
      const Instruction& i = *instructions_[slot].code;
      const Shape& shape = *instructions_[slot].shape;
      moved_[gpr::kBlockRip >> 3] = instructions_[slot].start;
      if (!shape.native()) {  // may change rights, and anything else
        endAll();
        continue;
      }
      if (shape.memory && i.segment < kFs && std::abs(int64_t{i.displacement}) < kMostDisplacement)
        note(plans_.operands[slot], {i.base, i.index, i.scale}, i.displacement, shape.memorySize,
             shape.memoryWritten);
      stackAccess(plans_.stack[slot], shape.way);
      follow(i, shape);
    }
    endAll();
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
    Group* const opened = open_.data() + openCount_;
    Group* const same = std::find_if(open_.data(), opened, [&](const Group& group) {
      const int64_t first = std::min(group.low, low), end = std::max(group.high, high);
      if (!(group.registers == registers)) return false;
      return registers.base == gpr::kBlockRip ? onOnePage(first, end - 1)
                                              : end - first <= kMostSpan;
    });
    if (same == opened) {
      if (openCount_ == kMostOpen) return;
      ++openCount_;
      *same = {registers, low, high, written, &plan, &plan, moved_[registers.base >> 3]};
      return;
    }
    same->low = std::min(same->low, low);
    same->high = std::max(same->high, high);
    same->written |= written;
    same->last->next = &plan;
    same->last = &plan;
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
    if (written == 0) return;
    endWhere([&](const Group& group) {
      return (written >> (group.registers.base >> 3) | written >> (group.registers.index >> 3)) & 1;
    });
    for (written &= 0xffff; written != 0; written &= written - 1)
      moved_[static_cast<unsigned>(__builtin_ctz(written))] = 0;
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
      case Way::kCall:
        return -8;
      case Way::kReturn:
        return 8 + static_cast<int64_t>(i.immediate);
      case Way::kPop:
        if (i.reg == gpr::kRsp) return std::nullopt;
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
    unsigned kept = 0;
    for (unsigned n = 0; n < openCount_; ++n) {
      if (ends(open_[n])) {
        close(open_[n]);
      } else {
        open_[kept++] = open_[n];
      }
    }
    openCount_ = kept;
  }
  void endAll() {
    endWhere([](const Group&) { return true; });
  }

  // Groups of one are not worth it.
  void close(const Group& group) {
    if (group.first == group.last || used_ == JitState::kMostGroups) return;
    const auto number = static_cast<uint8_t>(used_++);
    for (AccessPlan* plan = group.first; plan; plan = plan->next) plan->group = number;
    AccessPlan& first = *group.first;
    first.first = true;
    first.written = group.written;
    first.low = static_cast<int32_t>(group.low - group.position);
    first.span = static_cast<uint32_t>(group.high - group.low);
  }

  const std::vector<PlannedInstruction>& instructions_;
  AccessPlans& plans_;
  std::array<Group, kMostOpen> open_;
  unsigned openCount_ = 0;
  std::array<int64_t, gpr::kSlots> moved_{};  // by constants, since the register was last written
  unsigned used_ = 0;
};

}  // namespace

void planAccesses(const std::vector<PlannedInstruction>& instructions, AccessPlans& plans) {
  Planner(instructions, plans).run();
}

}  // namespace nodevm

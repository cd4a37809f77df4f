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

// What a register holds: something unknown that has a name, and a constant.
struct Value {
  uint32_t name = 0;
  int64_t offset = 0;
};

// Of a group: what its addresses have in common.
struct Root {
  uint32_t base, index;
  uint8_t scale;
  bool operator==(const Root&) const = default;
};

struct Group {
  Root root;
  int64_t low, high;  // displacements from the root
  bool written;
  AccessPlan *first, *last;
  int64_t position;  // of the first's registers, as low
  unsigned firstSlot, lastSlot;
};

class Planner {
 public:
  Planner(const std::vector<PlannedInstruction>& instructions, AccessPlans& plans)
      : instructions_(instructions), plans_(plans) {
    plans_.operands.assign(instructions.size(), {});
    plans_.stack.assign(instructions.size(), {});
    for (Value& value : values_) value = unknown();
  }

  void run() {
    for (slot_ = 0; slot_ < instructions_.size(); ++slot_) {
      const Instruction& i = *instructions_[slot_].code;
      const Shape& shape = *instructions_[slot_].shape;
      valueOf(gpr::kBlockRip).offset = instructions_[slot_].start;
      if (shape.mayChangeRights()) endAll();
      if (!shape.native()) {
        for (unsigned reg = 0; reg < kGeneral; ++reg) values_[reg] = unknown();
        continue;
      }
      const bool near = std::abs(int64_t{i.displacement}) < kMostDisplacement;
      if (shape.accessesOperand() && i.segment < kFs && near)
        note(plans_.operands[slot_], {i.base, i.index, i.scale}, i.displacement, shape.memorySize,
             shape.memoryWritten);
      stackAccess(plans_.stack[slot_], shape.way);
      follow(i, shape);
    }
    endAll();
  }

 private:
  static constexpr unsigned kGeneral = 16;

  Value& valueOf(uint8_t reg) { return values_[reg >> 3]; }
  Value unknown() { return {names_++, 0}; }

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
    const Value base = valueOf(registers.base), index = valueOf(registers.index);
    const Root root{base.name, index.name, registers.scale};
    const int64_t position = base.offset + (index.offset << registers.scale);
    const int64_t low = displacement + position, high = low + size;
    Group* const opened = open_.data() + openCount_;
    Group* const same = std::find_if(open_.data(), opened, [&](const Group& group) {
      const int64_t first = std::min(group.low, low), end = std::max(group.high, high);
      if (!(group.root == root)) return false;
      return registers.base == gpr::kBlockRip ? onOnePage(first, end - 1)
                                              : end - first <= kMostSpan;
    });
    if (same == opened)
      return open({root, low, high, written, &plan, &plan, position, slot_, slot_});
    same->low = std::min(same->low, low);
    same->high = std::max(same->high, high);
    same->written |= written;
    same->last->next = &plan;
    same->last = &plan;
    same->lastSlot = slot_;
  }

  // In the place of the one that has not been used for the longest time, where there are too many.
  void open(const Group& group) {
    if (openCount_ < kMostOpen) {
      open_[openCount_++] = group;
      return;
    }
    Group& oldest =
        *std::min_element(open_.begin(), open_.end(),
                          [](const Group& a, const Group& b) { return a.lastSlot < b.lastSlot; });
    close(oldest);
    oldest = group;
  }

  // Displacements from RIP are taken from the start of a page.
  static bool onOnePage(int64_t first, int64_t last) {
    return ((first ^ last) & static_cast<int64_t>(kPageMask)) == 0;
  }

  // What the instruction does to registers.
  void follow(const Instruction& i, const Shape& shape) {
    const std::optional<Move> move = moveOf(i, shape);
    const Value from = move ? valueOf(move->from) : Value{};
    for (uint32_t written = shape.writes & 0xffff; written != 0; written &= written - 1)
      values_[static_cast<unsigned>(__builtin_ctz(written))] = unknown();
    if (move) valueOf(move->to) = {from.name, from.offset + move->distance};
  }

  // to = from + distance
  struct Move {
    uint8_t to, from;
    int64_t distance;
  };
  static std::optional<Move> moveOf(const Instruction& i, const Shape& shape) {
    switch (shape.way) {
      case Way::kPush:
      case Way::kPushImmediate:
      case Way::kPushFlags:
      case Way::kCall:
      case Way::kCallIndirect:
        return Move{gpr::kRsp, gpr::kRsp, -8};
      case Way::kReturn:
        return Move{gpr::kRsp, gpr::kRsp, 8 + static_cast<int64_t>(i.immediate)};
      case Way::kPop:
        if (i.reg == gpr::kRsp) return std::nullopt;
        return Move{gpr::kRsp, gpr::kRsp, 8};
      case Way::kLeave:
        return Move{gpr::kRsp, gpr::kRbp, 8};
      case Way::kLea:
        if (shape.size != 8 || i.base >> 3 >= kGeneral || i.index != gpr::kZero)
          return std::nullopt;
        return Move{i.reg, i.base, i.displacement};
      case Way::kAlu: {
        const bool constant = shape.fromImmediate && shape.toRm && !shape.accumulator;
        if (!constant || shape.memory || shape.size != 8 || shape.isTest) return std::nullopt;
        if (shape.operation == Alu::kAdd) return Move{i.rm, i.rm, shape.immediate};
        if (shape.operation == Alu::kSub) return Move{i.rm, i.rm, -shape.immediate};
        return std::nullopt;
      }
      case Way::kRenamed:
        return renamedMove(i, shape);
      default:
        return std::nullopt;
    }
  }

  // MOV, INC and DEC.
  static std::optional<Move> renamedMove(const Instruction& i, const Shape& shape) {
    if (shape.memory || shape.size != 8 || shape.opcode.map != OpcodeMap::kOneByte)
      return std::nullopt;
    if (shape.opcode.byte == 0x89) return Move{i.rm, i.reg, 0};
    if (shape.opcode.byte == 0x8b) return Move{i.reg, i.rm, 0};
    if (shape.opcode.byte == 0xff) return Move{i.rm, i.rm, shape.digit == 0 ? 1 : -1};
    return std::nullopt;
  }

  void endAll() {
    for (unsigned n = 0; n < openCount_; ++n) close(open_[n]);
    openCount_ = 0;
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
  uint32_t names_ = 0;
  std::array<Value, gpr::kSlots> values_;
  unsigned slot_ = 0;
  unsigned used_ = 0;
};

}  // namespace

void planAccesses(const std::vector<PlannedInstruction>& instructions, AccessPlans& plans) {
  Planner(instructions, plans).run();
}

}  // namespace nodevm

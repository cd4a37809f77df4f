#include "jit/path.h"

#include <algorithm>

namespace nodevm {

namespace {

constexpr size_t kMostBlocks = 12;
constexpr unsigned kMostInstructions = 96;
// Turns of a loop one behind the other, and their instructions.
constexpr unsigned kMostTurns = 4, kMostUnrolled = 64;
// As often as that a loop of one block is run in the midst of a path.
constexpr unsigned kMostTrips = 4;
// A block that is run less often than this part of the first one's visits is not worth the code.
constexpr unsigned kLeastShare = 8;

const Instruction& lastOf(const Path::Step& step) {
  return step.block->code[step.block->slots - 1];
}

Way wayOf(const Path::Step& step) { return shapeOf(*step.block, step.block->slots - 1u).way; }

// What is behind the step's last instruction, from the start of the first one's page.
int64_t behind(const Path::Step& step) {
  const Instruction& i = lastOf(step);
  return step.distance + static_cast<int64_t>(step.block->gpa & kPageOffset) + i.offset + i.length;
}

class Chooser {
 public:
  Chooser(const BlockCache& cache, const BlockTable& table, const FindBlock& elsewhere,
          const FindTarget& target, const Block& first, unsigned visited)
      : cache_(cache),
        table_(table),
        elsewhere_(elsewhere),
        target_(target),
        visited_(visited),
        path_{.steps = {{&first}}},
        instructions_(first.count),
        within_(1) {}

  Path run() {
    while (const std::optional<Path::Step> next = nextStep()) {
      const bool closes = next->block == path_.steps[0].block && next->distance == 0;
      std::vector<size_t> calls = callsBehindLast();
      // An inner loop is a path of its own, but for a short one that is left after some turns.
      const unsigned trips = next->block->loops ? next->block->trips : 1;
      if (!closes && (isKnown(*next, calls) || !takes(*next, trips))) break;
      if (Path::Step& last = path_.steps.back(); wayOf(last) == Way::kReturn)
        last.call = calls_.back();
      calls_ = std::move(calls);
      if (closes) {
        path_.turns = turns();
        break;
      }
      path_.steps.insert(path_.steps.end(), trips, *next);
      within_.insert(within_.end(), trips, innermost(calls_));
    }
    if (path_.turns != 0 && path_.steps.size() == 1) path_.trips = this->trips();
    return std::move(path_);
  }

 private:
  // Several, so that a turn's accesses find their pages with those of the turns before, and the way
  // back is taken less often.
  unsigned turns() const {
    unsigned count = 0;
    for (const Path::Step& step : path_.steps) count += step.block->count;
    return std::clamp(kMostUnrolled / count, 1u, kMostTurns);
  }

  // How often a loop of one block is run each time it is entered, where that is nearly always the
  // same: by the visits of what follows it. This time is not over.
  unsigned trips() const {
    constexpr unsigned kExactness = 16;
    const std::optional<Path::Step> next = stepAt(behind(path_.steps[0]));
    if (!next || next->block->pathRank != 0) return 0;
    const auto turns = static_cast<unsigned>(table_.visitsOf(path_.steps[0].block->number));
    const auto entries = static_cast<unsigned>(table_.visitsOf(next->block->number)) + 1;
    const unsigned trips = (turns + entries / 2) / entries, exact = trips * entries;
    const unsigned difference = turns > exact ? turns - exact : exact - turns;
    return trips <= kMostTrips && difference * kExactness <= turns ? trips : 0;
  }

  unsigned visitsOf(const Block& block) const {
    if (block.pathRank != 0) return visited_;
    return std::min(visited_, static_cast<unsigned>(table_.visitsOf(block.number)));
  }

  const Block* blockAt(int64_t place, int64_t distance) const {
    for (const Path::Step& step : path_.steps) {
      if (step.distance != distance) continue;
      return cache_.find((step.block->gpa & kPageMask) + static_cast<uint64_t>(place - distance),
                         step.block->key);
    }
    return std::abs(distance) < kMostPathDistance ? elsewhere_(place) : nullptr;
  }

  std::optional<Path::Step> stepAt(int64_t place) const {
    const int64_t distance = place & static_cast<int64_t>(kPageMask);
    const Block* block = blockAt(place, distance);
    if (!block || !block->translation || visitsOf(*block) * kLeastShare < visited_)
      return std::nullopt;
    return Path::Step{block, distance};
  }

  static bool runsAgain(const Block& block) { return block.loops && block.trips != 0; }

  // The one with more visits; of equals, which may have had more since they were hot, an inner loop
  // to go through, the one that closes a loop, or that a path had first.
  std::optional<Path::Step> better(const std::optional<Path::Step>& a,
                                   const std::optional<Path::Step>& b) const {
    if (!a || !b) return a ? a : b;
    const unsigned visitsOfA = visitsOf(*a->block), visitsOfB = visitsOf(*b->block);
    if (visitsOfA != visitsOfB) return visitsOfA > visitsOfB ? a : b;
    if (runsAgain(*a->block) != runsAgain(*b->block)) return runsAgain(*a->block) ? a : b;
    if (a->block == path_.steps[0].block) return a;
    if (b->block == path_.steps[0].block) return b;
    const uint32_t rankOfA = a->block->pathRank, rankOfB = b->block->pathRank;
    return rankOfB != 0 && (rankOfA == 0 || rankOfB < rankOfA) ? b : a;
  }

  std::optional<Path::Step> nextStep() const {
    const Path::Step& last = path_.steps.back();
    const int64_t next = behind(last);
    const int64_t target = next + static_cast<int64_t>(lastOf(last).immediate);
    switch (wayOf(last)) {
      case Way::kJumpIf:
        if (last.block->loops) return stepAt(next);
        return better(stepAt(next), stepAt(target));
      case Way::kFallThrough:
      case Way::kRepeatString:
      case Way::kSetInterrupt:
        return stepAt(next);
      case Way::kJump:
      case Way::kCall:
        return stepAt(target);
      case Way::kJumpIndirect:
      case Way::kCallIndirect:
        if (const std::optional<int64_t> place = target_(*last.block))
          return stepAt(last.distance + *place);
        return std::nullopt;
      case Way::kReturn:
        if (calls_.empty()) return std::nullopt;
        return stepAt(behind(path_.steps[calls_.back()]));
      default:
        return std::nullopt;
    }
  }

  static std::optional<size_t> innermost(const std::vector<size_t>& calls) {
    return calls.empty() ? std::nullopt : std::optional(calls.back());
  }

  std::vector<size_t> callsBehindLast() const {
    std::vector<size_t> calls = calls_;
    const Way way = wayOf(path_.steps.back());
    if (way == Way::kCall || way == Way::kCallIndirect) calls.push_back(path_.steps.size() - 1);
    if (way == Way::kReturn) calls.pop_back();
    return calls;
  }

  // On this way; not in a call that has returned.
  bool isKnown(const Path::Step& next, const std::vector<size_t>& calls) const {
    for (size_t n = 0; n < path_.steps.size(); ++n) {
      if (path_.steps[n].block != next.block) continue;
      if (!within_[n] || std::find(calls.begin(), calls.end(), *within_[n]) != calls.end())
        return true;
    }
    return false;
  }

  bool takes(const Path::Step& next, unsigned times) {
    instructions_ += times * next.block->count;
    return times != 0 && path_.steps.size() + times <= kMostBlocks &&
           instructions_ <= kMostInstructions;
  }

  const BlockCache& cache_;
  const BlockTable& table_;
  const FindBlock& elsewhere_;
  const FindTarget& target_;
  const unsigned visited_;
  Path path_;
  unsigned instructions_;
  std::vector<size_t> calls_;                  // steps with calls that have not returned
  std::vector<std::optional<size_t>> within_;  // of each step, the innermost of them
};

}  // namespace

Path choosePath(const BlockCache& cache, const BlockTable& table, const FindBlock& elsewhere,
                const FindTarget& target, const Block& first, unsigned visited) {
  return Chooser(cache, table, elsewhere, target, first, visited).run();
}

}  // namespace nodevm

#include "jit/path.h"

#include <algorithm>

namespace nodevm {

namespace {

constexpr size_t kMostBlocks = 12;
constexpr unsigned kMostInstructions = 96;
// A block that is run less often than this part of the first one's visits is not worth the code.
constexpr unsigned kLeastShare = 8;

// Where the block's last instruction may lead on its own page.
struct Successors {
  uint64_t gpa[2];
  unsigned count = 0;

  Successors(const Block& block, Way way) {
    const Instruction& i = block.code[block.slots - 1];
    const int64_t behind = static_cast<int64_t>(block.gpa & kPageOffset) + i.offset + i.length;
    const auto target = behind + static_cast<int64_t>(i.immediate);
    if (way == Way::kJumpIf || way == Way::kFallThrough) add(block, behind);
    if (way == Way::kJumpIf || way == Way::kJump || way == Way::kCall) add(block, target);
  }

 private:
  void add(const Block& block, int64_t pageOffset) {
    if (pageOffset >= 0 && pageOffset < int64_t{kPageSize})
      gpa[count++] = (block.gpa & kPageMask) + static_cast<uint64_t>(pageOffset);
  }
};

class Chooser {
 public:
  Chooser(const BlockCache& cache, const BlockTable& table, const Block& first, unsigned visited)
      : cache_(cache), table_(table), visited_(visited), path_{.blocks = {&first}} {}

  Path run() {
    unsigned instructions = path_.blocks[0]->count;
    while (const Block* next = nextBlock()) {
      if (next == path_.blocks[0]) {
        path_.loops = true;
        break;
      }
      const bool known =
          std::find(path_.blocks.begin(), path_.blocks.end(), next) != path_.blocks.end();
      instructions += next->count;
      // An inner loop is a path of its own.
      if (known || next->loops || path_.blocks.size() == kMostBlocks ||
          instructions > kMostInstructions)
        break;
      path_.blocks.push_back(next);
    }
    return path_;
  }

 private:
  unsigned visitsOf(const Block& block) const {
    if (block.onPath) return visited_;
    const auto visited = static_cast<int32_t>(visited_);
    return static_cast<unsigned>(visited - std::clamp(table_.visitsLeft(block.number), 0, visited));
  }

  const Block* nextBlock() const {
    const Block* best = nullptr;
    const Block& last = *path_.blocks.back();
    const Successors successors(last, shapeOf(last, last.slots - 1u).way);
    for (unsigned n = 0; n < successors.count; ++n) {
      const Block* block = cache_.find(successors.gpa[n], path_.blocks[0]->key);
      if (!block || !block->translation || visitsOf(*block) * kLeastShare < visited_) continue;
      const bool closes = block == path_.blocks[0];
      if (!best || visitsOf(*block) > visitsOf(*best) ||
          (closes && visitsOf(*block) == visitsOf(*best)))
        best = block;
    }
    return best;
  }

  const BlockCache& cache_;
  const BlockTable& table_;
  const unsigned visited_;
  Path path_;
};

}  // namespace

Path choosePath(const BlockCache& cache, const BlockTable& table, const Block& first,
                unsigned visited) {
  return Chooser(cache, table, first, visited).run();
}

}  // namespace nodevm

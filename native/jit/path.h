#pragma once
// Blocks that hot code runs one after the other, for translation as one piece.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "interpreter/block_cache.h"
#include "jit/block_table.h"
#include "jit/page_links.h"
#include "jit/shape.h"

namespace nodevm {

struct Path {
  struct Step {
    const Block* block;
    int64_t distance = 0;  // of its page from that of the first, in linear addresses
    std::optional<size_t> call = std::nullopt;  // the step with it, of a return that goes on behind
  };
  // To look at the pages again costs as much as a hundred visits: with so many in vain the path is
  // of no use.
  static constexpr unsigned kMostFailures = 64;

  std::vector<Step> steps;
  // From the last back to the first: how often they are translated, one turn behind the other; 0:
  // it does not loop.
  unsigned turns = 0;
  // Of a loop of one block that another path may go through: how often it is run there. 0: of none.
  unsigned trips = 0;
  bool dead = false;              // one of its blocks is
  const uint8_t* code = nullptr;  // nullptr: one block as it is
  PageCheck* check = nullptr;     // of several pages
  unsigned failures = 0;
};

// The block at a place on another page, counted from the start of the first one's page; nullptr: it
// is not translated, or its page is not known.
using FindBlock = std::function<const Block*(int64_t place)>;

// Where the indirect branch at the end of a block has led each time until now, counted from the
// start of its page.
using FindTarget = std::function<std::optional<int64_t>(const Block& block)>;

// The way that code most often takes from `first`, by the visits of the blocks; of one block where
// it leads nowhere. `visited`: what the table's counts of visits left began with.
Path choosePath(const BlockCache& cache, const BlockTable& table, const FindBlock& elsewhere,
                const FindTarget& target, const Block& first, unsigned visited);

}  // namespace nodevm

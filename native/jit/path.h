#pragma once
// Blocks of one page that hot code runs one after the other, for translation as one piece.

#include <vector>

#include "interpreter/block_cache.h"
#include "jit/block_table.h"
#include "jit/shape.h"

namespace nodevm {

struct Path {
  std::vector<const Block*> blocks;
  bool loops = false;  // from the last back to the first
  bool dead = false;   // one of its blocks is
  const uint8_t* code = nullptr;
};

// The way that code most often takes from `first`, by the visits of the blocks; of one block where
// it leads nowhere. `visited`: what the table's counts of visits left began with.
Path choosePath(const BlockCache& cache, const BlockTable& table, const Block& first,
                unsigned visited);

}  // namespace nodevm

#pragma once
// What the accesses of a loop know about pages: a cell each in memory, a copy of what the TLB says
// about the page that the access went to last.

#include <cstddef>
#include <cstdint>
#include <new>

namespace nodevm {

struct PageCell {
  uint64_t page = 0;     // linear
  uintptr_t addend = 0;  // as TlbEntry's
  // An access lies within the page where it begins less than this behind the page's first byte; 0:
  // nothing is known.
  uint64_t limit = 0;
};

// The cells of a path, all of one Tlb::generation.
struct PathCells {
  uint64_t generation = 0;
  uint64_t count = 0;
  PageCell cells[];
};

// Memory for them, within reach of translated code.
class CellPool {
 public:
  CellPool(uint8_t* start, size_t bytes) : start_(start), free_(start), end_(start + bytes) {}

  // nullptr: there is no room for as many cells.
  PathCells* open(size_t most) {
    const size_t bytes = sizeof(PathCells) + most * sizeof(PageCell);
    return bytes <= static_cast<size_t>(end_ - free_) ? new (free_) PathCells : nullptr;
  }
  // Those opened last have become as many as they say.
  void close(const PathCells& cells) {
    free_ += sizeof(PathCells) + cells.count * sizeof(PageCell);
  }
  void clear() { free_ = start_; }

 private:
  uint8_t *start_, *free_, *end_;
};

}  // namespace nodevm

#pragma once
// Branches from page to page. What they depend on, that the other page is where it was, is asked
// once for all that lead from the one to the other: the answer is data, which no address space has
// to patch code for.

#include <cstddef>
#include <cstdint>
#include <new>
#include <unordered_map>
#include <vector>

#include "interpreter/block_cache.h"
#include "jit/emitter.h"

namespace nodevm {

// Other pages are where they were as long as this one is at the same RIP, in the same context.
// Translated code compares both.
struct PageCheck {
  uint64_t rip = 0;
  uint64_t context = 0;  // 0: equals no Cpu::context
};

// Memory for them, within reach of translated code.
class CheckPool {
 public:
  // More than one translation takes.
  static constexpr size_t kReserve = 256;

  CheckPool(uint8_t* start, size_t bytes) : start_(start), free_(start), end_(start + bytes) {}

  bool full() const { return end_ - free_ < static_cast<ptrdiff_t>(kReserve * sizeof(PageCheck)); }
  PageCheck* take() {
    PageCheck* const check = new (free_) PageCheck;
    free_ += sizeof(PageCheck);
    return check;
  }
  void clear() { free_ = start_; }

 private:
  uint8_t *start_, *free_, *end_;
};

// From one physical page to the page at a distance from it in linear addresses.
struct PageLink {
  static constexpr uint64_t kNone = ~uint64_t{0};
  // A page that has been another one so often is looked up each time.
  static constexpr unsigned kMostChanges = 64;

  // A branch behind the comparison, and the offset of its target on the other page.
  struct Site {
    Emitter::Fixup fixup;
    const Block* from;
    uint64_t offset;
  };

  int64_t distance;
  PageCheck* check;
  uint64_t target = kNone;  // guest physical; kNone: it has not been looked for
  unsigned changes = 0;
  std::vector<Site> sites;
};

class PageLinks {
 public:
  // That of the page at `page`, guest physical.
  uint32_t find(uint64_t page, int64_t distance, CheckPool& checks) {
    const auto next = static_cast<uint32_t>(links_.size());
    const auto [entry, isNew] = numbers_.try_emplace(keyOf(page, distance), next);
    if (isNew) links_.push_back({.distance = distance, .check = checks.take(), .sites = {}});
    return entry->second;
  }
  PageLink& operator[](uint32_t number) { return links_[number]; }
  void clear() {
    links_.clear();
    numbers_.clear();
  }

 private:
  // Branches reach some 2 GiB, to either side: 21 bits of pages.
  static uint64_t keyOf(uint64_t page, int64_t distance) {
    return page >> 12 << 21 | (static_cast<uint64_t>(distance) >> 12 & 0x1fffff);
  }

  std::vector<PageLink> links_;
  std::unordered_map<uint64_t, uint32_t> numbers_;
};

}  // namespace nodevm

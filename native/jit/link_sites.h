#pragma once
// The jumps from block to block, by where they lead: patched when a translation appears there or
// dies. Those of dead blocks are taken out by whoever comes across them.

#include <cstdint>
#include <vector>

#include "interpreter/block_cache.h"
#include "jit/emitter.h"
#include "jit/page_links.h"

namespace nodevm {

// Of a table of 1 << kLog2 buckets. Those of a page lie together, since one after the other is
// asked for.
template <unsigned kLog2, unsigned kGranularity>
size_t linkBucket(uint64_t gpa) {
  const uint64_t page = (gpa >> 12) * 0x9e3779b97f4a7c15 >> 32;
  return (page + (gpa & 0xfff) / kGranularity) & ((size_t{1} << kLog2) - 1);
}

class LinkSites {
 public:
  struct Site {
    Emitter::Fixup fixup;
    const Block* from;  // whose code it is in
  };

  // Address space for so many: memory is taken as they are added, and nothing is copied to grow.
  void reserve(size_t sites) { sites_.reserve(sites); }
  void add(uint64_t gpa, const Site& site) {
    uint32_t& newest = newest_[bucketOf(gpa)];
    const uint32_t number = takeNumber();
    sites_[number - 1] = {site, gpa, newest};
    newest = number;
  }
  // It leads elsewhere from now on.
  void remove(uint64_t gpa, Emitter::Fixup fixup) {
    for (uint32_t* link = &newest_[bucketOf(gpa)]; *link != 0; link = &sites_[*link - 1].older)
      if (sites_[*link - 1].site.fixup == fixup) return free(*link);
  }
  // Not while a block is being translated, which looks like a dead one.
  template <class Function>
  void each(uint64_t gpa, const Function& function) {
    for (uint32_t* link = &newest_[bucketOf(gpa)]; *link != 0;) {
      Listed& listed = sites_[*link - 1];
      if (listed.gpa == gpa && !listed.site.from->translation) {
        free(*link);
        continue;
      }
      if (listed.gpa == gpa) function(listed.site);
      link = &listed.older;
    }
  }
  void clear() {
    sites_.clear();
    free_ = 0;
    newest_.assign(kBuckets, 0);
  }

 private:
  static constexpr unsigned kLog2Buckets = 18;
  static constexpr size_t kBuckets = size_t{1} << kLog2Buckets;

  struct Listed {
    Site site;
    uint64_t gpa;
    uint32_t older;  // in the same bucket: number in sites_ from 1, 0: none
  };
  // link: to the number, from its bucket.
  void free(uint32_t& link) {
    const uint32_t number = link;
    link = sites_[number - 1].older;
    sites_[number - 1].older = free_;
    free_ = number;
  }
  uint32_t takeNumber() {
    if (free_ == 0) {
      sites_.emplace_back();
      return static_cast<uint32_t>(sites_.size());
    }
    const uint32_t number = free_;
    free_ = sites_[number - 1].older;
    return number;
  }
  static size_t bucketOf(uint64_t gpa) { return linkBucket<kLog2Buckets, 16>(gpa); }

  std::vector<Listed> sites_;
  uint32_t free_ = 0;  // numbers that are free again, listed by `older`
  std::vector<uint32_t> newest_ = std::vector<uint32_t>(kBuckets);
};

// An indirect branch: it compares its target and the context with those of last time before it goes
// on to the block at `target`. The target counts from the branch's page, so that it is the same in
// each process that has a library elsewhere.
struct FarLink {
  PageCheck* check = nullptr;     // rip: the distance
  Emitter::Fixup code = nullptr;  // the relative address of the block's code
  // Of the comparisons, and what is done instead once the target has changed too often.
  const uint8_t *start = nullptr, *giveUp = nullptr;
  uint64_t target = kNone;  // guest physical
  uint32_t next = 0;        // with a target in the same bucket: number from 1, 0: none
  uint8_t changes = 0;

  static constexpr uint64_t kNone = ~uint64_t{0};
  // To patch code that runs costs as much as a hundred look-ups.
  static constexpr uint8_t kMostChanges = 6;
};

class FarLinks {
 public:
  uint32_t add(const FarLink& link) {
    links_.push_back(link);
    return static_cast<uint32_t>(links_.size() - 1);
  }
  FarLink& operator[](uint32_t number) { return links_[number]; }
  // It leads to another block from now on.
  void retarget(uint32_t number, uint64_t gpa);
  // Each link that leads to gpa.
  template <class Function>
  void each(uint64_t gpa, const Function& function) const {
    for (uint32_t n = newest_[bucketOf(gpa)]; n != 0; n = links_[n - 1].next)
      if (links_[n - 1].target == gpa) function(links_[n - 1]);
  }
  void clear() {
    links_.clear();
    newest_.assign(kBuckets, 0);
  }

 private:
  static constexpr unsigned kLog2Buckets = 16;
  static constexpr size_t kBuckets = size_t{1} << kLog2Buckets;
  static size_t bucketOf(uint64_t gpa) { return linkBucket<kLog2Buckets, 64>(gpa); }

  std::vector<FarLink> links_;
  std::vector<uint32_t> newest_ = std::vector<uint32_t>(kBuckets);
};

inline void FarLinks::retarget(uint32_t number, uint64_t gpa) {
  FarLink& link = links_[number];
  if (link.target == gpa) return;
  if (link.target != FarLink::kNone) {
    uint32_t* from = &newest_[bucketOf(link.target)];
    while (*from != number + 1) from = &links_[*from - 1].next;
    *from = link.next;
  }
  uint32_t& newest = newest_[bucketOf(gpa)];
  link.target = gpa;
  link.next = newest;
  newest = number + 1;
}

}  // namespace nodevm

#pragma once
// Numbers for translated blocks, by which their code names them, and what it counts by number.
// Times are counts of retired instructions.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nodevm {

struct Block;

class BlockTable {
 public:
  // counters: memory for `most` of them, within reach of translated code.
  BlockTable(int32_t* counters, size_t most) : counters_(counters), most_(most) {}

  bool full() const { return free_.empty() && blocks_.size() == most_; }
  // Not when it is full.
  uint32_t add(const Block& block) {
    if (free_.empty()) {
      blocks_.push_back(&block);
      counts_.emplace_back();
      farLinks_.push_back(kNoFarLink);
      return static_cast<uint32_t>(blocks_.size() - 1);
    }
    const uint32_t number = free_.back();
    free_.pop_back();
    blocks_[number] = &block;
    return number;
  }
  // Its code is not entered any more.
  void remove(uint32_t number) {
    blocks_[number] = nullptr;
    free_.push_back(number);
  }
  void clear() {
    blocks_.clear();
    counts_.clear();
    farLinks_.clear();
    free_.clear();
  }

  const Block& operator[](uint32_t number) const { return *blocks_[number]; }
  // Visits until the block becomes the beginning of a path.
  int32_t& visitsLeft(uint32_t number) const { return counters_[number]; }
  // before: those that are known of.
  void countVisits(uint32_t number, int32_t visits, uint64_t now, int32_t before = 0) {
    counters_[number] = visits;
    counts_[number] = {now, visits, before};
  }
  int32_t visitsOf(uint32_t number) const {
    const Count& count = counts_[number];
    return count.before + count.visits - std::max(counters_[number], 0);
  }
  // For how many visits the count began, and when.
  int32_t countedVisits(uint32_t number) const { return counts_[number].visits; }
  uint64_t countedSince(uint32_t number) const { return counts_[number].since; }
  // Of the indirect branch that the block ends with, if it has one.
  static constexpr uint32_t kNoFarLink = ~uint32_t{0};
  void setFarLink(uint32_t number, uint32_t link) { farLinks_[number] = link; }
  uint32_t farLink(uint32_t number) const { return farLinks_[number]; }
  // By its counter.
  const Block& blockOf(const int32_t* visitsLeft) const { return *blocks_[visitsLeft - counters_]; }

 private:
  struct Count {
    uint64_t since = 0;
    int32_t visits = 0, before = 0;
  };

  int32_t* counters_;
  size_t most_;
  std::vector<const Block*> blocks_;
  std::vector<Count> counts_;
  std::vector<uint32_t> farLinks_;
  std::vector<uint32_t> free_;
};

}  // namespace nodevm

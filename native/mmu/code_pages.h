#pragma once

#include <cstdint>

namespace nodevm {

// The pages that cached jumps lead to, and where they are.
class CodePages {
 public:
  // Addresses of pages, guest physical the second. Returns whether it has not been known.
  bool add(uint64_t linear, uint64_t page) {
    Entry& entry = entries_[find(linear)];
    if (entry.linear != 0) {
      if (entry.page != page) complete_ = false;
      return false;
    }
    if (count_ == kMost) {
      complete_ = false;
    } else {
      used_[count_++] = static_cast<uint16_t>(&entry - entries_);
      entry = {linear | kUsed, page};
    }
    return true;
  }
  // Where the page is; nullptr: it is not known.
  const uint64_t* at(uint64_t linear) const {
    const Entry& entry = entries_[find(linear)];
    return entry.linear != 0 ? &entry.page : nullptr;
  }
  // True may mean maybe.
  bool mayContain(uint64_t linear) const {
    return !complete_ || entries_[find(linear)].linear != 0;
  }
  // Whether isAt(linear, page) says so of all of them.
  template <class IsAt>
  bool all(const IsAt& isAt) const {
    if (!complete_) return false;
    for (unsigned n = 0; n < count_; ++n) {
      const Entry& entry = entries_[used_[n]];
      if (!isAt(entry.linear & ~kUsed, entry.page)) return false;
    }
    return true;
  }
  void clear() {
    for (unsigned n = 0; n < count_; ++n) entries_[used_[n]] = {};
    count_ = 0;
    complete_ = true;
  }

 private:
  static constexpr unsigned kLog2 = 13, kMost = (1 << kLog2) / 4 * 3;
  static constexpr uint64_t kUsed = 1;

  struct Entry {
    uint64_t linear = 0, page = 0;  // 0: free, else with kUsed
  };
  // That of the page, or the free one where it would be.
  unsigned find(uint64_t linear) const {
    auto n = static_cast<unsigned>((linear >> 12) * 0x9e3779b97f4a7c15 >> (64 - kLog2));
    while (entries_[n].linear != 0 && entries_[n].linear != (linear | kUsed))
      n = (n + 1) & ((1 << kLog2) - 1);
    return n;
  }

  Entry entries_[1 << kLog2];
  uint16_t used_[kMost];
  unsigned count_ = 0;
  bool complete_ = true;  // nothing has been left out, and each is at one place
};

}  // namespace nodevm

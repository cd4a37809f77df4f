#pragma once
// Pages on which translated blocks have died lately. Code that is written all the time is not worth
// a translation that it does not outlive: the more died on a page, the longer new blocks there are
// interpreted first.

#include <algorithm>
#include <cstdint>

namespace nodevm {

class VolatilePages {
 public:
  // Times are counts of retired instructions.
  void noteDeath(uint64_t gpa, uint64_t now) {
    const unsigned deaths = deathsOn(gpa, now);
    at(gpa) = {gpa >> 12, now, std::min(deaths + 1, kMostDeaths)};
  }
  // Visits before a block at `gpa` is translated, where elsewhere it is `threshold`.
  unsigned raise(unsigned threshold, uint64_t gpa, uint64_t now) const {
    return threshold << deathsOn(gpa, now);
  }

 private:
  // A translation costs some 150 visits by the interpreter: with 64 * 12 before it, a fifth at the
  // worst, and what lives longer is soon worth it.
  static constexpr unsigned kMostDeaths = 6;
  // A page is forgiven a death after so many instructions without one.
  static constexpr uint64_t kForgiving = 1 << 24;
  static constexpr unsigned kEntries = 1024;

  struct Entry {
    uint64_t page = 0, last = 0;
    unsigned deaths = 0;
  };

  unsigned deathsOn(uint64_t gpa, uint64_t now) const {
    const Entry& entry = entries_[(gpa >> 12) % kEntries];
    if (entry.page != gpa >> 12) return 0;
    const uint64_t forgiven = (now - entry.last) / kForgiving;
    return forgiven < entry.deaths ? entry.deaths - static_cast<unsigned>(forgiven) : 0;
  }
  Entry& at(uint64_t gpa) { return entries_[(gpa >> 12) % kEntries]; }

  Entry entries_[kEntries];
};

}  // namespace nodevm

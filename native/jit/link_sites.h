#pragma once
// The jumps from block to block, by where they lead: patched when a translation appears there or
// dies. Jumps of dead blocks stay until everything is dropped, as their code does.

#include <cstdint>
#include <vector>

#include "jit/emitter.h"

namespace nodevm {

class LinkSites {
 public:
  struct Site {
    Emitter::Fixup fixup;
    const uint8_t* unlinked;  // where it goes without a translation
  };

  void add(uint64_t gpa, const Site& site) {
    uint32_t& newest = newest_[bucketOf(gpa)];
    sites_.push_back({site, gpa, newest});
    newest = static_cast<uint32_t>(sites_.size());
  }
  template <class Function>
  void each(uint64_t gpa, const Function& function) const {
    for (uint32_t number = newest_[bucketOf(gpa)]; number != 0;) {
      const Listed& listed = sites_[number - 1];
      if (listed.gpa == gpa) function(listed.site);
      number = listed.older;
    }
  }
  void clear() {
    sites_.clear();
    newest_.assign(kBuckets, 0);
  }

 private:
  static constexpr size_t kBuckets = size_t{1} << 18;

  struct Listed {
    Site site;
    uint64_t gpa;
    uint32_t older;  // in the same bucket: number in sites_ from 1, 0: none
  };
  static size_t bucketOf(uint64_t gpa) { return gpa * 0x9e3779b97f4a7c15 >> 46; }

  std::vector<Listed> sites_;
  std::vector<uint32_t> newest_ = std::vector<uint32_t>(kBuckets);
};

}  // namespace nodevm

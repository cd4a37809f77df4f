#pragma once
// Guest RAM: one host mapping; the low range starts at guest physical 0, the high range at 4 GiB.

#include <cstdint>
#include <vector>

namespace nodevm {

class GuestRam {
 public:
  static constexpr uint64_t kHighBase = uint64_t{1} << 32;

  // Maps lowBytes + highBytes of zeroed memory; host() is nullptr when that failed.
  GuestRam(uint64_t lowBytes, uint64_t highBytes);
  ~GuestRam();
  GuestRam(const GuestRam&) = delete;
  GuestRam& operator=(const GuestRam&) = delete;

  uint8_t* data() const { return data_; }
  uint64_t lowBytes() const { return low_; }
  uint64_t highBytes() const { return high_; }

  // Host address of the page that holds gpa, nullptr where there is no RAM.
  uint8_t* page(uint64_t gpa) const {
    if (gpa < low_) return isHole(gpa) ? nullptr : data_ + (gpa & ~uint64_t{4095});
    if (gpa >= kHighBase && gpa - kHighBase < high_)
      return data_ + low_ + ((gpa - kHighBase) & ~uint64_t{4095});
    return nullptr;
  }
  // The inverse: guest physical address of the page that a host address lies in.
  uint64_t gpaOf(const uint8_t* host) const {
    const uint64_t offset = static_cast<uint64_t>(host - data_) & ~uint64_t{4095};
    return offset < low_ ? offset : offset - low_ + kHighBase;
  }
  // Index of a RAM page for per-page tables; only for pages that page() knows.
  uint64_t pageIndex(uint64_t gpa) const {
    return (gpa < low_ ? gpa : gpa - kHighBase + low_) >> 12;
  }
  uint64_t pageCount() const { return (low_ + high_) >> 12; }

  // Pages with decoded code, whose stores take the slow path. See interpreter/block_cache.h.
  bool hasCode(uint64_t gpa) const { return code_[pageIndex(gpa)] != 0; }
  void setCode(uint64_t gpa, bool code) { code_[pageIndex(gpa)] = code; }

 private:
  // VGA memory: SDM-independent PC layout, no RAM is visible there.
  static bool isHole(uint64_t gpa) { return gpa >= 0xa0000 && gpa < 0xc0000; }

  uint64_t low_, high_;
  uint8_t* data_ = nullptr;
  std::vector<uint8_t> code_;
};

}  // namespace nodevm

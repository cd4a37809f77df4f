#pragma once

#include <algorithm>
#include <cstdint>

namespace nodevm {

// Under host time: for how many instructions nobody looks at the clock. To look takes a microsecond
// or two, on cold caches; the speed of the last slice says how long the next one may be.
class SliceLength {
 public:
  static constexpr uint64_t kLeast = 50'000, kMost = 500'000;

  // Times in nanoseconds; retired: instructions since power-on.
  uint64_t next(uint64_t now, uint64_t deadline, uint64_t retired) {
    const uint64_t executed = retired - lastRetired_, passed = now - lastNow_;
    lastNow_ = now;
    lastRetired_ = retired;
    // Shorter ones were cut short, or begin where the guest had been halted.
    if (executed >= kLeast / 2) perMicrosecond_ = executed * 1000 / (passed + 1);
    const uint64_t left = deadline > now ? std::min(deadline - now, kLongestNs) : 0;
    return std::clamp(left * perMicrosecond_ / 1000, kLeast, kMost);
  }

 private:
  static constexpr uint64_t kLongestNs = 300'000;

  uint64_t lastNow_ = 0, lastRetired_ = 0;
  uint64_t perMicrosecond_ = 0;  // instructions
};

}  // namespace nodevm

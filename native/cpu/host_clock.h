#pragma once
// The host's monotonic clock, at the price of its TSC.

#include <cstdint>

namespace nodevm {

// Nanoseconds of CLOCK_MONOTONIC. Asked more often than that takes to pay, it counts the TSC from
// the last look at the clock on, for a millisecond at most: a TSC that is no clock, or another
// processor's, is wrong by no more than that, and never for longer. Does not go back.
class HostClock {
 public:
  HostClock();
  uint64_t now();

 private:
  uint64_t look();
  void measure(uint64_t ns, uint64_t ticks);

  bool constantRate_;              // of the TSC
  uint64_t firstNs_, firstTicks_;  // what the rate is measured from
  uint64_t ns_ = 0, ticks_ = 0;    // at the last look
  uint64_t newest_ = 0;            // answer
  uint64_t nsPerTick_ = 0;         // times 2^32
  uint64_t mostTicks_ = 0;         // since the last look; 0: look again
};

}  // namespace nodevm

#include "cpu/clock.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace nodevm {

uint64_t GuestClock::hostNs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

uint64_t GuestClock::hostTime() {
  const uint64_t host = hostNs(), passed = host - std::exchange(last_, host);
  const uint64_t seen = resting_ ? passed : std::min(passed, kMostLeap);
  debt_ += passed - seen;
  const uint64_t repaid = std::min(debt_, seen / kCatchUp);
  debt_ -= repaid;
  return time_ += seen + repaid;
}

}  // namespace nodevm

#include "cpu/clock.h"

#include <algorithm>
#include <utility>

namespace nodevm {

uint64_t GuestClock::hostTime() {
  const uint64_t host = host_.now(), passed = host - std::exchange(last_, host);
  const uint64_t seen = resting_ ? passed : std::min(passed, kMostLeap);
  debt_ += passed - seen;
  const uint64_t repaid = std::min(debt_, seen / kCatchUp);
  debt_ -= repaid;
  return time_ += seen + repaid;
}

}  // namespace nodevm

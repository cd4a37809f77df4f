#include "cpu/clock.h"

#include <chrono>

namespace nodevm {

uint64_t GuestClock::hostNs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

}  // namespace nodevm

#include "debug/host_profile.h"

#include <chrono>

#ifdef __linux__
#include <pthread.h>
#endif

namespace nodevm {

namespace {

constexpr auto kInterval = std::chrono::microseconds(500);

// Wall time where a thread's CPU time is not to be had from another thread.
clockid_t clockOfThisThread() {
  clockid_t clock = CLOCK_MONOTONIC;
#ifdef __linux__
  pthread_getcpuclockid(pthread_self(), &clock);
#endif
  return clock;
}

// 0 when the thread has ended.
uint64_t readNs(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return 0;
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

const char* nameOf(Phase phase) {
  static constexpr const char* kNames[kPhases] = {
      "devices and JavaScript",
      "dispatcher and look-ups of blocks",
      "interpreter",
      "translated code",
      "instructions without translation",
      "accesses that missed the TLB",
      "ends of blocks",
      "page walks",
      "decoding",
      "translation",
      "exceptions and interrupts",
      "writes to code",
  };
  return kNames[static_cast<unsigned>(phase)];
}

HostProfile::HostProfile(const Activity& activity, unsigned rows)
    : activity_(activity), clock_(clockOfThisThread()) {
  times_.rows.resize(rows);
  thread_ = std::thread([this] { watch(); });
}

HostProfile::~HostProfile() {
  ending_.store(true, std::memory_order_relaxed);
  thread_.join();
}

HostTimes HostProfile::times() const {
  const std::lock_guard lock(mutex_);
  return times_;
}

void HostProfile::watch() {
  uint64_t last = readNs(clock_);
  while (!ending_.load(std::memory_order_relaxed)) {
    std::this_thread::sleep_for(kInterval);
    const Phase phase = activity_.phase();
    const uint16_t row = activity_.row();
    const uint64_t now = readNs(clock_);
    if (now <= last) continue;
    const std::lock_guard lock(mutex_);
    times_.phases[static_cast<unsigned>(phase)] += now - last;
    const bool byRow =
        phase == Phase::kUntranslated || phase == Phase::kMissed || phase == Phase::kEnded;
    if (byRow && row < times_.rows.size()) times_.rows[row] += now - last;
    last = now;
  }
}

}  // namespace nodevm

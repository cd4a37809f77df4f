#pragma once
// Where host time goes: a thread of its own looks now and then at what the processor's thread does,
// and puts the CPU time that this thread has used meanwhile down to it. No signals: those are
// Node's.

#include <array>
#include <atomic>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <thread>
#include <vector>

namespace nodevm {

enum class Phase : uint8_t {
  kOutside,  // run() is not under way: devices, JavaScript
  kDispatcher,
  kInterpreter,
  kTranslated,
  // The interpreter on behalf of translated code, by row of the opcode table.
  kUntranslated,
  kMissed,
  kEnded,
  kPageWalk,
  kDecoding,
  kTranslation,
  kEvent,      // exceptions and interrupts on their way
  kCodeWrite,  // blocks that are written die
};
inline constexpr unsigned kPhases = static_cast<unsigned>(Phase::kCodeWrite) + 1;
const char* nameOf(Phase phase);

// What the processor's thread does, for whoever looks from another.
class Activity {
 public:
  void set(Phase phase) { phase_.store(phase, std::memory_order_relaxed); }
  void set(Phase phase, uint16_t row) {
    row_.store(row, std::memory_order_relaxed);
    set(phase);
  }
  Phase phase() const { return phase_.load(std::memory_order_relaxed); }
  uint16_t row() const { return row_.load(std::memory_order_relaxed); }
  // For translated code, which stores a byte there.
  const void* phaseByte() const { return &phase_; }

 private:
  std::atomic<Phase> phase_{Phase::kOutside};
  std::atomic<uint16_t> row_{0};
  static_assert(sizeof(std::atomic<Phase>) == 1);
};

// A phase that ends with the scope.
class ActivityScope {
 public:
  ActivityScope(Activity& activity, Phase phase) : activity_(activity), before_(activity.phase()) {
    activity.set(phase);
  }
  ~ActivityScope() { activity_.set(before_); }
  ActivityScope(const ActivityScope&) = delete;
  ActivityScope& operator=(const ActivityScope&) = delete;

 private:
  Activity& activity_;
  const Phase before_;
};

// Nanoseconds of CPU time.
struct HostTimes {
  std::array<uint64_t, kPhases> phases{};
  std::vector<uint64_t> rows;
};

class HostProfile {
 public:
  // Looks at the thread that calls it.
  HostProfile(const Activity& activity, unsigned rows);
  ~HostProfile();
  HostTimes times() const;

 private:
  void watch();

  const Activity& activity_;
  clockid_t clock_;
  mutable std::mutex mutex_;
  HostTimes times_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace nodevm

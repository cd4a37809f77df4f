#pragma once
// The one guest clock. Guest time is nanoseconds since power-on; the TSC ticks once a nanosecond.

#include <cstdint>

namespace nodevm {

enum class ClockSource : uint8_t { kHost, kIcount };

// Published in CPUID 15H/16H and used for the TSC and the local APIC timer.
inline constexpr uint64_t kTscHz = 1'000'000'000;

class GuestClock {
 public:
  explicit GuestClock(ClockSource source) : source_(source), origin_(hostNs()) {}

  ClockSource source() const { return source_; }
  // `retired`: instructions since power-on, which is the time under icount but for the jumps.
  uint64_t now(uint64_t retired) const {
    if (source_ == ClockSource::kIcount) return retired + skipped_;
    return (held_ ? heldAt_ : hostNs()) - origin_;
  }
  // Host time: stands still while a debugger has the machine stopped.
  void hold(bool held) {
    if (held == held_) return;
    if (held) {
      heldAt_ = hostNs();
    } else {
      origin_ += hostNs() - heldAt_;
    }
    held_ = held;
  }
  // icount: moves time forward (HLT jumps to the next event).
  void advanceTo(uint64_t deadline, uint64_t retired) {
    if (source_ == ClockSource::kIcount && deadline > now(retired)) skipped_ = deadline - retired;
  }

 private:
  static uint64_t hostNs();

  ClockSource source_;
  uint64_t origin_;
  uint64_t skipped_ = 0;
  uint64_t heldAt_ = 0;
  bool held_ = false;
};

}  // namespace nodevm

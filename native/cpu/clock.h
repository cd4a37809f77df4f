#pragma once
// The one guest clock. Guest time is nanoseconds since power-on; the TSC ticks once a nanosecond.

#include <cstdint>

#include "cpu/host_clock.h"

namespace nodevm {

enum class ClockSource : uint8_t { kHost, kIcount };

// Published in CPUID 15H/16H and used for the TSC and the local APIC timer.
inline constexpr uint64_t kTscHz = 1'000'000'000;

class GuestClock {
 public:
  explicit GuestClock(ClockSource source) : source_(source), last_(host_.now()) {}

  ClockSource source() const { return source_; }
  // `retired`: instructions since power-on, which is the time under icount but for the jumps.
  uint64_t now(uint64_t retired) {
    if (source_ == ClockSource::kIcount) return retired + skipped_;
    return held_ ? time_ : hostTime();
  }
  // Host time: stands still while a debugger has the machine stopped.
  void hold(bool held) {
    if (source_ == ClockSource::kIcount || held == held_) return;
    if (held) {
      hostTime();
    } else {
      last_ = host_.now();
    }
    held_ = held;
  }
  // Host time: the guest is halted until wake(), so that it misses nothing however much passes
  // between two looks at the clock.
  void rest() { resting_ = true; }
  void wake() {
    if (!resting_) return;
    if (source_ == ClockSource::kHost && !held_) hostTime();
    resting_ = false;
  }
  // icount: moves time forward (HLT jumps to the next event).
  void advanceTo(uint64_t deadline, uint64_t retired) {
    if (source_ == ClockSource::kIcount && deadline > now(retired)) skipped_ = deadline - retired;
  }

 private:
  // What the guest may see pass between two looks at the clock while it runs. A host that gives its
  // processors to others for longer would otherwise make it lose ticks: Linux then finds its timer
  // broken, or its clocks unstable. What it has not seen is made up for at 500 ppm, the rate at
  // which adjtime() slews.
  static constexpr uint64_t kMostLeap = 2'000'000, kCatchUp = 2000;

  uint64_t hostTime();

  ClockSource source_;
  HostClock host_;
  uint64_t last_;      // host time at the last look
  uint64_t time_ = 0;  // guest time then
  uint64_t debt_ = 0;  // host time that the guest has not seen yet
  uint64_t skipped_ = 0;
  bool held_ = false, resting_ = false;
};

}  // namespace nodevm

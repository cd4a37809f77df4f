#include "cpu/host_clock.h"

#include <cpuid.h>
#include <x86intrin.h>

#include <algorithm>
#include <chrono>

namespace nodevm {

namespace {

constexpr uint64_t kMostNs = 1'000'000, kLeastMeasuredNs = 10'000'000;
// A look that takes longer was interrupted: nobody knows which of its ends the clock stands for.
constexpr uint64_t kMostTicksOfLook = 20'000;
// Ticks a nanosecond of what may be a TSC.
constexpr double kLeastRate = 0.1, kMostRate = 100;
constexpr unsigned kFraction = 32;  // bits

uint64_t monotonicNs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

// SDM volume 3, "Invariant TSC".
bool hasConstantRate() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) != 0 && (edx & 1 << 8) != 0;
}

}  // namespace

HostClock::HostClock()
    : constantRate_(hasConstantRate()), firstNs_(monotonicNs()), firstTicks_(__rdtsc()) {}

uint64_t HostClock::now() {
  const uint64_t passed = __rdtsc() - ticks_;
  const uint64_t ns = passed < mostTicks_ ? ns_ + (passed * nsPerTick_ >> kFraction) : look();
  return newest_ = std::max(newest_, ns);
}

uint64_t HostClock::look() {
  const uint64_t before = __rdtsc(), ns = monotonicNs(), took = __rdtsc() - before;
  mostTicks_ = 0;
  if (constantRate_ && took < kMostTicksOfLook) measure(ns, before + took / 2);
  return ns;
}

void HostClock::measure(uint64_t ns, uint64_t ticks) {
  ns_ = ns;
  ticks_ = ticks;
  const uint64_t passed = ns - firstNs_;
  if (passed < kLeastMeasuredNs) return;
  const double ticksPerNs = static_cast<double>(ticks - firstTicks_) / static_cast<double>(passed);
  if (!(ticksPerNs > kLeastRate && ticksPerNs < kMostRate)) return;
  nsPerTick_ = static_cast<uint64_t>(static_cast<double>(uint64_t{1} << kFraction) / ticksPerNs);
  mostTicks_ = static_cast<uint64_t>(ticksPerNs * static_cast<double>(kMostNs));
}

}  // namespace nodevm

#include "cpu/features.h"

#include <cpuid.h>

#include <initializer_list>

namespace nodevm {

namespace {

enum class Execution : uint8_t { kSoftware, kHost };

struct Place {
  uint32_t leaf, subleaf;
  CpuidRegister reg;
  uint8_t bit;
  Execution execution;
};

constexpr FeatureSet unionOf(std::initializer_list<Feature> features) {
  FeatureSet set = 0;
  for (const Feature feature : features) set |= setOf(feature);
  return set;
}

using enum Feature;
using enum CpuidRegister;
using enum Execution;

constexpr Place kPlaces[] = {
#define FEATURE(id, name, leaf, subleaf, reg, bit, execution, ...) \
  {leaf, subleaf, reg, bit, execution},
#include "decoder/features.inc"
#undef FEATURE
};

bool reported(const Place& place) {
  unsigned registers[4] = {};
  return __get_cpuid_count(place.leaf, place.subleaf, &registers[0], &registers[1], &registers[2],
                           &registers[3]) &&
         (registers[static_cast<unsigned>(place.reg)] >> place.bit & 1);
}

// SDM volume 1, "Detection of AVX Instructions": whether the host's system saves these components
// of XCR0.
bool hostSaves(unsigned components) {
  unsigned eax, ebx, ecx, edx;
  constexpr unsigned kOsxsave = 1 << 27;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & kOsxsave)) return false;
  asm("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return (eax & components) == components;
}

FeatureSet findReported() {
  FeatureSet set = setOf(kBaseline);
  for (size_t n = 0; n < kFeatureRowCount; ++n)
    if (reported(kPlaces[n])) set |= FeatureSet{1} << (n + 1);
  constexpr unsigned kSseAndAvx = 0x06, kWithAvx512 = 0xe6;
  if (!hostSaves(kSseAndAvx)) set &= ~setOf(kAvx);
  // The back end moves opmasks of 64 bits (interpreter/evex_host.h).
  if (!hostSaves(kWithAvx512) || !has(set, kAvx512bw)) set &= ~setOf(kAvx512f);
  return set;
}

bool canExecute(Feature feature) {
  const Execution execution = kPlaces[static_cast<size_t>(feature) - 1].execution;
  return execution == kSoftware || has(hostFeatures(), feature);
}

FeatureSet findPossible() {
  FeatureSet set = setOf(kBaseline);
  for (size_t n = 1; n <= kFeatureRowCount; ++n)
    if (canExecute(static_cast<Feature>(n))) set |= FeatureSet{1} << n;
  // What lacks something that it builds on goes, until nothing does.
  for (FeatureSet before = 0; before != set;) {
    before = set;
    for (size_t n = 1; n <= kFeatureRowCount; ++n)
      if (kFeatureRows[n - 1].needs & ~set) set &= ~(FeatureSet{1} << n);
  }
  return set;
}

}  // namespace

constinit const FeatureRow kFeatureRows[] = {
#define FEATURE(id, name, leaf, subleaf, reg, bit, execution, ...) {name, unionOf({__VA_ARGS__})},
#include "decoder/features.inc"
#undef FEATURE
};

FeatureSet hostFeatures() {
  static const FeatureSet reported = findReported();
  return reported;
}

FeatureSet possibleFeatures() {
  static const FeatureSet possible = findPossible();
  return possible;
}

uint32_t cpuidBits(FeatureSet set, uint32_t leaf, uint32_t subleaf, CpuidRegister reg) {
  uint32_t bits = 0;
  for (size_t n = 0; n < kFeatureRowCount; ++n) {
    const Place& place = kPlaces[n];
    if (place.leaf == leaf && place.subleaf == subleaf && place.reg == reg && (set >> (n + 1) & 1))
      bits |= uint32_t{1} << place.bit;
  }
  return bits;
}

}  // namespace nodevm

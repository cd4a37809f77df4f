#pragma once
// The features that a processor model may have or lack; features.inc is the list. What they mean to
// CPUID and to the host is in cpu/features.h; to the decoder they are names only.

#include <cstdint>

namespace nodevm {

// kBaseline: x86-64-v1, which every model has.
enum class Feature : uint8_t {
  kBaseline,
#define FEATURE(id, ...) id,
#include "decoder/features.inc"
#undef FEATURE
  kCount
};

// One bit a feature.
using FeatureSet = uint64_t;
static_assert(static_cast<unsigned>(Feature::kCount) <= 64);

constexpr FeatureSet setOf(Feature feature) {
  return FeatureSet{1} << static_cast<unsigned>(feature);
}
constexpr bool has(FeatureSet set, Feature feature) { return (set & setOf(feature)) != 0; }

}  // namespace nodevm

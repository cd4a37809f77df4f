#pragma once
// What a processor model may offer: the rows of decoder/features.inc as CPUID reports them.

#include <cstddef>

#include "decoder/feature.h"

namespace nodevm {

// Leaf 1's, and EDX after a reset. Family 6, model 36H, stepping 1: an in-order core that does not
// speculate, as an interpreter does not. Operating systems know that and leave out every
// mitigation.
inline constexpr uint32_t kSignature = 0x00030661;

enum class CpuidRegister : uint8_t { kEax, kEbx, kEcx, kEdx };

struct FeatureRow {
  const char* name;  // QEMU's
  FeatureSet needs;  // what it builds on
};

// Rows by Feature, without kBaseline: row n is feature n + 1.
extern const FeatureRow kFeatureRows[];
inline constexpr size_t kFeatureRowCount = static_cast<size_t>(Feature::kCount) - 1;

// All that is implemented and that this host can execute, kBaseline included: the model `max`.
FeatureSet possibleFeatures();
// What the host itself reports, implemented or not.
FeatureSet hostFeatures();

// The bits of the set in one register of a CPUID leaf.
uint32_t cpuidBits(FeatureSet set, uint32_t leaf, uint32_t subleaf, CpuidRegister reg);

}  // namespace nodevm

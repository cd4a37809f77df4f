// CPUID. SDM volume 2, "CPUID". What every model has is here; the rest is in decoder/features.inc.

#include <cstring>

#include "cpu/clock.h"
#include "cpu/xstate.h"
#include "mmu/page_walk.h"

namespace nodevm {

namespace {

using enum CpuidRegister;

constexpr uint32_t bit(unsigned n) { return uint32_t{1} << n; }

constexpr uint32_t kMaxBasicLeaf = 0x16, kMaxExtendedLeaf = 0x80000008;
constexpr uint32_t kFirstHypervisorLeaf = 0x40000000, kLastHypervisorLeaf = 0x4fffffff;
constexpr uint32_t kInitialApicId = 0;  // one processor

constexpr char kVendor[13] = "GenuineIntel";
constexpr char kHypervisor[13] = "NodeVMNodeVM";
constexpr char kBrand[49] = "nodevm virtual CPU";

constexpr unsigned kLineBytes = 64;
constexpr uint32_t kMegahertz = static_cast<uint32_t>(kTscHz / 1'000'000);

constexpr uint32_t kOsxsave = bit(27);
// FPU VME DE PSE TSC MSR PAE MCE CX8 SEP MTRR PGE MCA CMOV PAT PSE36 CLFLUSH MMX FXSR SSE SSE2
constexpr uint32_t kFeaturesEdx = bit(0) | bit(1) | bit(2) | bit(3) | bit(4) | bit(5) | bit(6) |
                                  bit(7) | bit(8) | bit(11) | bit(12) | bit(13) | bit(14) |
                                  bit(15) | bit(16) | bit(17) | bit(19) | bit(23) | bit(24) |
                                  bit(25) | bit(26);
constexpr uint32_t kApic = bit(9);
constexpr uint64_t kApicBaseEnable = 1 << 11;
// Of leaf 7, IBRS, IBPB and STIBP are not offered: there is no predictor to control.
// Leaf 80000001H. ECX: LAHF in 64-bit mode. EDX: SYSCALL, NX, 1-GiB pages, long mode.
constexpr uint32_t kAmdEcx = bit(0);
constexpr uint32_t kAmdEdx = bit(11) | bit(20) | bit(26) | bit(29);

uint32_t word(const char* text, unsigned index) {
  uint32_t value;
  std::memcpy(&value, text + 4 * index, sizeof value);
  return value;
}

Cpu::CpuidResult featureLeaf(const Cpu& cpu) {
  return {kSignature, kInitialApicId << 24 | 1 << 16 | (kLineBytes / 8) << 8,
          cpuidBits(cpu.features, 1, 0, kEcx) | ((cpu.cr4 & cr4::kOsxsave) ? kOsxsave : 0),
          kFeaturesEdx | ((cpu.msr.apicBase & kApicBaseEnable) ? kApic : 0)};
}

// Deterministic cache parameters.
Cpu::CpuidResult cacheLeaf(uint32_t subleaf) {
  struct Cache {
    uint32_t type, level, ways, sets;
  };
  static constexpr Cache kCaches[] = {
      {1, 1, 8, 64}, {2, 1, 8, 64}, {3, 2, 16, 1024}};  // 32 KiB data, 32 KiB code, 1 MiB
  if (subleaf >= std::size(kCaches)) return {0, 0, 0, 0};
  const Cache& cache = kCaches[subleaf];
  constexpr uint32_t selfInitializing = bit(8);
  return {cache.type | cache.level << 5 | selfInitializing,
          (kLineBytes - 1) | (cache.ways - 1) << 22, cache.sets - 1, 0};
}

// Extended topology: one thread, one core.
Cpu::CpuidResult topologyLeaf(uint32_t subleaf) {
  constexpr uint32_t kThread = 1, kCore = 2;
  switch (subleaf) {
    case 0:
      return {0, 1, subleaf | kThread << 8, kInitialApicId};
    case 1:
      return {0, 1, subleaf | kCore << 8, kInitialApicId};
    default:
      return {0, 0, subleaf & 0xff, kInitialApicId};
  }
}

// Processor extended state enumeration.
Cpu::CpuidResult stateLeaf(const Cpu& cpu, uint32_t subleaf) {
  if (!has(cpu.features, Feature::kXsave)) return {0, 0, 0, 0};
  const uint64_t supported = supportedXcr0(cpu.features);
  switch (subleaf) {
    case 0:
      return {static_cast<uint32_t>(supported), xsaveBytes(cpu.xcr0, false),
              xsaveBytes(supported, false), static_cast<uint32_t>(supported >> 32)};
    case 1: {
      const bool compacts = has(cpu.features, Feature::kXsavec);
      return {cpuidBits(cpu.features, 0xd, 1, kEax), compacts ? xsaveBytes(cpu.xcr0, true) : 0, 0,
              0};
    }
    default: {
      // x87 and SSE, in the legacy region, have no leaves of their own.
      const XsaveComponent* component = xsaveComponent(subleaf);
      if (!component || !(supported >> subleaf & 1)) return {0, 0, 0, 0};
      return {component->bytes, component->offset, 0, 0};
    }
  }
}

Cpu::CpuidResult extendedLeaf(const Cpu& cpu, uint32_t leaf) {
  switch (leaf) {
    case 0x80000000:
      return {kMaxExtendedLeaf, 0, 0, 0};
    case 0x80000001:
      return {0, 0, kAmdEcx | cpuidBits(cpu.features, 0x80000001, 0, kEcx),
              kAmdEdx | cpuidBits(cpu.features, 0x80000001, 0, kEdx)};
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const char* part = kBrand + 16 * (leaf - 0x80000002);
      return {word(part, 0), word(part, 1), word(part, 2), word(part, 3)};
    }
    case 0x80000006:
      return {0, 0, kLineBytes | 8 << 12 | 1024 << 16, 0};  // 1 MiB, 16 ways
    case 0x80000007:
      return {0, 0, 0, bit(8)};  // invariant TSC
    case 0x80000008:
      return {kPhysicalBits | 48 << 8, 0, 0, 0};
    default:
      return {0, 0, 0, 0};
  }
}

Cpu::CpuidResult basicLeaf(const Cpu& cpu, uint32_t leaf, uint32_t subleaf) {
  switch (leaf) {
    case 0x0:
      return {kMaxBasicLeaf, word(kVendor, 0), word(kVendor, 2), word(kVendor, 1)};
    case 0x1:
      return featureLeaf(cpu);
    case 0x2:
      return {0x00ff0001, 0, 0, 0};  // one query; FF: see leaf 4
    case 0x4:
      return cacheLeaf(subleaf);
    case 0x6:
      return {bit(2), 0, 0, 0};  // the APIC timer always runs (ARAT)
    // EAX of 0: the last subleaf.
    case 0x7:
      return {subleaf == 0 ? uint32_t{has(cpu.features, Feature::kAvx512bf16)}
                           : cpuidBits(cpu.features, 7, subleaf, kEax),
              cpuidBits(cpu.features, 7, subleaf, kEbx), cpuidBits(cpu.features, 7, subleaf, kEcx),
              cpuidBits(cpu.features, 7, subleaf, kEdx)};
    case 0xb:
      return topologyLeaf(subleaf);
    case 0xd:
      return stateLeaf(cpu, subleaf);
    // TSC / crystal = 1/1, and the crystal also drives the APIC timer.
    case 0x15:
      return {1, 1, static_cast<uint32_t>(kTscHz), 0};
    case 0x16:
      return {kMegahertz, kMegahertz, 100, 0};
    default:
      return {0, 0, 0, 0};
  }
}

}  // namespace

Cpu::CpuidResult Cpu::cpuid(uint32_t leaf, uint32_t subleaf) const {
  const bool hypervisor = has(features, Feature::kHypervisor);
  if (hypervisor && leaf >= kFirstHypervisorLeaf && leaf <= kLastHypervisorLeaf) {
    if (leaf != kFirstHypervisorLeaf) return {0, 0, 0, 0};
    return {kFirstHypervisorLeaf, word(kHypervisor, 0), word(kHypervisor, 1), word(kHypervisor, 2)};
  }
  if (leaf >= 0x80000000 && leaf <= kMaxExtendedLeaf) return extendedLeaf(*this, leaf);
  // Beyond the last leaf Intel processors answer with the highest basic one.
  return basicLeaf(*this, leaf <= kMaxBasicLeaf ? leaf : kMaxBasicLeaf, subleaf);
}

}  // namespace nodevm

#include "cpu/msr.h"

#include "cpu/descriptor.h"
#include "mmu/page_walk.h"

namespace nodevm {

namespace {

using namespace msr_index;

constexpr uint64_t kAboveMaxPhysical = ~((uint64_t{1} << kPhysicalBits) - 1);
constexpr uint64_t kHighHalf = 0xffffffff00000000;

// IA32_ARCH_CAPABILITIES: not affected by anything it can say so of (RDCL_NO, SKIP_L1DFL_VMENTRY,
// SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO,
// PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO). True of an interpreter.
constexpr uint64_t kArchCapabilitiesValue = 1u << 0 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 |
                                            1u << 8 | 1u << 13 | 1u << 14 | 1u << 15 | 1u << 20 |
                                            1u << 24 | 1u << 26 | 1u << 27 | uint64_t{1} << 62;

constexpr uint64_t kMicrocodeRevision = uint64_t{1} << 32;
// VCNT 8, fixed-range registers, write-combining type.
constexpr uint64_t kMtrrCapValue = 8 | 1 << 8 | 1 << 10;
constexpr uint64_t kMtrrDefTypeEnables = 3 << 10;
constexpr uint64_t kMtrrMaskValid = 1 << 11;
constexpr uint64_t kDebugCtlWritable = 3;  // LBR, BTF
constexpr uint64_t kEferDefined = efer::kSce | efer::kLme | efer::kLma | efer::kNxe;
// IA32_MISC_ENABLE: fast strings, thermal control, SpeedStep, MONITOR, limit CPUID, xTPR, XD
// disable, turbo disable; and BTS and PEBS "unavailable", which read as 1.
constexpr uint64_t kMiscEnableWritable = 1u << 0 | 1u << 3 | 1u << 16 | 1u << 18 | 1u << 22 |
                                         1u << 23 | uint64_t{1} << 34 | uint64_t{1} << 38;
constexpr uint64_t kMiscEnableReadOnly = 1u << 7 | 1u << 11 | 1u << 12;
constexpr uint64_t kMiscEnableFixed = 1u << 11 | 1u << 12;

// SDM volume 3, "Memory Types That Can Be Encoded in MTRRs".
bool isMtrrType(uint64_t type) { return type <= 6 && type != 2 && type != 3; }
// SDM volume 3, "Memory Types That Can Be Encoded With PAT".
bool isPatType(uint64_t type) { return type <= 7 && type != 2 && type != 3; }

bool everyByte(uint64_t value, bool (*valid)(uint64_t)) {
  for (unsigned shift = 0; shift < 64; shift += 8)
    if (!valid((value >> shift) & 0xff)) return false;
  return true;
}

// Slot of a fixed-range MTRR in MsrState::mtrrFixed, nullptr when the index is none.
uint64_t* fixedMtrr(MsrState& msr, uint32_t index) {
  if (index == kMtrrFix64k) return &msr.mtrrFixed[0];
  if (index == kMtrrFix16k || index == kMtrrFix16k + 1)
    return &msr.mtrrFixed[1 + (index - kMtrrFix16k)];
  if (index >= kMtrrFix4kFirst && index <= kMtrrFix4kLast)
    return &msr.mtrrFixed[3 + (index - kMtrrFix4kFirst)];
  return nullptr;
}

bool isVariableMtrr(uint32_t index) { return index >= kMtrrPhysBase0 && index <= kMtrrPhysMask7; }
bool isX2apic(uint32_t index) { return index >= kX2apicFirst && index <= kX2apicLast; }

// SDM volume 3, "x2APIC Register Address Space": MSR 800H + offset / 16.
uint32_t apicOffset(uint32_t index) { return (index - kX2apicFirst) << 4; }

// MSRs that exist only with a feature; kBaseline for all others.
Feature featureOf(uint32_t index) {
  switch (index) {
    case kTscAdjust:
      return Feature::kTscAdjust;
    case kTscDeadline:
      return Feature::kTscDeadline;
    case kArchCapabilities:
      return Feature::kArchCaps;
    case kXss:
      return Feature::kXsaves;
    default:
      return Feature::kBaseline;
  }
}
// IA32_TSC_AUX comes with either instruction that reads it.
bool exists(const Cpu& cpu, uint32_t index) {
  if (index == kTscAux && has(cpu.features, Feature::kRdpid)) return true;
  return has(cpu.features, index == kTscAux ? Feature::kRdtscp : featureOf(index));
}

bool x2apicEnabled(const Cpu& cpu) {
  constexpr uint64_t both = apic_base::kEnable | apic_base::kX2apic;
  return (cpu.msr.apicBase & both) == both;
}

// The APIC keeps the deadline in guest nanoseconds too: 0 where it has passed, even before
// power-on.
void armTscDeadline(Cpu& cpu, uint64_t ticks) {
  const uint64_t ns = ticks - cpu.msr.tscAdjust, now = cpu.nowNs();
  const bool passed = ticks <= now + cpu.msr.tscAdjust;
  const bool beyondTime = ns < now;
  cpu.apic.writeTscDeadline(ticks, passed ? 0 : beyondTime ? LocalApic::kNever : ns);
  cpu.breakSoon();
}

// IA32_TIME_STAMP_COUNTER is guest time plus IA32_TSC_ADJUST; a write to either moves both. SDM
// volume 3, "Time-Stamp Counter Adjustment".
void setTscAdjust(Cpu& cpu, uint64_t adjust) {
  const uint64_t deadline = cpu.apic.tscDeadline();
  cpu.msr.tscAdjust = adjust;
  armTscDeadline(cpu, deadline);
}

// SDM volume 3, "Local APIC State After It Has Been Software Disabled" and figure "Local x2APIC
// State Transitions with IA32_APIC_BASE, INIT, and Reset".
bool writeApicBase(Cpu& cpu, uint64_t value) {
  constexpr uint64_t reserved = 0x2ff | kAboveMaxPhysical;
  const bool enabled = value & apic_base::kEnable, x2apic = value & apic_base::kX2apic;
  const bool wasEnabled = cpu.msr.apicBase & apic_base::kEnable,
             wasX2apic = cpu.msr.apicBase & apic_base::kX2apic;
  const bool illegal = (x2apic && !has(cpu.features, Feature::kX2apic)) || (x2apic && !enabled) ||
                       (wasX2apic && enabled && !x2apic) || (!wasEnabled && enabled && x2apic);
  if ((value & reserved) || illegal) return cpu.raise(kGp, 0);
  cpu.msr.apicBase = value;
  cpu.apic.setMode(enabled, x2apic);
  cpu.flushTlb(true);
  cpu.breakSoon();
  return true;
}

bool writeEfer(Cpu& cpu, uint64_t value) {
  const uint64_t changed = cpu.msr.efer ^ value;
  const bool paging = cpu.cr0 & cr0::kPg;
  if ((value & ~kEferDefined) || (paging && (changed & efer::kLme))) return cpu.raise(kGp, 0);
  cpu.msr.efer = (value & ~efer::kLma) | (cpu.msr.efer & efer::kLma);
  if (changed & efer::kNxe) cpu.flushTlb(true);
  cpu.updateMode();
  return true;
}

bool writeMtrr(Cpu& cpu, uint32_t index, uint64_t value) {
  if (uint64_t* fixed = fixedMtrr(cpu.msr, index)) {
    if (!everyByte(value, isMtrrType)) return cpu.raise(kGp, 0);
    *fixed = value;
    return true;
  }
  const bool isMask = index & 1;
  const bool valid = isMask ? !(value & (kAboveMaxPhysical | (kMtrrMaskValid - 1)))
                            : !(value & (kAboveMaxPhysical | 0xf00)) && isMtrrType(value & 0xff);
  if (!valid) return cpu.raise(kGp, 0);
  cpu.msr.mtrrVariable[index - kMtrrPhysBase0] = value;
  return true;
}

bool setChecked(Cpu& cpu, uint64_t& target, uint64_t value, bool valid) {
  if (!valid) return cpu.raise(kGp, 0);
  target = value;
  return true;
}

bool setCanonical(Cpu& cpu, uint64_t& target, uint64_t value) {
  return setChecked(cpu, target, value, isCanonical(value));
}

bool setSegmentBase(Cpu& cpu, Segment seg, uint64_t value) {
  if (!setCanonical(cpu, cpu.segment[seg].base, value)) return false;
  cpu.updateMode();
  return true;
}

bool writeX2apic(Cpu& cpu, uint32_t index, uint64_t value) {
  if (!x2apicEnabled(cpu) || !cpu.apic.write(apicOffset(index), true, cpu.nowNs(), value))
    return cpu.raise(kGp, 0);
  cpu.breakSoon();
  return true;
}

}  // namespace

bool Cpu::readMsr(uint32_t index, uint64_t& value) {
  if (!exists(*this, index)) return raise(kGp, 0);
  if (isX2apic(index)) {
    return (x2apicEnabled(*this) && apic.read(apicOffset(index), true, nowNs(), value)) ||
           raise(kGp, 0);
  }
  if (isVariableMtrr(index)) {
    value = msr.mtrrVariable[index - kMtrrPhysBase0];
    return true;
  }
  if (const uint64_t* fixed = fixedMtrr(msr, index)) {
    value = *fixed;
    return true;
  }
  switch (index) {
    case kP5McAddr:
    case kP5McType:
    case kPlatformId:
    case kMcgCap:  // no banks
    case kMcgStatus:
      value = 0;
      return true;
    case kTimeStampCounter:
      value = readTsc();
      return true;
    case kApicBase:
      value = msr.apicBase;
      return true;
    case kTscAdjust:
      value = msr.tscAdjust;
      return true;
    case kBiosSignId:
      value = kMicrocodeRevision;
      return true;
    case kMtrrCap:
      value = kMtrrCapValue;
      return true;
    case kArchCapabilities:
      value = kArchCapabilitiesValue;
      return true;
    case kSysenterCs:
      value = msr.sysenterCs;
      return true;
    case kSysenterEsp:
      value = msr.sysenterEsp;
      return true;
    case kSysenterEip:
      value = msr.sysenterEip;
      return true;
    case kMiscEnable:
      value = msr.miscEnable | kMiscEnableFixed;
      return true;
    case kDebugCtl:
      value = msr.debugCtl;
      return true;
    case kPat:
      value = msr.pat;
      return true;
    case kMtrrDefType:
      value = msr.mtrrDefType;
      return true;
    case kTscDeadline:
      value = apic.tscDeadline();
      return true;
    case kXss:
      value = msr.xss;
      return true;
    case kEfer:
      value = msr.efer;
      return true;
    case kStar:
      value = msr.star;
      return true;
    case kLstar:
      value = msr.lstar;
      return true;
    case kCstar:
      value = msr.cstar;
      return true;
    case kFmask:
      value = msr.sfmask;
      return true;
    case kFsBase:
      value = segment[kFs].base;
      return true;
    case kGsBase:
      value = segment[kGs].base;
      return true;
    case kKernelGsBase:
      value = msr.kernelGsBase;
      return true;
    case kTscAux:
      value = msr.tscAux;
      return true;
    default:
      return raise(kGp, 0);
  }
}

bool Cpu::writeMsr(uint32_t index, uint64_t value) {
  if (!exists(*this, index)) return raise(kGp, 0);
  if (isX2apic(index)) return writeX2apic(*this, index, value);
  if (isVariableMtrr(index) || fixedMtrr(msr, index)) return writeMtrr(*this, index, value);
  const bool narrow = (value & kHighHalf) == 0;
  switch (index) {
    case kP5McAddr:
    case kP5McType:
    case kMcgStatus:
      return value == 0 || raise(kGp, 0);
    case kBiosSignId:
      return true;  // written before CPUID 1 to read the revision
    case kTimeStampCounter:
      setTscAdjust(*this, msr.tscAdjust + (value - readTsc()));
      return true;
    case kApicBase:
      return writeApicBase(*this, value);
    case kTscAdjust:
      setTscAdjust(*this, value);
      return true;
    case kSysenterCs:
      msr.sysenterCs = value & 0xffffffff;
      return true;
    case kSysenterEsp:
      return setCanonical(*this, msr.sysenterEsp, value);
    case kSysenterEip:
      return setCanonical(*this, msr.sysenterEip, value);
    case kMiscEnable:
      return setChecked(*this, msr.miscEnable, value & kMiscEnableWritable,
                        !(value & ~(kMiscEnableWritable | kMiscEnableReadOnly)));
    case kDebugCtl:
      return setChecked(*this, msr.debugCtl, value, !(value & ~kDebugCtlWritable));
    case kPat:
      return setChecked(*this, msr.pat, value, everyByte(value, isPatType));
    case kMtrrDefType:
      return setChecked(*this, msr.mtrrDefType, value,
                        !(value & ~(kMtrrDefTypeEnables | 0xff)) && isMtrrType(value & 0xff));
    case kTscDeadline:
      armTscDeadline(*this, value);
      return true;
    case kXss:
      return setChecked(*this, msr.xss, value, value == 0);  // no supervisor components
    case kEfer:
      return writeEfer(*this, value);
    case kStar:
      msr.star = value;
      return true;
    case kLstar:
      return setCanonical(*this, msr.lstar, value);
    case kCstar:
      return setCanonical(*this, msr.cstar, value);
    case kFmask:
      return setChecked(*this, msr.sfmask, value, narrow);
    case kFsBase:
      return setSegmentBase(*this, kFs, value);
    case kGsBase:
      return setSegmentBase(*this, kGs, value);
    case kKernelGsBase:
      return setCanonical(*this, msr.kernelGsBase, value);
    case kTscAux:
      return setChecked(*this, msr.tscAux, value, narrow);
    default:
      return raise(kGp, 0);
  }
}

}  // namespace nodevm

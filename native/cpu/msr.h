#pragma once
// Indices of the model-specific registers that this processor has. SDM volume 4.

#include <cstdint>

namespace nodevm::msr_index {

enum : uint32_t {
  kP5McAddr = 0x0,
  kP5McType = 0x1,
  kTimeStampCounter = 0x10,
  kPlatformId = 0x17,
  kApicBase = 0x1b,
  kTscAdjust = 0x3b,
  kBiosSignId = 0x8b,
  kMtrrCap = 0xfe,
  kArchCapabilities = 0x10a,
  kSysenterCs = 0x174,
  kSysenterEsp = 0x175,
  kSysenterEip = 0x176,
  kMcgCap = 0x179,
  kMcgStatus = 0x17a,
  kMiscEnable = 0x1a0,
  kDebugCtl = 0x1d9,
  kMtrrPhysBase0 = 0x200,
  kMtrrPhysMask7 = 0x20f,
  kMtrrFix64k = 0x250,
  kMtrrFix16k = 0x258,
  kMtrrFix4kFirst = 0x268,
  kMtrrFix4kLast = 0x26f,
  kPat = 0x277,
  kMtrrDefType = 0x2ff,
  kTscDeadline = 0x6e0,
  kX2apicFirst = 0x800,
  kX2apicLast = 0x8ff,
  kXss = 0xda0,
  kEfer = 0xc0000080,
  kStar = 0xc0000081,
  kLstar = 0xc0000082,
  kCstar = 0xc0000083,
  kFmask = 0xc0000084,
  kFsBase = 0xc0000100,
  kGsBase = 0xc0000101,
  kKernelGsBase = 0xc0000102,
  kTscAux = 0xc0000103,
};

}  // namespace nodevm::msr_index

// Writes to control registers. SDM volume 3, "Control Registers", and volume 2, "MOV - Move to/from
// Control Registers".

#include <cstring>

#include "cpu/descriptor.h"
#include "mmu/page_walk.h"

namespace nodevm {

namespace {

constexpr uint64_t kCr0Defined = cr0::kPe | cr0::kMp | cr0::kEm | cr0::kTs | cr0::kEt | cr0::kNe |
                                 cr0::kWp | cr0::kAm | cr0::kNw | cr0::kCd | cr0::kPg;
// What every model has; the rest follows CPUID. No SMX, VMX, LA57, PKU, CET.
constexpr uint64_t kCr4Baseline = cr4::kVme | cr4::kPvi | cr4::kTsd | cr4::kDe | cr4::kPse |
                                  cr4::kPae | cr4::kMce | cr4::kPge | cr4::kPce | cr4::kOsfxsr |
                                  cr4::kOsxmmexcpt;

uint64_t definedCr4(FeatureSet features) {
  const auto offered = [&](Feature feature, uint64_t bit) {
    return has(features, feature) ? bit : 0;
  };
  return kCr4Baseline | offered(Feature::kUmip, cr4::kUmip) |
         offered(Feature::kFsgsbase, cr4::kFsgsbase) | offered(Feature::kPcid, cr4::kPcide) |
         offered(Feature::kXsave, cr4::kOsxsave) | offered(Feature::kSmep, cr4::kSmep) |
         offered(Feature::kSmap, cr4::kSmap);
}

constexpr uint64_t kCr0Paging = cr0::kPe | cr0::kPg | cr0::kWp;
constexpr uint64_t kCr4Paging =
    cr4::kPse | cr4::kPae | cr4::kPge | cr4::kPcide | cr4::kSmep | cr4::kSmap;
// SDM volume 3, "PDPTE Registers": writes that load them again.
constexpr uint64_t kCr0LoadsPdptes = cr0::kPg | cr0::kCd | cr0::kNw;
constexpr uint64_t kCr4LoadsPdptes = cr4::kPae | cr4::kPge | cr4::kPse | cr4::kSmep;

// CR4.PCIDE: bit 63 of a value for CR3 asks to keep TLB entries, and is not stored.
constexpr uint64_t kCr3NoFlush = uint64_t{1} << 63;
constexpr uint64_t kCr3Pcid = 0xfff;
constexpr uint64_t kCr3Reserved = ~((uint64_t{1} << kPhysicalBits) - 1);

constexpr uint64_t kPdptePresent = 1;
// Bits 1..2, 5..8 and those above MAXPHYADDR.
constexpr uint64_t kPdpteReserved = 0x1e6 | ~((uint64_t{1} << kPhysicalBits) - 1);

bool usesPae(uint64_t cr0, uint64_t cr4, uint64_t efer) {
  return (cr0 & cr0::kPg) && (cr4 & cr4::kPae) && !(efer & efer::kLma);
}

// Reads the four PDPTEs that CR3 points to. #GP(0) when a present one has a reserved bit.
bool readPdptes(Cpu& cpu, uint64_t cr3, uint64_t (&entries)[4]) {
  const uint64_t table = cr3 & 0xffffffe0 & cpu.paging.addressMask;
  const uint8_t* page = cpu.ram.page(table);
  if (!page) return cpu.raise(kGp, 0);
  std::memcpy(entries, page + (table & kPageOffset), sizeof entries);
  for (const uint64_t entry : entries)
    if ((entry & kPdptePresent) && (entry & kPdpteReserved)) return cpu.raise(kGp, 0);
  return true;
}

// The consistency checks on entering and leaving IA-32e mode: SDM volume 3, "Initializing IA-32e
// Mode".
bool mayChangePaging(const Cpu& cpu, uint64_t value) {
  const bool was = cpu.cr0 & cr0::kPg, is = value & cr0::kPg;
  if (was == is) return true;
  if (!is) return !cpu.code64() && !(cpu.cr4 & cr4::kPcide);
  if (!(cpu.msr.efer & efer::kLme)) return true;
  const bool tss16 = cpu.tr.type() == kTss16Available || cpu.tr.type() == kTss16Busy;
  return (cpu.cr4 & cr4::kPae) && !cpu.segment[kCs].longCode() && !tss16;
}

}  // namespace

bool Cpu::writeCr0(uint64_t value) {
  const bool paging = value & cr0::kPg;
  if ((value >> 32) != 0 || (paging && !(value & cr0::kPe)) ||
      ((value & cr0::kNw) && !(value & cr0::kCd)) || !mayChangePaging(*this, value))
    return raise(kGp, 0);
  value = (value & kCr0Defined) | cr0::kEt;
  const uint64_t newEfer =
      (msr.efer & ~efer::kLma) | (paging && (msr.efer & efer::kLme) ? efer::kLma : 0);
  const uint64_t changed = value ^ cr0;
  uint64_t entries[4];
  const bool loads = usesPae(value, cr4, newEfer) && (changed & kCr0LoadsPdptes);
  if (loads && !readPdptes(*this, cr3, entries)) return false;

  if (loads) std::memcpy(pdpte, entries, sizeof pdpte);
  cr0 = value;
  msr.efer = newEfer;
  if (changed & kCr0Paging) flushTlb(true);
  updateMode();
  return true;
}

bool Cpu::writeCr3(uint64_t value) {
  const bool keep = (cr4 & cr4::kPcide) && (value & kCr3NoFlush);
  if (cr4 & cr4::kPcide) value &= ~kCr3NoFlush;
  if (longMode() && (value & kCr3Reserved)) return raise(kGp, 0);
  if (usesPae(cr0, cr4, msr.efer)) {
    uint64_t entries[4];
    if (!readPdptes(*this, value, entries)) return false;
    std::memcpy(pdpte, entries, sizeof pdpte);
  }
  cr3 = value;
  updatePaging();
  tlbs.useAddressSpace(
      pcid(), keep, [this](uint64_t linear, uint64_t page) { return isUserCodeAt(linear, page); });
  updateMode();
  return true;
}

bool Cpu::writeCr4(uint64_t value) {
  const uint64_t changed = value ^ cr4;
  const bool enablesPcid = changed & value & cr4::kPcide;
  if ((value & ~definedCr4(features)) || (longMode() && !(value & cr4::kPae)) ||
      (enablesPcid && (!longMode() || (cr3 & kCr3Pcid))))
    return raise(kGp, 0);
  uint64_t entries[4];
  const bool loads = usesPae(cr0, value, msr.efer) && (changed & kCr4LoadsPdptes);
  if (loads && !readPdptes(*this, cr3, entries)) return false;

  if (loads) std::memcpy(pdpte, entries, sizeof pdpte);
  cr4 = value;
  if (changed & kCr4Paging) flushTlb(true);
  updateMode();
  return true;
}

}  // namespace nodevm

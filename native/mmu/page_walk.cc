#include "mmu/page_walk.h"

#include <cstring>

namespace nodevm {

namespace {

// SDM volume 3, tables "Format of a Page-Table Entry" and its relatives.
constexpr uint64_t kP = 1, kRw = 2, kUs = 4, kA = 32, kD = 64, kPs = 128, kG = 256,
                   kXd = uint64_t{1} << 63;
constexpr uint64_t kAddress = ((uint64_t{1} << kPhysicalBits) - 1) & ~uint64_t{4095};
constexpr uint64_t kReservedAddress =
    ((uint64_t{1} << 52) - 1) & ~((uint64_t{1} << kPhysicalBits) - 1);

// The entries on the way to a page.
struct Path {
  uint8_t* entries[4];  // low byte of each, where A and D are in every format
  unsigned count = 0;
  unsigned leafShift = 12;
  uint64_t leaf = 0;            // the last entry
  uint64_t all = ~uint64_t{0};  // bits that all of them have
  uint64_t any = 0;             // bits that one of them has
  bool present = true, reserved = false;

  // Reads the next one, of a table that maps 2^shift bytes with each. False: it is not present.
  template <class Entry>
  bool read(const GuestRam& ram, uint64_t gpa, unsigned shift) {
    uint8_t* const page = ram.page(gpa);
    uint8_t* const place = page ? page + (gpa & 4095) : nullptr;
    Entry entry = 0;
    if (place) std::memcpy(&entry, place, sizeof entry);
    entries[count++] = place;
    leafShift = shift;
    leaf = entry;
    all &= entry;
    any |= entry;
    return present = (entry & kP) != 0;
  }
};

uint64_t reservedBits(const PagingMode& mode, unsigned shift, bool leaf) {
  uint64_t bits = kReservedAddress | (mode.nxe ? 0 : kXd);
  if (mode.format == PagingMode::Format::kPae) bits |= uint64_t{0x7ff} << 52;
  if (leaf && shift == 21) bits |= 0x1fe000;    // bits 13..20
  if (leaf && shift == 30) bits |= 0x3fffe000;  // bits 13..29
  if (!leaf && shift == 39) bits |= kPs;        // PML4E.PS is reserved
  return bits;
}

// 64-bit entries, from `table` whose entries map 2^shift bytes each.
Path follow64(const PagingMode& mode, const GuestRam& ram, uint64_t linear, uint64_t table,
              unsigned shift) {
  Path path;
  for (;; shift -= 9) {
    const uint64_t gpa = (table + ((linear >> shift) & 511) * 8) & mode.addressMask;
    if (!path.read<uint64_t>(ram, gpa, shift)) return path;
    const bool leaf = shift == 12 || (shift <= 30 && (path.leaf & kPs));
    path.reserved = (path.leaf & reservedBits(mode, shift, leaf)) != 0;
    if (leaf || path.reserved) return path;
    table = path.leaf & kAddress;
  }
}

Path follow32(const PagingMode& mode, const GuestRam& ram, uint64_t linear) {
  Path path;
  const uint64_t directory = (mode.root & 0xfffff000) + ((linear >> 22) & 1023) * 4;
  if (!path.read<uint32_t>(ram, directory & mode.addressMask, 22)) return path;
  if ((path.leaf & kPs) && mode.pse) {
    path.reserved = path.leaf & (1 << 21);  // PSE-36: bits 13..20 are address bits 32..39
    return path;
  }
  const uint64_t table = (path.leaf & 0xfffff000) + ((linear >> 12) & 1023) * 4;
  path.read<uint32_t>(ram, table & mode.addressMask, 12);
  return path;
}

Path follow(const PagingMode& mode, const GuestRam& ram, uint64_t linear) {
  switch (mode.format) {
    case PagingMode::Format::k4Level:
      return follow64(mode, ram, linear, mode.root & kAddress, 39);
    case PagingMode::Format::kPae: {
      const uint64_t pdpte = mode.pdpte[(linear >> 30) & 3];
      if (pdpte & kP) return follow64(mode, ram, linear, pdpte & kAddress, 21);
      Path path;
      path.present = false;
      return path;
    }
    default:
      return follow32(mode, ram, linear);
  }
}

uint64_t leafAddress(const PagingMode& mode, const Path& path, uint64_t linear) {
  const uint64_t entry = path.leaf;
  const uint64_t offsetMask = (uint64_t{1} << path.leafShift) - 1;
  if (mode.format == PagingMode::Format::k32Bit) {
    const uint64_t high = path.leafShift == 22 ? ((entry >> 13) & 0xff) << 32 : 0;
    return (((entry & 0xffffffff) & ~offsetMask) | (linear & offsetMask)) | high;
  }
  return (entry & kAddress & ~offsetMask) | (linear & offsetMask);
}

Translation describe(const PagingMode& mode, const Path& path, uint64_t linear) {
  Translation translation;
  translation.ok = true;
  translation.gpa = leafAddress(mode, path, linear) & mode.addressMask;
  translation.pageShift = static_cast<uint8_t>(path.leafShift);
  translation.writable = (path.all & kRw) != 0;
  translation.user = (path.all & kUs) != 0;
  translation.noExecute = mode.nxe && (path.any & kXd);
  translation.global = mode.pge && (path.leaf & kG);
  translation.dirty = path.leaf & kD;
  translation.accessed = (path.all & kA) != 0;
  return translation;
}

Translation identity(const PagingMode& mode, uint64_t linear) {
  Translation translation;
  translation.ok = translation.writable = translation.user = true;
  translation.dirty = translation.accessed = true;
  translation.gpa = linear & mode.addressMask;
  return translation;
}

uint32_t accessBits(const PagingMode& mode, PageAccess access) {
  return (access.write ? page_fault::kWrite : 0) | (access.user ? page_fault::kUser : 0) |
         (access.execute && (mode.nxe || mode.smep) ? page_fault::kFetch : 0);
}

}  // namespace

bool permits(const PagingMode& mode, const Translation& translation, PageAccess access,
             uint32_t& errorCode) {
  errorCode = accessBits(mode, access) | page_fault::kPresent;
  if (mode.format == PagingMode::Format::kNone) return true;
  if (access.user && !translation.user) return false;
  if (access.execute)
    return !translation.noExecute && (access.user || !translation.user || !mode.smep);
  if (!access.user && translation.user && !access.userPages) return false;
  return !access.write || translation.writable || (!access.user && !mode.wp);
}

Translation walk(const PagingMode& mode, const GuestRam& ram, uint64_t linear, PageAccess access) {
  if (mode.format == PagingMode::Format::kNone) return identity(mode, linear);
  const Path path = follow(mode, ram, linear);
  Translation failure;
  if (!path.present || path.reserved) {
    failure.errorCode = accessBits(mode, access) |
                        (path.reserved ? page_fault::kPresent | page_fault::kReserved : 0);
    return failure;
  }
  Translation translation = describe(mode, path, linear);
  if (!permits(mode, translation, access, failure.errorCode)) return failure;
  uint8_t& leaf = *path.entries[path.count - 1];
  if (access.write && !translation.dirty) leaf |= kD;
  if (!(path.all & kA))
    for (unsigned n = 0; n < path.count; ++n) *path.entries[n] |= kA;
  translation.dirty |= access.write;
  return translation;
}

Translation peekWalk(const PagingMode& mode, const GuestRam& ram, uint64_t linear) {
  if (mode.format == PagingMode::Format::kNone) return identity(mode, linear);
  const Path path = follow(mode, ram, linear);
  if (!path.present || path.reserved) return Translation{};
  return describe(mode, path, linear);
}

}  // namespace nodevm

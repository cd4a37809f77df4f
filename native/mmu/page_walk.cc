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

struct Level {
  uint64_t gpa = 0;
  uint64_t entry = 0;
};

struct Path {
  Level levels[4];
  unsigned count = 0;
  unsigned leafShift = 12;
  bool present = true, reserved = false;
};

template <class Entry>
uint64_t readEntry(const GuestRam& ram, uint64_t gpa) {
  const uint8_t* page = ram.page(gpa);
  if (!page) return 0;
  Entry entry;
  std::memcpy(&entry, page + (gpa & 4095), sizeof entry);
  return entry;
}

void setBits(const GuestRam& ram, uint64_t gpa, uint64_t bits) {
  uint8_t* page = ram.page(gpa);
  if (!page) return;
  // A, D are in the low byte of every format.
  page[gpa & 4095] = static_cast<uint8_t>(page[gpa & 4095] | bits);
}

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
    Level& level = path.levels[path.count++];
    level.gpa = (table + ((linear >> shift) & 511) * 8) & mode.addressMask;
    level.entry = readEntry<uint64_t>(ram, level.gpa);
    path.leafShift = shift;
    if (!(level.entry & kP)) {
      path.present = false;
      return path;
    }
    const bool leaf = shift == 12 || (shift <= 30 && (level.entry & kPs));
    if (level.entry & reservedBits(mode, shift, leaf)) {
      path.reserved = true;
      return path;
    }
    if (leaf) return path;
    table = level.entry & kAddress;
  }
}

Path follow32(const PagingMode& mode, const GuestRam& ram, uint64_t linear) {
  Path path;
  Level& directory = path.levels[path.count++];
  directory.gpa = ((mode.root & 0xfffff000) + ((linear >> 22) & 1023) * 4) & mode.addressMask;
  directory.entry = readEntry<uint32_t>(ram, directory.gpa);
  path.leafShift = 22;
  path.present = directory.entry & kP;
  if (!path.present) return path;
  if ((directory.entry & kPs) && mode.pse) {
    path.reserved = directory.entry & (1 << 21);  // PSE-36: bits 13..20 are address bits 32..39
    return path;
  }
  directory.entry &= ~kPs;
  Level& table = path.levels[path.count++];
  table.gpa = ((directory.entry & 0xfffff000) + ((linear >> 12) & 1023) * 4) & mode.addressMask;
  table.entry = readEntry<uint32_t>(ram, table.gpa);
  path.leafShift = 12;
  path.present = table.entry & kP;
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
  const uint64_t entry = path.levels[path.count - 1].entry;
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
  translation.writable = translation.user = true;
  for (unsigned n = 0; n < path.count; ++n) {
    const uint64_t entry = path.levels[n].entry;
    translation.writable &= (entry & kRw) != 0;
    translation.user &= (entry & kUs) != 0;
    translation.noExecute |= mode.nxe && (entry & kXd);
  }
  const uint64_t leaf = path.levels[path.count - 1].entry;
  translation.global = mode.pge && (leaf & kG);
  translation.dirty = leaf & kD;
  return translation;
}

Translation identity(const PagingMode& mode, uint64_t linear) {
  Translation translation;
  translation.ok = translation.writable = translation.user = translation.dirty = true;
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
  for (unsigned n = 0; n < path.count; ++n) {
    const bool leaf = n + 1 == path.count;
    const uint64_t wanted = kA | (leaf && access.write ? kD : 0);
    if ((path.levels[n].entry & wanted) != wanted) setBits(ram, path.levels[n].gpa, wanted);
  }
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

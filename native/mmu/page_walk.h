#pragma once
// Translation of linear addresses by the guest's page tables. SDM volume 3, "Paging".

#include <cstdint>

#include "mmu/guest_ram.h"

namespace nodevm {

// MAXPHYADDR, as CPUID 80000008H reports it.
inline constexpr unsigned kPhysicalBits = 46;

// The registers that paging depends on.
struct PagingMode {
  enum class Format : uint8_t { kNone, k32Bit, kPae, k4Level };
  Format format = Format::kNone;
  uint64_t root = 0;       // CR3, or for PAE unused
  uint64_t pdpte[4] = {};  // PAE: loaded with CR3
  bool pse = false, pge = false, nxe = false, wp = false, smep = false, smap = false;
  uint64_t addressMask = ~uint64_t{0};  // of every physical address: A20M#
};

struct PageAccess {
  bool write = false, execute = false;
  bool user = false;      // made with user rights
  bool userPages = true;  // supervisor data access may touch user pages (no SMAP, or EFLAGS.AC)
};

// Page-fault error code bits: SDM volume 3, "Page-Fault Exception (#PF)".
namespace page_fault {
inline constexpr uint32_t kPresent = 1, kWrite = 2, kUser = 4, kReserved = 8, kFetch = 16;
}

struct Translation {
  bool ok = false;
  uint32_t errorCode = 0;  // when not ok
  uint64_t gpa = 0;
  uint8_t pageShift = 12;  // log2 of the size of the page that maps it
  // What the entries allow, for filling the TLB.
  bool writable = false, user = false, noExecute = false, global = false, dirty = false;
  bool accessed = false;  // all of them are marked so
};

// Walks and, where the access is allowed, sets accessed and dirty bits.
Translation walk(const PagingMode& mode, const GuestRam& ram, uint64_t linear, PageAccess access);

// The same without permission checks and side effects, for debuggers and the loader.
Translation peekWalk(const PagingMode& mode, const GuestRam& ram, uint64_t linear);

// Whether `translation` allows the access; the #PF error code if not.
bool permits(const PagingMode& mode, const Translation& translation, PageAccess access,
             uint32_t& errorCode);

}  // namespace nodevm

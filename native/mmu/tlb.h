#pragma once
// The software TLB: direct-mapped, one for each kind of rights, so that a hit is the whole permission
// check (user/supervisor, SMAP, write protection, dirty bit, code pages, MMIO).

#include <cstdint>

namespace nodevm {

inline constexpr uint64_t kPageSize = 4096, kPageOffset = kPageSize - 1, kPageMask = ~kPageOffset;

struct TlbEntry {
  static constexpr uint64_t kInvalid = ~uint64_t{0};  // equals no page address
  // Linear page address if the access may take the fast path.
  uint64_t readTag = kInvalid;
  uint64_t writeTag = kInvalid;  // dirty bit already set, and no translated code on the page
  uint64_t executeTag = kInvalid;
  uintptr_t addend = 0;          // host address minus linear address

  uint8_t* host(uint64_t linear) const { return reinterpret_cast<uint8_t*>(addend + linear); }
};
static_assert(sizeof(TlbEntry) == 32);

struct Tlb {
  static constexpr unsigned kEntries = 2048;
  TlbEntry entries[kEntries];
  bool global[kEntries] = {};  // survives a flush that keeps global pages

  TlbEntry& at(uint64_t linear) { return entries[(linear >> 12) & (kEntries - 1)]; }
};

// Rights under which an access is made.
enum Rights : uint8_t {
  kSupervisor,            // CPL 0..2, SMAP in force: user pages are out of bounds
  kSupervisorUserAccess,  // CPL 0..2, SMAP off or EFLAGS.AC set
  kUser,                  // CPL 3
  kChecked,               // never filled: segment limits or alignment need the slow path each time
  kRightsCount,
};

struct TlbSet {
  Tlb sets[kRightsCount];
  uint64_t generation = 1;  // bumped by every flush; part of the jump cache's key
};

}  // namespace nodevm

#pragma once
// The software TLB: direct-mapped, one for each kind of rights, so that a hit is the whole
// permission check (user/supervisor, SMAP, write protection, dirty bit, code pages, MMIO).

#include <cstdint>

namespace nodevm {

inline constexpr uint64_t kPageSize = 4096, kPageOffset = kPageSize - 1, kPageMask = ~kPageOffset;

struct TlbEntry {
  static constexpr uint64_t kInvalid = ~uint64_t{0};  // equals no page address
  // Linear page address if the access may take the fast path.
  uint64_t readTag = kInvalid;
  uint64_t writeTag = kInvalid;  // dirty bit already set, and no translated code on the page
  uint64_t executeTag = kInvalid;
  uintptr_t addend = 0;  // host address minus linear address

  uint8_t* host(uint64_t linear) const { return reinterpret_cast<uint8_t*>(addend + linear); }
};
static_assert(sizeof(TlbEntry) == 32);

struct Tlb {
  static constexpr unsigned kEntries = 8192;
  TlbEntry entries[kEntries];

  static unsigned indexOf(uint64_t linear) { return (linear >> 12) & (kEntries - 1); }
  TlbEntry& at(uint64_t linear) { return entries[indexOf(linear)]; }
  // Global entries survive flushLocal(), which costs as much as was filled since the last one.
  void fill(uint64_t linear, const TlbEntry& entry, bool global) {
    at(linear) = entry;
    if (!global && localCount_ < kEntries)
      local_[localCount_] = static_cast<uint16_t>(indexOf(linear));
    if (!global) ++localCount_;
    global_[indexOf(linear)] = global;
  }
  void flushLocal() {
    if (localCount_ > kEntries) {
      for (unsigned n = 0; n < kEntries; ++n)
        if (!global_[n]) entries[n] = TlbEntry{};
    } else {
      for (unsigned n = 0; n < localCount_; ++n)
        if (!global_[local_[n]]) entries[local_[n]] = TlbEntry{};
    }
    localCount_ = 0;
  }
  void flushAll() {
    for (TlbEntry& entry : entries) entry = TlbEntry{};
    localCount_ = 0;
  }

 private:
  bool global_[kEntries] = {};
  uint16_t local_[kEntries] = {};  // slots filled with entries that are not global
  unsigned localCount_ = 0;        // beyond kEntries: the list is not complete
};

// Rights under which an access is made.
enum Rights : uint8_t {
  kSupervisor,            // CPL 0..2, SMAP in force: user pages are out of bounds
  kSupervisorUserAccess,  // CPL 0..2, SMAP off or EFLAGS.AC set
  kUser,                  // CPL 3
  kChecked,               // never filled: segment limits or alignment need the slow path each time
  kRightsCount,
};

// Which large pages may have entries in the TLB, so that INVLPG of a small one need not look for
// them. Addresses are folded into 64 buckets; a hit only means maybe.
class LargePageFilter {
 public:
  static constexpr unsigned kShifts[] = {21, 22, 30};

  void add(uint64_t linear, unsigned shift) { buckets_ |= bucket(linear, shift); }
  bool mayCover(uint64_t linear) const {
    uint64_t wanted = 0;
    for (const unsigned shift : kShifts) wanted |= bucket(linear, shift);
    return (buckets_ & wanted) != 0;
  }
  void clear() { buckets_ = 0; }

 private:
  static uint64_t bucket(uint64_t linear, unsigned shift) {
    return uint64_t{1} << (((linear >> shift) * 0x9e3779b97f4a7c15 + shift) >> 58);
  }
  uint64_t buckets_ = 0;
};

struct TlbSet {
  Tlb sets[kRightsCount];
  LargePageFilter largePages;
  uint64_t generation = 1;  // bumped by every flush; part of the jump cache's key
};

}  // namespace nodevm

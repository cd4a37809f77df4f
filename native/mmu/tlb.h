#pragma once
// The software TLB: direct-mapped, one for each kind of rights, so that a hit is the whole
// permission check (user/supervisor, SMAP, write protection, dirty bit, code pages, MMIO).

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <vector>

#include "mmu/code_pages.h"

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
  bool hasData() const { return readTag != kInvalid || writeTag != kInvalid; }
  // Whatever data accesses this one lets pass, `other` does too, to the same place.
  bool isWithin(const TlbEntry& other) const {
    return !hasData() || (addend == other.addend && isTagWithin(readTag, other.readTag) &&
                          isTagWithin(writeTag, other.writeTag));
  }

 private:
  static bool isTagWithin(uint64_t tag, uint64_t other) { return tag == kInvalid || tag == other; }
};
static_assert(sizeof(TlbEntry) == 32);

// Slots of a TLB that have been filled; beyond its size it is not complete.
class SlotList {
 public:
  static constexpr unsigned kSize = 4096;

  void add(unsigned slot) {
    if (count_ < kSize) slots_[count_] = static_cast<uint16_t>(slot);
    if (count_ <= kSize) ++count_;
  }
  bool isComplete() const { return count_ <= kSize; }
  const uint16_t* begin() const { return slots_; }
  const uint16_t* end() const { return slots_ + count_; }
  void clear() { count_ = 0; }

 private:
  uint16_t slots_[kSize];
  unsigned count_ = 0;
};

// The page of the stack that translated code used last, whose entry is valid, readable and
// writable. An access of at most kSpans[n] bytes lies within it where it begins less than limits[n]
// bytes behind its first; nothing does while it is closed.
struct StackWindow {
  static constexpr unsigned kSpans[] = {8, 64, 256};
  static constexpr uint64_t limitOf(unsigned n) { return kPageSize - kSpans[n] + 1; }

  uint64_t page = 0;
  uintptr_t addend = 0;  // as TlbEntry's
  uint64_t limits[std::size(kSpans)] = {};
};

// A flush costs as much as was filled since the last one.
struct Tlb {
  static constexpr unsigned kEntries = 16384;
  // More than there are TLBs, so that generations are unique over all of them.
  static constexpr uint64_t kGenerationStep = 16;

  TlbEntry entries[kEntries];
  StackWindow window;  // opened by translated code
  // Another one whenever an entry goes or allows less: a copy of an entry is valid in its own.
  uint64_t generation = 0;

  static unsigned indexOf(uint64_t linear) { return (linear >> 12) & (kEntries - 1); }
  TlbEntry& at(uint64_t linear) { return entries[indexOf(linear)]; }
  bool isGlobal(uint64_t linear) const { return global_[indexOf(linear)]; }
  void fill(uint64_t linear, const TlbEntry& entry, bool global) {
    const unsigned slot = indexOf(linear);
    if (!recent_.empty()) makeRoom(slot);
    closeWindow(slot);
    if (!entries[slot].isWithin(entry)) renew();
    entries[slot] = entry;
    global_[slot] = global;
    (global ? globals_ : locals_).add(slot);
  }
  void drop(uint64_t linear) { dropSlot(indexOf(linear)); }
  // All pages within the naturally aligned 2^shift bytes around `linear`.
  void dropRange(uint64_t linear, unsigned shift);
  // Global entries survive.
  void flushLocal();
  void flushAll();
  // Sends stores to the page at `host` by the slow path.
  void forbidWrites(uint64_t linear, const uint8_t* host);
  // For tests: from now on only so many entries are valid at a time, those filled last.
  void limit(unsigned entries) { recent_.assign(entries, 0); }

 private:
  void makeRoom(unsigned slot);
  void dropSlot(unsigned slot) {
    closeWindow(slot);
    empty(slot);
  }
  void empty(unsigned slot) {
    if (entries[slot].hasData()) renew();
    entries[slot] = TlbEntry{};
  }
  void renew() { generation += kGenerationStep; }
  // Its page may have this slot.
  void closeWindow(unsigned slot) {
    if (indexOf(window.page) == slot) window = {};
  }

  bool global_[kEntries] = {};
  SlotList locals_, globals_;
  std::vector<uint16_t> recent_;  // slots filled last, in a ring; empty: no limit
  unsigned oldest_ = 0;
};

// Rights under which an access is made.
enum Rights : uint8_t {
  kSupervisor,            // CPL 0..2, SMAP in force: user pages are out of bounds
  kSupervisorUserAccess,  // CPL 0..2, SMAP off or EFLAGS.AC set
  kUser,                  // CPL 3
  kChecked,               // never filled: segment limits or alignment need the slow path each time
  kRightsCount,
};

// A set of pages, hashed into a bit each: an answer of true means maybe.
template <unsigned kBits>
class PageFilter {
 public:
  void add(uint64_t page) { word(page) |= bit(page); }
  bool mayContain(uint64_t page) { return (word(page) & bit(page)) != 0; }
  void clear() {
    for (uint64_t& part : words_) part = 0;
  }

 private:
  static unsigned hash(uint64_t page) {
    return static_cast<unsigned>((page * 0x9e3779b97f4a7c15) >> 32) % kBits;
  }
  uint64_t& word(uint64_t page) { return words_[hash(page) / 64]; }
  static uint64_t bit(uint64_t page) { return uint64_t{1} << (hash(page) % 64); }
  uint64_t words_[kBits / 64] = {};
};

// Everything that was cached about translations. SDM volume 3, "Caching Translation Information".
//
// User pages have a TLB for each of the process-context identifiers used last. Supervisor accesses
// share one, of which global pages survive each change of CR3 and the few others do not, whatever
// the PCID: invalidating more than was asked for is allowed.
//
// Whatever was derived from translations of code, which is the jump cache, is valid as long as
// generation() of its privilege level is the same.
class TlbSet {
 public:
  // RAM pages: what a page index may be.
  explicit TlbSet(uint64_t pages);

  Tlb& of(Rights rights) {
    return rights == kUser ? current_->tlb : rights == kChecked ? checked_ : supervisor_[rights];
  }
  uint64_t generation(bool user) const {
    return user ? current_->jumps.generation : supervisorJumps_.generation;
  }

  // `writable` is the RAM page that a write tag of the entry leads to, kNotWritable without one.
  static constexpr uint64_t kNotWritable = ~uint64_t{0};
  void fill(Rights rights, uint64_t linear, const TlbEntry& entry, bool global, unsigned pageShift,
            uint64_t writable);
  // A jump to the page of `linear`, which is that of `gpa`, is going to be cached.
  void noteJump(bool user, uint64_t linear, uint64_t gpa);
  // Where the page of `linear` is, if a jump to it is cached; else nullptr.
  const uint64_t* jumpPage(bool user, uint64_t linear) const {
    return (user ? current_->jumps : supervisorJumps_).pages.at(linear & kPageMask);
  }
  // Stores to a RAM page have to take the slow path from now on.
  void forbidWrites(uint64_t pageIndex, const uint8_t* host);

  // MOV to CR3. isAt(linear, page): whether a user may execute what is there (guest physical), by
  // the page tables of now. As a compiler gives memory back its kernel flushes all, and no code
  // moves.
  template <class IsAt>
  void useAddressSpace(uint16_t pcid, bool keep, const IsAt& isAt) {
    UserSpace* space = find(pcid);
    if (!space) {
      space = &takeOldest(pcid);
      flushUser(*space);
    } else if (!keep) {
      space->tlb.flushAll();
      if (!space->jumps.pages.all(isAt)) renew(space->jumps);
    }
    use(*space);
  }
  // INVLPG: the page, of the address space in use and global.
  void flushPage(uint64_t linear);
  // INVPCID by address, by context, and of all contexts.
  void flushPageOf(uint16_t pcid, uint64_t linear);
  void flushAddressSpace(uint16_t pcid);
  void flushLocal();
  void flushAll();
  void forgetJumps();
  // For tests: how many entries of each TLB may be valid at a time.
  void limit(unsigned entries);

 private:
  static constexpr unsigned kUserSpaces = 8;
  static constexpr unsigned kLargeShifts[] = {21, 22, 30};

  struct Jumps {
    uint64_t generation = 0;
    CodePages pages;
  };
  struct UserSpace {
    Tlb tlb;
    Jumps jumps;
    uint16_t pcid = 0;
    uint64_t lastUse = 0;
  };

  void renew(Jumps& jumps);
  void flushUser(UserSpace& space);
  void flushSupervisorLocal();
  UserSpace* find(uint16_t pcid);
  UserSpace& takeOldest(uint16_t pcid);
  void use(UserSpace& space);
  void dropPage(UserSpace& space, uint64_t linear);
  void dropLargePage(UserSpace& space, uint64_t linear);
  void noteWriter(uint64_t pageIndex, uint64_t page, const uint8_t* host);
  void dropWriter(uint64_t writer, const uint8_t* host);

  Tlb supervisor_[kSupervisorUserAccess + 1];
  Tlb checked_;
  UserSpace spaces_[kUserSpaces];
  UserSpace* current_ = spaces_;
  Jumps supervisorJumps_;
  bool supervisorJumpsLocal_ = false;  // a cached jump leads to a page that is not global
  bool globalUserPages_ = false;
  uint64_t generations_ = 0, uses_ = 0;
  // Which large pages may have entries, by address and size; 0 in the low bits of no other page. It
  // is to be sparse: what it is wrong about costs all cached jumps, and the direct map of a
  // gigabyte has 512.
  PageFilter<1 << 16> largePages_;
  // The linear pages that may have write tags for a RAM page, with bit 0 set; 0: none.
  struct Writers {
    static constexpr uint64_t kIsOne = 1;
    uint64_t newest, older;
  };
  // By RAM page; the host gives its memory as it is used.
  std::unique_ptr<Writers[], decltype(&std::free)> writers_;
};

}  // namespace nodevm

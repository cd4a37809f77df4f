#include "mmu/tlb.h"

namespace nodevm {

// --- one TLB

void Tlb::makeRoom(unsigned slot) {
  dropSlot(recent_[oldest_]);
  recent_[oldest_] = static_cast<uint16_t>(slot);
  oldest_ = (oldest_ + 1) % recent_.size();
}

void Tlb::dropRange(uint64_t linear, unsigned shift) {
  const uint64_t pages = uint64_t{1} << (shift - 12);
  const uint64_t first = linear >> shift << shift;
  for (uint64_t n = 0; n < pages && n < kEntries; ++n) {
    const unsigned slot = indexOf(first + n * kPageSize);
    const TlbEntry& entry = entries[slot];
    const bool readable = entry.readTag != TlbEntry::kInvalid;
    const uint64_t page = readable ? entry.readTag : entry.executeTag;
    if (page >> shift == linear >> shift) dropSlot(slot);
  }
}

void Tlb::flushLocal() {
  if (!isGlobal(window.page)) window = {};
  if (locals_.isComplete()) {
    for (const uint16_t slot : locals_)
      if (!global_[slot]) empty(slot);
  } else {
    for (unsigned n = 0; n < kEntries; ++n)
      if (!global_[n]) empty(n);
  }
  locals_.clear();
}

void Tlb::flushAll() {
  window = {};
  flushLocal();
  if (globals_.isComplete()) {
    for (const uint16_t slot : globals_) empty(slot);
  } else {
    for (unsigned n = 0; n < kEntries; ++n) empty(n);
  }
  globals_.clear();
}

void Tlb::forbidWrites(uint64_t linear, const uint8_t* host) {
  TlbEntry& entry = at(linear);
  if (entry.writeTag == TlbEntry::kInvalid || entry.host(entry.writeTag) != host) return;
  entry.writeTag = TlbEntry::kInvalid;
  renew();
  closeWindow(indexOf(linear));
}

// --- all of them

namespace {

// A page of any size as a key: the bits below its size name the size.
constexpr uint64_t keyOf(uint64_t linear, unsigned shift) {
  return linear >> shift << shift | shift;
}

}  // namespace

TlbSet::TlbSet(uint64_t pages)
    : writers_(static_cast<Writers*>(std::calloc(pages, sizeof(Writers))), &std::free) {
  static_assert(kUserSpaces + std::size(decltype(supervisor_){}) < Tlb::kGenerationStep);
  uint64_t number = 0;
  for (Tlb& tlb : supervisor_) tlb.generation = ++number;
  for (UserSpace& space : spaces_) space.tlb.generation = ++number;
  current_->lastUse = ++uses_;
  forgetJumps();
}

void TlbSet::fill(Rights rights, uint64_t linear, const TlbEntry& entry, bool global,
                  unsigned pageShift, uint64_t writable) {
  if (pageShift > 12) largePages_.add(keyOf(linear, pageShift));
  if (writable != kNotWritable)
    noteWriter(writable, linear & kPageMask, entry.host(linear & kPageMask));
  if (rights == kUser && global) globalUserPages_ = true;
  of(rights).fill(linear, entry, global);
}

// Two linear addresses may write to a page by the fast path, so that both can be found again: that
// of the kernel's direct map, and a user's. A third takes the place of the older.
void TlbSet::noteWriter(uint64_t pageIndex, uint64_t page, const uint8_t* host) {
  Writers& writers = writers_[pageIndex];
  const uint64_t writer = page | Writers::kIsOne;
  if (writers.newest == writer) return;
  if (writers.older != writer) dropWriter(writers.older, host);
  writers = {.newest = writer, .older = writers.newest};
}

void TlbSet::dropWriter(uint64_t writer, const uint8_t* host) {
  if (writer == 0) return;
  for (Tlb& tlb : supervisor_) tlb.forbidWrites(writer, host);
  for (UserSpace& space : spaces_) space.tlb.forbidWrites(writer, host);
}

void TlbSet::forbidWrites(uint64_t pageIndex, const uint8_t* host) {
  Writers& writers = writers_[pageIndex];
  dropWriter(writers.newest, host);
  dropWriter(writers.older, host);
  writers = {};
}

void TlbSet::limit(unsigned entries) {
  for (Tlb& tlb : supervisor_) tlb.limit(entries);
  for (UserSpace& space : spaces_) space.tlb.limit(entries);
}

void TlbSet::noteJump(bool user, uint64_t linear, uint64_t gpa) {
  CodePages& pages = (user ? current_->jumps : supervisorJumps_).pages;
  const bool isNew = pages.add(linear & kPageMask, gpa & kPageMask);
  if (isNew && !user && !supervisor_[kSupervisorUserAccess].isGlobal(linear))
    supervisorJumpsLocal_ = true;
}

void TlbSet::renew(Jumps& jumps) {
  jumps.generation = ++generations_;
  jumps.pages.clear();
}

// No translation has changed: jumps within a page that was noted are not noted again.
void TlbSet::forgetJumps() {
  supervisorJumps_.generation = ++generations_;
  for (UserSpace& space : spaces_) space.jumps.generation = ++generations_;
}

TlbSet::UserSpace* TlbSet::find(uint16_t pcid) {
  for (UserSpace& space : spaces_)
    if (space.lastUse != 0 && space.pcid == pcid) return &space;
  return nullptr;
}

void TlbSet::flushUser(UserSpace& space) {
  space.tlb.flushAll();
  renew(space.jumps);
}

void TlbSet::flushSupervisorLocal() {
  for (Tlb& tlb : supervisor_) tlb.flushLocal();
  if (!supervisorJumpsLocal_) return;
  renew(supervisorJumps_);
  supervisorJumpsLocal_ = false;
}

TlbSet::UserSpace& TlbSet::takeOldest(uint16_t pcid) {
  UserSpace* space = spaces_;
  for (UserSpace& other : spaces_)
    if (other.lastUse < space->lastUse) space = &other;
  space->pcid = pcid;
  return *space;
}

void TlbSet::use(UserSpace& space) {
  space.lastUse = ++uses_;
  current_ = &space;
  flushSupervisorLocal();
}

void TlbSet::dropPage(UserSpace& space, uint64_t linear) {
  for (const unsigned shift : kLargeShifts)
    if (largePages_.mayContain(keyOf(linear, shift))) return dropLargePage(space, linear);
  for (Tlb& tlb : supervisor_) tlb.drop(linear);
  space.tlb.drop(linear);
  const uint64_t page = linear & kPageMask;
  if (space.jumps.pages.mayContain(page)) renew(space.jumps);
  if (supervisorJumps_.pages.mayContain(page)) renew(supervisorJumps_);
}

// The entries are of 4 KiB, whatever maps them.
void TlbSet::dropLargePage(UserSpace& space, uint64_t linear) {
  for (const unsigned shift : kLargeShifts) {
    if (!largePages_.mayContain(keyOf(linear, shift))) continue;
    for (Tlb& tlb : supervisor_) tlb.dropRange(linear, shift);
    space.tlb.dropRange(linear, shift);
  }
  for (Tlb& tlb : supervisor_) tlb.drop(linear);
  space.tlb.drop(linear);
  renew(space.jumps);
  renew(supervisorJumps_);
}

void TlbSet::flushPage(uint64_t linear) {
  for (UserSpace& space : spaces_)
    if (&space == current_ || globalUserPages_) dropPage(space, linear);
}

void TlbSet::flushPageOf(uint16_t pcid, uint64_t linear) {
  if (UserSpace* space = find(pcid)) dropPage(*space, linear);
}

void TlbSet::flushAddressSpace(uint16_t pcid) {
  UserSpace* space = find(pcid);
  if (space) flushUser(*space);
  if (space == current_) flushSupervisorLocal();
}

void TlbSet::flushLocal() {
  for (UserSpace& space : spaces_) flushUser(space);
  flushSupervisorLocal();
}

void TlbSet::flushAll() {
  for (UserSpace& space : spaces_) flushUser(space);
  for (Tlb& tlb : supervisor_) tlb.flushAll();
  renew(supervisorJumps_);
  supervisorJumpsLocal_ = globalUserPages_ = false;
  largePages_.clear();
}

}  // namespace nodevm

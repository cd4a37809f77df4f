// The slow path of guest memory: segment checks, alignment, page walks, page crossings, MMIO.
// SDM volume 3, "Protection" (limit and type checking) and "Paging".

#include <algorithm>
#include <cstring>

#include "cpu/cpu.h"
#include "cpu/descriptor.h"
#include "interpreter/block_cache.h"
#include "mmu/page_walk.h"

namespace nodevm {

namespace {

// What a record of an access shows of its value.
uint64_t firstBytes(const void* from, unsigned size) {
  uint64_t value = 0;
  std::memcpy(&value, from, std::min<size_t>(size, sizeof value));
  return value;
}

constexpr uint64_t kApicPageMask = kPageMask & ((uint64_t{1} << kPhysicalBits) - 1);

// INVLPG of its address alone invalidates what is derived from it.
bool isOrdinary(const Translation& found) { return found.pageShift == 12 && !found.global; }

}  // namespace

// --- segmentation

bool Cpu::raiseSegmentFault(uint8_t seg) { return raise(seg == kSs ? kSsFault : kGp, 0); }

bool Cpu::checkSegment(uint8_t seg, uint64_t ea, unsigned size, bool write) {
  if (code64()) {
    const uint64_t linear = ea + segmentBase[seg];
    return (isCanonical(linear) && isCanonical(linear + size - 1)) || raiseSegmentFault(seg);
  }
  const SegmentRegister& s = segment[seg];
  if (protectedMode() && !virtual8086()) {
    if (!s.present() || !s.isCodeOrData()) return raiseSegmentFault(seg);
    if (s.isCode() ? (write || !(s.type() & 2)) : (write && !(s.type() & 2)))
      return raiseSegmentFault(seg);
  }
  const uint64_t first = ea & 0xffffffff, last = first + size - 1;
  const bool inside = s.isExpandDown() && s.isCodeOrData()
                          ? first > s.limit && last <= (s.big() ? 0xffffffff : 0xffff)
                          : last <= s.limit;
  // A limit of 4 GiB - 1 lets an access wrap around, as flat segments do.
  return inside || (s.limit == 0xffffffff && !s.isExpandDown()) || raiseSegmentFault(seg);
}

bool Cpu::linearFor(uint8_t seg, uint64_t ea, unsigned size, bool write, uint64_t& linear) {
  if (!code64()) ea &= 0xffffffff;
  if (!checkSegment(seg, ea, size, write)) return false;
  linear = (ea + segmentBase[seg]) & linearMask;
  if (alignmentChecked && size <= 8 && (linear & (size - 1)) != 0) return raise(kAc, 0);
  if (dataBreakpoints) noteDataBreakpoint(linear, size, write);
  return !debug.breakpoints.watching() || noteWatch(linear, size, write);
}

// --- paging

void Cpu::fillTlb(Rights rights, uint64_t linear, const Translation& translation) {
  const uint64_t page = linear & kPageMask;
  uint8_t* host = ram.page(translation.gpa);
  if (!host || isApicPage(translation.gpa)) return;
  const bool user = rights == kUser, userPages = rights != kSupervisor;
  uint32_t ignored = 0;
  const auto allowed = [&](bool write, bool execute) {
    return permits(paging, translation,
                   {.write = write, .execute = execute, .user = user, .userPages = userPages},
                   ignored);
  };
  const bool watched = debug.breakpoints.watching() && debug.breakpoints.watchesPage(page);
  TlbEntry entry;
  entry.addend = reinterpret_cast<uintptr_t>(host) - page;
  entry.readTag = !watched && allowed(false, false) ? page : TlbEntry::kInvalid;
  entry.writeTag =
      !watched && translation.dirty && allowed(true, false) && !ram.hasCode(translation.gpa)
          ? page
          : TlbEntry::kInvalid;
  entry.executeTag = allowed(false, true) ? page : TlbEntry::kInvalid;
  tlbs.fill(rights, linear, entry, translation.global, translation.pageShift,
            entry.writeTag == page ? ram.pageIndex(translation.gpa) : TlbSet::kNotWritable);
  stackWindow = flatTlb->window;
}

bool Cpu::translate(uint64_t linear, Rights rights, bool write, bool execute, uint64_t& gpa) {
  const PageAccess access{.write = write,
                          .execute = execute,
                          .user = rights == kUser,
                          .userPages = rights != kSupervisor};
  const ActivityScope scope(activity, Phase::kPageWalk);
  const Translation translation = walk(paging, ram, linear, access);
  if (!translation.ok) return raisePageFault(linear, translation.errorCode);
  gpa = translation.gpa;
  keepTranslation(rights, linear, write, translation);
  return true;
}

void Cpu::keepTranslation(Rights rights, uint64_t linear, bool write,
                          const Translation& translation) {
  ++tlbMisses;
  noteTlb(RecordKind::kTlbFill, linear, translation.gpa, write);
  fillTlb(rights, linear, translation);
}

// The TLB may know the pages of an access that took the slow path since it crosses from one to the
// other.
bool Cpu::translateData(uint64_t linear, Rights rights, bool write, uint64_t& gpa) {
  const TlbEntry& entry = tlbs.of(rights).at(linear);
  if ((write ? entry.writeTag : entry.readTag) != (linear & kPageMask))
    return translate(linear, rights, write, false, gpa);
  gpa = ram.gpaOf(entry.host(linear)) | (linear & kPageOffset);
  return true;
}

bool Cpu::translateSpan(uint64_t linear, unsigned size, Rights rights, bool write, Span& span) {
  const uint64_t room = kPageSize - (linear & kPageOffset);
  span.size[0] = static_cast<unsigned>(std::min<uint64_t>(size, room));
  span.size[1] = size - span.size[0];
  return translateData(linear, rights, write, span.gpa[0]) &&
         (span.size[1] == 0 ||
          translateData((linear + span.size[0]) & (longMode() ? ~uint64_t{0} : 0xffffffff), rights,
                        write, span.gpa[1]));
}

// --- physical accesses

bool Cpu::isApicPage(uint64_t gpa) const {
  const bool xapic =
      (msr.apicBase & (apic_base::kX2apic | apic_base::kEnable)) == apic_base::kEnable;
  return xapic && ((gpa ^ msr.apicBase) & kApicPageMask) == 0;
}

bool Cpu::leaveForMmio(ReplayLog::Kind kind, uint64_t gpa, unsigned size, uint64_t value) {
  exitBlock.gpa = static_cast<double>(gpa);
  exitBlock.size = size;
  exitBlock.data = static_cast<uint32_t>(value);
  exitBlock.dataHigh = static_cast<uint32_t>(value >> 32);
  exitAddress = gpa;
  exitReason = kind == ReplayLog::Kind::kMmioRead ? ExitReason::kMmioRead : ExitReason::kMmioWrite;
  return false;
}

bool Cpu::readMmio(uint64_t gpa, unsigned size, uint64_t& value) {
  if (isApicPage(gpa)) {
    if (!exact) return needExact();
    // Registers are 32 bits wide on 16-byte boundaries; anything else is undefined.
    value = 0;
    if (!apic.read(static_cast<uint32_t>(gpa & 0xff0), false, nowNs(), value)) value = 0;
    value >>= 8 * (gpa & 3);
    return true;
  }
  if (const auto* access =
          replay.next(ReplayLog::Kind::kMmioRead, gpa, static_cast<uint8_t>(size))) {
    value = access->value;
    return true;
  }
  return leaveForMmio(ReplayLog::Kind::kMmioRead, gpa, size, 0);
}

bool Cpu::writeMmio(uint64_t gpa, unsigned size, uint64_t value) {
  if (isApicPage(gpa)) {
    if (!exact) return needExact();
    if ((gpa & 15) == 0) {
      static_cast<void>(apic.write(static_cast<uint32_t>(gpa & 0xff0), false, nowNs(), value));
    }
    breakSoon();
    return true;
  }
  if (replay.next(ReplayLog::Kind::kMmioWrite, gpa, static_cast<uint8_t>(size))) return true;
  return leaveForMmio(ReplayLog::Kind::kMmioWrite, gpa, size, value);
}

bool Cpu::readPhysical(uint64_t gpa, unsigned size, uint8_t* to) {
  if (const uint8_t* page = ram.page(gpa); page && !isApicPage(gpa)) {
    std::memcpy(to, page + (gpa & kPageOffset), size);
    return true;
  }
  for (unsigned done = 0; done < size;) {
    const unsigned piece = mmioPiece(gpa + done, size - done);
    uint64_t value = 0;
    if (!readMmio(gpa + done, piece, value)) return false;
    std::memcpy(to + done, &value, piece);
    done += piece;
  }
  return true;
}

bool Cpu::writePhysical(uint64_t gpa, unsigned size, const uint8_t* from) {
  if (uint8_t* page = ram.page(gpa); page && !isApicPage(gpa)) {
    if (ram.hasCode(gpa)) blocks->invalidate(*this, gpa, size);
    std::memcpy(page + (gpa & kPageOffset), from, size);
    return true;
  }
  for (unsigned done = 0; done < size;) {
    const unsigned piece = mmioPiece(gpa + done, size - done);
    uint64_t value = 0;
    std::memcpy(&value, from + done, piece);
    if (!writeMmio(gpa + done, piece, value)) return false;
    done += piece;
  }
  return true;
}

unsigned Cpu::mmioPiece(uint64_t gpa, unsigned size) {
  unsigned piece = 8;
  while (piece > size || (gpa & (piece - 1)) != 0) piece /= 2;
  return piece;
}

bool Cpu::readSpan(const Span& span, uint8_t* to) {
  return readPhysical(span.gpa[0], span.size[0], to) &&
         (span.size[1] == 0 || readPhysical(span.gpa[1], span.size[1], to + span.size[0]));
}

bool Cpu::writeSpan(const Span& span, const uint8_t* from) {
  // A piece in MMIO may have to leave for TypeScript first; RAM is written only after it.
  const bool mmioSecond = span.size[1] != 0 && !ram.page(span.gpa[1]);
  const unsigned first = mmioSecond ? 1 : 0, second = 1 - first;
  const auto piece = [&](unsigned n) {
    return span.size[n] == 0 ||
           writePhysical(span.gpa[n], span.size[n], n == 0 ? from : from + span.size[0]);
  };
  return piece(first) && piece(second);
}

// --- accesses of instructions

Rights Cpu::dataRights() const {
  if (cpl == 3) return kUser;
  return (cr4 & cr4::kSmap) && !(eflagsRest & eflags::kAc) ? kSupervisor : kSupervisorUserAccess;
}

// GDT, IDT and TSS accesses: SDM volume 3, "Implicit supervisor-mode accesses" (never through AC).
Rights Cpu::systemRights() const {
  return (cr4 & cr4::kSmap) ? kSupervisor : kSupervisorUserAccess;
}

bool Cpu::spanFor(uint8_t seg, uint64_t ea, unsigned size, bool write, Span& span) {
  uint64_t linear = 0;
  return linearFor(seg, ea, size, write, linear) &&
         translateSpan(linear, size, dataRights(), write, span);
}

Loaded<uint64_t> Cpu::loadSlow(uint8_t seg, uint64_t ea, unsigned size) {
  Span span;
  uint64_t value = 0;
  const bool ok =
      spanFor(seg, ea, size, false, span) && readSpan(span, reinterpret_cast<uint8_t*>(&value));
  if (ok) noteAccess(RecordKind::kLoad, seg, ea, span, value, size);
  return {value, ok};
}

bool Cpu::storeSlow(uint8_t seg, uint64_t ea, uint64_t value, unsigned size) {
  Span span;
  if (!spanFor(seg, ea, size, true, span) ||
      !writeSpan(span, reinterpret_cast<const uint8_t*>(&value)))
    return false;
  noteAccess(RecordKind::kStore, seg, ea, span, value, size);
  return true;
}

Loaded<uint64_t> Cpu::loadForWrite(uint8_t seg, uint64_t ea, unsigned size) {
  Span span;
  uint64_t value = 0;
  const bool ok =
      spanFor(seg, ea, size, true, span) && readSpan(span, reinterpret_cast<uint8_t*>(&value));
  if (ok) noteAccess(RecordKind::kLoad, seg, ea, span, value, size);
  if (!ok || !debug.breakpoints.watching()) return {value, ok};
  return {value, noteWatch((ea + segmentBase[seg]) & linearMask, size, false)};
}

const uint8_t* Cpu::loadBytes(uint8_t seg, uint64_t ea, unsigned size, unsigned align) {
  const uint64_t linear = (ea + segmentBase[seg]) & linearMask;
  if (align > 1 && (linear & (align - 1)) != 0) {
    raise(kGp, 0);
    return nullptr;
  }
  const TlbEntry& entry = segmentTlb[seg]->at(linear);
  if (entry.readTag == (linear & kPageMask) && (linear & kPageOffset) + size <= kPageSize)
      [[likely]]
    return entry.host(linear);
  Span span;
  if (!spanFor(seg, ea, size, false, span) || !readSpan(span, scratch)) return nullptr;
  noteAccess(RecordKind::kLoad, seg, ea, span, firstBytes(scratch, size), size);
  return scratch;
}

bool Cpu::storeBytes(uint8_t seg, uint64_t ea, const void* from, unsigned size, unsigned align) {
  const uint64_t linear = (ea + segmentBase[seg]) & linearMask;
  if (align > 1 && (linear & (align - 1)) != 0) return raise(kGp, 0);
  const TlbEntry& entry = segmentTlb[seg]->at(linear);
  if (entry.writeTag == (linear & kPageMask) && (linear & kPageOffset) + size <= kPageSize)
      [[likely]] {
    std::memcpy(entry.host(linear), from, size);
    return true;
  }
  Span span;
  if (!spanFor(seg, ea, size, true, span) || !writeSpan(span, static_cast<const uint8_t*>(from)))
    return false;
  noteAccess(RecordKind::kStore, seg, ea, span, firstBytes(from, size), size);
  return true;
}

bool Cpu::probeWrite(uint8_t seg, uint64_t ea, unsigned size) {
  Span span;
  return spanFor(seg, ea, size, true, span);
}

Loaded<uint64_t> Cpu::loadSystem(uint64_t linear, unsigned size) {
  if (!longMode()) linear &= 0xffffffff;
  uint64_t value = 0;
  if (longMode() && !(isCanonical(linear) && isCanonical(linear + size - 1)))
    return {0, raise(kGp, 0)};
  const TlbEntry& entry = tlbs.of(systemRights()).at(linear);
  if (entry.readTag == (linear & kPageMask) && (linear & kPageOffset) + size <= kPageSize) {
    std::memcpy(&value, entry.host(linear), size);
    return {value, true};
  }
  if (debug.breakpoints.watching() && !noteWatch(linear, size, false)) return {0, false};
  Span span;
  const bool ok = translateSpan(linear, size, systemRights(), false, span) &&
                  readSpan(span, reinterpret_cast<uint8_t*>(&value));
  return {value, ok};
}

bool Cpu::storeSystem(uint64_t linear, uint64_t value, unsigned size) {
  if (!longMode()) linear &= 0xffffffff;
  if (longMode() && !(isCanonical(linear) && isCanonical(linear + size - 1))) return raise(kGp, 0);
  const TlbEntry& entry = tlbs.of(systemRights()).at(linear);
  if (entry.writeTag == (linear & kPageMask) && (linear & kPageOffset) + size <= kPageSize) {
    std::memcpy(entry.host(linear), &value, size);
    return true;
  }
  if (debug.breakpoints.watching() && !noteWatch(linear, size, true)) return false;
  Span span;
  return translateSpan(linear, size, systemRights(), true, span) &&
         writeSpan(span, reinterpret_cast<const uint8_t*>(&value));
}

bool Cpu::probeSystemWrite(uint64_t linear, unsigned size) {
  if (!longMode()) linear &= 0xffffffff;
  if (longMode() && !(isCanonical(linear) && isCanonical(linear + size - 1))) return raise(kGp, 0);
  Span span;
  return translateSpan(linear, size, systemRights(), true, span);
}

uint8_t* Cpu::bulkHost(uint8_t seg, uint64_t ea, unsigned size, bool write) {
  const uint64_t linear = (ea + segmentBase[seg]) & linearMask;
  const TlbEntry& entry = segmentTlb[seg]->at(linear);
  if ((write ? entry.writeTag : entry.readTag) != (linear & kPageMask)) return nullptr;
  return (linear & kPageOffset) + size <= kPageSize ? entry.host(linear) : nullptr;
}

bool Cpu::fetchPage(uint64_t linear, uint64_t& gpa) {
  const Rights rights = fetchRights();
  const TlbEntry& entry = tlbs.of(rights).at(linear);
  if (entry.executeTag == (linear & kPageMask)) {
    gpa = ram.gpaOf(entry.host(linear));
    return true;
  }
  if (code64() && !isCanonical(linear)) return raise(kGp, 0);
  return translate(linear, rights, false, true, gpa);
}

bool Cpu::isUserCode(const Translation& found) const {
  uint32_t ignored = 0;
  return ram.page(found.gpa) && !isApicPage(found.gpa) &&
         permits(paging, found, {.execute = true, .user = true}, ignored);
}

bool Cpu::isUserCodeAt(uint64_t linear, uint64_t page) const {
  const Translation found = peekWalk(paging, ram, linear);
  return found.ok && found.accessed && isOrdinary(found) && isUserCode(found) &&
         (found.gpa & kPageMask) == page;
}

bool Cpu::peekFetchPage(uint64_t linear, uint64_t& gpa) {
  if (!code64() || !isCanonical(linear)) return false;
  const Rights rights = fetchRights();
  const TlbEntry& entry = tlbs.of(rights).at(linear);
  if (entry.executeTag == (linear & kPageMask)) {
    gpa = ram.gpaOf(entry.host(linear));
    return true;
  }
  const ActivityScope scope(activity, Phase::kPageWalk);
  const Translation found = peekWalk(paging, ram, linear);
  if (!found.ok || !found.accessed) return false;
  if (rights == kUser && isOrdinary(found)) {
    // The TLB has no need to know: data of the same slot is looked for more often.
    gpa = found.gpa;
    return isUserCode(found);
  }
  keepTranslation(rights, linear, false, found);
  if (entry.executeTag != (linear & kPageMask)) return false;
  gpa = ram.gpaOf(entry.host(linear));
  return true;
}

}  // namespace nodevm

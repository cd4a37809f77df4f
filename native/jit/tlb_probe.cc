#include "jit/tlb_probe.h"

#include <cstddef>

#include "cpu/features.h"
#include "jit/split_access.h"
#include "mmu/tlb.h"

namespace nodevm {

namespace {

constexpr unsigned kNotCarry = 3, kZero = 4, kNotZero = 5;  // condition codes
constexpr unsigned kShiftRight = 5;
constexpr unsigned kEntryShift = 5;  // log2 sizeof(TlbEntry)
static_assert(sizeof(TlbEntry) == 1 << kEntryShift);

HostMemory entryField(size_t offset) {
  return {.base = host::kR10, .displacement = static_cast<int32_t>(offset)};
}

HostMemory tagField(bool write) {
  return entryField(write ? offsetof(TlbEntry, writeTag) : offsetof(TlbEntry, readTag));
}

bool isRegister(const HostMemory& address) {
  return address.index == host::kNone && address.displacement == 0;
}

void copyAddress(Emitter& e, uint8_t to, const HostMemory& from) {
  isRegister(from) ? e.move(8, to, from.base) : e.lea(to, from);
}

// Leaves in R10 the entry that knows the byte, if one does.
void findEntry(Emitter& e, const Layout& layout, const HostMemory& first) {
  constexpr unsigned kBelowIndex = 12 - kEntryShift;
  if (isRegister(first) && has(hostFeatures(), Feature::kBmi2)) {
    e.rotateRight(host::kR10, first.base, kBelowIndex);
  } else {
    copyAddress(e, host::kR10, first);
    e.shiftImmediate(kShiftRight, 8, host::kR10, kBelowIndex);
  }
  e.aluImmediate(Alu::kAnd, 4, host::kR10, (Tlb::kEntries - 1) << kEntryShift);
  e.alu(Alu::kAdd, 8, host::kR10, layout.at(layout.flatTlb));
}

// Falls through with the entry in R10 and the page in R11.
Emitter::Fixup emitTagCheck(Emitter& e, const Layout& layout, const HostMemory& first,
                            const HostMemory& last, bool write) {
  findEntry(e, layout, first);
  // Of the last byte: an access that crosses pages then misses, as neighbours never share an entry.
  emitPageOf(e, host::kR11, last);
  e.alu(Alu::kCmp, 8, host::kR11, tagField(write));
  return e.jumpIf(kNotZero);
}

// One access of `size` bytes at R9. missed: where it goes on; nullptr: returns.
const uint8_t* emitProbe(Emitter& e, const Layout& layout, unsigned size, bool write,
                         const uint8_t* missed) {
  const uint8_t* start = e.here();
  const auto last = static_cast<int32_t>(size) - 1;
  const Emitter::Fixup miss = emitTlbProbe(e, layout, {.base = host::kR9},
                                           {.base = host::kR9, .displacement = last}, write);
  e.bind(miss, missed ? missed : e.here());
  e.ret();
  return start;
}

// Of a PageCell, or of PathCells.
HostMemory cellField(size_t offset) {
  return {.base = host::kR10, .displacement = static_cast<int32_t>(offset)};
}

// R11 bytes at R9, the cell at R10.
const uint8_t* emitFillCell(Emitter& e, const Layout& layout, bool write) {
  const uint8_t* start = e.here();
  const auto entry = [](size_t offset) {
    return HostMemory{.base = host::kR9, .displacement = static_cast<int32_t>(offset)};
  };
  e.push(host::kR11);
  e.push(host::kR9);
  emitPageOf(e, host::kR11, {.base = host::kR9, .index = host::kR11, .displacement = -1});
  e.shiftImmediate(kShiftRight, 8, host::kR9, 12 - kEntryShift);
  e.aluImmediate(Alu::kAnd, 4, host::kR9, (Tlb::kEntries - 1) << kEntryShift);
  e.alu(Alu::kAdd, 8, host::kR9, layout.at(layout.flatTlb));
  e.alu(Alu::kCmp, 8, host::kR11,
        entry(write ? offsetof(TlbEntry, writeTag) : offsetof(TlbEntry, readTag)));
  const Emitter::Fixup miss = e.jumpIf(kNotZero);
  e.store(8, cellField(offsetof(PageCell, page)), host::kR11);
  e.move(8, host::kR9, entry(offsetof(TlbEntry, addend)));
  e.store(8, cellField(offsetof(PageCell, addend)), host::kR9);
  e.moveImmediate(host::kR11, kPageSize + 1);
  e.alu(Alu::kSub, 8, host::kR11, HostMemory{.base = host::kRsp, .displacement = 8});
  e.store(8, cellField(offsetof(PageCell, limit)), host::kR11);
  e.move(8, host::kR10, host::kR9);
  e.alu(Alu::kCmp, 8, host::kR9, host::kR9);
  e.bind(miss);
  e.pop(host::kR9);
  e.pop(host::kR11);
  e.ret();
  return start;
}

// R9: the next cell, R11: how many are left.
const uint8_t* emitRenewCells(Emitter& e, const Layout& layout) {
  const uint8_t* start = e.here();
  e.move(8, host::kR11, layout.at(layout.flatTlb));
  e.move(8, host::kR11, HostMemory{.base = host::kR11, .displacement = layout.generationInTlb});
  e.alu(Alu::kCmp, 8, host::kR11, cellField(offsetof(PathCells, generation)));
  const Emitter::Fixup same = e.jumpIf(kZero);
  e.store(8, cellField(offsetof(PathCells, generation)), host::kR11);
  e.move(8, host::kR11, cellField(offsetof(PathCells, count)));
  e.test(8, host::kR11, host::kR11);
  const Emitter::Fixup none = e.jumpIf(kZero);
  e.lea(host::kR9, cellField(offsetof(PathCells, cells)));
  const uint8_t* next = e.here();
  e.storeImmediate(8, {.base = host::kR9, .displacement = offsetof(PageCell, limit)}, 0);
  e.aluImmediate(Alu::kAdd, 8, host::kR9, sizeof(PageCell));
  e.aluImmediate(Alu::kSub, 8, host::kR11, 1);
  e.bind(e.jumpIf(kNotZero), next);
  e.bind(none);
  e.bind(same);
  e.ret();
  return start;
}

// StackWindow at `at`: page in R11, addend in R10.
void openWindow(Emitter& e, HostMemory at) {
  const int32_t start = at.displacement;
  const auto field = [&](size_t offset) {
    at.displacement = start + static_cast<int32_t>(offset);
    return at;
  };
  e.store(8, field(offsetof(StackWindow, page)), host::kR11);
  e.store(8, field(offsetof(StackWindow, addend)), host::kR10);
  for (unsigned n = 0; n < std::size(StackWindow::kSpans); ++n)
    e.storeImmediate(8, field(offsetof(StackWindow, limits) + n * sizeof(uint64_t)),
                     static_cast<int32_t>(StackWindow::limitOf(n)));
}

// R11 bytes at R9. The window is opened where the page is readable and writable.
const uint8_t* emitStackProbe(Emitter& e, const Layout& layout, bool write) {
  const uint8_t* start = e.here();
  const Emitter::Fixup miss =
      emitTagCheck(e, layout, {.base = host::kR9},
                   {.base = host::kR9, .index = host::kR11, .displacement = -1}, write);
  e.alu(Alu::kCmp, 8, host::kR11, tagField(!write));
  e.move(8, host::kR10, entryField(offsetof(TlbEntry, addend)));
  const Emitter::Fixup oneWay = e.jumpIf(kNotZero);
  openWindow(e, layout.at(layout.stackWindow));
  e.push(host::kR9);
  e.move(8, host::kR9, layout.at(layout.flatTlb));
  openWindow(e, {.base = host::kR9, .displacement = layout.windowInTlb});
  e.pop(host::kR9);
  e.bind(oneWay);
  e.alu(Alu::kCmp, 8, host::kR10, host::kR10);
  e.bind(miss);
  e.ret();
  return start;
}

}  // namespace

void emitPageOf(Emitter& e, uint8_t to, const HostMemory& address) {
  copyAddress(e, to, address);
  e.aluImmediate(Alu::kAnd, 8, to, static_cast<int32_t>(kPageMask));
}

Emitter::Fixup emitTlbProbe(Emitter& e, const Layout& layout, const HostMemory& first,
                            const HostMemory& last, bool write) {
  const Emitter::Fixup miss = emitTagCheck(e, layout, first, last, write);
  e.move(8, host::kR10, entryField(offsetof(TlbEntry, addend)));
  return miss;
}

Emitter::Fixup emitPageProbe(Emitter& e, const Layout& layout, uint8_t page, bool write) {
  findEntry(e, layout, {.base = page});
  e.alu(Alu::kCmp, 8, page, tagField(write));
  const Emitter::Fixup miss = e.jumpIf(kNotZero);
  e.move(8, host::kR10, entryField(offsetof(TlbEntry, addend)));
  return miss;
}

Emitter::Fixup emitWindowCheck(Emitter& e, const Layout& layout, const HostMemory& first,
                               unsigned span) {
  unsigned n = 0;
  while (StackWindow::kSpans[n] < span) ++n;
  const auto field = [&](size_t offset) {
    return layout.at(layout.stackWindow + static_cast<int32_t>(offset));
  };
  copyAddress(e, host::kR10, first);
  e.alu(Alu::kSub, 8, host::kR10, field(offsetof(StackWindow, page)));
  e.alu(Alu::kCmp, 8, host::kR10, field(offsetof(StackWindow, limits) + n * sizeof(uint64_t)));
  const Emitter::Fixup outside = e.jumpIf(kNotCarry);
  e.move(8, host::kR10, field(offsetof(StackWindow, addend)));
  return outside;
}

Emitter::Fixup emitCellCheck(Emitter& e, const PageCell& cell, const HostMemory& first) {
  copyAddress(e, host::kR10, first);
  e.subtractAt(host::kR10, &cell.page);
  e.compareWith(host::kR10, &cell.limit);
  const Emitter::Fixup outside = e.jumpIf(kNotCarry);
  e.moveFrom(host::kR10, &cell.addend);
  return outside;
}

Emitter::Fixup emitGenerationCheck(Emitter& e, const Layout& layout, const PathCells& cells) {
  e.move(8, host::kR11, layout.at(layout.flatTlb));
  e.move(8, host::kR11, HostMemory{.base = host::kR11, .displacement = layout.generationInTlb});
  e.compareWith(host::kR11, &cells.generation);
  return e.jumpIf(kNotZero);
}

void emitProbeThunks(Emitter& e, const Layout& layout, Thunks& thunks) {
  const uint8_t* splitRead = emitSplitThunks(e, layout, thunks);
  for (unsigned n = 0; n < Thunks::kProbeSizes; ++n) {
    thunks.probeRead[n] = emitProbe(e, layout, 1u << n, false, splitRead);
    thunks.probeWrite[n] = emitProbe(e, layout, 1u << n, true, nullptr);
  }
  thunks.fillReadCell = emitFillCell(e, layout, false);
  thunks.fillWriteCell = emitFillCell(e, layout, true);
  thunks.renewCells = emitRenewCells(e, layout);
  thunks.probeStackRead = emitStackProbe(e, layout, false);
  thunks.probeStackWrite = emitStackProbe(e, layout, true);
}

}  // namespace nodevm

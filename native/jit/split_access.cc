#include "jit/split_access.h"

#include <cstddef>

#include "cpu/cpu.h"
#include "jit/tlb_probe.h"

namespace nodevm {

namespace {

constexpr unsigned kZero = 4;  // condition codes
constexpr int32_t kWord = 8;
constexpr int32_t kHalf = sizeof(Cpu::scratch) / 2;  // no access is larger
static_assert(kHalf == 1 << (Thunks::kProbeSizes - 1));

// Between the halves at R10 and at RAX and the copy. Clobbers R11.
void copyHalves(Emitter& e, const Layout& layout, bool back) {
  for (int32_t at = 0; at < 2 * kHalf; at += kWord) {
    const HostMemory copy = layout.at(layout.scratch + at);
    const HostMemory page{.base = at < kHalf ? host::kR10 : host::kRax,
                          .displacement = at < kHalf ? at : at - kHalf};
    e.move(8, host::kR11, back ? copy : page);
    e.store(8, back ? page : copy, host::kR11);
  }
}

// The bytes begin at R9, R11 is the page of the last one.
const uint8_t* emitSplit(Emitter& e, const Layout& layout, bool write) {
  const uint8_t* start = e.here();
  const auto halfOf = [](uint8_t page, int32_t distance) {
    return HostMemory{.base = page, .index = host::kR10, .displacement = distance};
  };
  e.push(host::kRax);
  emitPageOf(e, host::kRax, {.base = host::kR9});
  e.alu(Alu::kCmp, 8, host::kRax, host::kR11);
  const Emitter::Fixup onePage = e.jumpIf(kZero);
  const Emitter::Fixup noFirst = emitPageProbe(e, layout, host::kRax, write);
  e.lea(host::kRax, halfOf(host::kRax, kPageSize - kHalf));
  e.store(8, layout.at(layout.splitLow), host::kRax);
  const Emitter::Fixup noSecond = emitPageProbe(e, layout, host::kR11, write);
  e.lea(host::kR11, halfOf(host::kR11, 0));
  e.store(8, layout.at(layout.splitHigh), host::kR11);
  e.move(8, host::kR10, host::kRax);
  e.move(8, host::kRax, host::kR11);
  copyHalves(e, layout, false);
  // The address is that of the copy's middle, less its distance from the edge.
  emitPageOf(e, host::kRax, {.base = host::kR9});
  e.lea(host::kR10, layout.at(layout.scratch + kHalf - static_cast<int32_t>(kPageSize)));
  e.alu(Alu::kSub, 8, host::kR10, host::kRax);
  e.alu(Alu::kCmp, 8, host::kRax, host::kRax);
  e.bind(noFirst);
  e.bind(noSecond);
  e.pop(host::kRax);
  e.ret();
  e.bind(onePage);
  e.test(8, host::kRsp, host::kRsp);
  e.pop(host::kRax);
  e.ret();
  return start;
}

const uint8_t* emitWriteBack(Emitter& e, const Layout& layout) {
  const uint8_t* start = e.here();
  e.push(host::kRax);
  e.move(8, host::kR10, layout.at(layout.splitLow));
  e.move(8, host::kRax, layout.at(layout.splitHigh));
  copyHalves(e, layout, true);
  e.pop(host::kRax);
  e.ret();
  return start;
}

}  // namespace

const uint8_t* emitSplitThunks(Emitter& e, const Layout& layout, Thunks& thunks) {
  const uint8_t* const write = emitSplit(e, layout, true);
  for (unsigned n = 0; n < Thunks::kProbeSizes; ++n) {
    thunks.splitWrite[n] = e.here();
    emitPageOf(e, host::kR11, {.base = host::kR9, .displacement = (1 << n) - 1});
    e.jumpTo(write);
  }
  thunks.writeSplit = emitWriteBack(e, layout);
  return emitSplit(e, layout, false);
}

}  // namespace nodevm

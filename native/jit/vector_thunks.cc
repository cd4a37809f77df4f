#include "jit/vector_thunks.h"

#include "cpu/state.h"

namespace nodevm {

namespace {

using namespace simd_state;

constexpr unsigned kZero = 4, kNotZero = 5;  // condition codes
constexpr unsigned kRegisters = 16;

HostOpcode movaps(bool stores, bool wide) {
  return {.map = OpcodeMap::k0F,
          .byte = static_cast<uint8_t>(stores ? 0x29 : 0x28),
          .vex = wide,
          .vexL = wide};
}

void moveAll(Emitter& e, const Layout& layout, bool stores, bool wide) {
  for (uint8_t n = 0; n < kRegisters; ++n) {
    const auto slot = static_cast<int32_t>(n * sizeof(VectorRegister));
    e.instruction(movaps(stores, wide), 16, n, layout.at(layout.vector + slot));
  }
}

void testState(Emitter& e, const Layout& layout, uint8_t bits) {
  e.instruction({.byte = 0xf6}, 1, 0, layout.at(layout.simd));
  e.immediate(bits, 1);
}

// Some processors pay for legacy SSE while upper halves are in use: C++ finds them clear.
const uint8_t* emitSave(Emitter& e, const Layout& layout) {
  const uint8_t* start = e.here();
  e.move(1, host::kR11, layout.at(layout.simd));
  e.store(1, layout.at(layout.simdSaved), host::kR11);
  testState(e, layout, kNotLoaded);
  const Emitter::Fixup nothing = e.jumpIf(kNotZero);
  e.aluImmediate(Alu::kOr, 1, layout.at(layout.simd), kInMemory);
  e.aluImmediate(Alu::kAnd, 4, host::kR11, kNotWide);
  const Emitter::Fixup wide = e.jumpIf(kZero);
  moveAll(e, layout, true, false);
  e.ret();
  e.bind(wide);
  moveAll(e, layout, true, true);
  e.zeroUpper();
  e.bind(nothing);
  e.ret();
  return start;
}

const uint8_t* emitLoad(Emitter& e, const Layout& layout, bool wide) {
  const uint8_t* start = e.here();
  const uint8_t absent = wide ? kInMemory : kNotLoaded;
  e.aluImmediate(Alu::kAnd, 1, layout.at(layout.simd), ~absent);
  moveAll(e, layout, false, wide);
  e.ret();
  return start;
}

const uint8_t* emitReload(Emitter& e, const Layout& layout, const uint8_t* loadNarrow,
                          const uint8_t* loadWide) {
  const uint8_t* start = e.here();
  e.move(1, host::kR9, layout.at(layout.simdSaved));
  e.aluImmediate(Alu::kAnd, 4, host::kR9, kInMemory);
  e.bind(e.jumpIf(kZero), loadWide);
  e.aluImmediate(Alu::kCmp, 4, host::kR9, kNotWide);
  e.bind(e.jumpIf(kZero), loadNarrow);
  e.ret();
  return start;
}

// Where registers are loaded narrow and wanted wide, the memory of their lower halves is old.
const uint8_t* emitNeed(Emitter& e, const Layout& layout, const Thunks& thunks, uint8_t blockers,
                        const uint8_t* load) {
  const uint8_t* start = e.here();
  testState(e, layout, blockers);
  const Emitter::Fixup blocked = e.jumpIf(kNotZero);
  if (blockers & kAvxBlocked) e.callTo(thunks.saveVectors);
  e.callTo(load);
  e.alu(Alu::kCmp, 4, host::kR11, host::kR11);
  e.bind(blocked);
  e.ret();
  return start;
}

}  // namespace

void emitVectorThunks(Emitter& e, const Layout& layout, Thunks& thunks) {
  thunks.saveVectors = emitSave(e, layout);
  const uint8_t* loadNarrow = emitLoad(e, layout, false);
  const uint8_t* loadWide = emitLoad(e, layout, true);
  thunks.reloadVectors = emitReload(e, layout, loadNarrow, loadWide);
  for (uint8_t blockers = 1; blockers < thunks.needVectors.size(); ++blockers)
    thunks.needVectors[blockers] =
        emitNeed(e, layout, thunks, blockers, blockers & kAvxBlocked ? loadWide : loadNarrow);
}

}  // namespace nodevm

// SSE and AVX. Vector registers are those of the guest, loaded when a block first uses them and
// written back before anybody else looks: at its end, and before the interpreter is called. While
// run() is active MXCSR is the guest's as well (interpreter/sse_control.h), so that the results are
// the processor's own.

#include "interpreter/sse_control.h"
#include "jit/translator.h"

namespace nodevm {

namespace {

constexpr unsigned kNotZero = 5;
constexpr HostOpcode kMovapsLoad{.map = OpcodeMap::k0F, .byte = 0x28},
    kMovapsStore{.map = OpcodeMap::k0F, .byte = 0x29},
    kVmovapsLoad{.map = OpcodeMap::k0F, .byte = 0x28, .vex = true, .vexL = true},
    kVmovapsStore{.map = OpcodeMap::k0F, .byte = 0x29, .vex = true, .vexL = true},
    kVxorps{.map = OpcodeMap::k0F, .byte = 0x57, .vex = true};
constexpr uint8_t kVzeroupper[] = {0xc5, 0xf8, 0x77};

}  // namespace

HostMemory Translator::vectorSlot(unsigned number) const {
  return layout_.at(layout_.vector + static_cast<int32_t>(number * sizeof(VectorRegister)));
}

// Before the instruction that the registers are for.
void Translator::useVector(unsigned number, uint8_t use) {
  const auto bit = static_cast<uint16_t>(1u << number);
  // A legacy instruction keeps the upper half, which a block of whole registers holds as well.
  const bool keeps = wideVectors_ && !shapes_[slot_].opcode.vex;
  if (((use & Shape::kRead) || keeps) && !(vectorsLoaded_ & bit)) loadVectors(bit);
  vectorsLoaded_ |= bit;
  if (use & Shape::kWrite) vectorsDirty_ |= bit;
}

uint16_t Translator::vectorsOf(const Instruction& i, const Shape& shape, uint8_t use) {
  unsigned vectors = 0;
  if (shape.readsXmm0 && (use & Shape::kRead)) vectors |= 1;
  if (shape.vectorRm & use) vectors |= 1u << i.rm;
  if (shape.vectorVvvv & use) vectors |= 1u << i.vvvv();
  if (shape.vectorImm & use) vectors |= 1u << (i.immediate >> 4 & 15);
  if (shape.vectorReg & use) vectors |= 1u << i.reg;
  return static_cast<uint16_t>(vectors);
}

// Reads come first: a register may be read and written.
void Translator::useVectors(const Instruction& i, const Shape& shape, uint8_t use) {
  const uint16_t vectors = vectorsOf(i, shape, use);
  for (unsigned n = 0; n < 16; ++n)
    if (vectors >> n & 1) useVector(n, use);
}

// A loop's registers are loaded once; from the second time on all that it writes may be newer on
// the host.
void Translator::carryVectors() {
  uint16_t written = 0;
  bool clears = false;
  for (size_t slot = 0; slot < shapes_.size(); ++slot) {
    const Instruction& i = *instructions_[slot].code;
    carried_ |= vectorsOf(i, shapes_[slot], Shape::kRead | Shape::kWrite);
    written |= vectorsOf(i, shapes_[slot], Shape::kWrite);
    clears |= shapes_[slot].way == Way::kZeroUpper;
  }
  loadVectors(carried_);
  vectorsLoaded_ = carried_;
  vectorsDirty_ = clears ? carried_ : written;
}

void Translator::storeVectors(uint16_t which) {
  for (unsigned n = 0; n < 16; ++n)
    if (which >> n & 1)
      e_.instruction(wideVectors_ ? kVmovapsStore : kMovapsStore, 16, static_cast<uint8_t>(n),
                     vectorSlot(n));
}

void Translator::loadVectors(uint16_t which) {
  for (unsigned n = 0; n < 16; ++n)
    if (which >> n & 1)
      e_.instruction(wideVectors_ ? kVmovapsLoad : kMovapsLoad, 16, static_cast<uint8_t>(n),
                     vectorSlot(n));
}

// Some processors pay for legacy SSE while upper halves are in use.
void Translator::releaseUpper() {
  if (!wideVectors_) return;
  for (const uint8_t byte : kVzeroupper) e_.byte(byte);
}

// The interpreter is next: nothing stays in host registers.
void Translator::dropVectors() {
  storeVectors(vectorsDirty_);
  if (vectorsLoaded_) releaseUpper();
  vectorsLoaded_ = vectorsDirty_ = 0;
}

// Registers on the host are cleared there, the others in memory, by means of one that is free.
void Translator::zeroUpper(const Shape& shape) {
  checkSimd(shape);
  releaseUpper();
  vectorsDirty_ = vectorsLoaded_;
  const auto inMemory = static_cast<uint16_t>(~vectorsLoaded_);
  if (inMemory == 0) return;
  const auto scratch = static_cast<uint8_t>(__builtin_ctz(inMemory));
  HostOpcode clear = kVxorps;
  clear.vvvv = scratch;
  e_.instruction(clear, 16, scratch, scratch);
  for (unsigned n = 0; n < 16; ++n) {
    if (!(inMemory >> n & 1)) continue;
    HostMemory upper = vectorSlot(n);
    upper.displacement += 16;
    e_.instruction(kMovapsStore, 16, scratch, upper);
  }
}

// What sseUsable(), avxUsable() and allExceptionsMasked() ask, once for all instructions of the
// block that they hold for: where they do not, the rest of the block is interpreted.
void Translator::checkSimd(const Shape& shape) {
  const unsigned blocks =
      (shape.checksSimd ? Cpu::kSseBlocked : 0u) | (shape.checksAvx ? Cpu::kAvxBlocked : 0u);
  if (blocks) {
    hostFlags_ = false;
    e_.instruction({.byte = 0xf6}, 1, 0, layout_.at(layout_.simdBlocked));  // test byte, blocks
    e_.immediate(blocks, 1);
    detour(Detour::Kind::kInterpretRest, e_.jumpIf(kNotZero));
  }
  if (shape.checksFloat) {
    hostFlags_ = false;
    e_.move(4, host::kR9, layout_.at(layout_.mxcsr));
    e_.aluImmediate(Alu::kAnd, 4, host::kR9, static_cast<int32_t>(mxcsr::kMasks));
    e_.aluImmediate(Alu::kCmp, 4, host::kR9, static_cast<int32_t>(mxcsr::kMasks));
    detour(Detour::Kind::kInterpretRest, e_.jumpIf(kNotZero));
  }
}

void Translator::simd(const Instruction& i, const Shape& shape) {
  checkSimd(shape);
  HostRm rm(host::kNone);
  HostOpcode opcode = shape.opcode;
  if (shape.memory) {
    rm = access(i, shape);
    if (shape.aligned) {
      e_.lea(host::kR11, rm.memory);  // as far into a page as the guest's address
      e_.instruction({.byte = 0xf6}, 1, 0, host::kR11, {.rm = true});  // test r11b, size - 1
      e_.immediate(shape.memorySize - 1, 1);
      detour(Detour::Kind::kInterpretSlot, e_.jumpIf(kNotZero));
    }
  } else if (shape.vectorRm) {
    rm = i.rm;
  } else if (shape.rm & Shape::kWrite) {
    rm = isPinned(i.rm) ? kHostOf[i.rm >> 3] : host::kR10;
  } else if (shape.rm) {
    rm = locate(i.rm);
  }
  useVectors(i, shape, Shape::kRead);
  useVectors(i, shape, Shape::kWrite);
  opcode.vvvv = shape.vectorVvvv ? static_cast<uint8_t>(i.vvvv()) : 0;
  uint8_t reg = shape.digit;
  if (shape.vectorReg) {
    reg = i.reg;
  } else if (shape.reg) {
    reg = isPinned(i.reg) ? kHostOf[i.reg >> 3] : host::kR11;
  }
  e_.instruction(opcode, shape.size, reg, rm);
  if (shape.immediateBytes) e_.immediate(shape.immediate, shape.immediateBytes);
  if (shape.reg & Shape::kWrite) writeBack(i.reg, reg);
  if (!shape.memory && shape.rm & Shape::kWrite) writeBack(i.rm, rm.reg);
  if (shape.flags == FlagEffect::kNone) return;
  if (wanted().inMemory) savePacked();
  hostFlags_ = true;
}

}  // namespace nodevm

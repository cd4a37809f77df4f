// VEX instructions: most of them become themselves, with operands where the opcode table says.

#include "cpu/features.h"
#include "jit/shape.h"

namespace nodevm {

namespace {

constexpr uint8_t kRead = Shape::kRead, kWrite = Shape::kWrite;

bool isGeneralRm(Operand operand) {
  using enum Operand;
  return operand == Ey || operand == Ed || operand == Rd;
}

// Element by element, or with addresses in implied registers: for the interpreter.
bool isPlain(const Row& row) {
  const uint8_t opcode = row.opcode;
  if (row.map == OpcodeMap::k0F) return opcode != 0x77 && opcode != 0xf7 && opcode != 0xae;
  if (row.map == OpcodeMap::k0F3A) return true;
  const bool masked = (opcode >= 0x2c && opcode <= 0x2f) || opcode == 0x8c || opcode == 0x8e;
  return !masked && !(opcode >= 0x90 && opcode <= 0x93);
}

// Non-temporal stores as plain ones: see shape_simd.cc.
uint8_t temporal(const Row& row) {
  if (row.map != OpcodeMap::k0F) return row.opcode;
  return row.opcode == 0x2b                                     ? 0x29
         : row.opcode == 0xe7 && row.operands[0] == Operand::Mx ? 0x7f
                                                                : row.opcode;
}

class VexDescriber {
 public:
  VexDescriber(const Instruction& i, const Row& row) : i_(i), row_(row) {
    const bool wide = row.has(kWideByW) && i.operandSize() == 3;
    const bool upper = row.has(kL1) || (!row.has(kWideByW) && i.operandSize() == 1);
    shape_.opcode = {.map = row.map,
                     .byte = temporal(row),
                     .prefix = prefixByte(row.prefix),
                     .vex = true,
                     .vexL = upper,
                     .vexW = row.has(kW1),
                     .vvvv = 0};
    shape_.size = wide ? 8 : 4;
    shape_.memory = i.isMemory();
    vectorBytes_ = upper ? 32 : 16;
    if (row.modrm.reg >= 0) shape_.digit = static_cast<uint8_t>(row.modrm.reg);
    shape_.flags = row.has(kWritesFlags) ? FlagEffect::kAll : FlagEffect::kNone;
  }

  Shape vector() {
    shape_.way = Way::kSimd;
    shape_.isFloat = row_.has(kFloat);
    shape_.writesRcx = comparesStrings(row_);
    for (unsigned n = 0; n < 4; ++n)
      if (!vectorOperand(row_.operands[n], n == 0)) return {};
    return shape_;
  }

  Shape general() {
    shape_.way = Way::kVexGeneral;
    for (unsigned n = 0; n < 4; ++n) {
      // MULX writes two.
      const bool destination = n == 0 || (n == 1 && row_.opcode == 0xf6);
      generalOperand(row_.operands[n], destination ? kWrite : kRead);
    }
    return shape_;
  }

 private:
  void immediate() {
    shape_.immediateBytes = 1;
    shape_.immediate = static_cast<uint8_t>(i_.immediate);
  }

  bool vectorOperand(Operand operand, bool destination) {
    using enum Operand;
    const bool written = destination && shape_.flags == FlagEffect::kNone;
    switch (operand) {
      case kAbsent:
        return true;
      case Vx:
        shape_.vectorReg = true;
        return true;
      case Hx:
        shape_.vectorVvvv = true;
        return true;
      case Gd:
      case Gy:
        shape_.reg = kWrite;
        return true;
      case Lx:
        immediate();
        return true;
      case Ib:
        immediate();
        return true;
      default:
        return rmOperand(operand, written);
    }
  }

  bool rmOperand(Operand operand, bool written) {
    if (!shape_.memory) {
      if (!isGeneralRm(operand)) return shape_.vectorRm = true;
      shape_.rm = written ? kWrite : kRead;
      return true;
    }
    const unsigned bytes = memoryBytes(operand, vectorBytes_, shape_.size);
    shape_.memorySize = static_cast<uint8_t>(bytes);
    shape_.memoryWritten = written;
    shape_.aligned = row_.has(kAligned);
    return bytes != 0;
  }

  void generalOperand(Operand operand, uint8_t use) {
    using enum Operand;
    if (operand == Gy) shape_.reg = use;
    if (operand == By) shape_.vvvv = use;
    if (operand == Ib) immediate();
    if (operand != Ey) return;
    shape_.rm = use;
    shape_.memorySize = shape_.size;
  }

  const Instruction& i_;
  const Row& row_;
  unsigned vectorBytes_ = 16;
  Shape shape_;
};

}  // namespace

Shape vexShapeOf(const Instruction& i, const Row& row) {
  if (!row.has(kSse)) {
    if (!has(hostFeatures(), row.feature())) return {};
    return VexDescriber(i, row).general();
  }
  if (row.map == OpcodeMap::k0F && row.opcode == 0x77 && row.has(kL0)) {
    Shape shape;
    shape.way = Way::kZeroUpper;
    shape.opcode.vex = true;
    return shape;
  }
  return isPlain(row) ? VexDescriber(i, row).vector() : Shape{};
}

}  // namespace nodevm

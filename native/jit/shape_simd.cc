// SSE instructions whose operands the opcode table names, or are registers that the host's
// instruction implies as well: all but those of MMX.

#include "jit/shape.h"

namespace nodevm {

namespace {

constexpr uint8_t kRead = Shape::kRead, kWrite = Shape::kWrite;

bool isVectorRm(Operand operand) {
  using enum Operand;
  return operand == Wx || operand == Ux || operand == Wd || operand == Wq || operand == Ww;
}

bool isGeneralRm(Operand operand) {
  using enum Operand;
  return operand == Ey || operand == Ed || operand == Rd;
}

bool isGeneralReg(Operand operand) { return operand == Operand::Gd || operand == Operand::Gy; }

// MOVUPS, MOVUPD, MOVDQU, LDDQU, PCMPISTRI and the like: SDM volume 1, "Memory Alignment" of SSE.
bool allowsMisalignment(const Row& row) {
  if (comparesStrings(row)) return true;
  if (row.map != OpcodeMap::k0F) return false;
  switch (row.opcode) {
    case 0x10:
    case 0x11:
    case 0xf0:
      return true;
    case 0x6f:
    case 0x7f:
      return row.prefix == Mandatory::kF3;
    default:
      return false;
  }
}

// Can set MXCSR's flags, and so raise #XM.
bool isFloat(const Row& row) {
  const uint8_t opcode = row.opcode;
  if (row.map == OpcodeMap::k0F3A)
    return (opcode >= 0x08 && opcode <= 0x0b) || opcode == 0x40 || opcode == 0x41;
  if (row.map != OpcodeMap::k0F) return false;
  if (opcode >= 0x50 && opcode <= 0x5f) return opcode == 0x51 || opcode >= 0x58;
  switch (opcode) {
    case 0x2a:
    case 0x2c:
    case 0x2d:
    case 0x2e:
    case 0x2f:
    case 0x7c:
    case 0x7d:
    case 0xc2:
    case 0xd0:
    case 0xe6:
      return true;
    default:
      return false;
  }
}

// MASKMOVDQU, LDMXCSR
bool isSpecial(const Row& row) {
  return row.map == OpcodeMap::k0F && (row.opcode == 0xf7 || row.opcode == 0xae);
}

// A hint to bypass the cache is not worth taking: what translated code stores in between defeats
// it.
uint8_t temporal(const Row& row) {
  if (row.map != OpcodeMap::k0F) return row.opcode;
  switch (row.opcode) {
    case 0x2b:
      return 0x29;  // MOVNTPS, MOVNTPD: MOVAPS, MOVAPD
    case 0xe7:
      return 0x7f;  // MOVNTDQ: MOVDQA
    default:
      return row.opcode;
  }
}

}  // namespace

Shape simdShapeOf(const Instruction& i, const Row& row) {
  if (!row.has(kSse) || row.has(kMmx) || isSpecial(row)) return {};
  Shape shape;
  shape.opcode = {.map = row.map, .byte = temporal(row), .prefix = prefixByte(row.prefix)};
  const unsigned wide = row.has(kWideByW) && i.operandSize() == 3 ? 8 : 4;
  shape.size = wide == 8 ? 8 : 16;  // REX.W or no operand size at all
  shape.memory = i.isMemory();
  if (row.modrm.reg >= 0) shape.digit = static_cast<uint8_t>(row.modrm.reg);
  const bool comparesOnly = row.has(kWritesFlags);
  for (unsigned n = 0; n < 4; ++n) {
    const Operand operand = row.operands[n];
    const bool destination = n == 0;
    if (operand == Operand::Vx) {
      shape.vectorReg = true;
    } else if (isGeneralReg(operand)) {
      shape.reg = destination ? kWrite : kRead;
    } else if (operand == Operand::Ib) {
      shape.immediateBytes = 1;
      shape.immediate = static_cast<int64_t>(i.immediate);
    } else if (operand != Operand::kAbsent) {
      if (shape.memory) {
        const unsigned bytes = memoryBytes(operand, 16, wide);
        if (bytes == 0) return {};
        shape.memorySize = static_cast<uint8_t>(bytes);
        shape.memoryWritten = destination;
        shape.aligned = bytes == 16 && !allowsMisalignment(row);
      } else if (isVectorRm(operand)) {
        shape.vectorRm = true;
      } else if (isGeneralRm(operand)) {
        shape.rm = destination ? kWrite : kRead;
      } else {
        return {};
      }
    }
  }
  shape.way = Way::kSimd;
  shape.writesRcx = comparesStrings(row);
  shape.isFloat = isFloat(row);
  shape.flags = comparesOnly ? FlagEffect::kAll : FlagEffect::kNone;
  return shape;
}

}  // namespace nodevm

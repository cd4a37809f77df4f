#include "decoder/decoder.h"

#include <algorithm>
#include <iterator>

#include "decoder/row_index.h"

namespace nodevm {

namespace {

struct Prefixes {
  bool operandSize = false, addressSize = false, lock = false;
  uint8_t rep = 0;  // 0xf2, 0xf3 or 0: the last one wins
  uint8_t rex = 0;  // of a VEX prefix: its W, R, X and B
  int8_t segment = -1;
  bool vex = false, vexL = false;
  uint8_t vvvv = 0;

  bool rexW() const { return rex & 8; }
  unsigned rexR() const { return (rex & 4) << 1; }
  unsigned rexX() const { return (rex & 2) << 2; }
  unsigned rexB() const { return (rex & 1) << 3; }
};

class Reader {
 public:
  Reader(const uint8_t* bytes, size_t available)
      : bytes_(bytes),
        limit_(available < kMaxInstructionLength ? available : kMaxInstructionLength),
        truncated_(available < kMaxInstructionLength) {}

  size_t position() const { return position_; }
  bool ok() const { return ok_; }
  DecodeStatus failure() const {
    return truncated_ ? DecodeStatus::kTruncated : DecodeStatus::kTooLong;
  }
  uint8_t peek() {
    if (position_ >= limit_) {
      ok_ = false;
      return 0;
    }
    return bytes_[position_];
  }
  // The byte after that; 0 where it is out of reach.
  uint8_t peekSecond() const { return position_ + 1 < limit_ ? bytes_[position_ + 1] : 0; }
  void skip() { ++position_; }
  uint64_t take(unsigned size) {
    if (position_ + size > limit_) {
      ok_ = false;
      return 0;
    }
    uint64_t value = 0;
    for (unsigned n = 0; n < size; ++n) value |= uint64_t{bytes_[position_ + n]} << (8 * n);
    position_ += size;
    return value;
  }
  int64_t takeSigned(unsigned size) {
    const unsigned shift = 64 - 8 * size;
    return static_cast<int64_t>(take(size) << shift) >> shift;
  }

 private:
  const uint8_t* bytes_;
  size_t limit_;
  size_t position_ = 0;
  bool truncated_;
  bool ok_ = true;
};

Prefixes readPrefixes(Reader& reader, CodeMode mode) {
  Prefixes prefixes;
  while (reader.ok()) {
    const uint8_t byte = reader.peek();
    const bool rex = mode == CodeMode::k64 && (byte & 0xf0) == 0x40;
    switch (byte) {
      case 0x66:
        prefixes.operandSize = true;
        break;
      case 0x67:
        prefixes.addressSize = true;
        break;
      case 0xf0:
        prefixes.lock = true;
        break;
      case 0xf2:
      case 0xf3:
        prefixes.rep = byte;
        break;
      // In 64-bit mode the first four are null prefixes (SDM volume 1, "Segment Registers in 64-Bit
      // Mode").
      case 0x26:
        if (mode != CodeMode::k64) prefixes.segment = kEs;
        break;
      case 0x2e:
        if (mode != CodeMode::k64) prefixes.segment = kCs;
        break;
      case 0x36:
        if (mode != CodeMode::k64) prefixes.segment = kSs;
        break;
      case 0x3e:
        if (mode != CodeMode::k64) prefixes.segment = kDs;
        break;
      case 0x64:
        prefixes.segment = kFs;
        break;
      case 0x65:
        prefixes.segment = kGs;
        break;
      default:
        if (!rex) return prefixes;
    }
    // REX counts only directly before the opcode.
    prefixes.rex = rex ? byte : 0;
    reader.skip();
  }
  return prefixes;
}

bool prefixMatches(const Row& row, const Prefixes& prefixes) {
  switch (row.prefix) {
    case Mandatory::kAny:
      return true;
    case Mandatory::kNone:
      return prefixes.rep == 0 && !prefixes.operandSize;
    case Mandatory::k66:
      return prefixes.rep == 0 && prefixes.operandSize;
    case Mandatory::kF2:
      return prefixes.rep == 0xf2;
    case Mandatory::kF3:
      return prefixes.rep == 0xf3;
  }
  return false;
}

bool modRmMatches(const ModRmRule& rule, uint8_t modrm) {
  const bool memory = modrm < 0xc0;
  return (rule.reg < 0 || ((modrm >> 3) & 7) == rule.reg) &&
         (rule.form == 0 || (rule.form == 1) == memory) && (rule.exact < 0 || rule.exact == modrm);
}

// VEX.L and VEX.W are what the row asks for.
bool vexMatches(const Row& row, const Prefixes& prefixes, FeatureSet features) {
  return row.has(kVex) == prefixes.vex && !row.has(prefixes.vexL ? kL0 : kL1) &&
         !row.has(prefixes.rexW() ? kW0 : kW1) &&
         (!prefixes.vexL || has(features, row.wideFeature()));
}

SizeCode vexSizeOf(const Row& row, const Prefixes& prefixes, CodeMode mode) {
  if (row.has(kWideByW)) return mode == CodeMode::k64 && prefixes.rexW() ? 3 : 2;
  return prefixes.vexL && !row.has(kLig) ? 1 : 0;
}

SizeCode operandSizeOf(const Row& row, const Prefixes& prefixes, CodeMode mode) {
  if (prefixes.vex) return vexSizeOf(row, prefixes, mode);
  const bool toggled = prefixes.operandSize && row.prefix != Mandatory::k66;
  if (row.has(kByte)) return 0;
  if (row.has(kFixed32)) return 2;
  if (row.has(kWideByW)) return prefixes.rexW() ? 3 : 2;
  if (mode == CodeMode::k64) {
    if (row.has(kForce64) || prefixes.rexW()) return 3;
    if (toggled) return 1;
    return row.has(kDefault64) ? 3 : 2;
  }
  return (mode == CodeMode::k32) != toggled ? 2 : 1;
}

SizeCode addressSizeOf(const Prefixes& prefixes, CodeMode mode) {
  if (mode == CodeMode::k64) return prefixes.addressSize ? 2 : 3;
  return (mode == CodeMode::k32) != prefixes.addressSize ? 2 : 1;
}

uint8_t generalRegister(unsigned number) { return static_cast<uint8_t>(number * 8); }

// AH, CH, DH, BH are numbers 4..7 unless there is a REX prefix.
uint8_t byteRegister(unsigned number, bool rex) {
  return number >= 4 && number < 8 && !rex ? static_cast<uint8_t>((number - 4) * 8 + 1)
                                           : generalRegister(number);
}

struct MemoryOperand {
  uint8_t base = gpr::kZero, index = gpr::kZero, scale = 0;
  uint8_t segment = kDs;
  bool ripRelative = false;
  int64_t displacement = 0;
};

// SDM volume 2, table "16-Bit Addressing Forms with the ModR/M Byte".
MemoryOperand decodeMemory16(Reader& reader, uint8_t modrm) {
  static constexpr uint8_t kBase[8] = {gpr::kRbx, gpr::kRbx, gpr::kRbp, gpr::kRbp,
                                       gpr::kRsi, gpr::kRdi, gpr::kRbp, gpr::kRbx};
  static constexpr uint8_t kIndex[8] = {gpr::kRsi,  gpr::kRdi,  gpr::kRsi,  gpr::kRdi,
                                        gpr::kZero, gpr::kZero, gpr::kZero, gpr::kZero};
  const unsigned mod = modrm >> 6, rm = modrm & 7;
  MemoryOperand operand;
  if (mod == 0 && rm == 6) {
    operand.displacement = reader.takeSigned(2);
    return operand;
  }
  operand.base = kBase[rm];
  operand.index = kIndex[rm];
  operand.segment = operand.base == gpr::kRbp ? kSs : kDs;
  if (mod != 0) operand.displacement = reader.takeSigned(mod);
  return operand;
}

// SDM volume 2, tables "32-Bit Addressing Forms with the ModR/M Byte" and "… with the SIB Byte".
// vectorIndex: the index is a vector register (SDM volume 2, "Vector SIB (VSIB) Memory
// Addressing").
MemoryOperand decodeMemory(Reader& reader, uint8_t modrm, const Prefixes& prefixes, CodeMode mode,
                           bool vectorIndex) {
  const unsigned mod = modrm >> 6, rm = modrm & 7;
  MemoryOperand operand;
  bool noBase = false;
  if (rm == 4) {
    const auto sib = static_cast<uint8_t>(reader.take(1));
    const unsigned index = ((sib >> 3) & 7) | prefixes.rexX();
    const unsigned base = (sib & 7) | prefixes.rexB();
    if (vectorIndex) {
      operand.index = static_cast<uint8_t>(index);
      operand.scale = sib >> 6;
    } else if (index != 4) {
      operand.index = generalRegister(index);
      operand.scale = sib >> 6;
    }
    noBase = (sib & 7) == 5 && mod == 0;
    if (!noBase) operand.base = generalRegister(base);
  } else if (rm == 5 && mod == 0) {
    noBase = true;
    operand.ripRelative = mode == CodeMode::k64;
  } else {
    operand.base = generalRegister(rm | prefixes.rexB());
  }
  if (operand.base == gpr::kRsp || operand.base == gpr::kRbp) operand.segment = kSs;
  if (mod == 1) {
    operand.displacement = reader.takeSigned(1);
  } else if (mod == 2 || noBase) {
    operand.displacement = reader.takeSigned(4);
  }
  if (operand.ripRelative) operand.base = gpr::kBlockRip;
  return operand;
}

// Register numbers of ModRM.reg and ModRM.rm in the register file that the operand names.
uint8_t registerField(Operand operand, unsigned low, unsigned extension, const Prefixes& prefixes) {
  using enum Operand;
  switch (operand) {
    case Gb:
    case Eb:
      return byteRegister(low | extension, prefixes.rex != 0);
    case Gw:
    case Gd:
    case Gq:
    case Gv:
    case Gy:
    case Ew:
    case Ed:
    case Eq:
    case Ev:
    case Ey:
    case Rv:
    case Ry:
    case Rd:
      return generalRegister(low | extension);
    case Cy:
    case Dy:
    case Vx:
    case Wx:
    case Ux:
    case Wd:
    case Wq:
    case Ww:
    case Wb:
    case Wdq:
    case Wh:
    case Wf:
    case We:
      return static_cast<uint8_t>(low | extension);
    default:
      return static_cast<uint8_t>(low);
  }
}

bool isRegOperand(Operand operand) {
  using enum Operand;
  switch (operand) {
    case Gb:
    case Gw:
    case Gd:
    case Gq:
    case Gv:
    case Gy:
    case Sw:
    case Cy:
    case Dy:
    case Pq:
    case Vx:
      return true;
    default:
      return false;
  }
}

bool isRmOperand(Operand operand) {
  using enum Operand;
  switch (operand) {
    case Eb:
    case Ew:
    case Ed:
    case Eq:
    case Ev:
    case Ey:
    case Rv:
    case Ry:
    case Rd:
    case Qq:
    case Qd:
    case Nq:
    case Wx:
    case Ux:
    case Wd:
    case Wq:
    case Ww:
    case Wb:
    case Wdq:
    case Wh:
    case Wf:
    case We:
    case STi:
      return true;
    default:
      return false;
  }
}

// Bytes of the immediate that the operand stands for, 0: none.
uint64_t readImmediate(Operand operand, Reader& reader, SizeCode size, SizeCode addressSize) {
  using enum Operand;
  const unsigned wide = size == 1 ? 2 : 4;
  switch (operand) {
    case Ib:
    case Lx:
      return reader.take(1);
    case Is:
    case Jb:
      return static_cast<uint64_t>(reader.takeSigned(1));
    case Iw:
      return reader.take(2);
    case Iz:
    case Jz:
      return static_cast<uint64_t>(reader.takeSigned(wide));
    case Iv:
      return reader.take(1u << size);
    case Ap: {
      const uint64_t offset = reader.take(wide);
      return offset | reader.take(2) << 32;
    }
    case Ob:
    case Ov:
      return reader.take(1u << addressSize);
    default:
      return 0;
  }
}

bool isImmediate(Operand operand) {
  return (operand >= Operand::Ib && operand <= Operand::Ov) || operand == Operand::Lx;
}

void readImmediates(const Row& row, Reader& reader, Instruction& i) {
  bool first = true;
  for (const Operand operand : row.operands) {
    if (!isImmediate(operand)) continue;
    const uint64_t value = readImmediate(operand, reader, i.operandSize(), i.addressSize());
    i.immediate = first ? value : i.immediate | value << 16;  // ENTER: Iw, Ib
    first = false;
  }
}

const Row* findRow(const RowIndex::Candidates& candidates, const Prefixes& prefixes, CodeMode mode,
                   FeatureSet features, uint8_t modrm, uint16_t& number) {
  for (const uint16_t candidate : candidates) {
    const Row& row = kRows[candidate];
    if (!prefixMatches(row, prefixes) || !vexMatches(row, prefixes, features) ||
        row.has(mode == CodeMode::k64 ? kInvalid64 : kOnly64))
      continue;
    if (!has(features, row.feature())) continue;
    if (rowHasModRm(row) && !modRmMatches(row.modrm, modrm)) continue;
    number = candidate;
    return &row;
  }
  return nullptr;
}

bool hasOperand(const Row& row, Operand operand) {
  return std::find(std::begin(row.operands), std::end(row.operands), operand) !=
         std::end(row.operands);
}

bool usesVectorIndex(const Row& row) {
  return row.has(kVex) && (hasOperand(row, Operand::VMd) || hasOperand(row, Operand::VMq));
}

// VEX.vvvv must be 1111B where it names nothing.
bool vvvvIsValid(const Row& row, const Prefixes& prefixes) {
  return prefixes.vvvv == 0 || hasOperand(row, Operand::Hx) || hasOperand(row, Operand::By);
}

// MOV to and from control and debug registers: mod is ignored, rm always names a register.
bool ignoresMod(const Row& row) {
  return hasOperand(row, Operand::Cy) || hasOperand(row, Operand::Dy);
}

void setMemory(const MemoryOperand& operand, const Prefixes& prefixes, Instruction& i) {
  i.flags |= Instruction::kMemory;
  i.base = operand.base;
  i.index = operand.index;
  i.scale = operand.scale;
  i.segment = prefixes.segment >= 0 ? static_cast<uint8_t>(prefixes.segment) : operand.segment;
}

void setRegisters(const Row& row, uint8_t modrm, const Prefixes& prefixes, Instruction& i) {
  i.reg = (modrm >> 3) & 7;
  i.rm = modrm & 7;
  for (const Operand operand : row.operands) {
    if (isRegOperand(operand))
      i.reg = registerField(operand, (modrm >> 3) & 7, prefixes.rexR(), prefixes);
    if (isRmOperand(operand)) i.rm = registerField(operand, modrm & 7, prefixes.rexB(), prefixes);
  }
}

void setOpcodeRegister(const Row& row, uint8_t opcode, const Prefixes& prefixes, Instruction& i) {
  if (row.has(kPlusCond)) i.reg = opcode & 15;
  if (!row.has(kPlusReg)) return;
  const unsigned number = (opcode & 7) | prefixes.rexB();
  const bool byte = row.operands[0] == Operand::Zb || row.operands[1] == Operand::Zb;
  i.reg = byte ? byteRegister(number, prefixes.rex != 0) : generalRegister(number);
}

// C4 and C5 are LES and LDS where a VEX prefix would name registers that only 64-bit mode has.
bool startsVex(Reader& reader, CodeMode mode) {
  const uint8_t byte = reader.peek();
  if (!reader.ok() || (byte != 0xc4 && byte != 0xc5)) return false;
  return mode == CodeMode::k64 || reader.peekSecond() >= 0xc0;
}

// SDM volume 2, "The VEX Prefix". False: #UD.
bool readVex(Reader& reader, CodeMode mode, Prefixes& prefixes, OpcodeMap& map) {
  const bool preceded = prefixes.operandSize || prefixes.rep || prefixes.lock || prefixes.rex;
  const bool three = reader.take(1) == 0xc4;
  const auto first = static_cast<uint8_t>(~reader.take(1));
  const auto last = three ? static_cast<uint8_t>(reader.take(1) ^ 0x78)
                          : static_cast<uint8_t>((first ^ 7) & 0x7f);
  const unsigned select = three ? ~first & 0x1fu : 1;
  if (preceded || select < 1 || select > 3) return false;
  map = static_cast<OpcodeMap>(select);
  const bool wide = mode == CodeMode::k64;
  prefixes.vex = true;
  prefixes.vexL = last & 4;
  prefixes.vvvv = (last >> 3) & (wide ? 15 : 7);
  const unsigned registers = first >> 5 & (three ? 7 : 4);
  prefixes.rex = static_cast<uint8_t>((last >> 7) << 3 | (wide ? registers : 0));
  static constexpr uint8_t kRep[4] = {0, 0, 0xf3, 0xf2};
  prefixes.operandSize = (last & 3) == 1;
  prefixes.rep = kRep[last & 3];
  return true;
}

OpcodeMap readOpcode(Reader& reader, uint8_t& opcode) {
  opcode = static_cast<uint8_t>(reader.take(1));
  if (opcode != 0x0f) return OpcodeMap::kOneByte;
  opcode = static_cast<uint8_t>(reader.take(1));
  if (opcode != 0x38 && opcode != 0x3a) return OpcodeMap::k0F;
  const OpcodeMap map = opcode == 0x38 ? OpcodeMap::k0F38 : OpcodeMap::k0F3A;
  opcode = static_cast<uint8_t>(reader.take(1));
  return map;
}

}  // namespace

DecodeStatus decode(const uint8_t* bytes, size_t available, CodeMode mode, FeatureSet features,
                    uint8_t offset, Decoded& out) {
  Reader reader(bytes, available);
  Prefixes prefixes = readPrefixes(reader, mode);
  uint8_t opcode = 0;
  OpcodeMap map = OpcodeMap::kOneByte;
  if (startsVex(reader, mode)) {
    const bool valid = readVex(reader, mode, prefixes, map);
    opcode = static_cast<uint8_t>(reader.take(1));
    if (!reader.ok()) return reader.failure();
    if (!valid) return DecodeStatus::kUndefined;
  } else {
    map = readOpcode(reader, opcode);
    if (!reader.ok()) return reader.failure();
  }

  const RowIndex::Candidates candidates = rowIndex().candidates(map, opcode);
  uint8_t modrm = 0;
  if (candidates.hasModRm) {
    modrm = reader.peek();
    if (!reader.ok()) return reader.failure();
  }
  out = Decoded{};
  const Row* row = findRow(candidates, prefixes, mode, features, modrm, out.row);
  if (!row || !vvvvIsValid(*row, prefixes)) return DecodeStatus::kUndefined;

  Instruction& i = out.instruction;
  const SizeCode addressSize = addressSizeOf(prefixes, mode);
  const bool vectorIndex = usesVectorIndex(*row);
  i.row = out.row;
  i.offset = offset;
  i.base = i.index = gpr::kZero;
  i.segment = prefixes.segment >= 0 ? static_cast<uint8_t>(prefixes.segment) : uint8_t{kDs};
  i.flags = static_cast<uint8_t>(
      operandSizeOf(*row, prefixes, mode) | addressSize << Instruction::kAddressSizeShift |
      (prefixes.rep == 0xf3 ? Instruction::kRepF3 : 0) |
      (prefixes.rep == 0xf2 ? Instruction::kRepF2 : 0) | (prefixes.lock ? Instruction::kLock : 0));
  MemoryOperand memory;
  if (rowHasModRm(*row)) {
    reader.skip();
    setRegisters(*row, modrm, prefixes, i);
    if (modrm < 0xc0 && !ignoresMod(*row)) {
      if (vectorIndex && (addressSize == 1 || (modrm & 7) != 4)) return DecodeStatus::kUndefined;
      memory = addressSize == 1 ? decodeMemory16(reader, modrm)
                                : decodeMemory(reader, modrm, prefixes, mode, vectorIndex);
      setMemory(memory, prefixes, i);
    }
  }
  setOpcodeRegister(*row, opcode, prefixes, i);
  if (row->has(kX87)) i.immediate = static_cast<uint64_t>(opcode & 7) << 8 | modrm;
  readImmediates(*row, reader, i);
  if (!reader.ok()) return reader.failure();
  if (prefixes.vex) {
    if (mode != CodeMode::k64 && hasOperand(*row, Operand::Lx)) i.immediate &= 0x7f;
    i.immediate |= uint64_t{prefixes.vvvv} << 8;
  }
  if (prefixes.lock && !(row->has(kLockable) && i.isMemory())) return DecodeStatus::kUndefined;

  i.length = static_cast<uint8_t>(reader.position());
  int64_t displacement = memory.displacement;
  if (memory.ripRelative) displacement += offset + i.length;
  const SizeCode natural = mode == CodeMode::k64 ? 3 : 2;
  out.wideDisplacement = displacement;
  out.needsAddress = i.isMemory() && !vectorIndex &&
                     (addressSize != natural || displacement != static_cast<int32_t>(displacement));
  i.displacement = static_cast<int32_t>(displacement);
  return DecodeStatus::kOk;
}

}  // namespace nodevm

#include "decoder/decoder.h"

#include <algorithm>
#include <iterator>

#include "decoder/prefixes.h"
#include "decoder/row_index.h"

namespace nodevm {

namespace {

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
  return row.has(kVex) == (prefixes.encoding == Encoding::kVex) &&
         !row.has(prefixes.length ? kL0 : kL1) && !row.has(prefixes.rexW() ? kW0 : kW1) &&
         (!prefixes.length || has(features, row.wideFeature()));
}

// Rounding control stands for 512 bits.
unsigned evexLength(const Row& row, const Prefixes& prefixes, bool memory) {
  if (row.has(kLig)) return 0;
  return prefixes.b && !memory ? 2 : prefixes.length;
}

bool evexLengthMatches(const Row& row, unsigned length, FeatureSet features) {
  if (row.has(kL0)) return length == 0;
  if (row.has(kLig)) return true;
  if ((row.has(kNot128) && length == 0) || (row.has(k512) && length != 2)) return false;
  return length == 2 || has(features, Feature::kAvx512vl);
}

// Zeros take the place of what is masked off in vector registers only.
bool canZero(const Row& row, bool memory) {
  using enum Operand;
  const Operand destination = row.operands[0];
  if (row.has(kMaskRequired) || destination == Kg) return false;
  return destination == Vx || destination == Hx || !memory;
}

// SDM volume 2, "#UD Equations for EVEX": the fields are what the row allows.
bool evexMatches(const Row& row, const Prefixes& prefixes, FeatureSet features, bool memory) {
  if (row.has(prefixes.rexW() ? kW0 : kW1) || !has(features, row.wideFeature())) return false;
  const bool rounds = prefixes.b && !memory;
  if (prefixes.length == 3 && !rounds) return false;
  if (!evexLengthMatches(row, evexLength(row, prefixes, memory), features)) return false;
  if (prefixes.b && !row.has(memory ? kBroadcast4 | kBroadcast8 : kRound | kSae)) return false;
  if (prefixes.opmask ? !row.has(kMaskable) : row.has(kMaskRequired)) return false;
  return !prefixes.zeroing || (prefixes.opmask && canZero(row, memory));
}

bool encodingMatches(const Row& row, const Prefixes& prefixes, FeatureSet features, bool memory) {
  return prefixes.evex() ? evexMatches(row, prefixes, features, memory)
                         : vexMatches(row, prefixes, features);
}

SizeCode vectorSizeOf(const Row& row, const Prefixes& prefixes, CodeMode mode, bool memory) {
  if (row.has(kWideByW)) return mode == CodeMode::k64 && prefixes.rexW() ? 3 : 2;
  if (prefixes.evex()) return static_cast<SizeCode>(evexLength(row, prefixes, memory));
  return prefixes.length && !row.has(kLig) ? 1 : 0;
}

SizeCode operandSizeOf(const Row& row, const Prefixes& prefixes, CodeMode mode, bool memory) {
  if (prefixes.encoding != Encoding::kLegacy) return vectorSizeOf(row, prefixes, mode, memory);
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
  bool shortDisplacement = false;  // 8 bits
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
  operand.shortDisplacement = mod == 1;
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
    const unsigned high = vectorIndex && prefixes.vvvvHigh ? 16 : 0;
    const unsigned index = ((sib >> 3) & 7) | prefixes.rexX() | high;
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
  operand.shortDisplacement = mod == 1;
  if (mod == 1) {
    operand.displacement = reader.takeSigned(1);
  } else if (mod == 2 || noBase) {
    operand.displacement = reader.takeSigned(4);
  }
  if (operand.ripRelative) operand.base = gpr::kBlockRip;
  return operand;
}

// Register numbers of ModRM.reg and ModRM.rm in the register file that the operand names. `high`:
// of vector registers, 16 or 0.
uint8_t registerField(Operand operand, unsigned low, unsigned extension, unsigned high,
                      const Prefixes& prefixes) {
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
      return static_cast<uint8_t>(low | extension);
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
    case Wqq:
      return static_cast<uint8_t>(low | extension | high);
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
    case Kg:
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
    case Wqq:
    case Kr:
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
    if (!prefixMatches(row, prefixes) || !encodingMatches(row, prefixes, features, modrm < 0xc0) ||
        row.has(mode == CodeMode::k64 ? kInvalid64 : kOnly64))
      continue;
    if (!has(features, row.feature())) continue;
    if (!modRmMatches(row.modrm, modrm)) continue;
    number = candidate;
    return &row;
  }
  return nullptr;
}

bool usesVectorIndex(const Row& row) {
  return row.has(kSse) && (row.has(Operand::VMd) || row.has(Operand::VMq));
}

// VEX.vvvv must be 1111B where it names nothing, and so must V'.
bool vvvvIsValid(const Row& row, const Prefixes& prefixes) {
  using enum Operand;
  if (row.has(Kh)) return prefixes.vvvv < 8;
  if (prefixes.vvvvHigh && !row.has(Hx) && !usesVectorIndex(row)) return false;
  return prefixes.vvvv == 0 || row.has(Hx) || row.has(By);
}

// There are eight opmask registers, and sixteen general ones.
bool regIsValid(const Row& row, const Prefixes& prefixes) {
  using enum Operand;
  if (row.has(Kg)) return prefixes.rexR() == 0 && !prefixes.regHigh;
  return !prefixes.regHigh || !(row.has(Gd) || row.has(Gy));
}

// SDM volume 2, "Compressed Displacement (disp8*N) Support in EVEX".
int64_t displacementScale(const Row& row, const Prefixes& prefixes, SizeCode size) {
  if (row.has(kByElement)) return elementBytes(row.attributes);
  if (prefixes.b) return broadcastBytes(row.attributes);
  const unsigned vector = vectorBytes(size < 3 && !row.has(kWideByW) ? size : 0);
  for (const Operand operand : row.operands)
    if (const unsigned bytes = memoryBytes(operand, vector, 1u << size)) return bytes;
  return 1;
}

// MOV to and from control and debug registers: mod is ignored, rm always names a register.
bool ignoresMod(const Row& row) { return row.has(Operand::Cy) || row.has(Operand::Dy); }

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
      i.reg = registerField(operand, (modrm >> 3) & 7, prefixes.rexR(), prefixes.regHigh ? 16 : 0,
                            prefixes);
    if (isRmOperand(operand))
      i.rm = registerField(operand, modrm & 7, prefixes.rexB(),
                           prefixes.evex() ? prefixes.rexX() << 1 : 0, prefixes);
  }
}

void setOpcodeRegister(const Row& row, uint8_t opcode, const Prefixes& prefixes, Instruction& i) {
  if (row.has(kPlusCond)) i.reg = opcode & 15;
  if (!row.has(kPlusReg)) return;
  const unsigned number = (opcode & 7) | prefixes.rexB();
  const bool byte = row.operands[0] == Operand::Zb || row.operands[1] == Operand::Zb;
  i.reg = byte ? byteRegister(number, prefixes.rex != 0) : generalRegister(number);
}

// As Instruction::immediate has them, above imm8.
uint64_t prefixFields(const Prefixes& prefixes) {
  return uint64_t{prefixes.vvvv} << 8 | uint64_t{prefixes.vvvvHigh} << 12 |
         uint64_t{prefixes.opmask} << 16 | uint64_t{prefixes.zeroing} << 19 |
         uint64_t{prefixes.b} << 20 | uint64_t{prefixes.length} << 21;
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
  const bool evex = startsEvex(reader, mode, features);
  if (evex || startsVex(reader, mode)) {
    const bool valid = (evex ? readEvex : readVex)(reader, mode, prefixes, map);
    opcode = static_cast<uint8_t>(reader.take(1));
    if (!reader.ok()) return reader.failure();
    if (!valid) return DecodeStatus::kUndefined;
  } else {
    map = readOpcode(reader, opcode);
    if (!reader.ok()) return reader.failure();
  }

  const RowIndex::Candidates candidates = rowIndex().candidates(map, opcode, evex);
  uint8_t modrm = 0;
  if (candidates.hasModRm) {
    modrm = reader.peek();
    if (!reader.ok()) return reader.failure();
  }
  out = Decoded{};
  const Row* row = findRow(candidates, prefixes, mode, features, modrm, out.row);
  if (!row || !vvvvIsValid(*row, prefixes) || !regIsValid(*row, prefixes))
    return DecodeStatus::kUndefined;

  Instruction& i = out.instruction;
  const SizeCode addressSize = addressSizeOf(prefixes, mode);
  const bool vectorIndex = usesVectorIndex(*row);
  i.row = out.row;
  i.offset = offset;
  i.base = i.index = gpr::kZero;
  i.segment = prefixes.segment >= 0 ? static_cast<uint8_t>(prefixes.segment) : uint8_t{kDs};
  i.flags = static_cast<uint8_t>(operandSizeOf(*row, prefixes, mode, modrm < 0xc0) |
                                 addressSize << Instruction::kAddressSizeShift |
                                 (prefixes.rep == 0xf3 ? Instruction::kRepF3 : 0) |
                                 (prefixes.rep == 0xf2 ? Instruction::kRepF2 : 0) |
                                 (prefixes.lock ? Instruction::kLock : 0));
  MemoryOperand memory;
  if (rowIndex().hasModRm(out.row)) {
    reader.skip();
    setRegisters(*row, modrm, prefixes, i);
    if (modrm < 0xc0 && !ignoresMod(*row)) {
      if (vectorIndex && (addressSize == 1 || (modrm & 7) != 4)) return DecodeStatus::kUndefined;
      memory = addressSize == 1 ? decodeMemory16(reader, modrm)
                                : decodeMemory(reader, modrm, prefixes, mode, vectorIndex);
      if (evex && memory.shortDisplacement)
        memory.displacement *= displacementScale(*row, prefixes, i.operandSize());
      setMemory(memory, prefixes, i);
    }
  }
  setOpcodeRegister(*row, opcode, prefixes, i);
  if (row->has(kX87)) i.immediate = static_cast<uint64_t>(opcode & 7) << 8 | modrm;
  readImmediates(*row, reader, i);
  if (!reader.ok()) return reader.failure();
  if (prefixes.encoding != Encoding::kLegacy) {
    if (mode != CodeMode::k64 && row->has(Operand::Lx)) i.immediate &= 0x7f;
    i.immediate |= prefixFields(prefixes);
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

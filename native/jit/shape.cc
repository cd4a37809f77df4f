#include "jit/shape.h"

#include <string_view>

#include "cpu/features.h"
#include "interpreter/binding.h"
#include "mmu/tlb.h"

namespace nodevm {

namespace {

constexpr int kSwapGsByte = 0xf8, kClacByte = 0xca, kStacByte = 0xcb;  // ModRM
constexpr int kCompareExchangeDigit = 1;                               // of 0F C7
constexpr uint8_t kLoadBigEndian = 0xf0;                               // 0F 38: the load of MOVBE
constexpr uint8_t kRead = Shape::kRead, kWrite = Shape::kWrite, kBoth = kRead | kWrite;

// AH..BH by their byte offset in the register file.
bool isHighByte(uint8_t slot) { return (slot & 7) != 0; }

class Describer {
 public:
  Describer(const Instruction& i, const Row& row) : i_(i), row_(row) {
    shape_.size = shape_.memorySize = static_cast<uint8_t>(1u << i.operandSize());
    shape_.opcode = {.map = row.map, .byte = row.opcode};
    shape_.memory = i.isMemory();
  }

  Shape describe() {
    if (row_.has(kEvex | kOpmask)) return {};
    if (row_.has(kVex)) return vexShapeOf(i_, row_);
    if (row_.has(kSse | kMmx | kX87)) return simdShapeOf(i_, row_);
    const bool known = row_.map == OpcodeMap::kOneByte ? oneByte()
                       : row_.map == OpcodeMap::k0F    ? twoByte()
                       : row_.map == OpcodeMap::k0F38  ? threeByte()
                                                       : false;
    return known ? shape_ : Shape{};
  }

 private:
  bool is(Way way) {
    shape_.way = way;
    return true;
  }
  // ModRM.reg is an opcode extension, ModRM.rm the operand.
  bool renamedRm(uint8_t use) {
    shape_.digit = static_cast<uint8_t>(row_.modrm.reg);
    shape_.rm = use;
    if (shape_.memory) shape_.memoryWritten = use & kWrite;
    return (shape_.size != 1 || byteOperands(false)) && is(Way::kRenamed);
  }
  bool renamed(uint8_t reg, uint8_t rm) {
    shape_.reg = reg;
    shape_.rm = rm;
    if (shape_.memory) shape_.memoryWritten = rm & kWrite;
    return (shape_.size != 1 || byteOperands(true)) && is(Way::kRenamed);
  }
  // AH..BH and AL..BL have the same numbers on the host. Where there is one of the former, the
  // guest's instruction has no REX prefix, and the host's needs one for a memory operand only.
  bool byteOperands(bool hasReg) {
    const bool high = hasHighByte(hasReg);
    shape_.bytes = {.reg = hasReg && !high, .rm = !high, .high = high};
    return !high || !i_.isMemory();
  }
  bool hasHighByte(bool hasReg) const {
    return (hasReg && isHighByte(i_.reg)) || (!i_.isMemory() && isHighByte(i_.rm));
  }
  bool withImmediate(unsigned bytes, bool known) {
    shape_.immediateBytes = static_cast<uint8_t>(bytes);
    shape_.immediate = static_cast<int64_t>(i_.immediate);
    return known;
  }
  bool flags(FlagEffect effect, bool known) {
    shape_.flags = effect;
    return known;
  }
  unsigned wideImmediate() const { return shape_.size == 2 ? 2 : 4; }

  bool alu(Alu operation, bool test = false) {
    shape_.operation = operation;
    shape_.isTest = test;
    shape_.flags = FlagEffect::kAll;
    shape_.readsFlags = operation == Alu::kAdc || operation == Alu::kSbb;
    shape_.immediate = static_cast<int64_t>(i_.immediate);
    const bool writes = !test && operation != Alu::kCmp;
    shape_.memoryWritten = shape_.memory && shape_.toRm && writes;
    const bool high = shape_.size == 1 && !shape_.accumulator && hasHighByte(!shape_.fromImmediate);
    return high ? highBytes(writes) : is(Way::kAlu);
  }
  bool highBytes(bool writes) {
    const uint8_t changed = writes ? kBoth : kRead;
    if (shape_.fromImmediate) return withImmediate(1, renamedRm(changed));
    return renamed(shape_.toRm ? kRead : changed, shape_.toRm ? changed : kRead);
  }
  bool moveBytes(uint8_t reg, uint8_t rm) {
    if (!i_.isMemory() || !isHighByte(i_.reg)) return renamed(reg, rm);
    shape_.reg = reg;
    shape_.memoryWritten = rm & kWrite;
    return is(Way::kMoveHighByte);
  }

  bool shift(unsigned digit, bool immediate, bool one) {
    const unsigned mask = shape_.size == 8 ? 63 : 31;
    const unsigned count = one ? 1 : static_cast<unsigned>(i_.immediate) & mask;
    const bool rotates = digit < 4;
    const bool all = !rotates && (immediate || one) && count != 0;
    shape_.readsFlags = digit == 2 || digit == 3;
    shape_.flags = all ? FlagEffect::kAll : FlagEffect::kSome;
    return renamedRm(kBoth);
  }

  bool oneByte() {
    const uint8_t opcode = row_.opcode;
    const int digit = row_.modrm.reg;
    if (opcode < 0x40 && (opcode & 7) < 6) {
      shape_.toRm = (opcode & 7) < 2;
      shape_.accumulator = shape_.fromImmediate = (opcode & 7) >= 4;
      return alu(static_cast<Alu>(opcode >> 3));
    }
    switch (opcode) {
      case 0x50:
        return shape_.size == 8 && is(Way::kPush);
      case 0x58:
        return shape_.size == 8 && is(Way::kPop);
      case 0x63:
        shape_.memorySize = 4;
        return shape_.size != 2 && renamed(kWrite, kRead);
      case 0x68:
      case 0x6a:
        return shape_.size == 8 && is(Way::kPushImmediate);
      case 0x69:
        return withImmediate(wideImmediate(), flags(FlagEffect::kSome, renamed(kWrite, kRead)));
      case 0x6b:
        return withImmediate(1, flags(FlagEffect::kSome, renamed(kWrite, kRead)));
      case 0x70:
        return conditional();
      case 0x80:
      case 0x81:
      case 0x83:
        shape_.toRm = shape_.fromImmediate = true;
        return alu(static_cast<Alu>(digit));
      case 0x84:
      case 0x85:
        shape_.toRm = true;
        return alu(Alu::kAnd, true);
      case 0x86:
      case 0x87:
        shape_.rmInRegister = true;
        return renamed(kBoth, kBoth) && (!shape_.memory || is(Way::kExchange));
      case 0x88:
        return moveBytes(kRead, kWrite);
      case 0x89:
        return renamed(kRead, kWrite);
      case 0x8a:
        return moveBytes(kWrite, kRead);
      case 0x8b:
        return renamed(kWrite, kRead);
      case 0x8c:
        shape_.rm = kWrite;
        return !shape_.memory && i_.reg < kSegmentCount && is(Way::kReadSegment);
      case 0x8d:
        shape_.memory = false;
        return is(Way::kLea);
      case 0x90:
        return is(i_.reg == gpr::kRax ? Way::kNothing : Way::kExchangeAccumulator);
      case 0x98:
      case 0x99:
        return is(Way::kImplied);
      case 0x9c:
        shape_.readsFlags = true;
        return shape_.size == 8 && is(Way::kPushFlags);
      case 0xa4:
      case 0xa5:
      case 0xaa:
      case 0xab:
        return repeatString();
      case 0xa8:
      case 0xa9:
        shape_.accumulator = shape_.fromImmediate = true;
        return alu(Alu::kAnd, true);
      case 0xb0:
      case 0xb8:
        return is(Way::kMoveImmediate);
      case 0xc0:
      case 0xc1:
        return withImmediate(1, shift(static_cast<unsigned>(digit), true, false));
      case 0xd0:
      case 0xd1:
        return shift(static_cast<unsigned>(digit), false, true);
      case 0xd2:
      case 0xd3:
        return shift(static_cast<unsigned>(digit), false, false);
      case 0xc2:
      case 0xc3:
        return is(Way::kReturn);
      case 0xc6:
        return withImmediate(1, renamedRm(kWrite));
      case 0xc7:
        return withImmediate(wideImmediate(), renamedRm(kWrite));
      case 0xc9:
        return shape_.size == 8 && is(Way::kLeave);
      case 0xe8:
        return is(Way::kCall);
      case 0xe9:
      case 0xeb:
        return is(Way::kJump);
      case 0xf5:
      case 0xf8:
      case 0xf9:
        return flags(FlagEffect::kSome, is(Way::kCarry));
      case 0xfa:
        return is(Way::kClearInterrupt);
      case 0xfb:
        return is(Way::kSetInterrupt);
      case 0xfc:
      case 0xfd:
        shape_.immediate = opcode == 0xfd ? static_cast<int64_t>(eflags::kDf) : 0;
        return is(Way::kDirection);
      case 0xf6:
      case 0xf7:
        return groupThree(static_cast<unsigned>(digit));
      case 0xfe:
        return flags(FlagEffect::kSome, renamedRm(kBoth));
      case 0xff:
        return groupFive(static_cast<unsigned>(digit));
      default:
        return false;
    }
  }

  bool repeatString() {
    constexpr SizeCode kQuadword = 3;
    shape_.memory = false;
    return i_.hasRep() && i_.addressSize() == kQuadword && i_.segment < kFs &&
           is(Way::kRepeatString);
  }

  bool groupThree(unsigned digit) {
    switch (digit) {
      case 0:
      case 1:
        shape_.toRm = shape_.fromImmediate = true;
        return alu(Alu::kAnd, true);
      case 2:
        return renamedRm(kBoth);
      case 3:
        return flags(FlagEffect::kAll, renamedRm(kBoth));
      case 4:
      case 5:
        return flags(FlagEffect::kSome, renamedRm(kRead));  // MUL, IMUL: RAX and RDX implied
      case 6:
      case 7:
        shape_.digit = static_cast<uint8_t>(digit);
        return shape_.size >= 4 && flags(FlagEffect::kSome, is(Way::kDivide));
      default:
        return false;
    }
  }

  bool groupFive(unsigned digit) {
    switch (digit) {
      case 0:
      case 1:
        return flags(FlagEffect::kSome, renamedRm(kBoth));
      case 2:
        return is(Way::kCallIndirect);
      case 4:
        return is(Way::kJumpIndirect);
      case 6:
        return shape_.size == 8 && is(Way::kPush);
      default:
        return false;
    }
  }

  bool conditional() {
    shape_.readsFlags = true;
    return is(Way::kJumpIf);
  }

  bool twoByte() {
    const uint8_t opcode = row_.opcode;
    if (opcode >= 0x40 && opcode < 0x50) {
      shape_.readsFlags = true;
      return renamed(kBoth, kRead);
    }
    switch (opcode) {
      case 0x01:
        return privileged();
      case 0x0d:
      case 0x18:
      case 0x19:
      case 0x1a:
      case 0x1b:
      case 0x1c:
      case 0x1d:
      case 0x1e:
      case 0x1f:
        shape_.memory = false;
        return is(Way::kNothing);
      case 0x20:
        shape_.rm = kWrite;
        return (i_.reg == 0 || (i_.reg >= 2 && i_.reg <= 4)) && is(Way::kReadControl);
      case 0x31:
        return is(Way::kReadTimeStamp);
      case 0x80:
        return conditional();
      case 0x90:
        shape_.readsFlags = true;
        shape_.opcode.byte = static_cast<uint8_t>(0x90 | i_.reg);
        return setCondition();
      case 0xa3:
        return bitString(kRead);
      case 0xab:
      case 0xb3:
      case 0xbb:
        return bitString(kBoth);
      case 0xba:
        return withImmediate(
            1, flags(FlagEffect::kSome, renamedRm(row_.modrm.reg == 4 ? kRead : kBoth)));
      case 0xa4:
      case 0xac:
        return withImmediate(1, flags(FlagEffect::kSome, renamed(kRead, kBoth)));
      case 0xa5:
      case 0xad:
        return flags(FlagEffect::kSome, renamed(kRead, kBoth));
      case 0xae:
        return row_.modrm.form == 2 &&
               (row_.prefix == Mandatory::kNone ? is(Way::kNothing) : segmentBase());  // fences
      case 0xaf:
        return flags(FlagEffect::kSome, renamed(kBoth, kRead));
      case 0xb0:
      case 0xb1:
        return flags(FlagEffect::kAll, renamed(kRead, kBoth));
      case 0xb6:
      case 0xbe:
        return extend(1);
      case 0xb7:
      case 0xbf:
        return extend(2);
      case 0xb8:
        shape_.opcode.prefix = 0xf3;
        return flags(FlagEffect::kAll, renamed(kWrite, kRead));
      case 0xbc:
      case 0xbd:
        if (row_.prefix == Mandatory::kAny) return flags(FlagEffect::kAll, renamed(kBoth, kRead));
        shape_.opcode.prefix = 0xf3;  // TZCNT, LZCNT
        return has(hostFeatures(), row_.feature()) &&
               flags(FlagEffect::kSome, renamed(kWrite, kRead));
      case 0xc0:
      case 0xc1:  // of two destinations in one register, the sum wins: left to the interpreter
        return (shape_.memory || i_.reg != i_.rm) && flags(FlagEffect::kAll, renamed(kBoth, kBoth));
      case 0xc7:
        return row_.modrm.reg == kCompareExchangeDigit && compareExchangeWide();
      case 0xc8:
        return shape_.size != 2 && is(Way::kByteSwap);
      default:
        return false;
    }
  }

  bool privileged() {
    switch (row_.modrm.exact) {
      case kSwapGsByte:
        return is(Way::kSwapGs);
      case kClacByte:
        return is(Way::kUserAccess);
      case kStacByte:
        shape_.immediate = static_cast<int64_t>(eflags::kAc);
        return is(Way::kUserAccess);
      default:
        return false;
    }
  }

  // RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE.
  bool segmentBase() {
    if (row_.feature() != Feature::kFsgsbase) return false;
    shape_.digit = static_cast<uint8_t>(row_.modrm.reg);
    const bool reads = shape_.digit < 2;
    shape_.rm = reads ? kWrite : kRead;
    return is(reads ? Way::kReadBase : Way::kWriteBase);
  }

  bool threeByte() {
    if (row_.feature() != Feature::kMovbe) return false;
    const bool loads = row_.opcode == kLoadBigEndian;
    shape_.reg = loads ? kWrite : kRead;
    shape_.memoryWritten = !loads;
    return is(Way::kMoveBigEndian);
  }

  bool bitString(uint8_t rm) {
    shape_.rmInRegister = true;
    return flags(FlagEffect::kSome, renamed(kRead, rm)) && (!shape_.memory || is(Way::kBitString));
  }

  bool compareExchangeWide() {
    shape_.memorySize = 2 * shape_.size;
    shape_.memoryWritten = true;
    return flags(FlagEffect::kSome, is(Way::kCompareExchangeWide));
  }

  bool setCondition() {
    shape_.size = shape_.memorySize = 1;
    shape_.rm = kWrite;
    shape_.memoryWritten = shape_.memory;
    return byteOperands(false) && is(Way::kRenamed);
  }

  bool extend(unsigned from) {
    shape_.reg = kWrite;
    shape_.rm = kRead;
    shape_.memorySize = static_cast<uint8_t>(from);
    if (from == 1) {
      // The destination has its own number on the host, but for RSP.
      shape_.bytes.rm = !hasHighByte(false);
      shape_.bytes.high = !shape_.bytes.rm;
      if (shape_.bytes.high && i_.reg == gpr::kRsp) return false;
    }
    return is(Way::kRenamed);
  }

  const Instruction& i_;
  const Row& row_;
  Shape shape_;
};

bool accessesStack(Way way) {
  switch (way) {
    case Way::kPush:
    case Way::kPushImmediate:
    case Way::kPop:
    case Way::kLeave:
    case Way::kPushFlags:
      return true;
    default:
      return false;
  }
}

// Asks for rights, or spoils the host's flags as an access does.
bool looksAtSystem(Way way) {
  switch (way) {
    case Way::kClearInterrupt:
    case Way::kDirection:
    case Way::kUserAccess:
    case Way::kSwapGs:
    case Way::kReadControl:
    case Way::kReadBase:
    case Way::kWriteBase:
      return true;
    default:
      return false;
  }
}

// General registers that the instruction may change. Access groups depend on it: a register too
// many costs time, one too few is a wrong address.
uint32_t writtenRegisters(const Instruction& i, const Shape& shape) {
  const auto bit = [](uint8_t slot) { return 1u << (slot >> 3); };
  const uint32_t reg = bit(i.reg), rm = shape.memory ? 0 : bit(i.rm);
  const uint32_t rax = bit(gpr::kRax), rdx = bit(gpr::kRdx), rsp = bit(gpr::kRsp);
  switch (shape.way) {
    case Way::kNothing:
    case Way::kZeroUpper:
    case Way::kClearInterrupt:
    case Way::kDirection:
    case Way::kCarry:
    case Way::kUserAccess:
    case Way::kSwapGs:
    case Way::kWriteBase:
    case Way::kJump:
    case Way::kJumpIf:
    case Way::kJumpIndirect:
    case Way::kFallThrough:
    case Way::kSetInterrupt:
    case Way::kBitString:
      return 0;
    case Way::kReadSegment:
    case Way::kReadControl:
    case Way::kReadBase:
      return rm;
    case Way::kMoveHighByte:
    case Way::kExchange:
    case Way::kMoveBigEndian:
      return shape.reg & kWrite ? reg : 0;
    case Way::kVexGeneral:
      return (shape.reg & kWrite ? reg : 0) | (shape.vvvv & kWrite ? 1u << i.vvvv() : 0);
    case Way::kAlu:
      if (shape.isTest || shape.operation == Alu::kCmp) return 0;
      return shape.accumulator ? rax : shape.toRm ? rm : reg;
    case Way::kRenamed:
    case Way::kSimd: {
      uint32_t written = (shape.reg & kWrite ? reg : 0) | (shape.rm & kWrite ? rm : 0);
      const bool simd = shape.way == Way::kSimd;
      const bool multiplies =
          shape.opcode.map == OpcodeMap::kOneByte && (shape.opcode.byte & 0xfe) == 0xf6;
      const bool comparesAndExchanges =
          shape.opcode.map == OpcodeMap::k0F && (shape.opcode.byte & 0xfe) == 0xb0;
      if (!simd && multiplies) written |= rax | rdx;
      if (!simd && comparesAndExchanges) written |= rax;
      if (shape.writesRcx) written |= bit(gpr::kRcx);
      return written;
    }
    case Way::kDivide:
    case Way::kImplied:
    case Way::kCompareExchangeWide:
    case Way::kReadTimeStamp:
      return rax | rdx;
    case Way::kRepeatString:
      return bit(gpr::kRcx) | bit(gpr::kRsi) | bit(gpr::kRdi);
    case Way::kMoveImmediate:
    case Way::kLea:
    case Way::kByteSwap:
      return reg;
    case Way::kExchangeAccumulator:
      return rax | reg;
    case Way::kPush:
    case Way::kPushImmediate:
    case Way::kPushFlags:
    case Way::kCall:
    case Way::kReturn:
      return rsp;
    case Way::kPop:
      return rsp | reg;
    case Way::kLeave:
      return rsp | bit(gpr::kRbp);
    default:
      return ~0u;
  }
}

bool endsBlock(Way way) { return way >= Way::kJump; }

// Their handlers go on to the next block by themselves.
bool isNearBranch(const Row& row) {
  const bool moves = row.operands[0] == Operand::Cy || row.operands[0] == Operand::Dy;
  return row.has(kEndsBlock) && row.has(kForce64) && !moves;
}

// Displacements are taken from the start of the first page of a path: more than the guest's 32
// bits. Those in FS and GS are added by themselves, since a kernel's per-CPU variables are that far
// away.
bool reachable(const Instruction& i) {
  constexpr int64_t kMost = INT32_MAX - kMostPathDistance - int64_t{2 * kPageSize};
  const auto within = [](int64_t value) { return value >= -kMost && value <= kMost; };
  const Row& row = kRows[i.row];
  const bool relative = row.operands[0] == Operand::Jb || row.operands[0] == Operand::Jz;
  return (i.base != gpr::kBlockRip || i.segment >= kFs || within(i.displacement)) &&
         (!relative || within(static_cast<int64_t>(i.immediate)));
}

}  // namespace

Shape shapeOf(const Block& block, unsigned slot) {
  const Instruction& i = block.code[slot];
  const Handler handler = slot == 0 ? block.first : i.handler;
  const bool last = slot + 1u == block.slots;
  Shape shape;
  // Pseudo-instructions; what follows an address computation goes with it.
  const bool addressed = i.base == gpr::kAddress && i.isMemory();
  if (handler == fallThrough) {
    shape.way = Way::kFallThrough;
  } else if (handler != computeAddress && handler != raiseUndefined && handler != raiseTooLong &&
             !addressed) {
    if (reachable(i)) shape = Describer(i, kRows[i.row]).describe();
  }
  if (last && !endsBlock(shape.way))
    shape.way = isNearBranch(kRows[i.row]) ? Way::kInterpretRest : Way::kInterpretLast;
  shape.writes = writtenRegisters(i, shape);
  shape.observes = shape.way == Way::kDivide || shape.memory || accessesStack(shape.way) ||
                   looksAtSystem(shape.way) || endsBlock(shape.way) || !shape.native();
  if (!shape.native()) {
    // By the rows' attributes alone one cannot tell; SIMD instructions that leave the flags alone
    // say so. LDMXCSR changes what a comparison would be repeated under.
    const Row& row = kRows[i.row];
    const bool control = row.map == OpcodeMap::k0F && row.opcode == 0xae;
    const bool simd = row.has(kSse | kMmx) && !control && !row.has(kWritesFlags | kReadsFlags);
    if (!simd || i.length == 0) shape.readsFlags = true, shape.flags = FlagEffect::kSome;
  }
  return shape;
}

}  // namespace nodevm

#include "interpreter/specialized.h"

#include <array>
#include <utility>

#include "interpreter/arithmetic.h"
#include "interpreter/control_transfer.h"
#include "interpreter/data_transfer.h"
#include "interpreter/logic_shift.h"

namespace nodevm {

namespace {

inline constexpr unsigned kConditions = 16;

template <size_t... kCodes>
constexpr std::array<HandlerSet, kConditions> jumpSets(std::index_sequence<kCodes...>) {
  return {wideOnly<JumpIf<FixedCondition<kCodes>>>()...};
}
template <size_t... kCodes>
constexpr std::array<HandlerSet, kConditions> setSets(std::index_sequence<kCodes...>) {
  return {alwaysSet(SetIf<FixedCondition<kCodes>>::reg, SetIf<FixedCondition<kCodes>>::mem)...};
}
constexpr auto kJumps = jumpSets(std::make_index_sequence<kConditions>());
constexpr auto kSets = setSets(std::make_index_sequence<kConditions>());

// Memory forms without an index register.
template <class Operation, class Source>
using RmForm = ToRm<Operation, Source, BaseAddress>;

// Opcodes 00..3F: the operation is in bits 3..5, the form in bits 0..2 (E,G bytes; E,G; G,E bytes;
// G,E).
template <class Operation>
constexpr std::array<HandlerSet, 4> binaryForms() {
  return {byteSet<RmForm<Operation, FromReg>>(), wideSet<RmForm<Operation, FromReg>>(),
          byteSet<ToReg<Operation, BaseAddress>>(), wideSet<ToReg<Operation, BaseAddress>>()};
}
constexpr std::array<std::array<HandlerSet, 4>, 8> kBinary = {
    binaryForms<Add>(),      binaryForms<Or>(),
    binaryForms<AddCarry>(), binaryForms<SubtractBorrow>(),
    binaryForms<And>(),      binaryForms<Subtract>(),
    binaryForms<Xor>(),      binaryForms<Compare>()};

// Opcodes 80, 81, 83 by /digit: bytes, wide.
template <class Operation>
constexpr std::array<HandlerSet, 2> immediateForms() {
  return {byteSet<RmForm<Operation, FromImmediate>>(), wideSet<RmForm<Operation, FromImmediate>>()};
}
constexpr std::array<std::array<HandlerSet, 2>, 8> kImmediate = {
    immediateForms<Add>(),      immediateForms<Or>(),
    immediateForms<AddCarry>(), immediateForms<SubtractBorrow>(),
    immediateForms<And>(),      immediateForms<Subtract>(),
    immediateForms<Xor>(),      immediateForms<Compare>()};

constexpr HandlerSet kTestBytes = byteSet<RmForm<Test, FromReg>>(),
                     kTestWide = wideSet<RmForm<Test, FromReg>>(),
                     kTestImmediateBytes = byteSet<RmForm<Test, FromImmediate>>(),
                     kTestImmediateWide = wideSet<RmForm<Test, FromImmediate>>(),
                     kIncrementWide = wideSet<RmForm<Increment, FromOne>>(),
                     kDecrementWide = wideSet<RmForm<Decrement, FromOne>>(),
                     kStoreBytes = byteSet<MoveToRm<FromReg, BaseAddress>>(),
                     kStoreWide = wideSet<MoveToRm<FromReg, BaseAddress>>(),
                     kLoadBytes = byteSet<MoveToReg<BaseAddress>>(),
                     kLoadWide = wideSet<MoveToReg<BaseAddress>>(),
                     kStoreImmediateBytes = byteSet<MoveToRm<FromImmediate, BaseAddress>>(),
                     kStoreImmediateWide = wideSet<MoveToRm<FromImmediate, BaseAddress>>(),
                     kLoadAddress = wideMemorySet<LoadEffectiveAddress<BaseAddress>>(),
                     kZeroExtendByte = wideSet<MoveExtended<uint8_t, BaseAddress>>(),
                     kZeroExtendWord = wideSet<MoveExtended<uint16_t, BaseAddress>>(),
                     kSignExtendByte = wideSet<MoveExtended<int8_t, BaseAddress>>(),
                     kSignExtendWord = wideSet<MoveExtended<int16_t, BaseAddress>>(),
                     kSignExtendDoubleword = wideSet<MoveExtended<int32_t, BaseAddress>>();

// xor r, r; sub r, r
struct ZeroRegister {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    cpu.setReg<T>(i->rm, 0);
    setFlags(cpu, {0, 0});
    return next(cpu, i);
  }
};
constexpr HandlerSet kZeroRegister = wideOnly<ZeroRegister>();

const HandlerSet* oneByteWithoutIndex(const Row& row, SizeCode size) {
  const uint8_t opcode = row.opcode;
  const int digit = row.modrm.reg;
  if (opcode < 0x40 && (opcode & 7) < 4) return &kBinary[opcode >> 3][opcode & 3];
  switch (opcode) {
    case 0x63:  // MOVSXD, not the legacy modes' ARPL
      return row.has(kOnly64) && size != 1 ? &kSignExtendDoubleword : nullptr;
    case 0x80:
      return &kImmediate[digit][0];
    case 0x81:
    case 0x83:
      return &kImmediate[digit][1];
    case 0x84:
      return &kTestBytes;
    case 0x85:
      return &kTestWide;
    case 0x88:
      return &kStoreBytes;
    case 0x89:
      return &kStoreWide;
    case 0x8a:
      return &kLoadBytes;
    case 0x8b:
      return &kLoadWide;
    case 0x8d:
      return &kLoadAddress;
    case 0xc6:
      return &kStoreImmediateBytes;
    case 0xc7:
      return &kStoreImmediateWide;
    case 0xf6:
      return digit < 2 ? &kTestImmediateBytes : nullptr;
    case 0xf7:
      return digit < 2 ? &kTestImmediateWide : nullptr;
    case 0xff:
      return digit == 0 ? &kIncrementWide : digit == 1 ? &kDecrementWide : nullptr;
    default:
      return nullptr;
  }
}

const HandlerSet* twoByteWithoutIndex(const Row& row) {
  switch (row.opcode) {
    case 0xb6:
      return &kZeroExtendByte;
    case 0xb7:
      return &kZeroExtendWord;
    case 0xbe:
      return &kSignExtendByte;
    case 0xbf:
      return &kSignExtendWord;
    default:
      return nullptr;
  }
}

bool isZeroing(const Instruction& i, const Row& row) {
  const bool subtracts = row.opcode == 0x29 || row.opcode == 0x2b,
             xors = row.opcode == 0x31 || row.opcode == 0x33;
  return row.map == OpcodeMap::kOneByte && (subtracts || xors) && i.reg == i.rm;
}

}  // namespace

Handler specialize(const Instruction& i, const Row& row, bool memory) {
  if (row.has(kPlusCond)) {
    // Jcc and SETcc; SETcc is the one of a byte operand.
    const HandlerSet& set = row.has(kByte) ? kSets[i.reg] : kJumps[i.reg];
    return (memory ? set.mem : set.reg)[i.operandSize()];
  }
  if (!memory) return isZeroing(i, row) ? kZeroRegister.reg[i.operandSize()] : nullptr;
  if (i.index != gpr::kZero) return nullptr;
  const HandlerSet* set = nullptr;
  if (row.map == OpcodeMap::kOneByte) set = oneByteWithoutIndex(row, i.operandSize());
  if (row.map == OpcodeMap::k0F) set = twoByteWithoutIndex(row);
  return set ? set->mem[i.operandSize()] : nullptr;
}

}  // namespace nodevm

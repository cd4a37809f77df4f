#pragma once
// What translation has to know of an instruction: which host instruction stands for it, what it
// reads and writes, and what it does to the flags.

#include <cstdint>

#include "interpreter/block_cache.h"
#include "jit/emitter.h"

namespace nodevm {

// How an instruction is translated.
enum class Way : uint8_t {
  kInterpret,      // by its handler, in the middle of the block
  kInterpretRest,  // by its handler, which ends the block
  kInterpretLast,  // by its handler, behind which translated code goes on
  kNothing,        // hints
  kAlu,            // group 1 and TEST: two operands whose flags can be had again
  kRenamed,        // the same instruction with other registers
  kDivide,         // DIV and IDIV where the quotient is known to fit, else by the handler
  kImplied,        // the same, operands implied: RAX, RDX
  kMoveImmediate,
  kLea,
  kByteSwap,
  kExchangeAccumulator,
  kMoveHighByte,         // AH..BH from memory or to it
  kMoveBigEndian,        // MOVBE
  kExchange,             // XCHG with memory
  kCompareExchangeWide,  // CMPXCHG8B and CMPXCHG16B
  kBitString,            // BT, BTS, BTR, BTC in memory, with the offset in a register
  kSimd,                 // with XMM or YMM registers
  kZeroUpper,            // VZEROUPPER
  kVexGeneral,           // BMI: a third operand in VEX.vvvv
  kPush,
  kPushImmediate,
  kPop,
  kLeave,
  kPushFlags,
  kClearInterrupt,
  kDirection,   // CLD, STD; immediate: DF as it is to be
  kCarry,       // CLC, STC, CMC
  kUserAccess,  // CLAC, STAC; immediate: AC as it is to be
  kSwapGs,
  kReadSegment,  // MOV from a segment register
  kReadControl,  // MOV from a control register
  kReadBase,     // RDFSBASE, RDGSBASE
  kWriteBase,    // WRFSBASE, WRGSBASE
  kJump,
  kJumpIf,
  kJumpIndirect,
  kCall,
  kCallIndirect,
  kReturn,
  kFallThrough,
  kRepeatString,   // REP MOVS and STOS where the TLB knows all pages, else by the handler
  kSetInterrupt,   // STI where nothing waits for it
  kReadTimeStamp,  // RDTSC
};

// How far the pages of a path may lie from its first one, from where displacements are taken.
inline constexpr int64_t kMostPathDistance = int64_t{1} << 26;

enum class FlagEffect : uint8_t { kNone, kAll, kSome };

struct Shape {
  static constexpr uint8_t kRead = 1, kWrite = 2;

  Way way = Way::kInterpret;
  HostOpcode opcode;
  uint8_t size = 8;        // bytes of the operation
  uint8_t memorySize = 8;  // bytes of the memory operand
  bool memory = false;     // has a memory operand that is accessed
  bool memoryWritten = false;
  uint8_t digit = 0;        // opcode extension, where `reg` is 0
  uint8_t reg = 0, rm = 0;  // kRead, kWrite: what happens to the register operands
  ByteOperands bytes;
  bool rmInRegister = false;  // a memory operand would mean something else
  uint8_t vvvv = 0;           // kVexGeneral: as reg and rm
  uint8_t immediateBytes = 0;
  int64_t immediate = 0;

  // kAlu
  Alu operation = Alu::kAdd;
  bool isTest = false;
  bool fromImmediate = false, toRm = false, accumulator = false;

  // kSimd
  bool vectorReg = false, vectorRm = false, vectorVvvv = false;  // operands that are XMM or YMM
  bool writesRcx = false;                                        // an implied operand
  bool aligned = false;                                          // the memory operand has to be
  bool isFloat = false;                                          // may raise #XM
  uint8_t blockers = 0;       // of simd_state, asked for by the first vector instruction for all
  bool keepsVectors = false;  // they have been asked for, and some of the instructions follow

  uint32_t writes = 0;  // general registers, by number; all of them where it is not native

  FlagEffect flags = FlagEffect::kNone;
  bool readsFlags = false;
  bool observes = false;  // may fault, or somebody else sees the state: flags must be in memory

  // The operand lies where its registers and its displacement say.
  bool accessesOperand() const { return memory && way != Way::kBitString; }
  // The last of a block, which goes on behind it.
  bool endsAndGoesOn() const { return way >= Way::kRepeatString; }
  // What is allowed may be another thing behind it.
  bool mayChangeRights() const { return !native() || way == Way::kUserAccess; }
  bool isVector() const { return way == Way::kSimd || way == Way::kZeroUpper; }
  bool touchesFlags() const { return readsFlags || flags != FlagEffect::kNone; }
  bool native() const {
    return way != Way::kInterpret && way != Way::kInterpretRest && way != Way::kInterpretLast;
  }
};

// PCMPESTRM, PCMPESTRI, PCMPISTRM, PCMPISTRI, whose result is in XMM0 or RCX.
inline bool comparesStrings(const Row& row) {
  return row.map == OpcodeMap::k0F3A && row.opcode >= 0x60 && row.opcode <= 0x63;
}

// The shape of code[slot].
Shape shapeOf(const Block& block, unsigned slot);
// The shape of an SSE or VEX instruction; of way kInterpret when there is none for it.
Shape simdShapeOf(const Instruction& i, const Row& row);
Shape vexShapeOf(const Instruction& i, const Row& row);

}  // namespace nodevm

#pragma once
// One row an opcode: the table that the decoder, the handler binding, the disassembler, block
// analysis and the test generators all read. The rows are in opcodes/*.inc.

#include <cstdint>

#include "decoder/feature.h"

namespace nodevm {

// SDM volume 2 appendix A, "Opcode Map": one-byte, 0F, 0F 38 and 0F 3A.
enum class OpcodeMap : uint8_t { kOneByte, k0F, k0F38, k0F3A };

// Mandatory prefix. kAny: the prefixes do not select the opcode. kNone: none of 66, F3, F2.
enum class Mandatory : uint8_t { kAny, kNone, k66, kF3, kF2 };

// What ModRM must look like for the row to match. noExt: anything (or no ModRM at all).
struct ModRmRule {
  int8_t reg = -1;     // /digit, -1: any
  int8_t form = 0;     // 0 any, 1 memory only, 2 register only
  int16_t exact = -1;  // the whole byte, -1: any
};
inline constexpr ModRmRule noExt{};
inline constexpr ModRmRule memOnly{-1, 1, -1};
inline constexpr ModRmRule regOnly{-1, 2, -1};
constexpr ModRmRule ext(int digit) { return {static_cast<int8_t>(digit), 0, -1}; }
constexpr ModRmRule extMem(int digit) { return {static_cast<int8_t>(digit), 1, -1}; }
constexpr ModRmRule extReg(int digit) { return {static_cast<int8_t>(digit), 2, -1}; }
constexpr ModRmRule exactly(int byte) { return {-1, 0, static_cast<int16_t>(byte)}; }

// SDM volume 2 appendix A, "Codes for Addressing Method" and "Codes for Operand Type".
enum class Operand : uint8_t {
  kAbsent,
  // ModRM.rm: register or memory (b, w, d, q, v = operand size, y = 32/64)
  Eb,
  Ew,
  Ed,
  Eq,
  Ev,
  Ey,
  // ModRM.rm, memory only: M any, Mp far pointer, Ma bound pair, Mb/Mw/Md/Mq/Mt/Mdq sized
  M,
  Mp,
  Ma,
  Mb,
  Mw,
  Md,
  Mq,
  Mt,
  Mdq,
  Ms,
  // ModRM.rm, register only
  Rv,
  Ry,
  Rd,
  // ModRM.reg
  Gb,
  Gw,
  Gd,
  Gq,
  Gv,
  Gy,
  Sw,
  Cy,
  Dy,
  // register in the opcode's low three bits
  Zb,
  Zv,
  Zq,
  // immediates: byte, sign-extended byte, word, word or doubleword by size (sign-extended), full
  // size
  Ib,
  Is,
  Iw,
  Iz,
  Iv,
  // relative branches, far pointers, absolute offsets
  Jb,
  Jz,
  Ap,
  Ob,
  Ov,
  // implicit
  AL,
  AX,
  EAX,
  rAX,
  CL,
  DX,
  One,
  rDX,
  ES,
  CS,
  SS,
  DS,
  FS,
  GS,
  // strings
  Xb,
  Xv,
  Yb,
  Yv,
  // MMX and SSE: P = mm in reg, Q = mm/m64, N = mm register in rm; V = xmm in reg, W = xmm/m, U =
  // xmm register in rm, H = VEX.vvvv, L = imm8[7:4]. x: 128 bits, or 256 by VEX.L; Wd/Wq: scalar
  // memory width.
  Pq,
  Qq,
  Qd,
  Nq,
  Vx,
  Wx,
  Ux,
  Wd,
  Wq,
  Ww,
  Hx,
  // VEX only. Wb, Wdq: 1 and 16 bytes of memory; Wh, Wf, We: a half, a fourth, an eighth of x. Mx:
  // memory only. VMd, VMq: memory with an index register of doublewords, quadwords (VSIB). By:
  // general register in VEX.vvvv.
  Wb,
  Wdq,
  Wh,
  Wf,
  We,
  Mx,
  VMd,
  VMq,
  Lx,
  By,
  // EVEX: 32 bytes of memory. Opmask registers: Kg in ModRM.reg, Kh in VEX.vvvv, Kr in ModRM.rm.
  Wqq,
  Mqq,
  Kg,
  Kh,
  Kr,
  // x87
  ST0,
  STi,
};

// Attributes, or-ed.
enum Attribute : uint64_t {
  kByte = 1u << 0,       // operand size is 8 bits
  kPlusReg = 1u << 1,    // the row stands for opcode..opcode+7, the register in the low three bits
  kPlusCond = 1u << 2,   // the row stands for opcode..opcode+15, the condition in the low four bits
                         // (Instruction::reg)
  kInvalid64 = 1u << 3,  // #UD in 64-bit mode
  kOnly64 = 1u << 4,     // exists in 64-bit mode only
  kDefault64 = 1u << 5,  // 64-bit operand size by default in 64-bit mode (66 makes it 16)
  kForce64 = 1u << 6,    // 64-bit operand size in 64-bit mode whatever the prefixes
  kLockable = 1u << 7,   // LOCK allowed with a memory destination (#UD otherwise)
  kEndsBlock = 1u << 8,  // control transfer, or a change of state that later decoding depends on
  kNoModRm = 1u << 9,    // (derived in most rows; needed where operands do not tell)
  kModRm = 1u << 10,     // has ModRM though no operand says so
  kFixed32 = 1u << 11,   // operand size ignores 66 and REX.W (e.g. CRC32 source, MOVD)
  kWideByW =
      1u << 12,  // operand size is 64 with REX.W, else 32; 66 is a mandatory prefix or ignored
  kReadsFlags = 1u << 13,   // reads an arithmetic flag
  kWritesFlags = 1u << 14,  // writes all of CF PF AF ZF SF OF (dead-flag analysis)
  kRepPrefix = 1u << 15,    // REP/REPE/REPNE are meaningful (string instructions)
  kX87 = 1u << 16,
  kMmx = 1u << 17,
  kSse = 1u << 18,
  kVex = 1u << 19,  // reached by a VEX prefix only
  // VEX.L and VEX.W: the row is for one value only; kLig: VEX.L is ignored. Without these, L gives
  // the vector length (operand size code 0 or 1) and W is ignored.
  kL0 = 1u << 20,
  kL1 = 1u << 21,
  kLig = 1u << 22,
  kW0 = 1u << 23,
  kW1 = 1u << 24,
  // VEX rows with vector registers
  kFloat = 1u << 25,    // can raise SIMD floating-point exceptions
  kTiny = 1u << 26,     // ... underflow among them; the mnemonic ends in the result's element
  kAligned = 1u << 27,  // the memory operand must be aligned
  kVexVector = kSse | kVex,

  // EVEX rows (SDM volume 2, "Intel AVX-512 Encoding"): reached by an EVEX prefix only. EVEX.L'L is
  // the operand size code, 0 to 2, or as kL0 and kLig say, or
  kEvex = 1u << 28,
  kNot128 = 1u << 29,  // 256 or 512 bits
  k512 = 1u << 30,     // 512 bits only
  // May have an opmask, whose bits stand for elements of so many bytes; must have one.
  kMaskable = 1u << 31,
  kElementShift = 32,  // log2 of the element's bytes, in two bits
  kMask1 = kMaskable,
  kMask2 = kMaskable | uint64_t{1} << kElementShift,
  kMask4 = kMaskable | uint64_t{2} << kElementShift,
  kMask8 = kMaskable | uint64_t{3} << kElementShift,
  kMaskRequired = uint64_t{1} << 34,
  // EVEX.b: the memory operand is one element of 4 or 8 bytes, for all; rounding control; none but
  // the suppression of exceptions.
  kBroadcast4 = uint64_t{1} << 35,
  kBroadcast8 = uint64_t{1} << 36,
  kRound = uint64_t{1} << 37,
  kSae = uint64_t{1} << 38,
  // Zeros of a mask come last: the destination is an operand as well, or what is masked off comes
  // from another one.
  kAccumulates = uint64_t{1} << 39,
  kWhole =
      uint64_t{1} << 40,  // elements that are masked off are read (exception types ending in NF)
  kByElement = uint64_t{1} << 41,  // memory is accessed by elements, which scale disp8
  kEvexVector = kSse | kEvex,
  // VEX rows with opmask registers
  kOpmask = uint64_t{1} << 42,
  kOpmaskVector = kSse | kVex | kOpmask,
};

// As an attribute: the row exists only where the processor model has the feature.
inline constexpr unsigned kFeatureShift = 56;
constexpr uint64_t needs(Feature feature) {
  return static_cast<uint64_t>(feature) << kFeatureShift;
}
// The same for its form with VEX.L = 1; in EVEX rows for all forms.
inline constexpr unsigned kWideFeatureShift = 48;
constexpr uint64_t wideNeeds(Feature feature) {
  return static_cast<uint64_t>(feature) << kWideFeatureShift;
}

// What a row says in numbers, which can be a template argument.
struct Form {
  OpcodeMap map;
  uint8_t opcode;
  Mandatory prefix;
  ModRmRule modrm;
  uint64_t attributes;
  Operand operands[4];

  constexpr bool has(uint64_t attribute) const { return (attributes & attribute) != 0; }
  constexpr bool has(Operand wanted) const {
    for (const Operand operand : operands)
      if (operand == wanted) return true;
    return false;
  }
  constexpr Feature feature() const { return static_cast<Feature>(attributes >> kFeatureShift); }
  constexpr Feature wideFeature() const {
    return static_cast<Feature>(attributes >> kWideFeatureShift & 0xff);
  }
};

struct Row : Form {
  const char* name;      // identifier of the handler set
  const char* mnemonic;  // lower case, Intel syntax; condition codes as "j%c"
};

// The byte of a mandatory prefix, 0 where there is none.
constexpr uint8_t prefixByte(Mandatory prefix) {
  switch (prefix) {
    case Mandatory::k66:
      return 0x66;
    case Mandatory::kF3:
      return 0xf3;
    case Mandatory::kF2:
      return 0xf2;
    default:
      return 0;
  }
}

// Bytes of the memory that an SSE or VEX operand can name: `vector` where it is a whole vector,
// `general` where it is as wide as a general register; 0 for operands that name none.
constexpr unsigned memoryBytes(Operand operand, unsigned vector, unsigned general) {
  using enum Operand;
  switch (operand) {
    case Wx:
    case Mx:
      return vector;
    case Wh:
      return vector / 2;
    case Wf:
      return vector / 4;
    case We:
      return vector / 8;
    case Wqq:
    case Mqq:
      return 32;
    case Wdq:
    case Mdq:
      return 16;
    case Wq:
    case Mq:
    case Eq:
      return 8;
    case Wd:
    case Md:
    case Ed:
      return 4;
    case Ww:
    case Mw:
      return 2;
    case Wb:
    case Mb:
      return 1;
    case Ey:
      return general;
    default:
      return 0;
  }
}

// Of an EVEX row in the form of a size code.
constexpr unsigned vectorBytes(unsigned sizeCode) { return 16u << sizeCode; }
// Bytes of an element of the row that an opmask bit stands for, and of one that EVEX.b repeats.
constexpr unsigned elementBytes(uint64_t attributes) {
  return 1u << (attributes >> kElementShift & 3);
}
constexpr unsigned broadcastBytes(uint64_t attributes) {
  return attributes & kBroadcast4 ? 4 : attributes & kBroadcast8 ? 8 : 0;
}

extern const Row kRows[];
extern const unsigned kRowCount;

}  // namespace nodevm

#pragma once
// The decoded form of one instruction: 32 bytes, two to a cache line. Blocks of these are what the
// interpreter runs and what a JIT reads.

#include <cstddef>
#include <cstdint>

namespace nodevm {

class Cpu;
struct Instruction;

// A handler executes one instruction and ends by leaving through interpreter/dispatch.h
// (next, endBlock, leaveBlock or fault).
using Handler = void (*)(Cpu& cpu, const Instruction* i);

// General registers are named by their byte offset in the register file, so that AH..BH, and every
// operand size, cost a handler nothing. Three more slots follow R15.
namespace gpr {
inline constexpr uint8_t kRax = 0 * 8, kRcx = 1 * 8, kRdx = 2 * 8, kRbx = 3 * 8, kRsp = 4 * 8,
                         kRbp = 5 * 8, kRsi = 6 * 8, kRdi = 7 * 8, kR9 = 9 * 8, kR11 = 11 * 8;
inline constexpr uint8_t kZero = 16 * 8;      // always 0: absent base or index
inline constexpr uint8_t kBlockRip = 17 * 8;  // RIP of the block's first instruction
inline constexpr uint8_t kAddress = 18 * 8;   // result of the address pseudo-instruction
inline constexpr unsigned kSlots = 19;
}  // namespace gpr

enum Segment : uint8_t { kEs, kCs, kSs, kDs, kFs, kGs, kSegmentCount };

// Operand and address sizes as log2 of bytes: 0 byte, 1 word, 2 doubleword, 3 quadword. Operand
// sizes of VEX and EVEX instructions on vectors alone: VEX.L, EVEX.L'L.
using SizeCode = uint8_t;

struct Instruction {
  Handler handler;
  // Immediate, sign-extended to 64 bits as the SDM says for the opcode. Far pointers: offset in
  // bits 0..31, selector in 32..47. ENTER: size in bits 0..15, level in 16..23. Absolute (moffs)
  // operands: the address. Relative branches: the displacement from the next instruction. x87: the
  // 11 bits of FOP. VEX: imm8 in bits 0..7, vvvv in bits 8..11. EVEX: V' in bit 12, aaa in bits
  // 16..18, z in bit 19, b in bit 20, L'L in bits 21..22 as well.
  uint64_t immediate;
  int32_t displacement;  // of the ModRM operand; RIP-relative ones are rebased to kBlockRip
  uint8_t reg;           // ModRM.reg or the opcode's register: GPR byte offset, or register number
  uint8_t rm;            // ModRM.rm when it names a register: GPR byte offset, or register number
  uint8_t base;          // GPR byte offset (kZero when absent)
  uint8_t index;         // GPR byte offset (kZero when absent); VSIB: register number
  uint8_t scale;         // shift count 0..3
  uint8_t segment;       // Segment of the memory operand, overrides applied
  uint8_t length;        // bytes, 1..15; 0 for pseudo-instructions
  uint8_t ordinal;       // architectural instructions of the block before this one
  uint16_t row;          // index into the opcode table
  uint8_t offset;        // bytes from the start of the block
  uint8_t flags;         // kOperandSizeMask ... below

  static constexpr uint8_t kOperandSizeMask = 0x03, kAddressSizeShift = 2, kRepF3 = 0x10,
                           kRepF2 = 0x20, kLock = 0x40, kMemory = 0x80;

  SizeCode operandSize() const { return flags & kOperandSizeMask; }
  SizeCode addressSize() const { return (flags >> kAddressSizeShift) & 3; }
  bool isMemory() const { return flags & kMemory; }
  bool hasLock() const { return flags & kLock; }
  bool hasRep() const { return flags & (kRepF3 | kRepF2); }
  bool isRepne() const { return flags & kRepF2; }
  // Number of the register in VEX.vvvv, or EVEX.V'vvvv.
  unsigned vvvv() const { return (immediate >> 8) & 31; }
  // EVEX.aaa, z and b, and L'L where it is the rounding control.
  unsigned opmask() const { return (immediate >> 16) & 7; }
  bool zeroing() const { return immediate >> 19 & 1; }
  bool evexB() const { return immediate >> 20 & 1; }
  unsigned roundingControl() const { return (immediate >> 21) & 3; }
};
static_assert(sizeof(Instruction) == 32);

}  // namespace nodevm

#pragma once
// The x87 register stack, tags and status word as the instructions see them.
// SDM volume 1, "x87 FPU Execution Environment".

#include <cstdint>
#include <cstring>

#include "cpu/state.h"

namespace nodevm::x87 {

// Status word. The exception flags have the same places as their masks in the control word.
inline constexpr uint16_t kInvalid = 1 << 0, kDenormal = 1 << 1, kZeroDivide = 1 << 2,
                          kOverflow = 1 << 3, kUnderflow = 1 << 4, kPrecision = 1 << 5,
                          kStackFault = 1 << 6, kSummary = 1 << 7, kC0 = 1 << 8, kC1 = 1 << 9,
                          kC2 = 1 << 10, kTop = 7 << 11, kC3 = 1 << 14, kBusy = 1 << 15;
inline constexpr uint16_t kExceptions = 0x3f;
inline constexpr uint16_t kConditions = kC0 | kC1 | kC2 | kC3;
inline constexpr unsigned kTopShift = 11;

// Control word. Bit 6 reads as one; bits 7 and 13..15 as zero.
inline constexpr uint16_t kControlReset = 0x037f, kControlFixed = 0x0040, kControlWritable = 0x1f3f;
inline constexpr unsigned kRoundingShift = 10;
enum Rounding : uint8_t { kNearest, kDown, kUp, kTowardZero };

inline constexpr uint64_t kIntegerBit = uint64_t{1} << 63;
inline constexpr uint16_t kSignBit = 0x8000, kExponentMask = 0x7fff;

// The QNaN floating-point indefinite: the masked response to an invalid operation.
inline constexpr Float80 kIndefinite{0xc000000000000000, 0xffff};
inline constexpr Float80 kOne{kIntegerBit, 0x3fff};
inline constexpr Float80 kPlusZero{0, 0};

// The ten bytes of a register in memory.
inline constexpr unsigned kExtendedBytes = 10;
inline Float80 readExtended(const uint8_t* from) {
  Float80 value;
  std::memcpy(&value.mantissa, from, sizeof value.mantissa);
  std::memcpy(&value.signExponent, from + sizeof value.mantissa, sizeof value.signExponent);
  return value;
}
inline void writeExtended(uint8_t* to, const Float80& value) {
  std::memcpy(to, &value.mantissa, sizeof value.mantissa);
  std::memcpy(to + sizeof value.mantissa, &value.signExponent, sizeof value.signExponent);
}

// Number of the physical register that is ST(i).
inline unsigned physical(const X87State& x87, unsigned i) { return (x87.top() + i) & 7; }

inline const Float80& st(const X87State& x87, unsigned i) {
  return x87.registers[physical(x87, i)];
}

inline bool isEmpty(const X87State& x87, unsigned i) {
  return ((x87.validTags >> physical(x87, i)) & 1) == 0;
}

// Writes ST(i) and tags it as not empty.
inline void setSt(X87State& x87, unsigned i, const Float80& value) {
  const unsigned n = physical(x87, i);
  x87.registers[n] = value;
  x87.validTags = static_cast<uint8_t>(x87.validTags | 1u << n);
}

inline void setEmpty(X87State& x87, unsigned i) {
  x87.validTags = static_cast<uint8_t>(x87.validTags & ~(1u << physical(x87, i)));
}

inline void moveTop(X87State& x87, unsigned by) {
  const unsigned top = (x87.top() + by) & 7;
  x87.status = static_cast<uint16_t>((x87.status & ~kTop) | top << kTopShift);
}

inline void push(X87State& x87, const Float80& value) {
  moveTop(x87, 7);
  setSt(x87, 0, value);
}

inline void pop(X87State& x87) {
  setEmpty(x87, 0);
  moveTop(x87, 1);
}

// The flags among `status` that the control word does not mask.
inline unsigned unmasked(const X87State& x87, unsigned status) {
  return status & ~x87.control & kExceptions;
}

// ES, and B which mirrors it, follow from the flags and the masks. To be called after every change
// of either.
inline void updateSummary(X87State& x87) {
  const uint16_t rest = x87.status & ~(kSummary | kBusy);
  x87.status = unmasked(x87, rest) ? static_cast<uint16_t>(rest | kSummary | kBusy) : rest;
}

// Adds exception flags and replaces the condition codes named by `conditions`.
inline void mergeStatus(X87State& x87, uint16_t status, uint16_t conditions = kC1) {
  x87.status = static_cast<uint16_t>((x87.status & ~conditions) |
                                     (status & (kExceptions | kStackFault | conditions)));
  updateSummary(x87);
}

// Records a stack overflow or underflow; true when it is masked and the instruction goes on with
// the indefinite value. SDM volume 1, "Stack Overflow or Underflow Exception (#IS)".
enum class StackFault : uint16_t { kUnderflow = 0, kOverflow = kC1 };
inline bool stackFault(X87State& x87, StackFault kind) {
  mergeStatus(x87, static_cast<uint16_t>(kInvalid | kStackFault | static_cast<uint16_t>(kind)));
  return (x87.control & kInvalid) != 0;
}

inline void setControl(X87State& x87, uint16_t value) {
  x87.control = static_cast<uint16_t>((value & kControlWritable) | kControlFixed);
  updateSummary(x87);
}

// FNINIT. The registers keep their contents.
inline void initialize(X87State& x87) {
  x87.control = kControlReset;
  x87.status = 0;
  x87.validTags = 0;
  x87.lastOpcode = x87.instructionSegment = x87.dataSegment = 0;
  x87.instructionPointer = x87.dataPointer = 0;
}

}  // namespace nodevm::x87

namespace nodevm {

// The tag word with two bits a register (valid, zero, special, empty) as FNSTENV stores it.
// SDM volume 1, "x87 FPU Tag Word".
inline uint16_t x87FullTagWord(const X87State& x87) {
  constexpr unsigned kValid = 0, kZero = 1, kSpecial = 2, kEmpty = 3;
  unsigned word = 0;
  for (unsigned n = 0; n < 8; ++n) {
    const Float80& value = x87.registers[n];
    const unsigned exponent = value.signExponent & x87::kExponentMask;
    unsigned tag = kValid;
    if (((x87.validTags >> n) & 1) == 0) {
      tag = kEmpty;
    } else if (exponent == 0 && value.mantissa == 0) {
      tag = kZero;
    } else if (exponent == 0 || exponent == x87::kExponentMask ||
               !(value.mantissa & x87::kIntegerBit)) {
      tag = kSpecial;
    }
    word |= tag << (2 * n);
  }
  return static_cast<uint16_t>(word);
}

}  // namespace nodevm

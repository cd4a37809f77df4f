#pragma once
// Arithmetic flags, kept lazily as two words. Every instruction that writes all six flags stores
// both; a flag is computed only when something reads it.

#include <cstdint>

namespace nodevm {

// EFLAGS bits: SDM volume 1, "EFLAGS Register".
namespace eflags {
inline constexpr uint64_t kCf = 1 << 0, kFixed = 1 << 1, kPf = 1 << 2, kAf = 1 << 4, kZf = 1 << 6,
                          kSf = 1 << 7, kTf = 1 << 8, kIf = 1 << 9, kDf = 1 << 10, kOf = 1 << 11,
                          kIopl = 3 << 12, kNt = 1 << 14, kRf = 1 << 16, kVm = 1 << 17,
                          kAc = 1 << 18, kVif = 1 << 19, kVip = 1 << 20, kId = 1 << 21;
inline constexpr uint64_t kArithmetic = kCf | kPf | kAf | kZf | kSf | kOf;
}  // namespace eflags

struct Flags {
  // The result, sign-extended to 64 bits. ZF: it is 0. SF: its sign, xor kSignFlip. PF: parity of
  // its low byte xor byte 1 of `carries`.
  uint64_t result = 1;
  // Bit 63: carry out of the operand's top bit (CF). Bit 62: carry into it (OF is 63 xor 62). Bit
  // 3: carry out of bit 3 (AF). Bit 0 (kSignFlip) and bits 8..15 exist so that POPF can set
  // combinations no result has.
  uint64_t carries = 0;

  static constexpr uint64_t kCarry = uint64_t{1} << 63, kIntoTop = uint64_t{1} << 62,
                            kAdjust = uint64_t{1} << 3, kSignFlip = 1;

  bool cf() const { return carries >> 63; }
  bool of() const { return ((carries ^ (carries << 1)) >> 63) != 0; }
  bool af() const { return (carries & kAdjust) != 0; }
  bool zf() const { return result == 0; }
  bool sf() const { return ((result >> 63) ^ (carries & kSignFlip)) != 0; }
  bool pf() const { return __builtin_parity(static_cast<uint8_t>(result ^ (carries >> 8))) == 0; }

  uint64_t pack() const {
    return (cf() ? eflags::kCf : 0) | (pf() ? eflags::kPf : 0) | (af() ? eflags::kAf : 0) |
           (zf() ? eflags::kZf : 0) | (sf() ? eflags::kSf : 0) | (of() ? eflags::kOf : 0);
  }

  static Flags unpack(uint64_t word) {
    Flags flags;
    flags.result = (word & eflags::kZf) ? 0 : 1;  // both non-negative; parity of 0 even, of 1 odd
    const bool parityOdd = (word & eflags::kPf) == 0;
    const bool resultOdd = flags.result == 1;
    flags.carries = ((word & eflags::kSf) ? kSignFlip : 0) |
                    (parityOdd != resultOdd ? uint64_t{1} << 8 : 0) |
                    ((word & eflags::kAf) ? kAdjust : 0);
    const bool carry = word & eflags::kCf, overflow = word & eflags::kOf;
    flags.carries |= (carry ? kCarry : 0) | (carry != overflow ? kIntoTop : 0);
    return flags;
  }

  // The same flags with CF and OF replaced.
  Flags withCarryOverflow(bool carry, bool overflow) const {
    Flags flags = *this;
    flags.carries = (carries & ~(kCarry | kIntoTop)) | (carry ? kCarry : 0) |
                    (carry != overflow ? kIntoTop : 0);
    return flags;
  }
  Flags withCarry(bool carry) const { return withCarryOverflow(carry, of()); }

  // SDM volume 1 appendix B, "EFLAGS Condition Codes" (tttn).
  bool condition(unsigned code) const {
    bool value = false;
    switch (code >> 1) {
      case 0:
        value = of();
        break;
      case 1:
        value = cf();
        break;
      case 2:
        value = zf();
        break;
      case 3:
        value = cf() || zf();
        break;
      case 4:
        value = sf();
        break;
      case 5:
        value = pf();
        break;
      case 6:
        value = sf() != of();
        break;
      case 7:
        value = zf() || sf() != of();
        break;
    }
    return value != ((code & 1) != 0);
  }
};

// Flags of the six-flag operations, T unsigned.
template <class T>
constexpr uint64_t signExtend(T value) {
  if constexpr (sizeof(T) == 1)
    return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int8_t>(value)));
  if constexpr (sizeof(T) == 2)
    return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int16_t>(value)));
  if constexpr (sizeof(T) == 4)
    return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(value)));
  return value;
}

// `vector` holds, for each bit of T, the carry (or borrow) out of that bit.
template <class T>
constexpr uint64_t carriesOf(T vector) {
  constexpr unsigned bits = sizeof(T) * 8;
  if constexpr (bits == 64) {
    return vector & (Flags::kCarry | Flags::kIntoTop | Flags::kAdjust);
  } else {
    return ((static_cast<uint64_t>(vector) << (64 - bits)) & (Flags::kCarry | Flags::kIntoTop)) |
           (static_cast<uint64_t>(vector) & Flags::kAdjust);
  }
}

template <class T>
constexpr Flags flagsOfAdd(T a, T b, T result) {
  return {signExtend(result), carriesOf<T>(static_cast<T>((a & b) | ((a | b) & ~result)))};
}
template <class T>
constexpr Flags flagsOfSubtract(T a, T b, T result) {
  return {signExtend(result), carriesOf<T>(static_cast<T>((~a & b) | ((~a | b) & result)))};
}
template <class T>
constexpr Flags flagsOfLogic(T result) {
  return {signExtend(result), 0};
}

}  // namespace nodevm

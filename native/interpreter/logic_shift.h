#pragma once
// Operations of SDM volume 1, "Logical Instructions" and "Shift and Rotate Instructions".
// Flags that the SDM leaves undefined are those of the AMD Zen family.

#include "interpreter/handlers_common.h"

namespace nodevm {

struct And {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags&) {
    const T value = a & b;
    return {value, flagsOfLogic<T>(value)};
  }
};

struct Or {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags&) {
    const T value = a | b;
    return {value, flagsOfLogic<T>(value)};
  }
};

struct Xor {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags&) {
    const T value = a ^ b;
    return {value, flagsOfLogic<T>(value)};
  }
};

struct Test : And {
  static constexpr bool kWrites = false;
};

struct Not {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T, const Flags& flags) {
    return {static_cast<T>(~a), flags};
  }
};

template <class T>
inline constexpr unsigned kBits = sizeof(T) * 8;

// Counts are taken modulo 32, or 64 for 64-bit operands.
template <class T>
constexpr unsigned shiftCount(T count) {
  return count & (sizeof(T) == 8 ? 63 : 31);
}
template <class T>
constexpr bool topBit(T value) {
  return (value >> (kBits<T> - 1)) & 1;
}
// The top bit differs from the one below it: OF of the right shifts and rotates.
template <class T>
constexpr bool topBitsDiffer(T value) {
  return topBit<T>(static_cast<T>(value ^ (value << 1)));
}

// Flags of a shift by at least one. AF is set, as Zen does.
template <class T>
constexpr Flags flagsOfShift(T value, bool carry, bool overflow) {
  return {signExtend(value),
          (carry ? Flags::kCarry : 0) | (carry != overflow ? Flags::kIntoTop : 0) | Flags::kAdjust};
}

struct ShiftLeft {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    const unsigned count = shiftCount(b);
    if (count == 0) [[unlikely]]
      return {a, flags};
    // Up to 31 positions of at most 32 bits fit 64 with the last bit shifted out still in view.
    const T value = static_cast<T>(uint64_t{a} << count);
    const bool carry = count <= kBits<T> && ((a >> (kBits<T> - count)) & 1);
    return {value, flagsOfShift<T>(value, carry, carry != topBit(value))};
  }
};

struct ShiftRight {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    const unsigned count = shiftCount(b);
    if (count == 0) [[unlikely]]
      return {a, flags};
    const T value = static_cast<T>(uint64_t{a} >> count);
    const bool carry = (uint64_t{a} >> (count - 1)) & 1;
    return {value, flagsOfShift<T>(value, carry, topBitsDiffer(value))};
  }
};

struct ShiftArithmeticRight {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    const unsigned count = shiftCount(b);
    if (count == 0) [[unlikely]]
      return {a, flags};
    const auto wide = static_cast<int64_t>(signExtend(a));
    const T value = static_cast<T>(wide >> count);
    return {value, flagsOfShift<T>(value, (wide >> (count - 1)) & 1, false)};
  }
};

struct RotateLeft {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    const unsigned count = shiftCount(b);
    if (count == 0) [[unlikely]]
      return {a, flags};
    const unsigned turn = count % kBits<T>;
    const T value = static_cast<T>((a << turn) | (a >> ((kBits<T> - turn) % kBits<T>)));
    const bool carry = value & 1;
    return {value, flags.withCarryOverflow(carry, carry != topBit(value))};
  }
};

struct RotateRight {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    const unsigned count = shiftCount(b);
    if (count == 0) [[unlikely]]
      return {a, flags};
    const unsigned turn = count % kBits<T>;
    const T value = static_cast<T>((a >> turn) | (a << ((kBits<T> - turn) % kBits<T>)));
    return {value, flags.withCarryOverflow(topBit(value), topBitsDiffer(value))};
  }
};

// Rotates of CF:operand turn 9, 17, 33 or 65 positions; the double-width value does it without
// cases.
template <class T>
struct CarryRotation {
  T value;
  bool carry;
};
template <class T>
constexpr CarryRotation<T> rotateLeftThroughCarry(T a, bool carry, unsigned turn) {
  using Wide = unsigned __int128;
  const Wide ring = (Wide{carry} << kBits<T>) | a;
  const Wide turned = (ring << turn) | (ring >> (kBits<T> + 1 - turn));
  return {static_cast<T>(turned), static_cast<bool>((turned >> kBits<T>)&1)};
}

struct RotateCarryLeft {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    const unsigned count = shiftCount(b);
    if (count == 0) [[unlikely]]
      return {a, flags};
    const auto [value, carry] = rotateLeftThroughCarry<T>(a, flags.cf(), count % (kBits<T> + 1));
    return {value, flags.withCarryOverflow(carry, carry != topBit(value))};
  }
};

struct RotateCarryRight {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    const unsigned count = shiftCount(b);
    if (count == 0) [[unlikely]]
      return {a, flags};
    const auto [value, carry] =
        rotateLeftThroughCarry<T>(a, flags.cf(), kBits<T> + 1 - count % (kBits<T> + 1));
    return {value, flags.withCarryOverflow(carry, topBitsDiffer(value))};
  }
};

}  // namespace nodevm

#pragma once
// Operations of SDM volume 1, "Binary Arithmetic Instructions", as values and flags.

#include "interpreter/handlers_common.h"

namespace nodevm {

struct Add {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags&) {
    const T sum = static_cast<T>(a + b);
    return {sum, flagsOfAdd<T>(a, b, sum)};
  }
};

struct AddCarry {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    const T sum = static_cast<T>(a + b + flags.cf());
    return {sum, flagsOfAdd<T>(a, b, sum)};
  }
};

// ADCX and ADOX: the sum with one flag as its carry in and out, all others left alone.
struct AddWithCf {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    T sum;
    const bool low = __builtin_add_overflow(a, b, &sum);
    const bool carry = low | __builtin_add_overflow(sum, T{flags.cf()}, &sum);
    return {sum, flags.withCarry(carry)};
  }
};
struct AddWithOf {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    T sum;
    const bool low = __builtin_add_overflow(a, b, &sum);
    const bool carry = low | __builtin_add_overflow(sum, T{flags.of()}, &sum);
    return {sum, flags.withCarryOverflow(flags.cf(), carry)};
  }
};

struct Subtract {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags&) {
    const T difference = static_cast<T>(a - b);
    return {difference, flagsOfSubtract<T>(a, b, difference)};
  }
};

struct SubtractBorrow {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T b, const Flags& flags) {
    const T difference = static_cast<T>(a - b - flags.cf());
    return {difference, flagsOfSubtract<T>(a, b, difference)};
  }
};

struct Compare : Subtract {
  static constexpr bool kWrites = false;
};

// `fresh` with the carry of `old`. Flipping carry-out and carry-into-top together leaves OF alone.
inline Flags keepCarry(Flags fresh, const Flags& old) {
  const uint64_t flip = (fresh.carries ^ old.carries) & Flags::kCarry;
  fresh.carries ^= flip | (flip >> 1);
  return fresh;
}

struct Increment {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T one, const Flags& flags) {
    const T sum = static_cast<T>(a + one);
    return {sum, keepCarry(flagsOfAdd<T>(a, one, sum), flags)};
  }
};

struct Decrement {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T one, const Flags& flags) {
    const T difference = static_cast<T>(a - one);
    return {difference, keepCarry(flagsOfSubtract<T>(a, one, difference), flags)};
  }
};

struct Negate {
  static constexpr bool kWrites = true;
  template <class T>
  static Result<T> apply(T a, T, const Flags&) {
    const T difference = static_cast<T>(0 - a);
    return {difference, flagsOfSubtract<T>(0, a, difference)};
  }
};

}  // namespace nodevm

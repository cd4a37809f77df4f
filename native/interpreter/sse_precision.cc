#include "interpreter/sse_precision.h"

#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "interpreter/sse_control.h"

namespace nodevm {

namespace {

using Wide = unsigned __int128;

// IEEE 754 binary formats. The exponent's bias is its maximum.
struct Format {
  unsigned bytes, precision;
  int maximum;

  int minimum() const { return 1 - maximum; }
};
constexpr Format kHalf{2, 11, 15}, kSingle{4, 24, 127}, kDouble{8, 53, 1023};

// magnitude * 2^exponent. Magnitudes that are not exact have more bits than any format, and their
// last one is set for whatever is below it.
struct Number {
  bool negative;
  Wide magnitude;
  int exponent;
};

unsigned widthOf(Wide value) {
  const auto high = static_cast<uint64_t>(value >> 64);
  return static_cast<unsigned>(high ? 64 + std::bit_width(high)
                                    : std::bit_width(static_cast<uint64_t>(value)));
}

Wide lowBits(Wide value, int count) {
  if (count <= 0) return 0;
  return count >= 128 ? value : value & ((Wide{1} << count) - 1);
}

Wide shiftRightSticky(Wide value, int count) {
  if (count >= 128) return value != 0;
  return value >> count | (lowBits(value, count) != 0);
}

// Nothing for infinities and NaNs, whose results are exact or invalid.
std::optional<Number> read(const uint8_t* from, const Format& format, bool denormalsAreZero) {
  uint64_t bits = 0;
  std::memcpy(&bits, from, format.bytes);
  const unsigned fractionBits = format.precision - 1;
  const uint64_t fraction = bits & ((uint64_t{1} << fractionBits) - 1);
  const auto biased = static_cast<int>(bits >> fractionBits & (2u * format.maximum + 1));
  const bool negative = bits >> (format.bytes * 8 - 1);
  if (biased > 2 * format.maximum) return std::nullopt;
  const int ulp = (biased ? biased : 1) - format.maximum - static_cast<int>(fractionBits);
  if (biased) return Number{negative, fraction | uint64_t{1} << fractionBits, ulp};
  return Number{negative, denormalsAreZero ? 0 : fraction, ulp};
}

Number product(const Number& a, const Number& b) {
  return {a.negative != b.negative, a.magnitude * b.magnitude, a.exponent + b.exponent};
}

// The leading bit at position 125: a carry fits, and the product of two doubles has 20 bits left.
Number normalized(Number a) {
  const int shift = 126 - static_cast<int>(widthOf(a.magnitude));
  return {a.negative, a.magnitude << shift, a.exponent - shift};
}

Number sum(const Number& x, const Number& y) {
  if (x.magnitude == 0) return y;
  if (y.magnitude == 0) return x;
  Number a = normalized(x), b = normalized(y);
  if (a.exponent < b.exponent || (a.exponent == b.exponent && a.magnitude < b.magnitude))
    std::swap(a, b);
  const Wide small = shiftRightSticky(b.magnitude, a.exponent - b.exponent);
  a.magnitude = a.negative == b.negative ? a.magnitude + small : a.magnitude - small;
  return a;
}

Number quotient(const Number& x, const Number& y) {
  if (x.magnitude == 0 || y.magnitude == 0) return {false, 0, 0};
  const Number a = normalized(x);
  const Wide rest = a.magnitude % y.magnitude;
  return {a.negative != y.negative, a.magnitude / y.magnitude | (rest != 0),
          a.exponent - y.exponent};
}

Number negatedIf(bool condition, Number a) {
  a.negative ^= condition;
  return a;
}

// How results are rounded.
struct Rounding {
  Format format;
  unsigned mode;  // MXCSR.RC
  uint32_t mxcsr;

  bool unmasked(uint32_t flag) const { return !(mxcsr & flag << mxcsr::kMaskShift); }
};

// Whether rounding to the format's precision gives the next power of two.
bool roundsToPowerOfTwo(const Number& exact, const Rounding& rounding) {
  enum { kNearest, kDown, kUp };
  const int dropped =
      static_cast<int>(widthOf(exact.magnitude)) - static_cast<int>(rounding.format.precision);
  if (dropped <= 0) return false;
  const Wide kept = exact.magnitude >> dropped, rest = lowBits(exact.magnitude, dropped);
  if (kept != (Wide{1} << rounding.format.precision) - 1) return false;
  if (rounding.mode == kNearest) return rest >= Wide{1} << (dropped - 1);  // a tie goes to even
  return rest != 0 && rounding.mode == (exact.negative ? kDown : kUp);
}

bool isInexact(const Number& exact, const Rounding& rounding) {
  if (exact.magnitude == 0) return false;
  const Format& format = rounding.format;
  const int width = static_cast<int>(widthOf(exact.magnitude));
  const auto precision = static_cast<int>(format.precision);
  const bool unbounded = lowBits(exact.magnitude, width - precision) != 0;
  const int exponent = exact.exponent + width - 1 + roundsToPowerOfTwo(exact, rounding);
  if (exponent > format.maximum) return !rounding.unmasked(mxcsr::kOverflow) || unbounded;
  if (exponent >= format.minimum() || rounding.unmasked(mxcsr::kUnderflow)) return unbounded;
  if (rounding.mxcsr & mxcsr::kFlushToZero && format.bytes != kHalf.bytes) return true;
  const int denormalUlp = format.minimum() - precision + 1;
  return lowBits(exact.magnitude, denormalUlp - exact.exponent) != 0;
}

// A mnemonic without V and element type, which is its last two letters.
struct Operation {
  std::string_view name;
  Format source, result;
  bool packed;
};
Operation describe(std::string_view mnemonic) {
  if (mnemonic.starts_with('v')) mnemonic.remove_prefix(1);
  const std::string_view type = mnemonic.substr(mnemonic.size() - 2);
  Operation operation{mnemonic.substr(0, mnemonic.size() - 2), kSingle, kSingle, type[0] == 'p'};
  if (type[1] == 'd') operation.source = operation.result = kDouble;
  if (type[1] == 'h') operation.result = kHalf;
  if (operation.name.starts_with("cvt") && type[1] == 's') operation.source = kDouble;
  return operation;
}

// SDM volume 2, VFMADD132PD and its like. `odd`: the lane's number is.
Number fused(std::string_view name, bool odd, const Number& destination, const Number& first,
             const Number& second) {
  const bool negated = name.starts_with("fn");
  const std::string_view action = name.substr(negated ? 3 : 2, name.size() - (negated ? 6 : 5));
  const std::string_view order = name.substr(name.size() - 3);
  const bool subtracts =
      action == "sub" || (action == "addsub" && !odd) || (action == "subadd" && odd);
  const auto result = [&](const Number& x, const Number& y, const Number& z) {
    return sum(negatedIf(negated, product(x, y)), negatedIf(subtracts, z));
  };
  if (order == "132") return result(destination, second, first);
  if (order == "213") return result(first, destination, second);
  return result(first, second, destination);
}

// SDM volume 2, VSCALEFPD: by 2 to the power of the other, rounded down.
Number scaled(const Number& a, const Number& power) {
  constexpr int kEnough = 1 << 13;  // beyond any exponent
  const int width = static_cast<int>(widthOf(power.magnitude));
  if (power.magnitude == 0) return a;
  int64_t floor = kEnough;
  if (width + power.exponent < 14) {
    const int shift = -power.exponent;
    floor = shift <= 0    ? static_cast<int64_t>(power.magnitude) << power.exponent
            : shift < 128 ? static_cast<int64_t>(power.magnitude >> shift)
                          : 0;
    if (power.negative && lowBits(power.magnitude, shift) != 0) ++floor;
  }
  return {a.negative, a.magnitude, a.exponent + static_cast<int>(power.negative ? -floor : floor)};
}

Number compute(std::string_view name, bool odd, const Number& destination, const Number& first,
               const Number& second) {
  if (name == "add") return sum(first, second);
  if (name == "sub") return sum(first, negatedIf(true, second));
  if (name == "addsub") return sum(first, negatedIf(!odd, second));
  if (name == "mul") return product(first, second);
  if (name == "div") return quotient(first, second);
  if (name == "scalef") return scaled(first, second);
  if (name.starts_with("cvt")) return second;
  return fused(name, odd, destination, first, second);
}

}  // namespace

bool isInexact(std::string_view mnemonic, const FloatSources& sources, uint32_t mxcsr) {
  const Operation operation = describe(mnemonic);
  constexpr uint32_t kRoundingShift = 13, kDenormalsAreZero = 1 << 6;
  unsigned mode = mxcsr >> kRoundingShift & 3;
  // SDM volume 2, VCVTPS2PH: imm8[2] is for MXCSR.RC.
  if (operation.result.bytes == kHalf.bytes && !(sources.immediate & 4))
    mode = sources.immediate & 3;
  const Rounding rounding{operation.result, mode, mxcsr};
  const auto isInexactLane = [&](std::string_view name, bool odd, const uint8_t* destination,
                                 const uint8_t* first, const uint8_t* second) {
    const auto number = [&](const uint8_t* from) {
      return read(from, operation.source, mxcsr & kDenormalsAreZero);
    };
    const auto a = number(destination), b = number(first), c = number(second);
    return a && b && c && isInexact(compute(name, odd, *a, *b, *c), rounding);
  };
  // Whatever is no source of the operation must not stand in for one.
  const uint8_t* first = operation.name.starts_with("cvt") ? sources.second : sources.first;
  const uint8_t* destination = operation.name.starts_with('f') ? sources.destination : first;
  const unsigned step = operation.source.bytes;
  if (operation.name.starts_with('h')) {  // HADDPS and its like: within each source
    for (const uint8_t* source : {sources.first, sources.second})
      for (const uint8_t* at = source; at != source + sources.bytes; at += 2 * step)
        if (isInexactLane(operation.name.substr(1), false, at, at, at + step)) return true;
    return false;
  }
  const unsigned end = operation.packed ? sources.bytes : step;
  for (unsigned n = 0; n < end; n += step)
    if (isInexactLane(operation.name, n & step, destination + n, first + n, sources.second + n))
      return true;
  return false;
}

}  // namespace nodevm

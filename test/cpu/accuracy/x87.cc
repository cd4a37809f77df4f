// How far this processor's transcendental x87 instructions are from the exact result, in units in
// the last place of the 64-bit significand. The reference is libquadmath (113 bits). The engine
// executes the same instructions, so that its errors are these.
//   g++ -std=gnu++20 -O2 -o x87 test/cpu/accuracy/x87.cc -lquadmath && ./x87 [SAMPLES]
// Prints a line for each instruction and range of operands: the greatest error, and where.

#include <quadmath.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace {

using Extended = long double;
using Quad = __float128;

std::mt19937_64 random_(1);

// A random significand, with an exponent in [low, high).
Extended magnitude(int low, int high) {
  const auto significand = static_cast<Extended>(random_() | uint64_t{1} << 63);
  const int exponent = low + static_cast<int>(random_() % static_cast<unsigned>(high - low));
  return __builtin_ldexpl(significand, exponent - 63);
}
Extended either(Extended value) { return random_() & 1 ? value : -value; }

Extended fsin(Extended x, Extended) {
  asm("fsin" : "+t"(x));
  return x;
}
Extended fcos(Extended x, Extended) {
  asm("fcos" : "+t"(x));
  return x;
}
Extended fptan(Extended x, Extended) {
  Extended one, tangent;
  asm("fptan" : "=t"(one), "=u"(tangent) : "0"(x));
  return tangent;
}
Extended f2xm1(Extended x, Extended) {
  asm("f2xm1" : "+t"(x));
  return x;
}
Extended fpatan(Extended x, Extended y) {
  asm("fpatan" : "+t"(x) : "u"(y) : "st(1)");
  return x;
}
Extended fyl2x(Extended x, Extended y) {
  asm("fyl2x" : "+t"(x) : "u"(y) : "st(1)");
  return x;
}
Extended fyl2xp1(Extended x, Extended y) {
  asm("fyl2xp1" : "+t"(x) : "u"(y) : "st(1)");
  return x;
}

struct Test {
  const char* name;
  const char* range;
  Extended (*instruction)(Extended, Extended);
  Quad (*exact)(Quad, Quad);
  Extended (*x)();
  Extended (*y)();
};

// SDM volume 1, "Approximation of Pi": arguments are reduced by a pi of 66 bits.
constexpr Quad kHalfPi = static_cast<Quad>(0xc90fdaa22168c234) / 0x1p63q + 0xc / 0x1p67q;

// Cosine of x, with that pi, of as many quarters of a turn less.
Quad reducedCosine(Quad x, int quarters) {
  int quotient;
  const Quad rest = remquoq(x, kHalfPi, &quotient);
  switch ((quotient - quarters) & 3) {
    case 0:
      return cosq(rest);
    case 1:
      return -sinq(rest);
    case 2:
      return -cosq(rest);
    default:
      return sinq(rest);
  }
}
constexpr auto kReducedSine = [](Quad x, Quad) { return reducedCosine(x, 1); };
constexpr auto kReducedCosine = [](Quad x, Quad) { return reducedCosine(x, 0); };
constexpr auto kReducedTangent = [](Quad x, Quad) {
  return reducedCosine(x, 1) / reducedCosine(x, 0);
};

constexpr auto kSine = [](Quad x, Quad) { return sinq(x); };
constexpr auto kCosine = [](Quad x, Quad) { return cosq(x); };
constexpr auto kTangent = [](Quad x, Quad) { return tanq(x); };
constexpr auto kOne = [] { return Extended{1}; };
constexpr auto kSmall = [] { return either(magnitude(-40, 0) * 0.785398L); };
constexpr auto kLarge = [] { return either(magnitude(0, 62)); };
constexpr auto kNearZero = [] {
  return either(static_cast<Extended>(M_PI_2q * static_cast<Quad>(1 + random_() % (1 << 20))));
};
constexpr auto kAny = [] { return either(magnitude(-60, 60)); };

const Test kTests[] = {
    {"FSIN", "|x| < pi/4", fsin, kSine, kSmall, kOne},
    {"FSIN", "66-bit pi, |x| < 2^62", fsin, kReducedSine, kLarge, kOne},
    {"FSIN", "66-bit pi, next to n*pi/2", fsin, kReducedSine, kNearZero, kOne},
    {"FCOS", "|x| < pi/4", fcos, kCosine, kSmall, kOne},
    {"FCOS", "66-bit pi, |x| < 2^62", fcos, kReducedCosine, kLarge, kOne},
    {"FCOS", "66-bit pi, next to n*pi/2", fcos, kReducedCosine, kNearZero, kOne},
    {"FPTAN", "|x| < pi/4", fptan, kTangent, kSmall, kOne},
    {"FPTAN", "66-bit pi, |x| < 2^62", fptan, kReducedTangent, kLarge, kOne},
    {"FPTAN", "66-bit pi, next to n*pi/2", fptan, kReducedTangent, kNearZero, kOne},
    {"FPATAN", "2^-60 <= |x|, |y| < 2^60", fpatan, [](Quad x, Quad y) { return atan2q(y, x); },
     kAny, kAny},
    {"F2XM1", "2^-40 <= |x| < 1", f2xm1, [](Quad x, Quad) { return expm1q(x * M_LN2q); },
     [] { return either(magnitude(-40, 0)); }, kOne},
    {"FYL2X", "2^-60 <= x < 2^60", fyl2x, [](Quad x, Quad y) { return y * log2q(x); },
     [] { return magnitude(-60, 60); }, kAny},
    {"FYL2X", "|x - 1| < 2^-4", fyl2x, [](Quad x, Quad y) { return y * (log1pq(x - 1) / M_LN2q); },
     [] { return 1 + either(magnitude(-40, -4)); }, kAny},
    {"FYL2XP1", "2^-40 <= |x| < 0.29", fyl2xp1,
     [](Quad x, Quad y) { return y * (log1pq(x) / M_LN2q); },
     [] { return either(magnitude(-40, 0) * 0.29L); }, kAny},
};

double errorInUlp(Extended computed, Quad exact) {
  int exponent;
  frexpq(exact, &exponent);
  return static_cast<double>(fabsq(ldexpq(static_cast<Quad>(computed) - exact, 64 - exponent)));
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned long samples = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
  for (const Test& test : kTests) {
    double worst = 0;
    Extended at = 0;
    for (unsigned long n = 0; n < samples; ++n) {
      const Extended x = test.x(), y = test.y();
      const double error = errorInUlp(test.instruction(x, y), test.exact(x, y));
      if (error <= worst) continue;
      worst = error;
      at = x;
    }
    std::printf("%-8s %-26s %lu samples, at most %.4g ulp, at %La\n", test.name, test.range,
                samples, worst, at);
  }
  return 0;
}

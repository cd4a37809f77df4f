/* Compiled with several options by both sides: integers, floats of all widths, vectors, long double, calls. */
#include <complex.h>
#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static double uniform(void) { return (double)(next() >> 11) * 0x1p-53; }

static uint64_t hash(uint64_t seed, const void* bytes, size_t length) {
  const unsigned char* p = bytes;
  for (size_t i = 0; i < length; i++) seed = (seed ^ p[i]) * 1099511628211u;
  return seed;
}

#define ARRAY 1003
static double xs[ARRAY], ys[ARRAY];
static float fs[ARRAY];
static int32_t is[ARRAY];
static uint8_t bs[ARRAY];
static int16_t ss[ARRAY];

static void loops(void) {
  for (int i = 0; i < ARRAY; i++) {
    xs[i] = uniform() * 20 - 10;
    ys[i] = uniform();
    fs[i] = (float)uniform() * 100;
    is[i] = (int32_t)next();
    bs[i] = (uint8_t)next();
    ss[i] = (int16_t)next();
  }
  double dot = 0, most = -1e9;
  float sum = 0;
  int64_t total = 0;
  uint32_t bits = 0, zeros = 0;
  for (int i = 0; i < ARRAY; i++) {
    dot += xs[i] * ys[i];
    sum += fs[i] * fs[i];
    most = fmax(most, xs[i]);
    total += (int64_t)is[i] * ss[i];
    bits += (uint32_t)__builtin_popcount((uint32_t)is[i]);
    zeros += (uint32_t)__builtin_clz((uint32_t)is[i] | 1) + (uint32_t)__builtin_ctz((uint32_t)is[i] | 0x80000000u);
  }
  printf("sums %.17g %.9g %.17g %" PRId64 " %u %u\n", dot, sum, most, total, bits, zeros);
  for (int i = 0; i < ARRAY; i++) {
    bs[i] = (uint8_t)((bs[i] * 3 + bs[ARRAY - 1 - i] + 1) >> 1);
    ss[i] = (int16_t)(ss[i] < 0 ? -ss[i] >> 2 : ss[i] * 3);
    is[i] = is[i] > ss[i] ? is[i] / (bs[i] + 1) : is[i] % (bs[i] + 7);
    fs[i] = sqrtf(fs[i]) + (float)is[i];
    ys[i] = (double)(int64_t)(xs[i] * 1e9) + (double)(uint64_t)(ys[i] * 1e19);
  }
  printf("maps %016" PRIx64 "\n", hash(hash(hash(hash(1, bs, sizeof bs), ss, sizeof ss), is, sizeof is), ys, sizeof ys));
  printf("floats %016" PRIx64 "\n", hash(2, fs, sizeof fs));
}

static void functions(void) {
  static double (*const one[])(double) = {sin, cos, tan, exp, log, sqrt, cbrt, atan, sinh, tgamma, erf, log1p, expm1, rint, floor};
  static float (*const onef[])(float) = {sinf, cosf, tanf, expf, logf, sqrtf, cbrtf, atanf, sinhf, tgammaf, erff};
  static long double (*const onel[])(long double) = {sinl, cosl, tanl, expl, logl, sqrtl, cbrtl, atanl, tgammal, erfl, floorl};
  for (size_t f = 0; f < sizeof one / sizeof *one; f++) {
    uint64_t seen = f;
    for (int i = 0; i < 500; i++) {
      double y = one[f](uniform() * 30);
      seen = hash(seen, &y, sizeof y);
    }
    printf("double %zu %016" PRIx64 "\n", f, seen);
  }
  for (size_t f = 0; f < sizeof onef / sizeof *onef; f++) {
    uint64_t seen = f;
    for (int i = 0; i < 500; i++) {
      float y = onef[f]((float)uniform() * 30);
      seen = hash(seen, &y, sizeof y);
    }
    printf("float %zu %016" PRIx64 "\n", f, seen);
  }
  for (size_t f = 0; f < sizeof onel / sizeof *onel; f++) {
    uint64_t seen = f;
    for (int i = 0; i < 500; i++) {
      long double y = onel[f](uniform() * 30);
      seen = hash(seen, &y, 10);
    }
    printf("long double %zu %016" PRIx64 "\n", f, seen);
  }
}

static void wide(void) {
#ifndef __i386__
  unsigned __int128 product = (unsigned __int128)next() * next(), quotient = product / (next() >> 20);
  __int128 remainder = -(__int128)product % (__int128)(next() >> 3);
  printf("wide %016" PRIx64 "%016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n", (uint64_t)(product >> 64), (uint64_t)product,
         (uint64_t)quotient, (uint64_t)remainder);
#endif
  long double l = 1;
  for (int i = 1; i < 60; i++) l = l * i / (i + 1.5L) + 1 / (long double)i;
  __float128 q = 1;
  for (int i = 1; i < 40; i++) q = q / i + 1;
  double complex z = 1;
  for (int i = 0; i < 20; i++) z = csqrt(z * (uniform() + uniform() * I)) + cexp(z / 9);
  printf("long double %.21Lg %La, quad %.17g, complex %.15g %.15g\n", l, l, (double)q, creal(z), cimag(z));
}

static void rounding(void) {
  static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
  for (int m = 0; m < 4; m++) {
    fesetround(modes[m]);
    feclearexcept(FE_ALL_EXCEPT);
    volatile double a = 1, b = 3;
    volatile float c = 16777217;
    volatile long double d = 1;
    printf("rounding %d %a %a %La %ld %lld %.20f", m, a / b, c, d / 3, lrint(a / b * 10), llrintl(d * 7 / 2), a / b);
    printf(" raised %x\n", (unsigned)fetestexcept(FE_ALL_EXCEPT) & ~FE_INEXACT);
  }
  fesetround(FE_TONEAREST);
  volatile double zero = 0, huge = 1e308;
  volatile double results[] = {1 / zero, huge * huge, sqrt(-1), huge * 1e-320};
  printf("exceptions %x %g %g %g\n", (unsigned)fetestexcept(FE_ALL_EXCEPT), results[0], results[1], results[3]);
}

static int compare(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static long add_all(int count, ...) {
  va_list list;
  va_start(list, count);
  double sum = 0;
  for (int i = 0; i < count; i++) sum += i % 2 ? va_arg(list, double) : va_arg(list, int);
  va_end(list);
  return lround(sum * 100);
}

static int ackermann(int m, int n) { return m == 0 ? n + 1 : ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1)); }

static void control(void) {
  qsort(xs, ARRAY, sizeof *xs, compare);
  jmp_buf back;
  volatile int jumps = 0;
  if (setjmp(back) < 5) longjmp(back, ++jumps);
  _Atomic uint64_t counter = 5;
  atomic_fetch_add(&counter, 7);
  uint64_t expected = 12;
  int exchanged = atomic_compare_exchange_strong(&counter, &expected, 99);
  char text[200];
  int length = snprintf(text, sizeof text, "%s|%-10d|%+.3e|%a|%c", "text", -42, 12345.678, 0.1, 'x');
  printf("control %016" PRIx64 " %d %ld %d %d %d %" PRIu64 " %d %s\n", hash(3, xs, sizeof xs), jumps,
         add_all(6, 1, 2.5, 3, 4.25, 5, 6.125), ackermann(2, 300), exchanged, length, (uint64_t)counter,
         strcmp(text, "text"), text);
  printf("parse %.17g %.17g %Lg %ld\n", strtod("0.1e-5", 0), strtod("4.9e-324", 0), strtold("1e4000", 0), strtol("-7fff", 0, 16));
}

int main(void) {
  for (int round = 0; round < 5; round++) loops();
  functions();
  wide();
  rounding();
  control();
}

/* SHA-256 (FIPS 180-4) of a buffer, in plain C: rotations, additions, many live values. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t state[8], constants[64];

/* The first 32 bits of the fractional part. */
static uint32_t fraction(double value) { return (uint32_t)((value - floor(value)) * 4294967296.0); }

static void prepare(void) {
  for (int n = 0, candidate = 2; n < 64; candidate++) {
    int prime = 1;
    for (int d = 2; d * d <= candidate; d++) prime &= candidate % d != 0;
    if (!prime) continue;
    if (n < 8) state[n] = fraction(sqrt(candidate));
    constants[n++] = fraction(cbrt(candidate));
  }
}

static uint32_t rotate(uint32_t value, int count) { return value >> count | value << (32 - count); }

static void compress(const uint32_t block[16]) {
  uint32_t w[64], v[8];
  for (int t = 0; t < 16; t++) w[t] = block[t];
  for (int t = 16; t < 64; t++) {
    const uint32_t a = w[t - 15], b = w[t - 2];
    w[t] = w[t - 16] + w[t - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
           (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
  }
  for (int n = 0; n < 8; n++) v[n] = state[n];
  for (int t = 0; t < 64; t++) {
    const uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
    const uint32_t first = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[t] + w[t];
    const uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
    const uint32_t second = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
    for (int n = 7; n > 0; n--) v[n] = v[n - 1];
    v[4] += first;
    v[0] = first + second;
  }
  for (int n = 0; n < 8; n++) state[n] += v[n];
}

int main(int argc, char** argv) {
  const long blocks = argc > 1 ? atol(argv[1]) : 1;
  uint32_t block[16];
  prepare();
  for (long n = 0; n < blocks; n++) {
    for (int t = 0; t < 16; t++) block[t] = (uint32_t)n * 2654435761u + (uint32_t)t;
    compress(block);
  }
  for (int n = 0; n < 8; n++) printf("%08x", state[n]);
  putchar('\n');
  return 0;
}

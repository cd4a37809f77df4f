/* A random cycle through 8 MiB: each load depends on the one before, caches and TLBs miss. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  enum { COUNT = 1 << 20 };
  const long steps = argc > 1 ? atol(argv[1]) : 1;
  void** cell = malloc(COUNT * sizeof *cell);
  unsigned* order = malloc(COUNT * sizeof *order);
  unsigned random = 1;
  for (unsigned n = 0; n < COUNT; n++) order[n] = n;
  for (unsigned n = COUNT - 1; n > 0; n--) {
    random = random * 1664525 + 1013904223;
    const unsigned other = (unsigned)((unsigned long)random * (n + 1) >> 32), kept = order[n];
    order[n] = order[other];
    order[other] = kept;
  }
  for (unsigned n = 0; n < COUNT; n++) cell[order[n]] = &cell[order[(n + 1) % COUNT]];
  void** at = cell;
  for (long n = 0; n < steps; n++) at = *at;
  printf("%ld\n", (long)(at - cell));
  return 0;
}

/* The C library's qsort: indirect calls, moves, unpredictable branches. */
#include <stdio.h>
#include <stdlib.h>

static int compare(const void* a, const void* b) {
  const unsigned x = *(const unsigned*)a, y = *(const unsigned*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  const size_t count = argc > 1 ? (size_t)atol(argv[1]) : 1;
  unsigned* values = malloc(count * sizeof *values);
  unsigned random = 1, digest = 0;
  for (size_t n = 0; n < count; n++) values[n] = random = random * 1664525 + 1013904223;
  qsort(values, count, sizeof *values, compare);
  for (size_t n = 0; n < count; n++) digest = digest * 31 + values[n];
  printf("%u\n", digest);
  return 0;
}

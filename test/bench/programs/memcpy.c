/* The C library's memcpy and memset, blocks of 16 bytes to 1 MiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  enum { SIZE = 1 << 20 };
  const int rounds = argc > 1 ? atoi(argv[1]) : 1;
  unsigned char *from = malloc(SIZE), *to = malloc(SIZE);
  unsigned digest = 0;
  for (int n = 0; n < SIZE; n++) from[n] = (unsigned char)(n * 7);
  for (int round = 0; round < rounds; round++) {
    for (size_t size = 16; size <= SIZE; size *= 4) {
      for (size_t at = 0; at + size <= SIZE; at += size) memcpy(to + at, from + at, size);
      digest = digest * 31 + to[size - 1];
      memset(from, round, size);
    }
  }
  printf("%u\n", digest);
  return 0;
}

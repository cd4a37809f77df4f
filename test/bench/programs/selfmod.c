/* Code that changes all the time, in the ways of programs that do that: a constant patched in front
 * of each call
 * (`patch ROUNDS LOOPS`), functions made one after the other and called a few times (`generate
 * ROUNDS LOOPS`), and a function that counts on its own page (`count ROUNDS LOOPS`). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SIZE = 1 << 16, MOST_BYTES = 256, STEPS = 8 };

typedef unsigned Function(unsigned);

static unsigned char* put(unsigned char* to, const char* bytes, int count) {
  memcpy(to, bytes, count);
  return to + count;
}

static unsigned char* put32(unsigned char* to, unsigned value) {
  memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

/* A loop of `loops` passes over its argument; returns the place of a constant in it. */
static unsigned char* make(unsigned char* to, unsigned loops, unsigned constant) {
  unsigned char* place = 0;
  to = put(to, "\x89\xf8", 2);           /* mov eax, edi */
  to = put32(put(to, "\xb9", 1), loops); /* mov ecx, loops */
  unsigned char* start = to;
  for (int step = 0; step < STEPS; step++) {
    to = put(to, "\x69\xc0", 2); /* imul eax, eax, constant */
    place = to;
    to = put32(to, constant);
    to = put32(put(to, "\x05", 1), step);    /* add eax, step */
    to = put(to, "\x89\xc2\xc1\xea\x07", 5); /* mov edx, eax; shr edx, 7 */
    to = put(to, "\x31\xd0", 2);             /* xor eax, edx */
  }
  to = put(to, "\xff\xc9\x0f\x85", 4); /* dec ecx; jnz start */
  to = put32(to, (unsigned)(start - (to + 4)));
  put(to, "\xc3", 1); /* ret */
  return place;
}

/* Counts its calls 64 bytes behind its beginning. */
static void makeCounter(unsigned char* to) {
  to = put(to, "\x83\x05\x39\x00\x00\x00\x01", 7); /* add dword ptr [rip + 0x39], 1 */
  to = put(to, "\x8d\x47\x01", 3);                 /* lea eax, [rdi + 1] */
  put(to, "\xc3", 1);
}

int main(int argc, char** argv) {
  const char* pattern = argc > 3 ? argv[1] : "patch";
  const unsigned rounds = argc > 3 ? atoi(argv[2]) : 1, loops = argc > 3 ? atoi(argv[3]) : 1;
  unsigned char* code =
      mmap(0, SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code == MAP_FAILED) return 1;
  unsigned sum = 1;
  if (strcmp(pattern, "patch") == 0) {
    unsigned char* place = make(code, loops, 3);
    for (unsigned n = 0; n < rounds; n++) {
      put32(place, n);
      sum = ((Function*)code)(sum);
    }
  } else if (strcmp(pattern, "generate") == 0) {
    for (unsigned n = 0; n < rounds; n++) {
      unsigned char* to = code + n * MOST_BYTES % SIZE;
      make(to, loops, n | 1);
      sum = ((Function*)to)(sum);
    }
  } else {
    makeCounter(code);
    for (unsigned n = 0; n < rounds; n++)
      for (unsigned m = 0; m < loops; m++) sum = ((Function*)code)(sum);
    sum += code[64];
  }
  printf("%u\n", sum);
  return 0;
}

#pragma once
// AES, carry-less multiplication, SHA and GF(2^8) arithmetic on the host's own units, which a host
// need not have: the rows are only reached where CPUID offers the feature, and that takes the
// host's (cpu/features.h). Assembly, since the compiler's intrinsics are for functions built for
// such hosts. What an immediate adds is done here, so that each instruction needs one form only.

#include "interpreter/sse_host.h"

namespace nodevm::simd {

// --- AES. SDM volume 1, "Intel Advanced Encryption Standard Instructions".

inline Xmm aesenc(Xmm a, Xmm b) {
  asm("aesenc %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm aesenclast(Xmm a, Xmm b) {
  asm("aesenclast %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm aesdec(Xmm a, Xmm b) {
  asm("aesdec %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm aesdeclast(Xmm a, Xmm b) {
  asm("aesdeclast %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm aesimc(Xmm b) {
  asm("aesimc %0, %0" : "+x"(b));
  return b;
}
// The round constant goes into doublewords 1 and 3.
inline Xmm aeskeygenassist(Xmm, Xmm b, uint8_t imm) {
  asm("aeskeygenassist $0, %0, %0" : "+x"(b));
  const int constant = imm;
  return _mm_xor_si128(b, _mm_setr_epi32(0, constant, 0, constant));
}

// --- PCLMULQDQ: bit 0 of the immediate chooses the quadword of a, bit 4 that of b.

inline Xmm pclmulqdq(Xmm a, Xmm b, uint8_t imm) {
  if (imm & 1) a = _mm_srli_si128(a, 8);
  if (imm & 16) b = _mm_srli_si128(b, 8);
  asm("pclmulqdq $0, %1, %0" : "+x"(a) : "x"(b));
  return a;
}

// --- SHA. SDM volume 1, "Intel SHA Extensions".

inline Xmm sha1nexte(Xmm a, Xmm b) {
  asm("sha1nexte %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm sha1msg1(Xmm a, Xmm b) {
  asm("sha1msg1 %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm sha1msg2(Xmm a, Xmm b) {
  asm("sha1msg2 %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm sha1rnds4(Xmm a, Xmm b, uint8_t imm) {
  switch (imm & 3) {
    case 0:
      asm("sha1rnds4 $0, %1, %0" : "+x"(a) : "x"(b));
      break;
    case 1:
      asm("sha1rnds4 $1, %1, %0" : "+x"(a) : "x"(b));
      break;
    case 2:
      asm("sha1rnds4 $2, %1, %0" : "+x"(a) : "x"(b));
      break;
    default:
      asm("sha1rnds4 $3, %1, %0" : "+x"(a) : "x"(b));
      break;
  }
  return a;
}
// The third operand is XMM0.
inline Xmm sha256rnds2(Xmm a, Xmm b, Xmm words) {
  register Xmm xmm0 asm("xmm0") = words;
  asm("sha256rnds2 %%xmm0, %1, %0" : "+x"(a) : "x"(b), "x"(xmm0));
  return a;
}
inline Xmm sha256msg1(Xmm a, Xmm b) {
  asm("sha256msg1 %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm sha256msg2(Xmm a, Xmm b) {
  asm("sha256msg2 %1, %0" : "+x"(a) : "x"(b));
  return a;
}

// --- GF(2^8): the immediate is added (xor) to every byte of an affine result.

inline Xmm gf2p8mulb(Xmm a, Xmm b) {
  asm("gf2p8mulb %1, %0" : "+x"(a) : "x"(b));
  return a;
}
inline Xmm gf2p8affineqb(Xmm a, Xmm b, uint8_t imm) {
  asm("gf2p8affineqb $0, %1, %0" : "+x"(a) : "x"(b));
  return _mm_xor_si128(a, _mm_set1_epi8(static_cast<char>(imm)));
}
inline Xmm gf2p8affineinvqb(Xmm a, Xmm b, uint8_t imm) {
  asm("gf2p8affineinvqb $0, %1, %0" : "+x"(a) : "x"(b));
  return _mm_xor_si128(a, _mm_set1_epi8(static_cast<char>(imm)));
}

}  // namespace nodevm::simd

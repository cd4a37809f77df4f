#pragma once
// What the oracle compares: the user-visible state before and after a few instructions.

#include <cstdint>
#include <cstring>

namespace nodevm::oracle {

// Linear addresses, the same on the host and in the guest.
inline constexpr uint64_t kCodePage = 0x10000000, kDataPages = 0x20000000;
inline constexpr unsigned kDataSize = 2 * 4096;  // the page after it is not mapped
inline constexpr unsigned kCodeOffset = 0x800;
inline constexpr uint8_t kNoVector = 0xff;

struct alignas(64) State {
  uint64_t gpr[16] = {};
  uint64_t rip = kCodePage + kCodeOffset;
  uint64_t rflags = 0x202;
  alignas(16) uint8_t fx[512] = {};        // FXSAVE image
  alignas(16) uint8_t upper[16][16] = {};  // upper halves of YMM0..YMM15, where the host has them
  // Of AVX-512: upper halves of ZMM0..ZMM15, ZMM16..ZMM31, k0..k7.
  alignas(64) uint8_t zmmUpper[16][32] = {};
  alignas(64) uint8_t zmmHigh[16][64] = {};
  uint64_t mask[8] = {};
  uint8_t data[kDataSize] = {};
  // Of the exception that ended the run, kNoVector when none did.
  uint8_t vector = kNoVector;
  uint64_t errorCode = 0, cr2 = 0;
};

struct Code {
  uint8_t bytes[64] = {};
  unsigned length = 0;
  unsigned instructions = 1;
  bool code32 = false;  // a 32-bit code segment
};

}  // namespace nodevm::oracle

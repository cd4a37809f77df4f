#pragma once
// MXCSR.PE with an unmasked overflow or underflow. The result is then rounded to an exponent
// without bounds (SDM volume 1, "Numeric Overflow Exception" and "Numeric Underflow Exception"), so
// that PE may be clear where the masked result, which the host computes, is inexact. This is all in
// integers: it runs while MXCSR is the guest's.

#include <cstdint>
#include <string_view>

namespace nodevm {

// The vectors that an instruction computes with, by its VEX form. SSE's destination is its first
// source.
struct FloatSources {
  const uint8_t* destination;
  const uint8_t* first;
  const uint8_t* second;
  unsigned bytes;
  uint8_t immediate;
};

// Whether some lane of the result is inexact, rounded as the guest's MXCSR has it: an overflow or
// underflow to an exponent without bounds where unmasked, to the format's otherwise.
bool isInexact(std::string_view mnemonic, const FloatSources& sources, uint32_t mxcsr);

}  // namespace nodevm

#pragma once
// Which encodings exist: every opcode of the legacy and VEX maps with prefixes, ModRM bytes and VEX
// fields, in 64-bit and 32-bit code. Compared is whether the processor this runs on raises #UD.

#include <cstdint>

namespace nodevm::oracle {

struct EncodingOptions {
  uint64_t count = 0;  // that many at random; 0: all of them
  uint64_t seed = 1;
  bool jit = false;
};

// Prints a line for each opcode that differs; status 1 where one does.
int compareEncodings(const EncodingOptions& options);

}  // namespace nodevm::oracle

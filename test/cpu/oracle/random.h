#pragma once
// Random bytes as code, in every mode and at both privilege levels: nothing that a guest executes
// may crash the host, trip an assertion or hang.

#include <cstdint>

namespace nodevm::oracle {

struct RandomOptions {
  uint64_t streams = 100'000, seed = 1;  // streams in each mode
  bool jit = false;
};

// Prints a line a mode; 0, or 1 where a stream did not end. A crash names its stream on stderr.
int runRandom(const RandomOptions& options);

}  // namespace nodevm::oracle

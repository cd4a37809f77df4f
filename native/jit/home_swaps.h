#pragma once
// Which guest registers change places in a loop: of those that stay in memory elsewhere (kHostOf),
// the ones that it uses get the host registers of others that it uses less.

#include <array>
#include <cstdint>
#include <vector>

#include "jit/access_groups.h"
#include "jit/thunks.h"

namespace nodevm {

struct HomeSwap {
  uint8_t in,
      out;  // GPR byte offsets: the one that gets a host register, and the one that gives it
};

class HomeSwaps {
 public:
  HomeSwaps() = default;
  // Of a loop's instructions.
  explicit HomeSwaps(const std::vector<PlannedInstruction>& instructions);

  const HomeSwap* begin() const { return swaps_.data(); }
  const HomeSwap* end() const { return swaps_.data() + count_; }
  bool empty() const { return count_ == 0; }
  // Where registers are in the loop.
  const HomeRegisters& homes() const { return homes_; }

 private:
  std::array<HomeSwap, 5> swaps_{};
  unsigned count_ = 0;
  HomeRegisters homes_ = kHostOf;
};

}  // namespace nodevm

#pragma once
// The oracle itself: the processor this program runs on.

#include "state.h"

namespace nodevm::oracle {

class Host {
 public:
  Host();  // maps the pages and installs signal handlers; ends the process where that fails
  // Runs `code` from `before` until the INT3 behind it or an exception.
  void run(const Code& code, const State& before, State& after);
};

}  // namespace nodevm::oracle

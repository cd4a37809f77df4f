#pragma once
// The engine under test, as a processor in user mode with the oracle's pages mapped.

#include <memory>

#include "cpu/cpu.h"
#include "state.h"

namespace nodevm::oracle {

class Engine {
 public:
  // jit: every block is translated before it runs.
  explicit Engine(bool jit);
  void run(const Code& code, const State& before, State& after);

 private:
  void buildTables();
  void enterUserMode(const State& before, bool code32);
  void collect(State& after);

  std::unique_ptr<GuestRam> ram_;
  ExitBlock exitBlock_;
  std::unique_ptr<Cpu> cpu_;
};

}  // namespace nodevm::oracle

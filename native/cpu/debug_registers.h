#pragma once
// Debug registers. SDM volume 3, "Debug Registers". Breakpoints themselves are matched by the
// dispatcher.

#include "cpu/cpu.h"

namespace nodevm {

// MOV to and from DR0..DR7 with all checks: #UD, #GP(0), and #DB while DR7.GD is set.
[[nodiscard]] bool readDebugRegister(Cpu& cpu, unsigned number, uint64_t& value);
[[nodiscard]] bool writeDebugRegister(Cpu& cpu, unsigned number, uint64_t value);

}  // namespace nodevm

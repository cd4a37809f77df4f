#pragma once
// Registers by the names of src/native.ts, for the loader and debuggers.

#include <string_view>

#include "cpu/cpu.h"

namespace nodevm {

// 0 for a name that does not exist.
uint64_t readRegister(const Cpu& cpu, std::string_view name);
// Sets without the checks of the guest's own instructions and re-derives the mode.
void writeRegister(Cpu& cpu, std::string_view name, uint64_t value);
// nullptr for a name that does not exist.
SegmentRegister* segmentByName(Cpu& cpu, std::string_view name);

}  // namespace nodevm

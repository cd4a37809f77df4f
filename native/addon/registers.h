#pragma once
// Registers by the names of src/native.ts, for the loader and debuggers.

#include <string_view>

#include "cpu/cpu.h"

namespace nodevm {

// 0 for a name that does not exist.
uint64_t readRegister(const Cpu& cpu, std::string_view name);
// Sets without the checks of the guest's own instructions and re-derives the mode.
void writeRegister(Cpu& cpu, std::string_view name, uint64_t value);
// x87, SSE and AVX state between two run()s: an FXSAVE64 image, then the upper halves of
// YMM0..YMM15.
inline constexpr unsigned kFxsaveBytes = 512, kFpuImageBytes = kFxsaveBytes + 16 * 16;
void readFpuImage(const Cpu& cpu, uint8_t* image);
void writeFpuImage(Cpu& cpu, const uint8_t* image);
// nullptr for a name that does not exist.
SegmentRegister* segmentByName(Cpu& cpu, std::string_view name);

}  // namespace nodevm

#pragma once
// The registers of AVX-512 as instructions see them. Instructions with VEX prefixes clear bits
// 511:256 of their destination; as nearly always nobody uses these, one word says which are not
// zero, and while there are any, JitState::simd keeps translated code away from VEX instructions.

#include "cpu/cpu.h"

namespace nodevm {

// ZMM0..ZMM31.
inline ZmmRegister readZmm(const Cpu& cpu, unsigned number) {
  if (number >= 16) return cpu.avx512.high[number - 16];
  ZmmRegister value;
  std::memcpy(value.bytes, cpu.vector[number].bytes, sizeof cpu.vector[number]);
  std::memcpy(value.bytes + 32, cpu.avx512.upper[number].bytes, sizeof cpu.avx512.upper[number]);
  return value;
}

// The upper half of ZMM0..ZMM15.
void writeZmmUpper(Cpu& cpu, unsigned number, const uint8_t* bytes);

inline void writeZmm(Cpu& cpu, unsigned number, const ZmmRegister& value) {
  if (number >= 16) {
    cpu.avx512.high[number - 16] = value;
    return;
  }
  std::memcpy(cpu.vector[number].bytes, value.bytes, sizeof cpu.vector[number]);
  writeZmmUpper(cpu, number, value.bytes + 32);
}

inline void clearZmmUpper(Cpu& cpu, unsigned number) {
  if (cpu.avx512.upperInUse) [[unlikely]]
    writeZmmUpper(cpu, number, VectorRegister{}.bytes);
}
// What an instruction with a VEX prefix leaves of its destination.
inline void writeYmm(Cpu& cpu, unsigned number, const VectorRegister& value) {
  cpu.vector[number] = value;
  clearZmmUpper(cpu, number);
}

// The mask that an instruction names: k0 stands for all ones.
inline uint64_t opmaskOf(const Cpu& cpu, unsigned number) {
  return number ? cpu.avx512.mask[number] : ~uint64_t{0};
}

}  // namespace nodevm

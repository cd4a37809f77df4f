#include "cpu/avx512.h"

#include <algorithm>
#include <iterator>

namespace nodevm {

void writeZmmUpper(Cpu& cpu, unsigned number, const uint8_t* bytes) {
  VectorRegister& upper = cpu.avx512.upper[number];
  std::memcpy(upper.bytes, bytes, sizeof upper.bytes);
  const bool zero =
      std::all_of(std::begin(upper.bytes), std::end(upper.bytes), [](uint8_t b) { return b == 0; });
  const auto bit = static_cast<uint16_t>(1u << number);
  cpu.avx512.upperInUse =
      static_cast<uint16_t>(zero ? cpu.avx512.upperInUse & ~bit : cpu.avx512.upperInUse | bit);
  cpu.updateSimdState();
}

}  // namespace nodevm

#pragma once
// What the engines agree on about string instructions with REP.

#include <cstdint>

namespace nodevm {

// MOVS and STOS pause behind so many, for interrupts and the end of the slice.
inline constexpr uint64_t kBulkBytes = 32 << 10;

}  // namespace nodevm

#pragma once
// What the flight recorder and the trace channels consist of: records of one size, in memory that
// TypeScript sees as well. Offsets are exported, never written twice.

#include <cstdint>

namespace nodevm {

// The values of RecordKind in src/native.ts, which says what the fields mean for each.
enum class RecordKind : uint8_t {
  kReset,
  kException,
  kInterrupt,
  kNestedFault,
  kShutdown,
  kSoftwareInterrupt,
  kInterruptReturn,
  kFarJump,
  kFarCall,
  kFarReturn,
  kControlRegister,
  kMsrWrite,
  kMsrRefused,
  // Traces only: too frequent to be kept always.
  kMsrRead,
  kBlock,
  kDecode,
  kLoad,
  kStore,
  kTlbFill,
  kTlbFlush,
};

// Record::flags: CPL in bits 0..1, then how code is decoded, then whether `info` is an error code.
enum class RecordMode : uint8_t { kReal, kVirtual8086, k16, k32, k64 };
inline constexpr uint8_t kRecordErrorCode = 0x80;
constexpr uint8_t recordFlags(uint8_t cpl, RecordMode mode) {
  return static_cast<uint8_t>(cpl | static_cast<unsigned>(mode) << 2);
}

// Record::detail of kInterrupt.
enum class InterruptSource : uint8_t { kApic, kPic, kNmi };

struct Record {
  uint64_t instructions = 0;  // retired by then
  uint64_t linear = 0;        // CS base + RIP, or the address of the access
  uint64_t value = 0;
  uint32_t info = 0;
  RecordKind kind = RecordKind::kReset;
  uint8_t vector = 0;
  uint8_t flags = 0;
  uint8_t detail = 0;
};
static_assert(sizeof(Record) == 32);

}  // namespace nodevm

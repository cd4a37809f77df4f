#pragma once
// What run() tells TypeScript, in memory both sides see. Offsets are exported, never written twice.

#include <cstdint>

#include "cpu/posted_ports.h"

namespace nodevm {

// The values of ExitReason in src/native.ts.
enum class ExitReason : uint8_t {
  kBudget = 0,
  kHalt = 1,
  kPortRead = 2,
  kPortWrite = 3,
  kMmioRead = 4,
  kMmioWrite = 5,
  kShutdown = 6,
  kStopped = 7,
  kInterruptAcknowledge = 8,
  kEndOfInterrupt = 9,
  kDebug = 10,
  kTrace = 11,
  kNumericError = 12,
};

struct ExitBlock {
  uint32_t port = 0;
  uint32_t size = 0;
  uint32_t data = 0;
  uint32_t dataHigh = 0;
  uint32_t debugCause = 0;
  uint32_t reserved = 0;
  double gpa = 0;
  double instructions = 0;
  double now = 0;
  double apicDeadline = 0;
  PostedPorts posted;
};

}  // namespace nodevm

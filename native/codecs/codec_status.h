#pragma once
// What the decoders of this room have in common. They know compressed data and nothing of its
// containers: spans in, spans out, no allocation, and no byte beyond either for whatever the data
// says.

#include <cstddef>
#include <cstdint>

namespace nodevm {

// The numbers of src/native.ts: CodecStatus.
enum class CodecStatus : uint8_t {
  kDone,
  kTruncated,
  kNoRoom,
  kBadDistance,
  kEndMarker,
  kBadLiteral
};

// How far a decoder came; where it failed, behind what it read last.
struct CodecProgress {
  CodecStatus status;
  size_t consumed, produced;
};

}  // namespace nodevm

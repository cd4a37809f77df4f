#pragma once
// Bytes to Instruction, by the rows of the opcode table. SDM volume 2, "Instruction Format".

#include <cstddef>
#include <cstdint>

#include "decoder/instruction.h"
#include "decoder/row.h"

namespace nodevm {

inline constexpr unsigned kMaxInstructionLength = 15;

enum class CodeMode : uint8_t { k16, k32, k64 };

enum class DecodeStatus : uint8_t {
  kOk,
  kUndefined,  // #UD
  kTooLong,    // more than 15 bytes: #GP(0)
  kTruncated,  // more bytes are needed than were given
};

struct Decoded {
  Instruction instruction{};  // without handler and ordinal
  uint16_t row = 0;
  // The memory operand's address has to be computed by a pseudo-instruction first (address size
  // that is not the mode's own, or a displacement beyond 32 bits); `wideDisplacement` is its
  // displacement.
  bool needsAddress = false;
  int64_t wideDisplacement = 0;
};

// Decodes one instruction of `available` bytes at most. `offset`: its distance from the start of
// the block, which RIP-relative operands are rebased by. Rows of a feature that `features` lacks do
// not exist.
[[nodiscard]] DecodeStatus decode(const uint8_t* bytes, size_t available, CodeMode mode,
                                  FeatureSet features, uint8_t offset, Decoded& out);

}  // namespace nodevm

#pragma once
// The bytes in front of an opcode: legacy prefixes, REX, VEX and EVEX. SDM volume 2, "Instruction
// Format".

#include <cstddef>
#include <cstdint>

#include "decoder/decoder.h"
#include "decoder/row.h"

namespace nodevm {

enum class Encoding : uint8_t { kLegacy, kVex, kEvex };

struct Prefixes {
  bool operandSize = false, addressSize = false, lock = false;
  uint8_t rep = 0;  // 0xf2, 0xf3 or 0: the last one wins
  uint8_t rex = 0;  // of a VEX or EVEX prefix: its W, R, X and B
  int8_t segment = -1;
  Encoding encoding = Encoding::kLegacy;
  uint8_t length = 0;  // VEX.L, EVEX.L'L
  uint8_t vvvv = 0;    // four bits
  // EVEX: R', V', b, z and aaa.
  bool regHigh = false, vvvvHigh = false, b = false, zeroing = false;
  uint8_t opmask = 0;

  bool rexW() const { return rex & 8; }
  unsigned rexR() const { return (rex & 4) << 1; }
  unsigned rexX() const { return (rex & 2) << 2; }
  unsigned rexB() const { return (rex & 1) << 3; }
  bool evex() const { return encoding == Encoding::kEvex; }
};

class Reader {
 public:
  Reader(const uint8_t* bytes, size_t available)
      : bytes_(bytes),
        limit_(available < kMaxInstructionLength ? available : kMaxInstructionLength),
        truncated_(available < kMaxInstructionLength) {}

  size_t position() const { return position_; }
  bool ok() const { return ok_; }
  DecodeStatus failure() const {
    return truncated_ ? DecodeStatus::kTruncated : DecodeStatus::kTooLong;
  }
  uint8_t peek() {
    if (position_ >= limit_) {
      ok_ = false;
      return 0;
    }
    return bytes_[position_];
  }
  // The byte after that; 0 where it is out of reach.
  uint8_t peekSecond() const { return position_ + 1 < limit_ ? bytes_[position_ + 1] : 0; }
  void skip() { ++position_; }
  uint64_t take(unsigned size) {
    if (position_ + size > limit_) {
      ok_ = false;
      return 0;
    }
    uint64_t value = 0;
    for (unsigned n = 0; n < size; ++n) value |= uint64_t{bytes_[position_ + n]} << (8 * n);
    position_ += size;
    return value;
  }
  int64_t takeSigned(unsigned size) {
    const unsigned shift = 64 - 8 * size;
    return static_cast<int64_t>(take(size) << shift) >> shift;
  }

 private:
  const uint8_t* bytes_;
  size_t limit_;
  size_t position_ = 0;
  bool truncated_;
  bool ok_ = true;
};

// Legacy prefixes and REX.
Prefixes readPrefixes(Reader& reader, CodeMode mode);
// Whether a prefix of that kind follows, or an older instruction with the same first byte.
bool startsVex(Reader& reader, CodeMode mode);
bool startsEvex(Reader& reader, CodeMode mode, FeatureSet features);
// The prefix; false: #UD.
bool readVex(Reader& reader, CodeMode mode, Prefixes& prefixes, OpcodeMap& map);
bool readEvex(Reader& reader, CodeMode mode, Prefixes& prefixes, OpcodeMap& map);

}  // namespace nodevm

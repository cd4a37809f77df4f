#include "codecs/lz4_block.h"

#include <cstring>

#include "codecs/copy_match.h"

namespace nodevm {

namespace {

constexpr size_t kMinMatch = 4;
// A length in a token that goes on behind it, in bytes up to the first below 255.
constexpr size_t kLongRun = 15;

// Whether the input had all of the length that half a token begins.
inline bool completeLength(size_t& length, const uint8_t*& from, const uint8_t* fromEnd) {
  if (length < kLongRun) return true;
  for (;;) {
    if (from == fromEnd) return false;
    const uint8_t more = *from++;
    length += more;
    if (more != 255) return true;
  }
}

inline void copyLiterals(uint8_t* to, const uint8_t* from, size_t count, size_t margin) {
  if (count + kWideCopy <= margin) return copyPieces<kWideCopy>(to, from, count);
  std::memmove(to, from, count);
}

}  // namespace

CodecProgress unpackLz4Block(std::span<const uint8_t> input, std::span<uint8_t> output) {
  const uint8_t* from = input.data();
  const uint8_t* const fromEnd = from + input.size();
  uint8_t* to = output.data();
  uint8_t* const toEnd = to + output.size();
  const auto progress = [&](CodecStatus status) {
    return CodecProgress{status, static_cast<size_t>(from - input.data()),
                         static_cast<size_t>(to - output.data())};
  };
  for (;;) {
    if (from == fromEnd) return progress(CodecStatus::kTruncated);
    const uint8_t token = *from++;
    size_t literals = token >> 4;
    if (!completeLength(literals, from, fromEnd)) return progress(CodecStatus::kTruncated);
    const size_t left = fromEnd - from;
    if (literals > left) return progress(CodecStatus::kTruncated);
    size_t room = toEnd - to;
    const uint8_t* const source = from;
    from += literals;
    if (literals > room) return progress(CodecStatus::kNoRoom);
    copyLiterals(to, source, literals, left < room ? left : room);
    to += literals;
    room -= literals;
    if (from == fromEnd) return progress(CodecStatus::kDone);

    const size_t low = *from++;
    if (from == fromEnd) return progress(CodecStatus::kTruncated);
    const size_t distance = low | *from++ << 8;
    if (distance - 1 >= static_cast<size_t>(to - output.data()))
      return progress(CodecStatus::kBadDistance);
    size_t count = token & 15;
    if (!completeLength(count, from, fromEnd)) return progress(CodecStatus::kTruncated);
    count += kMinMatch;
    if (count > room) return progress(CodecStatus::kNoRoom);
    copyMatch(to, distance, count, room);
    to += count;
  }
}

}  // namespace nodevm

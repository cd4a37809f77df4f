#include "codecs/lz4_block.h"

#include <cstring>

namespace nodevm {

namespace {

constexpr size_t kMinMatch = 4;
// A length in a token that goes on behind it, in bytes up to the first below 255.
constexpr size_t kLongRun = 15;
// Bytes that copies take at once; those too many are overwritten by what comes next.
constexpr size_t kWide = 16, kHalf = 8;

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

// Copies pieces of kPiece bytes, up to kPiece - 1 more than `count`; a source that begins kPiece
// bytes or more in front of the target is repeated.
template <size_t kPiece>
inline void copyPieces(uint8_t* to, const uint8_t* from, size_t count) {
  size_t done = 0;
  do {
    uint8_t piece[kPiece];
    std::memcpy(piece, from + done, kPiece);
    std::memcpy(to + done, piece, kPiece);
    done += kPiece;
  } while (done < count);
}

inline void copyLiterals(uint8_t* to, const uint8_t* from, size_t count, size_t margin) {
  if (count + kWide <= margin) return copyPieces<kWide>(to, from, count);
  std::memmove(to, from, count);
}

// Repeats what lies `distance` back; `room` bytes may be written.
inline void copyMatch(uint8_t* to, size_t distance, size_t count, size_t room) {
  if (count + kWide > room) {
    for (size_t n = 0; n < count; ++n) to[n] = to[n - distance];
  } else if (distance >= kWide) {
    copyPieces<kWide>(to, to - distance, count);
  } else if (distance >= kHalf) {
    copyPieces<kHalf>(to, to - distance, count);
  } else {
    // Repeated a few times, a short pattern is one of the least multiple of its length that is long
    // enough.
    for (size_t n = 0; n < kHalf; ++n) to[n] = to[n - distance];
    const size_t multiple = (kHalf + distance - 1) / distance * distance;
    if (count > kHalf) copyPieces<kHalf>(to + kHalf, to + kHalf - multiple, count - kHalf);
  }
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

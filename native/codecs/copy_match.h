#pragma once
// What all descendants of LZ77 do most: copying, fast where some bytes too many do no harm.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace nodevm {

// Bytes that copies take at once; those too many are overwritten by what comes next.
inline constexpr size_t kWideCopy = 16, kHalfCopy = 8;

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

// Repeats what lies `distance` back; `room` bytes may be written, `count` or more.
inline void copyMatch(uint8_t* to, size_t distance, size_t count, size_t room) {
  if (count + kWideCopy > room) {
    for (size_t n = 0; n < count; ++n) to[n] = to[n - distance];
  } else if (distance >= kWideCopy) {
    copyPieces<kWideCopy>(to, to - distance, count);
  } else if (distance >= kHalfCopy) {
    copyPieces<kHalfCopy>(to, to - distance, count);
  } else {
    // Repeated a few times, a short pattern is one of the least multiple of its length that is long
    // enough.
    for (size_t n = 0; n < kHalfCopy; ++n) to[n] = to[n - distance];
    const size_t multiple = (kHalfCopy + distance - 1) / distance * distance;
    if (count > kHalfCopy)
      copyPieces<kHalfCopy>(to + kHalfCopy, to + kHalfCopy - multiple, count - kHalfCopy);
  }
}

}  // namespace nodevm

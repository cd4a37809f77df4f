#pragma once
// The data of LZMA: LZMA specification, Igor Pavlov, whose names these are.

#include <span>

#include "codecs/codec_status.h"

namespace nodevm {

// What lasts from one run of symbols to the next, in the order of src/native.ts: LzmaField.
struct LzmaState {
  uint32_t lc, lp, pb;
  uint32_t state, rep0, rep1, rep2, rep3;
  uint32_t range, code;
  // Bytes of the last match for which there was no room.
  uint32_t pending;

  // Whether all is in its range, and `probabilities` are as many as lc and lp take.
  bool isValid(size_t probabilities) const;
};

// Decodes until the output is full or the data ends, one symbol at least.
// @param output begins where the dictionary does; what lies behind the bytes produced may have been
// overwritten
// @param produced bytes of it that there are already, at most all
// @param state must be valid
CodecProgress decodeLzma(std::span<const uint8_t> input, std::span<uint8_t> output, size_t produced,
                         LzmaState& state, uint16_t* probabilities);

}  // namespace nodevm

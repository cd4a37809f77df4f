#pragma once
// Blocks of LZ4: LZ4 Block Format Description.

#include <span>

#include "codecs/codec_status.h"

namespace nodevm {

// Unpacks one block, which is all of `input`. What lies behind the bytes produced may have been
// overwritten, up to the output's end.
CodecProgress unpackLz4Block(std::span<const uint8_t> input, std::span<uint8_t> output);

}  // namespace nodevm

#include "codecs/lzma.h"

#include <algorithm>
#include <cstring>

#include "codecs/copy_match.h"

namespace nodevm {

namespace {

constexpr uint32_t kNumStates = 12, kPosStates = 16;
constexpr uint32_t kTop = 1u << 24;
constexpr uint32_t kMatchMinLen = 2;
constexpr uint32_t kEndMarker = 0xffff'ffff;
constexpr uint32_t kEndPosModelIndex = 14;

// Where each group of probabilities starts; the literal coders follow, 0x300 for each context.
constexpr uint32_t kIsMatch = 0;
constexpr uint32_t kIsRep = kIsMatch + kNumStates * kPosStates;
constexpr uint32_t kIsRepG0 = kIsRep + kNumStates;
constexpr uint32_t kIsRepG1 = kIsRepG0 + kNumStates;
constexpr uint32_t kIsRepG2 = kIsRepG1 + kNumStates;
constexpr uint32_t kIsRep0Long = kIsRepG2 + kNumStates;
constexpr uint32_t kPosSlot = kIsRep0Long + kNumStates * kPosStates;
constexpr uint32_t kPosSpecial = kPosSlot + 4 * 64;
constexpr uint32_t kAlign = kPosSpecial + 114;
constexpr uint32_t kLen = kAlign + 16;
// Within a length coder: two choices, then trees for low, mid and high.
constexpr uint32_t kLenLow = 2;
constexpr uint32_t kLenMid = kLenLow + kPosStates * 8;
constexpr uint32_t kLenHigh = kLenMid + kPosStates * 8;
constexpr uint32_t kRepLen = kLen + kLenHigh + 256;
constexpr uint32_t kLiteral = kRepLen + kLenHigh + 256;
constexpr uint32_t kLiteralCoder = 0x300;

// More than a symbol takes of the input: it has at most 48 bits, each of which takes a byte at
// most.
constexpr size_t kMostInput = 64;

// The loops are fast where the decoder is in registers: run() works on a local copy, and every
// method is part of it.
class RangeDecoder {
 public:
  RangeDecoder(uint32_t range, uint32_t code, const uint8_t* from)
      : range_(range), code_(code), from_(from) {}

  uint32_t range() const { return range_; }
  uint32_t code() const { return code_; }
  const uint8_t* from() const { return from_; }
  void moveTo(const uint8_t* from) { from_ = from; }

  [[gnu::always_inline]] uint32_t bit(uint16_t& probability) {
    const uint32_t p = probability, bound = (range_ >> 11) * p;
    const bool isOne = code_ >= bound;
    if (isOne) {
      range_ -= bound;
      code_ -= bound;
      probability = static_cast<uint16_t>(p - (p >> 5));
    } else {
      range_ = bound;
      probability = static_cast<uint16_t>(p + ((2048 - p) >> 5));
    }
    normalize();
    return isOne;
  }

  // The same without a branch, for bits that are hard to foresee.
  [[gnu::always_inline]] uint32_t evenBit(uint16_t& probability) {
    const uint32_t p = probability, bound = (range_ >> 11) * p;
    const uint32_t isOne = code_ >= bound, mask = 0 - isOne;
    range_ = bound + (mask & (range_ - 2 * bound));
    code_ -= mask & bound;
    // Towards 0 by p >> 5, or towards 2048: the shift rounds down, and so does that of what is
    // missing to 2048.
    probability = static_cast<uint16_t>(p - (static_cast<int32_t>(p - (~mask & 2017)) >> 5));
    normalize();
    return isOne;
  }

  // Appends bits to `symbol`, each by the probability of that number, until it reaches `end`.
  [[gnu::always_inline]] uint32_t bits(uint16_t* probabilities, uint32_t symbol, uint32_t end) {
    while (symbol < end) symbol = symbol << 1 | evenBit(probabilities[symbol]);
    return symbol;
  }

  [[gnu::always_inline]] uint32_t tree(uint16_t* probabilities, uint32_t count) {
    return bits(probabilities, 1, 1u << count) - (1u << count);
  }

  [[gnu::always_inline]] uint32_t reverseTree(uint16_t* probabilities, uint32_t count) {
    uint32_t symbol = 1, value = 0;
    for (uint32_t n = 0; n < count; ++n) {
      const uint32_t next = bit(probabilities[symbol]);
      symbol = symbol << 1 | next;
      value |= next << n;
    }
    return value;
  }

  [[gnu::always_inline]] uint32_t directBits(uint32_t count) {
    uint32_t value = 0;
    while (count-- != 0) {
      range_ >>= 1;
      const bool isOne = code_ >= range_;
      if (isOne) code_ -= range_;
      value = value << 1 | isOne;
      normalize();
    }
    return value;
  }

 private:
  [[gnu::always_inline]] void normalize() {
    if (range_ >= kTop) return;
    range_ <<= 8;
    code_ = code_ << 8 | *from_++;
  }

  uint32_t range_, code_;
  const uint8_t* from_;
};

class Decoder {
 public:
  Decoder(const uint8_t* from, std::span<uint8_t> output, size_t position, const LzmaState& state,
          uint16_t* probabilities)
      : coder_(state.range, state.code, from),
        out_(output.data()),
        end_(output.size()),
        position_(position),
        now_(state),
        probabilities_(probabilities) {}

  const uint8_t* from() const { return coder_.from(); }
  void moveTo(const uint8_t* from) { coder_.moveTo(from); }
  size_t position() const { return position_; }
  LzmaState state() const {
    LzmaState state = now_;
    state.range = coder_.range();
    state.code = coder_.code();
    return state;
  }

  // Copies what is pending of a match, as far as there is room.
  [[gnu::always_inline]] CodecStatus copyPending() {
    if (now_.rep0 >= position_) return CodecStatus::kBadDistance;
    const size_t count = std::min<size_t>(now_.pending, end_ - position_);
    if (count != 0) copyMatch(out_ + position_, size_t{now_.rep0} + 1, count, end_ - position_);
    position_ += count;
    now_.pending -= static_cast<uint32_t>(count);
    return CodecStatus::kDone;
  }

  // Takes symbols until the output is full, the data ends, or the input was read beyond `stop`
  // (kTruncated).
  CodecStatus run(const uint8_t* stop) {
    Decoder decoder = *this;
    CodecStatus status;
    do status = decoder.symbol();
    while (status == CodecStatus::kDone && decoder.position_ < end_ && decoder.from() <= stop);
    *this = decoder;
    if (status == CodecStatus::kDone && position_ < end_) return CodecStatus::kTruncated;
    return status;
  }

 private:
  [[gnu::always_inline]] CodecStatus symbol() {
    const uint32_t posState = position_ & ((1u << now_.pb) - 1);
    if (coder_.bit(probabilities_[kIsMatch + now_.state * kPosStates + posState]) == 0)
      return literal();
    now_.pending = match(posState);
    if (now_.rep0 == kEndMarker) return CodecStatus::kEndMarker;
    return copyPending();
  }

  [[gnu::always_inline]] CodecStatus literal() {
    const uint32_t previous = position_ > 0 ? out_[position_ - 1] : 0;
    const uint32_t context =
        ((position_ & ((1u << now_.lp) - 1)) << now_.lc) + (previous >> (8 - now_.lc));
    uint16_t* const base = probabilities_ + kLiteral + kLiteralCoder * context;
    uint32_t symbol = 1;
    if (now_.state >= 7) {
      if (now_.rep0 >= position_) return CodecStatus::kBadLiteral;
      symbol = matchedBits(base, out_[position_ - now_.rep0 - 1]);
    }
    if (position_ == end_) return CodecStatus::kNoRoom;
    out_[position_++] = static_cast<uint8_t>(coder_.bits(base, symbol, 0x100));
    now_.state = now_.state < 4 ? 0 : now_.state - (now_.state < 10 ? 3 : 6);
    return CodecStatus::kDone;
  }

  // The first bits of a literal, up to the first that is not as in `matchByte`.
  [[gnu::always_inline]] uint32_t matchedBits(uint16_t* base, uint32_t matchByte) {
    uint32_t symbol = 1;
    while (symbol < 0x100) {
      const uint32_t matchBit = matchByte >> 7 & 1;
      matchByte <<= 1;
      const uint32_t bit = coder_.bit(base[((1 + matchBit) << 8) + symbol]);
      symbol = symbol << 1 | bit;
      if (matchBit != bit) break;
    }
    return symbol;
  }

  // Decodes a match's length, and its distance into rep0.
  [[gnu::always_inline]] uint32_t match(uint32_t posState) {
    const uint32_t state = now_.state;
    if (coder_.bit(probabilities_[kIsRep + state]) == 0) {
      now_.rep3 = now_.rep2;
      now_.rep2 = now_.rep1;
      now_.rep1 = now_.rep0;
      now_.state = state < 7 ? 7 : 10;
      const uint32_t count = length(kLen, posState);
      now_.rep0 = distance(count);
      return count;
    }
    if (coder_.bit(probabilities_[kIsRepG0 + state]) != 0) {
      pickRepeated();
    } else if (coder_.bit(probabilities_[kIsRep0Long + state * kPosStates + posState]) == 0) {
      now_.state = state < 7 ? 9 : 11;
      return 1;
    }
    now_.state = state < 7 ? 8 : 11;
    return length(kRepLen, posState);
  }

  // Moves one of the older distances to the front.
  [[gnu::always_inline]] void pickRepeated() {
    uint32_t distance = now_.rep1;
    if (coder_.bit(probabilities_[kIsRepG1 + now_.state]) != 0) {
      distance = now_.rep2;
      if (coder_.bit(probabilities_[kIsRepG2 + now_.state]) != 0) {
        distance = now_.rep3;
        now_.rep3 = now_.rep2;
      }
      now_.rep2 = now_.rep1;
    }
    now_.rep1 = now_.rep0;
    now_.rep0 = distance;
  }

  [[gnu::always_inline]] uint32_t length(uint32_t coder, uint32_t posState) {
    uint16_t* const base = probabilities_ + coder;
    if (coder_.bit(base[0]) == 0)
      return kMatchMinLen + coder_.tree(base + kLenLow + posState * 8, 3);
    if (coder_.bit(base[1]) == 0)
      return kMatchMinLen + 8 + coder_.tree(base + kLenMid + posState * 8, 3);
    return kMatchMinLen + 16 + coder_.tree(base + kLenHigh, 8);
  }

  [[gnu::always_inline]] uint32_t distance(uint32_t length) {
    const uint32_t lenState = std::min(length - kMatchMinLen, 3u);
    const uint32_t slot = coder_.tree(probabilities_ + kPosSlot + lenState * 64, 6);
    if (slot < 4) return slot;
    const uint32_t count = (slot >> 1) - 1, high = (2 | (slot & 1)) << count;
    if (slot < kEndPosModelIndex)
      return high + coder_.reverseTree(probabilities_ + kPosSpecial + high - slot - 1, count);
    const uint32_t middle = coder_.directBits(count - 4) << 4;
    return high + middle + coder_.reverseTree(probabilities_ + kAlign, 4);
  }

  RangeDecoder coder_;
  uint8_t* out_;
  size_t end_, position_;
  LzmaState now_;
  uint16_t* probabilities_;
};

}  // namespace

bool LzmaState::isValid(size_t probabilities) const {
  return lc <= 8 && lp <= 4 && pb <= 4 && state < kNumStates &&
         probabilities >= kLiteral + (size_t{kLiteralCoder} << (lc + lp));
}

CodecProgress decodeLzma(std::span<const uint8_t> input, std::span<uint8_t> output, size_t produced,
                         LzmaState& state, uint16_t* probabilities) {
  Decoder decoder(input.data(), output, produced, state, probabilities);
  const auto progress = [&](CodecStatus status, size_t consumed) {
    state = decoder.state();
    return CodecProgress{status, consumed, decoder.position()};
  };
  if (state.pending != 0) {
    const CodecStatus status = decoder.copyPending();
    if (status != CodecStatus::kDone || decoder.position() == output.size())
      return progress(status, 0);
  }
  size_t consumed = 0;
  if (input.size() >= kMostInput) {
    const CodecStatus status = decoder.run(input.data() + (input.size() - kMostInput));
    consumed = decoder.from() - input.data();
    if (status != CodecStatus::kTruncated) return progress(status, consumed);
  }
  // The last bytes with zeros behind them: what reads beyond is harmless, and told by where it
  // ends.
  uint8_t last[2 * kMostInput] = {};
  const size_t left = input.size() - consumed;
  if (left != 0) std::memcpy(last, input.data() + consumed, left);
  decoder.moveTo(last);
  const CodecStatus status = decoder.run(last + left);
  const size_t taken = decoder.from() - last;
  if (taken > left) return progress(CodecStatus::kTruncated, input.size());
  return progress(status, consumed + taken);
}

}  // namespace nodevm

// Cases of rows with an EVEX prefix.

#include "cpu/features.h"
#include "decoder/decoder.h"
#include "decoder/row_index.h"
#include "generator.h"

namespace nodevm::oracle {

namespace {

using enum Operand;

bool isMemoryOnly(const Row& row) {
  for (const Operand operand : {Mb, Mw, Md, Mq, Mdq, Mqq, Mx, VMd, VMq})
    if (row.has(operand)) return true;
  return row.modrm.form == 1;
}

bool hasVectorIndex(const Row& row) { return row.has(VMd) || row.has(VMq); }

// A 64-bit word of ZMM0..ZMM31.
void setWord(State& state, unsigned number, unsigned word, uint64_t value) {
  uint8_t* at = number >= 16 ? state.zmmHigh[number - 16] + word * 8
                : word >= 4  ? state.zmmUpper[number] + (word - 4) * 8
                : word >= 2  ? state.upper[number] + (word - 2) * 8
                             : state.fx + 160 + number * 16 + word * 8;
  std::memcpy(at, &value, sizeof value);
}

}  // namespace

void Generator::randomUppers(State& state) {
  for (uint8_t* at = state.zmmUpper[0]; at != state.zmmUpper[0] + sizeof state.zmmUpper; at += 8) {
    const uint64_t value = oneIn(4) ? 0 : corner();
    std::memcpy(at, &value, sizeof value);
  }
}

// The prefix, with fields at random where the row leaves them open; now and then fields that make
// it invalid, but for those that AMD ignores where the SDM has #UD, which guest avx512 tests: z
// without a mask, b on registers, opmask registers beyond k7. `rex` gets R, X and B as a REX prefix
// has them.
void Generator::putEvexPrefix(const Row& row, Code& code, bool memory, uint8_t& rex,
                              bool& vvvvHigh) {
  const auto odd = [&] { return oneIn(60); };
  rex = static_cast<uint8_t>(below(8));
  bool regHigh = oneIn(2);
  if (row.has(Kg) || ((row.has(Gd) || row.has(Gy)) && !odd())) regHigh = false;
  if (row.has(Kg)) rex &= 3;
  const bool wide = (!row.has(kW0) && (row.has(kW1) || oneIn(2))) != odd();
  unsigned length = row.has(kL0)       ? 0
                    : row.has(k512)    ? 2
                    : row.has(kNot128) ? 1 + below(2)
                                       : below(row.has(kLig) && odd() ? 4 : 3);
  if (odd()) length = below(4);
  const bool mayB = row.has(memory ? kBroadcast4 | kBroadcast8 : kRound | kSae);
  const bool b = mayB ? oneIn(2) : memory && odd();
  if (b && !memory) length = below(4);
  unsigned mask = row.has(kMaskRequired) ? 1 + below(7) : row.has(kMaskable) ? below(8) : 0;
  if (odd()) mask = below(8);
  const bool stores = memory && row.operands[0] != Vx && row.operands[0] != Hx;
  const bool mayZero =
      mask && row.has(kMaskable) && !stores && row.operands[0] != Kg && !row.has(kMaskRequired);
  const bool zeroing = mayZero ? oneIn(2) : mask && odd();
  const unsigned vvvv = row.has(Hx) || odd() ? below(16) : 0;
  vvvvHigh = row.has(Hx) || hasVectorIndex(row) ? oneIn(2) : odd();
  const unsigned pp = row.prefix == Mandatory::k66   ? 1
                      : row.prefix == Mandatory::kF3 ? 2
                      : row.prefix == Mandatory::kF2 ? 3
                                                     : 0;
  const unsigned reserved = odd() ? below(16) : 4;  // bit 3: P0's, bit 2: P1's
  put(code, 0x62, 1);
  put(code, (~rex & 7u) << 5 | !regHigh << 4 | (reserved & 8) | static_cast<unsigned>(row.map), 1);
  put(code, wide << 7 | (~vvvv & 15) << 3 | (reserved & 4) | pp, 1);
  put(code, zeroing << 7 | length << 5 | b << 4 | !vvvvHigh << 3 | mask, 1);
}

// Indices that keep most elements within the data pages; some leave them.
void Generator::putEvexVectorSib(Code& code, State& state, uint8_t rex, bool vvvvHigh,
                                 bool quadwords) {
  const unsigned base = below(8), index = below(8), scale = below(4);
  const bool byte = oneIn(2);
  put(code, (byte ? 1 : 2) << 6 | below(8) << 3 | 4, 1);
  put(code, scale << 6 | index << 3 | base, 1);
  const auto displacement = static_cast<int64_t>(static_cast<int32_t>(below(128)) - 64);
  put(code, static_cast<uint64_t>(displacement), byte ? 1 : 4);
  const unsigned number = index | (rex & 2) << 2 | (vvvvHigh ? 16 : 0);
  const auto value = [&] {
    const int64_t near = oneIn(24) ? 4096 >> scale : static_cast<int64_t>(below(256)) - 128;
    return static_cast<uint64_t>(near);
  };
  for (unsigned word = 0; word < 8; ++word)
    setWord(state, number, word, quadwords ? value() : (value() & 0xffffffff) | value() << 32);
  state.gpr[base | (rex & 1) << 3] = kDataPages + 2048 + below(2048);
}

// Moves the memory operand: what putModRm() placed does not know of disp8*N. Near the ends of the
// data pages masks decide whether there is a fault.
void Generator::placeEvexOperand(const Row& row, const Code& code, State& state) {
  Decoded decoded;
  if (decode(code.bytes, code.length, CodeMode::k64, hostFeatures(), 0, decoded) !=
      DecodeStatus::kOk)
    return;
  const Instruction& i = decoded.instruction;
  if (!i.isMemory() || i.base >= 16 * 8 || i.base == i.index) return;
  uint64_t address = dataAddress();
  if (oneIn(8)) address = kDataPages + kDataSize - below(64);
  if (oneIn(12)) address = kDataPages - below(64);
  if (row.has(kAligned) && oneIn(2)) address &= ~uint64_t{63};
  const uint64_t index = i.index < 16 * 8 ? state.gpr[i.index / 8] << i.scale : 0;
  state.gpr[i.base / 8] =
      address - index - static_cast<uint64_t>(static_cast<int64_t>(i.displacement));
  if (oneIn(2)) {
    const unsigned selected = below(17);
    const uint64_t lowest = (uint64_t{1} << selected) - 1;
    state.mask[i.opmask()] = oneIn(2) ? lowest : ~lowest;
  }
}

void Generator::appendEvex(const Row& row, Code& code, State& state, bool address32) {
  if (!oneIn(4)) randomUppers(state);
  static constexpr uint8_t kForbidden[] = {0x66, 0xf2, 0xf3, 0xf0, 0x48};
  if (oneIn(80)) put(code, kForbidden[below(sizeof kForbidden)], 1);
  const bool memory = isMemoryOnly(row) || (row.modrm.form == 0 && oneIn(2));
  uint8_t rex = 0;
  bool vvvvHigh = false;
  putEvexPrefix(row, code, memory, rex, vvvvHigh);
  put(code, row.opcode, 1);
  if (hasVectorIndex(row)) {
    putEvexVectorSib(code, state, rex, vvvvHigh, row.has(VMq));
    return;
  }
  Row form = row;
  form.modrm.form = memory ? 1 : 2;
  putModRm(form, code, state, rex, address32);
  putImmediates(row, code, false, false);
  if (memory && !address32) placeEvexOperand(row, code, state);
}

}  // namespace nodevm::oracle

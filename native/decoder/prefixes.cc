#include "decoder/prefixes.h"

namespace nodevm {

namespace {

// Prefixes that may not stand in front of VEX or EVEX.
bool isPreceded(const Prefixes& prefixes) {
  return prefixes.operandSize || prefixes.rep || prefixes.lock || prefixes.rex;
}

// The mandatory prefix as a field of two bits.
void setMandatory(Prefixes& prefixes, unsigned pp) {
  static constexpr uint8_t kRep[4] = {0, 0, 0xf3, 0xf2};
  prefixes.operandSize = pp == 1;
  prefixes.rep = kRep[pp];
}

}  // namespace

Prefixes readPrefixes(Reader& reader, CodeMode mode) {
  Prefixes prefixes;
  while (reader.ok()) {
    const uint8_t byte = reader.peek();
    if (mode == CodeMode::k64 && (byte & 0xf0) == 0x40) {
      prefixes.rex = byte;
      reader.skip();
      continue;
    }
    switch (byte) {
      case 0x66:
        prefixes.operandSize = true;
        break;
      case 0x67:
        prefixes.addressSize = true;
        break;
      case 0xf0:
        prefixes.lock = true;
        break;
      case 0xf2:
      case 0xf3:
        prefixes.rep = byte;
        break;
      // In 64-bit mode the first four are null prefixes (SDM volume 1, "Segment Registers in 64-Bit
      // Mode").
      case 0x26:
        if (mode != CodeMode::k64) prefixes.segment = kEs;
        break;
      case 0x2e:
        if (mode != CodeMode::k64) prefixes.segment = kCs;
        break;
      case 0x36:
        if (mode != CodeMode::k64) prefixes.segment = kSs;
        break;
      case 0x3e:
        if (mode != CodeMode::k64) prefixes.segment = kDs;
        break;
      case 0x64:
        prefixes.segment = kFs;
        break;
      case 0x65:
        prefixes.segment = kGs;
        break;
      default:
        return prefixes;
    }
    // REX counts only directly before the opcode.
    prefixes.rex = 0;
    reader.skip();
  }
  return prefixes;
}

// C4 and C5 are LES and LDS where a VEX prefix would name registers that only 64-bit mode has.
bool startsVex(Reader& reader, CodeMode mode) {
  const uint8_t byte = reader.peek();
  if (!reader.ok() || (byte != 0xc4 && byte != 0xc5)) return false;
  return mode == CodeMode::k64 || reader.peekSecond() >= 0xc0;
}

// 62 is BOUND likewise.
bool startsEvex(Reader& reader, CodeMode mode, FeatureSet features) {
  if (!has(features, Feature::kAvx512f) || reader.peek() != 0x62 || !reader.ok()) return false;
  return mode == CodeMode::k64 || reader.peekSecond() >= 0xc0;
}

// SDM volume 2, "The VEX Prefix". False: #UD.
bool readVex(Reader& reader, CodeMode mode, Prefixes& prefixes, OpcodeMap& map) {
  const bool preceded = isPreceded(prefixes);
  const bool three = reader.take(1) == 0xc4;
  const auto first = static_cast<uint8_t>(~reader.take(1));
  const auto last = three ? static_cast<uint8_t>(reader.take(1) ^ 0x78)
                          : static_cast<uint8_t>((first ^ 7) & 0x7f);
  const unsigned select = three ? ~first & 0x1fu : 1;
  if (preceded || select < 1 || select > 3) return false;
  map = static_cast<OpcodeMap>(select);
  const bool wide = mode == CodeMode::k64;
  prefixes.encoding = Encoding::kVex;
  prefixes.length = last >> 2 & 1;
  prefixes.vvvv = (last >> 3) & (wide ? 15 : 7);
  const unsigned registers = first >> 5 & (three ? 7 : 4);
  prefixes.rex = static_cast<uint8_t>((last >> 7) << 3 | (wide ? registers : 0));
  setMandatory(prefixes, last & 3);
  return true;
}

// SDM volume 2, "Instruction Format and EVEX". False: #UD.
bool readEvex(Reader& reader, CodeMode mode, Prefixes& prefixes, OpcodeMap& map) {
  const bool preceded = isPreceded(prefixes);
  reader.skip();
  const auto first = static_cast<uint8_t>(reader.take(1) ^ 0xf0);
  const auto second = static_cast<uint8_t>(reader.take(1) ^ 0x78);
  const auto third = static_cast<uint8_t>(reader.take(1) ^ 0x08);
  const unsigned select = first & 7;
  if (preceded || (first & 8) || !(second & 4) || select < 1 || select > 3) return false;
  map = static_cast<OpcodeMap>(select);
  const bool wide = mode == CodeMode::k64;
  prefixes.encoding = Encoding::kEvex;
  prefixes.rex = static_cast<uint8_t>((second >> 7) << 3 | (wide ? first >> 5 : 0));
  prefixes.regHigh = wide && (first & 0x10);
  prefixes.vvvv = second >> 3 & (wide ? 15 : 7);
  prefixes.vvvvHigh = third & 8;
  prefixes.length = third >> 5 & 3;
  prefixes.b = third & 0x10;
  prefixes.zeroing = third & 0x80;
  prefixes.opmask = third & 7;
  setMandatory(prefixes, second & 3);
  return wide || !prefixes.vvvvHigh;
}

}  // namespace nodevm

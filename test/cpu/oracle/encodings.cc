#include "encodings.h"

#include <algorithm>
#include <cstdio>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <unordered_set>

#include "compare.h"
#include "engine.h"
#include "host.h"

namespace nodevm::oracle {

namespace {

constexpr uint8_t kUd = 6;
// No memory operand, selector or branch target by registers is valid: not as 64, 32 or 16 bits.
constexpr uint64_t kNowhere = 0x80000000fffffff8;
// Behind the opcode and ModRM: immediates and displacements that lead nowhere, and INT3 where the
// instruction is shorter.
constexpr uint8_t kFiller = 0xcc;

// One encoding. `map`: OpcodeMap, for VEX 1 to 3 as mmmmm.
struct Encoding {
  bool code32, vex;
  uint8_t map, prefix, opcode, modrm;
  bool w, r;     // VEX.W or REX.W; inverted VEX.R or REX.R
  bool l, vvvv;  // VEX.L; whether VEX.vvvv names a register
};

constexpr uint8_t kLegacyPrefixes[][2] = {{},           {0x66},       {0xf2},       {0xf3},
                                          {0x66, 0xf2}, {0x66, 0xf3}, {0xf2, 0xf3}, {0xf0}};
constexpr unsigned kLegacyMaps = 4, kVexMaps = 3, kPp = 4;

constexpr uint64_t kLegacyCount =
    uint64_t{2} * kLegacyMaps * std::size(kLegacyPrefixes) * 256 * 256 * 2 * 2;
constexpr uint64_t kVexCount = uint64_t{2} * kVexMaps * kPp * 256 * 256 * 2 * 2 * 2 * 2;

// The encoding of that number.
Encoding encodingOf(uint64_t number) {
  const auto take = [&](uint64_t count) {
    const uint64_t digit = number % count;
    number /= count;
    return digit;
  };
  Encoding e{};
  e.vex = number >= kLegacyCount;
  if (e.vex) number -= kLegacyCount;
  e.modrm = static_cast<uint8_t>(take(256));
  e.w = take(2);
  e.r = take(2);
  if (e.vex) {
    e.l = take(2);
    e.vvvv = take(2);
  }
  e.prefix = static_cast<uint8_t>(take(e.vex ? kPp : std::size(kLegacyPrefixes)));
  e.opcode = static_cast<uint8_t>(take(256));
  e.map = static_cast<uint8_t>(e.vex ? 1 + take(kVexMaps) : take(kLegacyMaps));
  e.code32 = take(2);
  return e;
}

bool isMemory(const Encoding& e) { return e.modrm < 0xc0; }

void put(Code& code, std::initializer_list<unsigned> bytes) {
  for (const unsigned byte : bytes) code.bytes[code.length++] = static_cast<uint8_t>(byte);
}

void putPrefixes(const Encoding& e, Code& code) {
  if (e.vex) {
    const unsigned vvvv = e.vvvv ? 5 : 0;
    return put(code, {0xc4, (e.r && !e.code32 ? 0x60u : 0xe0u) | e.map,
                      e.w << 7u | (~vvvv & 15) << 3 | e.l << 2u | e.prefix});
  }
  for (const uint8_t prefix : kLegacyPrefixes[e.prefix])
    if (prefix) put(code, {prefix});
  if (!e.code32 && (e.w || e.r)) put(code, {0x40u | e.w << 3u | e.r << 2u});
  constexpr uint8_t kThirdByte[kLegacyMaps] = {0, 0, 0x38, 0x3a};
  if (e.map) put(code, {0x0f});
  if (kThirdByte[e.map]) put(code, {kThirdByte[e.map]});
}

Code codeOf(const Encoding& e) {
  Code code;
  code.code32 = e.code32;
  putPrefixes(e, code);
  put(code, {e.opcode, e.modrm});
  while (code.length < 24) put(code, {kFiller});
  return code;
}

// --- what is not executed

bool contains(const Code& code, std::initializer_list<uint8_t> bytes) {
  const auto* end = code.bytes + code.length;
  return std::search(code.bytes, end, bytes.begin(), bytes.end()) != end;
}

// What leaves the process: system calls (INT n, which reaches other gates here, with them) and
// VMCALL. What ruins it: the base of FS, a branch to itself. EVEX, some of whose fields AMD ignores
// (generator_evex.cc). And 0F, whose opcodes are other maps'.
bool leavesAlone(const Encoding& e, const Code& code) {
  const bool calls = contains(code, {0x0f, 0x05}) || contains(code, {0x0f, 0x34}) ||
                     contains(code, {0xcd}) || contains(code, {0x0f, 0x01, 0xc1}) ||
                     contains(code, {0x0f, 0x01, 0xd9});
  const bool fsBase = !e.vex && e.map == 1 && e.opcode == 0xae && e.modrm >= 0xd0 && e.modrm < 0xe0;
  const bool evex = contains(code, {0x62}) && code.bytes[0] != 0xc4;
  const bool shortBranch = e.opcode >> 4 == 7 || (e.opcode & ~3) == 0xe0 || e.opcode == 0xeb;
  const bool loops = !e.vex && e.map == 0 && shortBranch && e.modrm >= 0xf8;
  const bool otherMap = !e.vex && e.map == 0 && e.opcode == 0x0f;
  // Which way JRCXZ goes is CPUID's doing.
  const bool byIdentity = contains(code, {0x0f, 0xa2, 0xe3});
  return otherMap || byIdentity || calls || fsBase || evex || loops;
}

State startingState() {
  State state;
  for (uint64_t& value : state.gpr) value = kNowhere;
  state.fx[0] = 0x7f;
  state.fx[1] = 0x03;
  const uint32_t mxcsr = 0x1f80;
  std::memcpy(state.fx + 24, &mxcsr, sizeof mxcsr);
  return state;
}

std::string nameOf(const Encoding& e) {
  static constexpr const char* kMaps[] = {"", "0f ", "0f 38 ", "0f 3a "};
  static constexpr const char* kPrefixNames[] = {"no prefix", "66",    "f2",    "f3",
                                                 "66 f2",     "66 f3", "f2 f3", "lock"};
  static constexpr const char* kPpNames[] = {"no prefix", "66", "f3", "f2"};
  char text[128];
  std::snprintf(text, sizeof text, "%s %s%s%02x /%u %s, %s%s", e.code32 ? "32-bit" : "64-bit",
                e.vex ? "VEX " : "", kMaps[e.map], e.opcode, e.modrm >> 3 & 7,
                isMemory(e) ? "memory" : "register", (e.vex ? kPpNames : kPrefixNames)[e.prefix],
                e.w ? ", W" : "");
  return text;
}

// --- differences with a reason

bool isLegacy0F(const Encoding& e, uint8_t opcode) {
  return !e.vex && e.map == 1 && e.opcode == opcode;
}
bool hasLock(const Encoding& e) { return !e.vex && kLegacyPrefixes[e.prefix][0] == 0xf0; }

// What the host's processor has, but no model here does.
bool isNotOffered(const Encoding& e) {
  const bool sse4a = e.prefix && !hasLock(e) &&
                     (isLegacy0F(e, 0x2b) || isLegacy0F(e, 0x78) || isLegacy0F(e, 0x79));
  // SVM, MONITORX, MWAITX, CLZERO, RDPRU, INVLPGB, TLBSYNC
  const bool amdSystem = isLegacy0F(e, 0x01) && (e.modrm >> 3 == 0xd8 >> 3 || e.modrm >= 0xfa);
  return sse4a || amdSystem;
}

bool isOpmask(const Encoding& e) {
  return e.vex && ((e.map == 1 && ((e.opcode >= 0x41 && e.opcode <= 0x4b) ||
                                   (e.opcode >= 0x90 && e.opcode <= 0x99))) ||
                   (e.map == 3 && e.opcode >= 0x30 && e.opcode <= 0x33));
}

// Where AMD executes what the SDM leaves to #UD: opmask registers beyond k7, KMOVQ of general
// registers outside 64-bit mode (as KMOVD), VPERMQ and VPERMPD
// with VEX.W = 0, LOCK MOV of control registers (its CR8), LOCK VERW, and SYSRET, which it checks
// for the privilege first, outside 64-bit mode.
bool isAmdsOwn(const Encoding& e) {
  const bool permute = e.vex && e.map == 3 && e.opcode <= 1 && !e.w;
  const bool locked =
      hasLock(e) && e.map == 1 && (e.opcode == 0x20 || e.opcode == 0x22 || e.opcode == 0x00);
  const bool opmask = isOpmask(e) && (e.code32 ? e.w : e.r);
  return permute || locked || opmask || (isLegacy0F(e, 0x07) && e.code32);
}

// Where AMD raises #UD and the SDM does not: VPEXTRQ and VPINSRQ are VPEXTRD and VPINSRD outside
// 64-bit mode.
bool isIntelsOwn(const Encoding& e) {
  return e.vex && e.map == 3 && (e.opcode == 0x16 || e.opcode == 0x22) && e.w && e.code32;
}

// Where AMD's branches have another length, or are taken otherwise: 66 makes them 16 bits wide in
// 64-bit mode too, and F2 and F3 decide over LOOPE and LOOPNE, behind a further prefix as well.
bool isAmdsBranch(const Encoding& e) {
  const auto isLoop = [](uint8_t byte) { return (byte & ~1) == 0xe0; };
  const bool near = !e.code32 && e.map == 1 && e.opcode >> 4 == 8;
  return !e.vex && (near || (e.map == 0 && (isLoop(e.opcode) || isLoop(e.modrm))));
}

bool isExcused(const Encoding& e, const State& onHost, const State& inEngine) {
  if (onHost.vector == inEngine.vector) return isAmdsBranch(e);
  return onHost.vector == kUd ? isIntelsOwn(e) : isNotOffered(e) || isAmdsOwn(e);
}

// What differs, nullptr: nothing.
const char* differenceOf(const State& onHost, const State& inEngine) {
  if (onHost.vector == kUd && inEngine.vector != kUd) return "#UD on the host only";
  if (onHost.vector != kUd && inEngine.vector == kUd) return "#UD in the engine only";
  const bool ran = onHost.vector == kNoVector && inEngine.vector == kNoVector;
  return ran && onHost.rip != inEngine.rip ? "another length" : nullptr;
}

}  // namespace

int compareEncodings(const EncodingOptions& options) {
  constexpr uint64_t kAll = kLegacyCount + kVexCount;
  const auto host = std::make_unique<Host>();
  Engine engine(options.jit);
  std::mt19937_64 random(options.seed);
  const State before = startingState();
  State onHost, inEngine;
  std::unordered_set<std::string> different;
  const uint64_t count = options.count ? options.count : kAll;
  unsigned long long compared = 0, differences = 0;
  for (uint64_t n = 0; n < count; ++n) {
    const Encoding e = encodingOf(options.count ? random() % kAll : n);
    const Code code = codeOf(e);
    if (leavesAlone(e, code)) continue;
    ++compared;
    onHost = before;
    host->run(code, before, onHost);
    engine.run(code, before, inEngine);
    const char* difference = differenceOf(onHost, inEngine);
    if (!difference || isExcused(e, onHost, inEngine)) continue;
    ++differences;
    if (different.insert(nameOf(e)).second)
      std::printf("%s: %s [%s]\n", nameOf(e).c_str(), difference, hex(code).c_str());
  }
  std::printf("encodings %llu, differences %llu\n", compared, differences);
  return differences ? 1 : 0;
}

}  // namespace nodevm::oracle

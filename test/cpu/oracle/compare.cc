#include "compare.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <string_view>

namespace nodevm::oracle {

namespace {

constexpr const char* kNames[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
// The arithmetic flags, DF, ID and AC. RF differs by how the kernel and a gate save it.
constexpr uint64_t kComparedFlags = 0x240cd5;

void note(std::string& out, const char* what, uint64_t host, uint64_t engine) {
  char text[96];
  std::snprintf(text, sizeof text, "%s host %llx engine %llx; ", what,
                static_cast<unsigned long long>(host), static_cast<unsigned long long>(engine));
  out += text;
}

template <class T>
T field(const State& state, unsigned offset) {
  T value;
  std::memcpy(&value, state.fx + offset, sizeof value);
  return value;
}

// FXSAVE image without the x87 pointers, which AMD processors keep only while an exception is
// pending.
void compareFx(std::string& out, const State& host, const State& engine) {
  const auto check = [&](const char* what, uint64_t a, uint64_t b) {
    if (a != b) note(out, what, a, b);
  };
  check("fcw", field<uint16_t>(host, 0), field<uint16_t>(engine, 0));
  check("fsw", field<uint16_t>(host, 2), field<uint16_t>(engine, 2));
  check("ftw", host.fx[4], engine.fx[4]);
  check("mxcsr", field<uint32_t>(host, 24), field<uint32_t>(engine, 24));
  for (unsigned n = 0; n < 8; ++n) {
    check("st mantissa", field<uint64_t>(host, 32 + n * 16), field<uint64_t>(engine, 32 + n * 16));
    check("st exponent", field<uint16_t>(host, 40 + n * 16), field<uint16_t>(engine, 40 + n * 16));
  }
  char name[16];
  for (unsigned n = 0; n < 32; ++n) {
    std::snprintf(name, sizeof name, "xmm%u.%u", n / 2, n % 2);
    check(name, field<uint64_t>(host, 160 + n * 8), field<uint64_t>(engine, 160 + n * 8));
  }
  for (unsigned n = 0; n < 32; ++n) {
    uint64_t a, b;
    std::memcpy(&a, host.upper[n / 2] + n % 2 * 8, sizeof a);
    std::memcpy(&b, engine.upper[n / 2] + n % 2 * 8, sizeof b);
    std::snprintf(name, sizeof name, "ymm%u.%u", n / 2, n % 2 + 2);
    check(name, a, b);
  }
}

// Registers of 64-bit words.
void compareWords(std::string& out, const char* what, const void* host, const void* engine,
                  size_t bytes) {
  for (size_t n = 0; n < bytes / 8; ++n) {
    uint64_t a, b;
    std::memcpy(&a, static_cast<const uint8_t*>(host) + n * 8, sizeof a);
    std::memcpy(&b, static_cast<const uint8_t*>(engine) + n * 8, sizeof b);
    char name[32];
    std::snprintf(name, sizeof name, "%s word %zu", what, n);
    if (a != b) note(out, name, a, b);
  }
}

// Differences that are known and reasoned; README.md lists them under "Known deviations".
bool isExcused(const Row& row, const State& host, const State& engine) {
  constexpr uint32_t kMisalignedMask = 1 << 17;  // MXCSR.MM, which AMD has and the SDM reserves
  const std::string_view mnemonic = row.mnemonic;
  constexpr uint8_t kUd = 6, kGp = 13, kPf = 14;
  // The SDM wants aligned operands for SHA (volume 2, "Exceptions Type 4"), which AMD does not
  // check.
  if (mnemonic.starts_with("sha1") || mnemonic.starts_with("sha256"))
    return engine.vector == kGp && host.vector != kGp;
  if (mnemonic == "ldmxcsr" || mnemonic == "vldmxcsr" || mnemonic.ends_with("xrstor"))
    if (field<uint32_t>(host, 24) & kMisalignedMask) return true;
  // With 66H the SDM has a word read; Zen 4 reads a doubleword.
  if (mnemonic == "movsxd") return host.vector == kPf && engine.vector == kNoVector;
  if (host.vector != kNoVector) return false;
  // Zen 4 takes VEX.W0, which the SDM leaves to #UD.
  if (mnemonic == "vpermq" || mnemonic == "vpermpd") return engine.vector == kUd;
  // With VEX.W1 it reads zeros from a page that is not there.
  return mnemonic.starts_with("vpcmpestr") && engine.vector == kPf;
}

// An image of the FPU's state.
bool savesOrRestores(const Row& row) {
  static constexpr std::string_view kNames[] = {"fnsave", "frstor", "fnstenv",
                                                "fldenv", "fxsave", "fxrstor"};
  const std::string_view mnemonic = row.mnemonic;
  return std::find(std::begin(kNames), std::end(kNames), mnemonic) != std::end(kNames) ||
         mnemonic.starts_with("xsave") || mnemonic.starts_with("xrstor");
}

// MXCSR.MM in the MXCSR_MASK of an image that was saved.
bool isMisalignedMask(const Row& row, const State& host, const State& engine, unsigned at) {
  return savesOrRestores(row) && at % 16 == 14 && host.data[at] == (engine.data[at] | 2);
}

}  // namespace

std::string compare(const Row& row, const State& host, const State& engine) {
  std::string out;
  if (isExcused(row, host, engine)) return out;
  if (host.vector != engine.vector) note(out, "vector", host.vector, engine.vector);
  if (host.rip != engine.rip) note(out, "rip", host.rip, engine.rip);
  if (host.vector == engine.vector && host.vector == 14) {
    // Above the user half the kernel's own pages are present on the host.
    const uint64_t ignored = host.cr2 >> 63;
    if ((host.errorCode ^ engine.errorCode) & ~ignored)
      note(out, "error code", host.errorCode, engine.errorCode);
    // Which byte of an image faults first is open; AMD looks at the last one.
    if (host.cr2 != engine.cr2 && !savesOrRestores(row)) note(out, "cr2", host.cr2, engine.cr2);
  }
  for (unsigned n = 0; n < 16; ++n)
    if (host.gpr[n] != engine.gpr[n]) note(out, kNames[n], host.gpr[n], engine.gpr[n]);
  if ((host.rflags ^ engine.rflags) & kComparedFlags)
    note(out, "flags", host.rflags & kComparedFlags, engine.rflags & kComparedFlags);
  compareFx(out, host, engine);
  compareWords(out, "upper halves of zmm0..15", host.zmmUpper, engine.zmmUpper,
               sizeof host.zmmUpper);
  compareWords(out, "zmm16..31", host.zmmHigh, engine.zmmHigh, sizeof host.zmmHigh);
  compareWords(out, "k", host.mask, engine.mask, sizeof host.mask);
  for (unsigned n = 0; n < kDataSize; ++n) {
    if (host.data[n] == engine.data[n] || isMisalignedMask(row, host, engine, n)) continue;
    note(out, "memory at", n, n);
    note(out, "byte", host.data[n], engine.data[n]);
    break;
  }
  return out;
}

uint32_t fold(uint32_t hash, const void* bytes, size_t size) {
  constexpr uint32_t kBasis = 0x811c9dc5, kPrime = 0x01000193;
  if (hash == 0) hash = kBasis;
  for (size_t n = 0; n < size; ++n) hash = (hash ^ static_cast<const uint8_t*>(bytes)[n]) * kPrime;
  return hash;
}

uint32_t digest(const State& outcome) {
  constexpr unsigned kPointers = 6, kMxcsr = 24, kRegisters = 32, kEnd = 416;
  const uint64_t flags = outcome.rflags & kComparedFlags;
  const uint64_t pageFault[2] = {outcome.errorCode, outcome.cr2};
  uint32_t hash = fold(0, outcome.gpr, sizeof outcome.gpr);
  hash = fold(hash, &outcome.rip, sizeof outcome.rip);
  hash = fold(hash, &flags, sizeof flags);
  hash = fold(hash, outcome.fx, kPointers);
  hash = fold(hash, outcome.fx + kMxcsr, 4);
  hash = fold(hash, outcome.fx + kRegisters, kEnd - kRegisters);
  hash = fold(hash, outcome.upper, sizeof outcome.upper);
  hash = fold(hash, outcome.zmmUpper, sizeof outcome.zmmUpper);
  hash = fold(hash, outcome.zmmHigh, sizeof outcome.zmmHigh);
  hash = fold(hash, outcome.mask, sizeof outcome.mask);
  hash = fold(hash, outcome.data, sizeof outcome.data);
  hash = fold(hash, &outcome.vector, sizeof outcome.vector);
  return outcome.vector == 14 ? fold(hash, pageFault, sizeof pageFault) : hash;
}

std::string hex(const Code& code) {
  std::string out;
  char text[4];
  for (unsigned n = 0; n < code.length; ++n) {
    std::snprintf(text, sizeof text, n ? " %02x" : "%02x", code.bytes[n]);
    out += text;
  }
  return out;
}

}  // namespace nodevm::oracle

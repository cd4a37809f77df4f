#include "coverage.h"

#include <algorithm>
#include <cstdio>
#include <initializer_list>
#include <iterator>
#include <string>

#include "cpu/features.h"
#include "decoder/decoder.h"
#include "generator.h"

namespace nodevm::oracle {

namespace {

// Forms: bit 0..3 register operand of size code 0..3, bit 4..7 memory operand; then prefixes.
constexpr unsigned kMemoryShift = 4;
constexpr uint32_t kLocked = 1 << 8, kRepeated = 1 << 9, kMasked = 1 << 10, kZeroed = 1 << 11,
                   kBroadcast = 1 << 12, kRounded = 1 << 13;

bool isOneOf(Operand operand, std::initializer_list<Operand> set) {
  return std::find(set.begin(), set.end(), operand) != set.end();
}
template <class Predicate>
bool anyOperand(const Row& row, Predicate predicate) {
  return std::any_of(std::begin(row.operands), std::end(row.operands), predicate);
}

using enum Operand;

// Operands of the current operand size.
bool hasVariableSize(const Row& row) {
  return anyOperand(row, [](Operand o) {
    return isOneOf(o, {Ev, Gv, Rv, Zv, rAX, Iz, Iv, Xv, Yv, Ov, rDX, EAX});
  });
}
bool namesRegisterOrMemory(const Row& row) {
  return anyOperand(row, [](Operand o) {
    return isOneOf(o, {Eb, Ew, Ed, Eq, Ev, Ey, Qq, Qd, Wx, Wd, Wq, Ww, Wb, Wh, Wf, We, Wdq, Wqq});
  });
}
bool namesMemory(const Row& row) {
  return anyOperand(row, [](Operand o) {
    return isOneOf(o, {M, Mp, Ma, Mb, Mw, Md, Mq, Mt, Mdq, Mqq, Ms, Mx, VMd, VMq});
  });
}

// Operand sizes as bits by size code. Of rows without such an operand any one will do: 0.
uint32_t wantedSizes(const Row& row) {
  if (row.has(kEvex) && !row.has(kLig | kL0 | kWideByW))
    return row.has(k512) ? 1 << 2 : row.has(kNot128) ? 1 << 1 | 1 << 2 : 1 | 1 << 1 | 1 << 2;
  if (row.has(kByte | kFixed32 | kForce64 | kVex)) return 0;
  if (row.has(kWideByW)) return 1 << 2 | 1 << 3;
  if (!hasVariableSize(row)) return 0;
  return 1 << 1 | 1 << 3 | (row.has(kDefault64) ? 0 : 1 << 2);
}

uint32_t wantedEvexForms(const Row& row) {
  const bool intoVector = row.operands[0] == Vx || row.operands[0] == Hx;
  return (row.has(kMaskable) ? kMasked : 0) |
         (row.has(kMaskable) && !row.has(kMaskRequired) && intoVector ? kZeroed : 0) |
         (row.has(kBroadcast4 | kBroadcast8) ? kBroadcast : 0) |
         (row.has(kRound | kSae) ? kRounded : 0);
}

struct Wanted {
  bool reg, memory;
  uint32_t sizes, prefixes;
};
Wanted wantedOf(const Row& row) {
  const bool either = namesRegisterOrMemory(row), only = namesMemory(row);
  return {.reg = row.modrm.form == 2 || (row.modrm.form == 0 && !only),
          .memory = row.modrm.form == 1 || only || (row.modrm.form == 0 && either),
          .sizes = wantedSizes(row),
          .prefixes = (row.has(kLockable) ? kLocked : 0) | (row.has(kRepPrefix) ? kRepeated : 0) |
                      wantedEvexForms(row)};
}

bool covers(uint32_t seen, uint32_t sizes) { return sizes ? (seen & sizes) == sizes : seen != 0; }

std::string describe(uint32_t forms) {
  static constexpr const char* kNames[] = {"r8",  "r16",  "r32", "r64", "m8", "m16",  "m32",
                                           "m64", "lock", "rep", "k",   "z",  "bcst", "er"};
  std::string text;
  for (unsigned n = 0; n < std::size(kNames); ++n)
    if (forms >> n & 1) text += std::string(" ") + kNames[n];
  return text;
}

}  // namespace

Coverage::Coverage() : seen_(kRowCount) {}

void Coverage::note(const Row& row, const Code& code) {
  Decoded decoded;
  Seen& seen = of(row);
  ++seen.cases;
  if (decode(code.bytes, code.length, CodeMode::k64, hostFeatures(), 0, decoded) !=
      DecodeStatus::kOk)
    return;
  const Instruction& i = decoded.instruction;
  if (&kRows[i.row] != &row) return;
  seen.forms |= 1u << (i.operandSize() + (i.isMemory() ? kMemoryShift : 0));
  if (i.hasLock()) seen.forms |= kLocked;
  if (i.hasRep()) seen.forms |= kRepeated;
  if (!row.has(kEvex)) return;
  if (i.opmask()) seen.forms |= kMasked;
  if (i.zeroing()) seen.forms |= kZeroed;
  if (i.evexB()) seen.forms |= i.isMemory() ? kBroadcast : kRounded;
}

bool Coverage::complete(const Row& row) const {
  const Wanted wanted = wantedOf(row);
  const uint32_t forms = of(row).forms, inRegister = forms & 15,
                 inMemory = forms >> kMemoryShift & 15;
  return (!wanted.reg || covers(inRegister, wanted.sizes)) &&
         (!wanted.memory || covers(inMemory, wanted.sizes)) &&
         (forms & wanted.prefixes) == wanted.prefixes;
}

bool Coverage::report() const {
  bool all = true;
  unsigned covered = 0, elsewhere = 0;
  for (unsigned n = 0; n < kRowCount; ++n) {
    const Row& row = kRows[n];
    if (const char* reason = Generator::whyNot(row)) {
      ++elsewhere;
      std::printf("%-28s not compared: %s\n", row.name, reason);
      continue;
    }
    const bool ok = complete(row);
    all &= ok;
    covered += ok;
    std::printf("%-28s %8u cases%s%s\n", row.name, of(row).cases, describe(of(row).forms).c_str(),
                ok ? "" : "  INCOMPLETE");
  }
  std::printf("rows covered in every form %u, not comparable in user mode %u, of %u\n", covered,
              elsewhere, kRowCount);
  return all;
}

}  // namespace nodevm::oracle

#include "generator.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "cpu/features.h"
#include "decoder/row_index.h"

namespace nodevm::oracle {

namespace {

bool hasOperand(const Row& row, Operand operand) {
  return std::find(std::begin(row.operands), std::end(row.operands), operand) !=
         std::end(row.operands);
}

bool hasVectorIndex(const Row& row) {
  return row.has(kVex) && (hasOperand(row, Operand::VMd) || hasOperand(row, Operand::VMq));
}

bool isFxState(const Row& row) {
  const std::string_view mnemonic = row.mnemonic;
  return mnemonic == "fxsave" || mnemonic == "fxrstor";
}

// XSAVE, XRSTOR and their like.
bool isXState(const Row& row) {
  const std::string_view mnemonic = row.mnemonic;
  return mnemonic.starts_with("xsave") || mnemonic.starts_with("xrstor");
}

bool isString(const Row& row) {
  using enum Operand;
  return hasOperand(row, Xb) || hasOperand(row, Xv) || hasOperand(row, Yb) || hasOperand(row, Yv);
}

// Rows that end a block and may be compared nevertheless.
constexpr std::string_view kComparable[] = {"pushf", "j%c",   "jmp",    "call", "ret",
                                            "loop",  "loope", "loopne", "jcxz"};

// What user mode cannot compare, by mnemonic, and where it is tested. Whatever is not here is
// compared.
struct Elsewhere {
  std::string_view mnemonic;
  const char* reason;
};
constexpr const char* kTime = "time, chance or identity of the processor; guests control, features";
constexpr const char* kSystem = "the kernel's own state; guests protected, long, tasks";
constexpr const char* kState = "components that the host has enabled; guests xstate, control";
constexpr const char* kLeaves = "leaves the code page or user mode; guests interrupts, long, v86";
constexpr Elsewhere kElsewhere[] = {
    {"rdtsc", kTime},      {"rdtscp", kTime},     {"rdpid", kTime},      {"cpuid", kTime},
    {"rdrand", kTime},     {"rdseed", kTime},     {"xgetbv", kState},    {"xsaves", kSystem},
    {"xrstors", kSystem},  {"sgdt", kSystem},     {"sidt", kSystem},     {"sldt", kSystem},
    {"str", kSystem},      {"smsw", kSystem},     {"lar", kSystem},      {"lsl", kSystem},
    {"verr", kSystem},     {"verw", kSystem},     {"rdfsbase", kSystem}, {"rdgsbase", kSystem},
    {"wrfsbase", kSystem}, {"wrgsbase", kSystem}, {"sti", kSystem},      {"cli", kSystem},
    {"in", kSystem},       {"out", kSystem},      {"ins", kSystem},      {"outs", kSystem},
    {"popf", kLeaves},     {"hlt", kSystem},      {"syscall", kLeaves},  {"sysenter", kLeaves},
    {"int", kLeaves},      {"int3", kLeaves},     {"int1", kLeaves},     {"into", kLeaves}};

bool isComparable(const Row& row) {
  // Indirect branches could go anywhere.
  if (hasOperand(row, Operand::Ev) && row.has(kForce64)) return false;
  return std::find(std::begin(kComparable), std::end(kComparable), row.mnemonic) !=
         std::end(kComparable);
}

constexpr uint64_t kCorners[] = {
    0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
    0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
    // as doubles and singles: 1.0, -1.0, infinities, quiet and signalling NaNs, denormals, halves
    0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0xfff0000000000000,
    0x7ff8000000000001, 0x7ff0000000000001, 0x0000000000000001, 0x000fffffffffffff,
    0x3fe0000000000000, 0x43e0000000000000, 0x3f8000003f800000, 0xbf800000bf800000,
    0x7f8000007f800000, 0xff800000ff800000, 0x7fc000017fc00001, 0x7f8000017f800001,
    0x0000000100000001, 0x007fffff007fffff, 0x3f0000003f000000, 0x4f0000004f000000,
    0x41dfffffffc00000, 0xc1e0000000000000, 0x7fefffffffffffff, 0x0010000000000000,
    0x3ff8000000000000};

}  // namespace

const char* Generator::whyNot(const Row& row) {
  if (row.has(kInvalid64)) return "not in 64-bit mode; guests real, protected";
  if (!has(hostFeatures(), row.feature()) ||
      (row.has(kEvex) && !has(hostFeatures(), row.wideFeature())))
    return "the host lacks its feature";
  for (const Elsewhere& entry : kElsewhere)
    if (entry.mnemonic == row.mnemonic) return entry.reason;
  using enum Operand;
  for (const Operand segment : {Sw, ES, SS, DS, FS, GS, CS})
    if (hasOperand(row, segment)) return "segment registers; guests protected, long";
  if (row.has(kEndsBlock) && !isString(row) && !isComparable(row)) return kLeaves;
  return nullptr;
}

uint64_t Generator::corner() {
  switch (below(4)) {
    case 0:
      return kCorners[below(std::size(kCorners))];
    case 1:
      return number() >> below(64);
    case 2:
      return kCorners[below(std::size(kCorners))] + below(5) - 2;
    default:
      return number();
  }
}

uint64_t Generator::dataAddress() {
  // Mostly inside, sometimes across the page boundary, rarely into the unmapped page behind.
  if (oneIn(40)) return kDataPages + kDataSize - below(24);
  if (oneIn(8)) return kDataPages + 4096 - below(24);
  const uint64_t address = kDataPages + 512 + below(kDataSize - 1024);
  return oneIn(2) ? address & ~uint64_t{15} : address;
}

void Generator::randomState(State& state) {
  for (uint64_t& value : state.gpr) value = corner();
  state.gpr[4] = kDataPages + 2048 + below(64) * 8;
  state.rflags = 0x202 | (number() & 0x8d5) | (oneIn(8) ? 0x400 : 0);
  for (size_t n = 0; n < kDataSize; n += 8) {
    const uint64_t value = corner();
    std::memcpy(state.data + n, &value, 8);
  }
  randomFpuState(state);
}

void Generator::randomFpuState(State& state) {
  std::memset(state.fx, 0, sizeof state.fx);
  const auto control = static_cast<uint16_t>(0x37f & ~(oneIn(6) ? below(64) : 0));
  const auto word =
      static_cast<uint16_t>((control & ~0xf00) | below(4) << 10 | (below(2) ? 3 : below(4)) << 8);
  std::memcpy(state.fx, &word, 2);
  const auto status = static_cast<uint16_t>(below(8) << 11 | (number() & 0x4700));
  std::memcpy(state.fx + 2, &status, 2);
  state.fx[4] = static_cast<uint8_t>(oneIn(3) ? number() : 0xff);
  const uint32_t mxcsr = 0x1f80 | below(4) << 13 | (oneIn(4) ? 0x40 : 0) | (oneIn(4) ? 0x8000 : 0);
  const uint32_t unmasked = oneIn(6) ? mxcsr & ~(below(64) << 7) : mxcsr;
  std::memcpy(state.fx + 24, &unmasked, 4);
  for (unsigned n = 0; n < 8; ++n) {
    const uint64_t mantissa = oneIn(8) ? corner() : corner() | uint64_t{1} << 63;
    const auto exponent = static_cast<uint16_t>(oneIn(3)   ? 0x3fff + below(128) - 64
                                                : oneIn(3) ? (oneIn(2) ? 0x7fff : 0)
                                                           : number());
    std::memcpy(state.fx + 32 + n * 16, &mantissa, 8);
    const auto signExponent = static_cast<uint16_t>(exponent | (oneIn(2) ? 0x8000 : 0));
    std::memcpy(state.fx + 40 + n * 16, &signExponent, 2);
  }
  for (unsigned n = 0; n < 32; ++n) {
    const uint64_t value = corner();
    std::memcpy(state.fx + 160 + n * 8, &value, 8);
    const uint64_t upper = corner();
    std::memcpy(state.upper[n / 2] + n % 2 * 8, &upper, 8);
  }
  for (uint64_t& mask : state.mask) mask = corner();
  std::memset(state.zmmUpper, 0, sizeof state.zmmUpper);
  // Otherwise VEX instructions would never be translated (cpu/avx512.h).
  if (oneIn(8)) randomUppers(state);
  for (uint8_t* at = state.zmmHigh[0]; at != state.zmmHigh[0] + sizeof state.zmmHigh; at += 8) {
    const uint64_t value = corner();
    std::memcpy(at, &value, sizeof value);
  }
}

void Generator::put(Code& code, uint64_t value, unsigned size) {
  for (unsigned n = 0; n < size; ++n)
    code.bytes[code.length++] = static_cast<uint8_t>(value >> (8 * n));
}

// The prefix, with fields at random where the row leaves them open, and the opcode map. Returns its
// R, X, B and W as a REX prefix has them.
uint8_t Generator::putVex(const Row& row, Code& code) {
  auto rex = static_cast<uint8_t>(below(16));
  // Eight opmask registers; guest avx512 has what the SDM says of more, and AMD ignores.
  if (hasOperand(row, Operand::Kg)) rex &= 0xb;
  // Now and then a prefix, W or L that makes it invalid.
  static constexpr uint8_t kForbidden[] = {0x66, 0xf2, 0xf3, 0xf0, 0x48};
  if (oneIn(60)) put(code, kForbidden[below(std::size(kForbidden))], 1);
  const bool wide = (!row.has(kW0) && (row.has(kW1) || (rex & 8))) != oneIn(40);
  const bool upper = (!row.has(kL0) && (row.has(kL1) || oneIn(2))) != oneIn(40);
  const bool named = hasOperand(row, Operand::Hx) || hasOperand(row, Operand::By);
  const unsigned vvvv = hasOperand(row, Operand::Kh) ? below(8)
                        : named                      ? below(16)
                        : oneIn(40)                  ? below(16)
                                                     : 0;
  const unsigned pp = row.prefix == Mandatory::k66   ? 1
                      : row.prefix == Mandatory::kF3 ? 2
                      : row.prefix == Mandatory::kF2 ? 3
                                                     : 0;
  const unsigned last = (~vvvv & 15) << 3 | upper << 2 | pp;
  if (row.map == OpcodeMap::k0F && !wide && (rex & 3) == 0) {
    put(code, 0xc5, 1);
    put(code, (rex & 4 ? 0 : 0x80) | last, 1);
    return rex & 4;
  }
  put(code, 0xc4, 1);
  put(code, (~rex & 7) << 5 | static_cast<unsigned>(row.map), 1);
  put(code, wide << 7 | last, 1);
  return static_cast<uint8_t>((rex & 7) | wide << 3);
}

// Indices that keep most elements within the data pages; some leave them.
void Generator::putVectorSib(const Row& row, Code& code, State& state, uint8_t rex) {
  const unsigned base = below(8), index = below(8), scale = below(4);
  put(code, 2 << 6 | below(8) << 3 | 4, 1);
  put(code, scale << 6 | index << 3 | base, 1);
  const auto displacement = static_cast<int64_t>(static_cast<int32_t>(below(1024)) - 512);
  put(code, static_cast<uint64_t>(displacement), 4);
  const unsigned number = index | (rex & 2) << 2;
  const bool quadwords = hasOperand(row, Operand::VMq);
  const auto indexValue = [&] {
    const int64_t value = oneIn(12) ? 4096 >> scale : static_cast<int64_t>(below(256)) - 128;
    return quadwords ? static_cast<uint64_t>(value)
                     : (static_cast<uint64_t>(value) & 0xffffffff) |
                           static_cast<uint64_t>(below(64)) << 32;
  };
  for (unsigned n = 0; n < 2; ++n) {
    const uint64_t lower = indexValue(), upper = indexValue();
    std::memcpy(state.fx + 160 + number * 16 + n * 8, &lower, 8);
    std::memcpy(state.upper[number] + n * 8, &upper, 8);
  }
  state.gpr[base | (rex & 1) << 3] = kDataPages + 2048 + below(2048);
}

// ModRM.rm or SIB.base. The mask of components is in EDX:EAX.
unsigned Generator::baseRegister(const Row& row, uint8_t rex) {
  unsigned low = below(8);
  while (isXState(row) && !(rex & 1) && (low == 0 || low == 2)) low = below(8);
  return low;
}

// Where an image of the FPU's state lies, as FXRSTOR or XRSTOR may want it: mostly aligned, with a
// header that is mostly valid.
uint64_t Generator::stateAddress(State& state) {
  constexpr unsigned kImage = 1088, kMxcsrAt = 24, kHeaderAt = 512;
  if (oneIn(30)) return dataAddress();
  const unsigned at = 512 + below((kDataSize - 1024 - kImage) / 64) * 64;
  State other;
  randomFpuState(other);
  uint8_t* image = state.data + at;
  std::memcpy(image, other.fx, sizeof other.fx);
  if (oneIn(30)) image[kMxcsrAt + 2] = static_cast<uint8_t>(number());
  const bool compact = oneIn(2);
  uint64_t header[8] = {below(8), compact ? uint64_t{1} << 63 | 7 : 0};
  if (oneIn(4)) header[1] = compact ? uint64_t{1} << 63 | below(8) : below(2);
  if (oneIn(8)) header[2 + below(6)] = below(2);
  std::memcpy(image + kHeaderAt, header, sizeof header);
  return kDataPages + at + (oneIn(20) ? below(64) : 0);
}

void Generator::putModRm(const Row& row, Code& code, State& state, uint8_t rex, bool address32) {
  if (row.modrm.exact >= 0) return put(code, static_cast<uint64_t>(row.modrm.exact), 1);
  const unsigned reg = row.modrm.reg >= 0 ? static_cast<unsigned>(row.modrm.reg) : below(8);
  bool memory = row.modrm.form == 1 || (row.modrm.form == 0 && oneIn(2));
  using enum Operand;
  for (const Operand operand : {M, Mp, Mb, Mw, Md, Mq, Mt, Mdq, Mqq, Ms, Mx})
    memory |= hasOperand(row, operand);
  if (row.modrm.form == 2) memory = false;
  if (!memory) return put(code, 0xc0 | reg << 3 | below(8), 1);

  // Base register with a displacement; the index, where there is one, is small.
  const unsigned low = baseRegister(row, rex), base = low | (rex & 1) << 3;
  const unsigned mod = oneIn(2) ? 1 : 2;
  const bool sib = low == 4 || oneIn(3);
  const unsigned baseLow = sib ? (low == 4 ? 4 : low) : low;
  const auto displacement = static_cast<int64_t>(static_cast<int8_t>(number()));
  const uint64_t address = isXState(row) || isFxState(row) ? stateAddress(state) : dataAddress();
  put(code, mod << 6 | reg << 3 | (sib ? 4 : baseLow), 1);
  uint64_t indexValue = 0;
  if (sib) {
    const unsigned index = isXState(row) ? 4 : below(8), scale = below(4);
    const unsigned indexNumber = index | (rex & 2) << 2;
    put(code, scale << 6 | index << 3 | baseLow, 1);
    if (indexNumber != 4 && indexNumber != base) {
      state.gpr[indexNumber] = below(32);
      indexValue = state.gpr[indexNumber] << scale;
    } else if (indexNumber == base && indexNumber != 4) {
      // base and index are one register: any address will do, mostly a fault on both sides
      indexValue = 0;
    }
  }
  put(code, static_cast<uint64_t>(displacement), mod == 1 ? 1 : 4);
  state.gpr[base] = address - indexValue - static_cast<uint64_t>(displacement);
  if (address32) state.gpr[base] |= number() << 32;
  // A register bit offset moves the address: keep it near.
  const std::string_view mnemonic = row.mnemonic;
  const unsigned regNumber = reg | (rex & 4) << 1;
  if (mnemonic.starts_with("bt") && regNumber != base) state.gpr[regNumber] = below(2048) - 1024;
}

void Generator::putImmediates(const Row& row, Code& code, bool word, bool wide) {
  using enum Operand;
  for (const Operand operand : row.operands) {
    switch (operand) {
      // Far enough to leave the instruction, near enough to stay on its page, which is full of
      // INT3.
      case Jb:
        put(code, oneIn(2) ? 16 + below(100) : 0u - 32 - below(96), 1);
        break;
      case Jz:
        put(code, oneIn(2) ? 16 + below(1500) : 0u - 32 - below(1500), 4);
        break;
      case Ib:
      case Is:
      case Lx:
        put(code, oneIn(2) ? below(70) : number(), 1);
        break;
      case Iw:
        put(code, number(), 2);
        break;
      case Iz:
        put(code, corner(), word ? 2 : 4);
        break;
      case Iv:
        put(code, corner(), wide ? 8 : word ? 2 : 4);
        break;
      case Ob:
      case Ov:
        put(code, dataAddress(), 8);
        break;
      default:
        break;
    }
  }
}

// For XSAVEOPT and XSAVEC, which leave out what is in its initial state.
void Generator::resetComponents(State& state) {
  constexpr unsigned kX87Registers = 32, kXmm = 160, kEnd = 416;
  static constexpr uint8_t kInitialX87[] = {0x7f, 3, 0, 0, 0};
  if (oneIn(3)) {
    std::memcpy(state.fx, kInitialX87, sizeof kInitialX87);
    std::memset(state.fx + kX87Registers, 0, kXmm - kX87Registers);
  }
  if (oneIn(3)) std::memset(state.fx + kXmm, 0, kEnd - kXmm);
  if (oneIn(3)) std::memset(state.upper, 0, sizeof state.upper);
}

void Generator::setImplicitRegisters(const Row& row, State& state) {
  const std::string_view mnemonic = row.mnemonic;
  const bool masksBytes = mnemonic.find("maskmovdqu") != mnemonic.npos || mnemonic == "maskmovq";
  if (isString(row) || masksBytes) {
    state.gpr[1] = below(20);
    state.gpr[6] = dataAddress();
    state.gpr[7] = dataAddress();
  }
  // Which of two operands faults first.
  if (isString(row) && oneIn(30)) {
    state.gpr[6] = kDataPages + kDataSize + below(64);
    state.gpr[7] = kDataPages + kDataSize + 256 + below(64);
  }
  if (isXState(row)) {
    state.gpr[0] = oneIn(4) ? 7 : below(8);
    state.gpr[2] = 0;
    resetComponents(state);
  }
  if (mnemonic == "xlat") state.gpr[3] = dataAddress();
  if (mnemonic == "ret") {
    const uint64_t target = kCodePage + 16 + below(1024);
    std::memcpy(state.data + (state.gpr[4] - kDataPages), &target, sizeof target);
  }
  // Elsewhere may be memory of the host program: of a sanitizer, say.
  if (mnemonic == "leave" || mnemonic == "enter") state.gpr[5] = dataAddress();
}

void Generator::append(const Row& row, Code& code, State& state) {
  setImplicitRegisters(row, state);
  const bool address32 =
      oneIn(24) && !hasOperand(row, Operand::Ob) && !hasOperand(row, Operand::Ov);
  bool word = false;
  if (address32) put(code, 0x67, 1);
  if (oneIn(20)) put(code, oneIn(2) ? 0x3e : 0x26, 1);
  if (row.has(kEvex)) return appendEvex(row, code, state, address32);
  if (row.has(kVex)) {
    const uint8_t rex = putVex(row, code);
    put(code, row.opcode, 1);
    if (hasVectorIndex(row)) {
      putVectorSib(row, code, state, rex);
    } else if (rowHasModRm(row)) {
      putModRm(row, code, state, rex, address32);
    }
    return putImmediates(row, code, false, false);
  }
  // POPCNT and its like: 16-bit operands in spite of the mandatory prefix.
  const bool repeats = row.prefix == Mandatory::kF2 || row.prefix == Mandatory::kF3;
  if (repeats && hasOperand(row, Operand::Ev) && oneIn(4)) {
    put(code, 0x66, 1);
    word = true;
  }
  switch (row.prefix) {
    case Mandatory::k66:
      put(code, 0x66, 1);
      break;
    case Mandatory::kF2:
      put(code, 0xf2, 1);
      break;
    case Mandatory::kF3:
      put(code, 0xf3, 1);
      break;
    case Mandatory::kAny:
      // AMD processors truncate RIP for a near branch with 66, Intel's ignore it.
      if (oneIn(4) && !row.has(kForce64)) {
        put(code, 0x66, 1);
        word = true;
      }
      if (row.has(kRepPrefix) && oneIn(2)) put(code, oneIn(2) ? 0xf2 : 0xf3, 1);
      if (row.has(kLockable) && oneIn(6)) put(code, 0xf0, 1);
      break;
    case Mandatory::kNone:
      break;
  }
  const uint8_t rex = oneIn(2) ? static_cast<uint8_t>(0x40 | below(16)) : 0;
  if (rex) put(code, rex, 1);
  const bool wide = rex & 8;
  if (row.map != OpcodeMap::kOneByte) put(code, 0x0f, 1);
  if (row.map == OpcodeMap::k0F38) put(code, 0x38, 1);
  if (row.map == OpcodeMap::k0F3A) put(code, 0x3a, 1);
  put(code, row.opcode + (row.has(kPlusReg) ? below(8) : row.has(kPlusCond) ? below(16) : 0), 1);
  if (rowHasModRm(row)) putModRm(row, code, state, rex, address32);
  putImmediates(row, code, word && !wide, wide);
}

}  // namespace nodevm::oracle

#pragma once
// The arithmetic of the x87 on the host's own x87: 80-bit results, rounding, precision control, NaN
// rules and transcendental functions are the hardware's. Knows nothing of the guest's register
// stack. The one file with x87 assembly; a host without an x87 needs the same functions in
// software.
//
// Every operation runs with the guest's control word, its unmasked exceptions included, since those
// change results. An unmasked exception would trap at the next waiting instruction, so the status
// word is read and such a flag is cleared by instructions that do not wait (SDM volume 1, "x87 FPU
// Exception Synchronization"). Afterwards the host's control word is the ABI's and its register
// stack is empty, whether or not the operation pushed or popped; storing an empty register is
// harmless with exceptions masked.

#include <cstdint>

#include "cpu/state.h"

namespace nodevm::x87 {

// Values are the ModRM.reg digits of opcode D8.
enum class Binary : uint8_t { kAdd = 0, kMul = 1, kSub = 4, kSubr = 5, kDiv = 6, kDivr = 7 };

// Values are opcode << 8 | ModRM, comparing ST(0) with ST(1).
enum class Comparison : uint16_t { kOrdered = 0xd8d1, kUnordered = 0xdde1, kWithZero = 0xd9e4 };

// ModRM byte of opcode D9. Named by how they change the depth of the stack: none, one more, one
// less.
enum class Function : uint8_t {
  k2Xm1 = 0xf0,
  kPrem1 = 0xf5,
  kPrem = 0xf8,
  kSqrt = 0xfa,
  kRound = 0xfc,
  kScale = 0xfd,
  kSin = 0xfe,
  kCos = 0xff,
};
enum class PushingFunction : uint8_t { kTan = 0xf2, kExtract = 0xf4, kSinCos = 0xfb };
enum class PoppingFunction : uint8_t { kYLog2X = 0xf1, kAtan = 0xf3, kYLog2Xp1 = 0xf9 };

// Formats of arithmetic operands in memory; values are the opcode.
enum class Format : uint8_t { kSingle = 0xd8, kInt32 = 0xda, kDouble = 0xdc, kInt16 = 0xde };

// Conversions from and to memory formats; values are opcode << 8 | ModRM with a memory operand at
// (RAX).
enum class Load : uint16_t {
  kSingle = 0xd900,
  kDouble = 0xdd00,
  kInt16 = 0xdf00,
  kInt32 = 0xdb00,
  kInt64 = 0xdf28,
  kBcd = 0xdf20,
};
enum class Store : uint16_t {
  kSingle = 0xd918,
  kDouble = 0xdd18,
  kInt16 = 0xdf18,
  kInt32 = 0xdb18,
  kInt64 = 0xdf38,
  kBcd = 0xdf30,
  kTruncate16 = 0xdf08,
  kTruncate32 = 0xdb08,
  kTruncate64 = 0xdd08,
};

// An operand in memory: up to ten bytes, in the low addresses.
struct Image {
  alignas(16) uint8_t bytes[16] = {};
};

// What an operation runs in: the guest's control word, and the masked exception flags that its
// status word already holds. Of those the outcome may hold any, which does not matter as flags are
// sticky.
struct Environment {
  uint16_t control;
  uint16_t flags;

  explicit Environment(const X87State& x87)
      : control(x87.control), flags(x87.status & x87.control & 0x3f) {}
};

// The two topmost registers and the status word after an operation. Of the status word the
// exception flags and the condition codes have a meaning.
struct Outcome {
  Float80 st0, st1;
  uint16_t status;
};

namespace host {

inline constexpr uint16_t kAbiControl = 0x037f;

// Puts the guest's control word in force. FNCLEX costs many times what an operation does, so flags
// from before are cleared only when the guest does not have them.
inline void enter(const Environment& environment) {
  const auto foreign = static_cast<uint16_t>(~environment.flags & 0x3f);
  uint16_t status;
  asm volatile(
      "fnstsw %[status]\n\t"
      "testw %[foreign], %[status]\n\t"
      "jz 1f\n\t"
      "fnclex\n"
      "1:\n\t"
      "fldcw %[control]"
      : [status] "=&a"(status)
      : [foreign] "r"(foreign), [control] "m"(environment.control)
      : "cc");
}

// Runs a register instruction on ST(0) and ST(1).
template <uint8_t kOpcode, uint8_t kModRm>
inline Outcome onTwo(const Environment& environment, const Float80& st0, const Float80& st1) {
  enter(environment);
  Outcome out;
  asm volatile(
      "fldt %[in1]\n\t"
      "fldt %[in0]\n\t"
      ".byte %c[opcode], %c[modrm]\n\t"
      "fnstsw %%ax\n\t"
      "testb %%al, %%al\n\t"
      "jns 1f\n\t"
      "fnclex\n"
      "1:\n\t"
      "fldcw %[abi]\n\t"
      "fstpt %[out0]\n\t"
      "fstpt %[out1]"
      : "=&a"(out.status), [out0] "=m"(out.st0), [out1] "=m"(out.st1)
      : [abi] "m"(kAbiControl), [in0] "m"(st0), [in1] "m"(st1), [opcode] "i"(kOpcode),
        [modrm] "i"(kModRm)
      : "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
  return out;
}

// The same with ST(0) only.
template <uint8_t kOpcode, uint8_t kModRm>
inline Outcome onOne(const Environment& environment, const Float80& st0) {
  enter(environment);
  Outcome out;
  asm volatile(
      "fldt %[in0]\n\t"
      ".byte %c[opcode], %c[modrm]\n\t"
      "fnstsw %%ax\n\t"
      "testb %%al, %%al\n\t"
      "jns 1f\n\t"
      "fnclex\n"
      "1:\n\t"
      "fldcw %[abi]\n\t"
      "fstpt %[out0]\n\t"
      "fstpt %[out1]"
      : "=&a"(out.status), [out0] "=m"(out.st0), [out1] "=m"(out.st1)
      : [abi] "m"(kAbiControl), [in0] "m"(st0), [opcode] "i"(kOpcode), [modrm] "i"(kModRm)
      : "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
  return out;
}

// Runs an instruction on ST(0) and the memory operand at (RAX).
template <uint8_t kOpcode, uint8_t kModRm>
inline Outcome onMemory(const Environment& environment, const Float80& st0, const Image& image) {
  enter(environment);
  Outcome out;
  uint64_t address = reinterpret_cast<uintptr_t>(&image);
  asm volatile(
      "fldt %[in0]\n\t"
      ".byte %c[opcode], %c[modrm]\n\t"
      "fnstsw %%ax\n\t"
      "testb %%al, %%al\n\t"
      "jns 1f\n\t"
      "fnclex\n"
      "1:\n\t"
      "fldcw %[abi]\n\t"
      "fstpt %[out0]"
      : "+&a"(address), [out0] "=m"(out.st0)
      : [abi] "m"(kAbiControl), [in0] "m"(st0),
        "m"(image), [opcode] "i"(kOpcode), [modrm] "i"(kModRm)
      : "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
  out.status = static_cast<uint16_t>(address);
  return out;
}

}  // namespace host

template <Binary kOperation>
Outcome binary(const Environment& environment, const Float80& st0, const Float80& other) {
  return host::onTwo<0xd8, 0xc1 | static_cast<uint8_t>(kOperation) << 3>(environment, st0, other);
}

template <Binary kOperation, Format kFormat>
Outcome binary(const Environment& environment, const Float80& st0, const Image& image) {
  return host::onMemory<static_cast<uint8_t>(kFormat), static_cast<uint8_t>(kOperation) << 3>(
      environment, st0, image);
}

// C0, C2 and C3 of the status word are the answer.
template <Comparison kComparison>
Outcome compare(const Environment& environment, const Float80& st0, const Float80& other) {
  constexpr auto kCode = static_cast<unsigned>(kComparison);
  return host::onTwo<(kCode >> 8), (kCode & 0xff)>(environment, st0, other);
}

template <Format kFormat>
Outcome compare(const Environment& environment, const Float80& st0, const Image& image) {
  constexpr uint8_t kFcom = 2 << 3;
  return host::onMemory<static_cast<uint8_t>(kFormat), kFcom>(environment, st0, image);
}

template <Function kFunction>
Outcome evaluate(const Environment& environment, const Float80& st0, const Float80& st1) {
  return host::onTwo<0xd9, static_cast<uint8_t>(kFunction)>(environment, st0, st1);
}

// The results are valid only when no unmasked exception kept the instruction from pushing.
template <PushingFunction kFunction>
Outcome evaluate(const Environment& environment, const Float80& st0) {
  return host::onOne<0xd9, static_cast<uint8_t>(kFunction)>(environment, st0);
}

// The result is st0, valid only when no unmasked exception kept the instruction from popping.
template <PoppingFunction kFunction>
Outcome evaluate(const Environment& environment, const Float80& st0, const Float80& st1) {
  return host::onTwo<0xd9, static_cast<uint8_t>(kFunction)>(environment, st0, st1);
}

// The result is st0, valid only when there was no unmasked exception.
template <Load kLoad>
Outcome loadImage(const Environment& environment, const Image& image) {
  constexpr auto kCode = static_cast<unsigned>(kLoad);
  host::enter(environment);
  Outcome out;
  uint64_t address = reinterpret_cast<uintptr_t>(&image);
  asm volatile(
      ".byte %c[opcode], %c[modrm]\n\t"
      "fnstsw %%ax\n\t"
      "testb %%al, %%al\n\t"
      "jns 1f\n\t"
      "fnclex\n"
      "1:\n\t"
      "fldcw %[abi]\n\t"
      "fstpt %[out0]"
      : "+&a"(address), [out0] "=m"(out.st0)
      : [abi] "m"(host::kAbiControl),
        "m"(image), [opcode] "i"(kCode >> 8), [modrm] "i"(kCode & 0xff)
      : "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
  out.status = static_cast<uint16_t>(address);
  return out;
}

// Returns the status word; `image` is written unless an unmasked exception forbids it.
template <Store kStore>
uint16_t storeImage(const Environment& environment, const Float80& st0, Image& image) {
  constexpr auto kCode = static_cast<unsigned>(kStore);
  host::enter(environment);
  uint64_t address = reinterpret_cast<uintptr_t>(&image);
  asm volatile(
      "fldt %[in0]\n\t"
      ".byte %c[opcode], %c[modrm]\n\t"
      "fnstsw %%ax\n\t"
      "testb %%al, %%al\n\t"
      "jns 1f\n\t"
      "fnclex\n"
      "1:\n\t"
      "fldcw %[abi]\n\t"
      "ffree %%st(0)"
      : "+&a"(address), "+m"(image)
      : [abi] "m"(host::kAbiControl), [in0] "m"(st0), [opcode] "i"(kCode >> 8),
        [modrm] "i"(kCode & 0xff)
      : "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
  return static_cast<uint16_t>(address);
}

}  // namespace nodevm::x87

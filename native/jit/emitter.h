#pragma once
// Writes x86-64 machine code. SDM volume 2, "Instruction Format". Operands are register numbers;
// names and order of operands are those of the manual.

#include <cstdint>
#include <cstring>

#include "decoder/row.h"
#include "jit/code_buffer.h"

namespace nodevm {

// Register numbers of the host.
namespace host {
inline constexpr uint8_t kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6,
                         kRdi = 7, kR8 = 8, kR9 = 9, kR10 = 10, kR11 = 11, kR12 = 12, kR13 = 13,
                         kR14 = 14, kR15 = 15, kNone = 0xff;
}

struct HostOpcode {
  OpcodeMap map = OpcodeMap::kOneByte;
  uint8_t byte = 0;
  uint8_t prefix = 0;  // mandatory 66, F2 or F3; 0: none
  bool vex = false;    // with a VEX prefix, and these in it
  bool vexL = false, vexW = false;
  uint8_t vvvv = 0;
};

// A memory operand; scale is a shift count.
struct HostMemory {
  uint8_t base = host::kNone, index = host::kNone, scale = 0;
  int32_t displacement = 0;
};

// What ModRM.rm stands for.
struct HostRm {
  bool isMemory = false;
  uint8_t reg = 0;
  HostMemory memory;

  HostRm(uint8_t number) : reg(number) {}
  HostRm(const HostMemory& operand) : isMemory(true), memory(operand) {}
};

// Byte registers: numbers 4..7 are SPL..DIL, which take a REX prefix, unless `high` says AH..BH.
struct ByteOperands {
  bool reg = false, rm = false;
  bool high = false;  // numbers are encodings as they stand, no REX prefix
};

// Digits of the group 1 opcodes, which are also bits 3..5 of their one-byte forms.
enum class Alu : uint8_t { kAdd, kOr, kAdc, kSbb, kAnd, kSub, kXor, kCmp };

class Emitter {
 public:
  // Place of a rel32 that is to be bound.
  using Fixup = const uint8_t*;

  Emitter(CodeBuffer& buffer, const uint8_t* start)
      : buffer_(buffer), at_(buffer.writable(start)) {}

  const uint8_t* here() const { return buffer_.executable(at_); }
  // Writes there from now on.
  void moveTo(const uint8_t* place) { at_ = buffer_.writable(place); }

  // What a scratch register holds is lost where an operand names it, unless the instruction is
  // known to read it only, or where a thunk is called.
  bool lost(uint8_t reg) const { return (named_ >> reg & 1) != 0; }
  void keep(uint8_t reg) { named_ &= ~(1u << reg); }

  // --- raw
  void byte(unsigned value) { *at_++ = static_cast<uint8_t>(value); }
  void dword(uint32_t value) { put(value); }
  void qword(uint64_t value) { put(value); }
  void align(unsigned to) {
    while (reinterpret_cast<uintptr_t>(here()) % to) byte(0x90);
  }

  // opcode reg, rm of `size` bytes (1, 2, 4, 8; 16 for vectors, which have no operand size).
  void instruction(const HostOpcode& opcode, unsigned size, uint8_t reg, const HostRm& rm,
                   ByteOperands bytes = {});
  // Writes more than it takes, which what comes next overwrites.
  void immediate(int64_t value, unsigned bytes) {
    std::memcpy(at_, &value, sizeof value);
    at_ += bytes;
  }

  // --- the instructions that translation itself needs
  void move(unsigned size, uint8_t to,
            const HostRm& from) {  // mov r, r/m; narrow loads zero-extend
    const uint32_t lost = lostWith(to);
    if (size >= 4) {
      instruction({.byte = 0x8b}, size, to, from);
    } else {
      instruction({.map = OpcodeMap::k0F, .byte = static_cast<uint8_t>(size == 1 ? 0xb6 : 0xb7)}, 4,
                  to, from, {.rm = size == 1});
    }
    named_ = lost;
  }
  void store(unsigned size, const HostMemory& to, uint8_t from) {
    const uint32_t lost = named_;
    instruction({.byte = static_cast<uint8_t>(size == 1 ? 0x88 : 0x89)}, size, from, to,
                {.reg = size == 1});
    named_ = lost;
  }
  void storeImmediate(unsigned size, const HostMemory& to, int32_t value) {
    instruction({.byte = static_cast<uint8_t>(size == 1 ? 0xc6 : 0xc7)}, size, 0, to);
    immediate(value, size == 8 ? 4 : size);
  }
  void moveImmediate(uint8_t to, uint64_t value);
  void lea(uint8_t to, const HostMemory& from) { instruction({.byte = 0x8d}, 8, to, from); }
  void alu(Alu operation, unsigned size, uint8_t to, const HostRm& from) {
    const uint32_t lost = operation == Alu::kCmp ? named_ : lostWith(to);
    const auto base = static_cast<uint8_t>(static_cast<unsigned>(operation) << 3);
    instruction({.byte = static_cast<uint8_t>(base | (size == 1 ? 2 : 3))}, size, to, from,
                {.reg = size == 1, .rm = size == 1});
    named_ = lost;
  }
  void aluToMemory(Alu operation, unsigned size, const HostMemory& to, uint8_t from) {
    const auto base = static_cast<uint8_t>(static_cast<unsigned>(operation) << 3);
    instruction({.byte = static_cast<uint8_t>(base | (size == 1 ? 0 : 1))}, size, from, to,
                {.reg = size == 1});
  }
  void aluImmediate(Alu operation, unsigned size, const HostRm& to, int32_t value);
  void test(unsigned size, uint8_t a, uint8_t b) {
    instruction({.byte = static_cast<uint8_t>(size == 1 ? 0x84 : 0x85)}, size, b, a,
                {.reg = size == 1, .rm = size == 1});
  }
  void shiftImmediate(unsigned digit, unsigned size, uint8_t reg, unsigned count) {
    const bool isByte = size == 1;
    instruction({.byte = static_cast<uint8_t>(isByte ? 0xc0 : 0xc1)}, size,
                static_cast<uint8_t>(digit), reg, {.rm = isByte});
    byte(count);
  }
  // rorx r, r, imm8, of BMI2
  void rotateRight(uint8_t to, uint8_t from, unsigned count) {
    const uint32_t lost = lostWith(to);
    instruction({.map = OpcodeMap::k0F3A, .byte = 0xf0, .prefix = 0xf2, .vex = true, .vexW = true},
                8, to, from);
    byte(count);
    named_ = lost;
  }
  // bswap; of 16 bits, which it does not know, a rotation. Spoils flags then.
  void swapBytes(unsigned size, uint8_t reg) {
    name(reg);
    if (size == 2) return shiftImmediate(0, 2, reg, 8);
    if (size == 8 || reg >= 8) byte(0x40 | (size == 8 ? 8 : 0) | (reg >= 8 ? 1 : 0));
    byte(0x0f);
    byte(0xc8 | (reg & 7));
  }
  // imul r, r, imm32
  void multiplyImmediate(unsigned size, uint8_t to, uint8_t from, uint32_t value) {
    instruction({.byte = 0x69}, size, to, from);
    dword(value);
  }
  void complement(uint8_t reg) { instruction({.byte = 0xf7}, 8, 2, reg); }  // not r; flags stay
  void push(uint8_t reg) {
    name(reg);
    if (reg >= 8) byte(0x41);
    byte(0x50 | (reg & 7));
  }
  void pop(uint8_t reg) {
    name(reg);
    if (reg >= 8) byte(0x41);
    byte(0x58 | (reg & 7));
  }
  // Memory forms, always 64 bits.
  void push(const HostMemory& from) { instruction({.byte = 0xff}, 4, 6, from); }
  void pop(const HostMemory& to) { instruction({.byte = 0x8f}, 4, 0, to); }
  void lahf() { byte(0x9f); }
  void sahf() { byte(0x9e); }
  void overflowToAl() { instruction({.map = OpcodeMap::k0F, .byte = 0x90}, 4, 0, host::kRax); }
  void pushf() { byte(0x9c); }
  void popf() { byte(0x9d); }
  void zeroUpper() {  // vzeroupper
    for (const unsigned value : {0xc5, 0xf8, 0x77}) byte(value);
  }
  void ret() { byte(0xc3); }
  void jump(const HostRm& to) { instruction({.byte = 0xff}, 4, 4, to); }
  void call(const HostRm& to) {
    instruction({.byte = 0xff}, 4, 2, to);
    named_ = ~0u;
  }

  // lea reg, [rip + rel32]
  Fixup leaRelative(uint8_t reg) {
    name(reg);
    byte(reg >= 8 ? 0x4c : 0x48);
    byte(0x8d);
    byte((reg & 7) << 3 | 5);
    return relative();
  }
  // dec dword [rip + rel32]
  void decrementRelative(const void* place) {
    byte(0xff);
    byte(0x0d);
    bind(relative(), static_cast<const uint8_t*>(place));
  }

  // opcode reg, [rip + rel32], 64 bits: a place in memory that code reaches.
  void instructionAt(uint8_t opcode, uint8_t reg, const void* place) {
    name(reg);
    byte(reg >= 8 ? 0x4c : 0x48);
    byte(opcode);
    byte((reg & 7u) << 3 | 5);
    bind(relative(), static_cast<const uint8_t*>(place));
  }
  void moveFrom(uint8_t to, const void* place) { instructionAt(0x8b, to, place); }
  void compareWith(uint8_t reg, const void* place) { instructionAt(0x3b, reg, place); }
  void subtractAt(uint8_t reg, const void* place) { instructionAt(0x2b, reg, place); }
  void leaPlace(uint8_t reg, const void* place) { instructionAt(0x8d, reg, place); }

  // Elsewhere, without moving there.
  void write(const uint8_t* place, const void* bytes, size_t count) {
    buffer_.patch(place, bytes, count);
  }
  // push imm, 64 bits
  void pushImmediate(int32_t value) {
    const bool small = value == static_cast<int8_t>(value);
    byte(small ? 0x6a : 0x68);
    immediate(value, small ? 1 : 4);
  }

  // rep, and a string instruction
  void repeat(uint8_t opcode, unsigned size) {
    if (size == 2) byte(0x66);
    byte(0xf3);
    if (size == 8) byte(0x48);
    byte(opcode);
  }

  // --- branches
  Fixup jump() {
    byte(0xe9);
    return relative();
  }
  Fixup jumpIf(unsigned condition) {
    byte(0x0f);
    byte(0x80 | condition);
    return relative();
  }
  // Two bytes, to a place behind that they reach.
  bool reachesShort(const uint8_t* target) const { return here() + 2 - target <= 128; }
  void shortJump(const uint8_t* target) {
    byte(0xeb);
    byte(static_cast<uint8_t>(target - (here() + 1)));
  }
  void shortJumpIf(unsigned condition, const uint8_t* target) {
    byte(0x70 | condition);
    byte(static_cast<uint8_t>(target - (here() + 1)));
  }
  Fixup call() {
    named_ = ~0u;
    byte(0xe8);
    return relative();
  }
  void jumpTo(const uint8_t* target) { bind(jump(), target); }
  void callTo(const uint8_t* target) { bind(call(), target); }
  void bind(Fixup fixup, const uint8_t* target) { patch(buffer_, fixup, target); }
  void bind(Fixup fixup) { bind(fixup, here()); }
  // Also for code that has been finished.
  static void patch(CodeBuffer& buffer, Fixup fixup, const uint8_t* target) {
    const auto distance = static_cast<int32_t>(target - (fixup + 4));
    buffer.patch(fixup, &distance, sizeof distance);
  }
  // The same of a jump that leads to a place behind the call that follows it, if it is one: a MOV
  // takes that call for its operand, and nothing is jumped over. Spoils R11.
  static void patchJump(CodeBuffer& buffer, Fixup fixup, const uint8_t* target) {
    constexpr uint8_t kJump = 0xe9, kCall = 0xe8, kMov[] = {0x49, 0xbb, 0, 0, 0};
    const uint8_t* const place = fixup - 1;
    if (*place == kJump && fixup[4] == kCall && target == fixup + 9)
      return buffer.patch(place, kMov, sizeof kMov);
    if (*place == kMov[0]) return replaceByJump(buffer, place, target);
    patch(buffer, fixup, target);
  }
  // What is there is not run any more.
  static void replaceByJump(CodeBuffer& buffer, const uint8_t* place, const uint8_t* target) {
    constexpr uint8_t kJump[] = {0xe9, 0, 0, 0, 0};
    buffer.patch(place, kJump, sizeof kJump);
    patch(buffer, place + 1, target);
  }
  // Where it leads.
  static const uint8_t* target(Fixup fixup) {
    int32_t distance;
    std::memcpy(&distance, fixup, sizeof distance);
    return fixup + sizeof distance + distance;
  }

 private:
  uint32_t lostWith(uint8_t reg) const { return named_ | 1u << (reg & 31); }
  void name(uint8_t reg) { named_ = lostWith(reg); }
  template <class T>
  void put(T value) {
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }
  Fixup relative() {
    const Fixup place = here();
    dword(0);
    return place;
  }

  CodeBuffer& buffer_;
  uint8_t* at_;
  uint32_t named_ = ~0u;  // registers, by number
};

}  // namespace nodevm

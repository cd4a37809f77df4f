#include "jit/emitter.h"

namespace nodevm {

namespace {

// The place is a local of whoever writes: bytes could be part of anything else.
class Bytes {
 public:
  explicit Bytes(uint8_t* at) : at_(at) {}
  uint8_t* at() const { return at_; }
  void byte(unsigned value) { *at_++ = static_cast<uint8_t>(value); }
  void dword(int32_t value) {
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }

 private:
  uint8_t* at_;
};

// SDM volume 2, "The VEX Prefix": R, X, B and vvvv inverted; two bytes where they say all.
void vexPrefix(Bytes& bytes, const HostOpcode& opcode, unsigned rex) {
  const unsigned pp = opcode.prefix == 0x66   ? 1
                      : opcode.prefix == 0xf3 ? 2
                      : opcode.prefix == 0xf2 ? 3
                                              : 0;
  const unsigned last = (~opcode.vvvv & 15u) << 3 | (opcode.vexL ? 4u : 0u) | pp;
  const bool wide = opcode.vexW || (rex & 8);
  if (opcode.map == OpcodeMap::k0F && !wide && !(rex & 3)) {
    bytes.byte(0xc5);
    return bytes.byte((rex & 4 ? 0u : 0x80u) | last);
  }
  bytes.byte(0xc4);
  bytes.byte((~rex & 7) << 5 | static_cast<unsigned>(opcode.map));
  bytes.byte((wide ? 0x80u : 0u) | last);
}

void memoryOperand(Bytes& bytes, uint8_t reg, const HostMemory& memory) {
  const unsigned field = (reg & 7u) << 3, scale = static_cast<unsigned>(memory.scale) << 6;
  const unsigned index = memory.index == host::kNone ? 4 : memory.index & 7u;
  if (memory.base == host::kNone) {  // SIB with base 5 and mod 0: displacement alone
    bytes.byte(field | 4);
    bytes.byte(scale | index << 3 | 5);
    return bytes.dword(memory.displacement);
  }
  const unsigned base = memory.base & 7;
  const bool needsDisplacement = base == 5;  // RBP and R13
  const int32_t displacement = memory.displacement;
  const unsigned mod = displacement == 0 && !needsDisplacement             ? 0
                       : displacement == static_cast<int8_t>(displacement) ? 1
                                                                           : 2;
  if (memory.index != host::kNone || base == 4) {
    bytes.byte(mod << 6 | field | 4);
    bytes.byte(scale | index << 3 | base);
  } else {
    bytes.byte(mod << 6 | field | base);
  }
  if (mod == 1) bytes.byte(static_cast<uint8_t>(displacement));
  if (mod == 2) bytes.dword(displacement);
}

}  // namespace

void Emitter::instruction(const HostOpcode& opcode, unsigned size, uint8_t reg, const HostRm& rm,
                          ByteOperands operands) {
  const uint8_t base = rm.isMemory ? rm.memory.base : rm.reg;
  const uint8_t index = rm.isMemory ? rm.memory.index : host::kNone;
  name(reg);
  if (!rm.isMemory) name(rm.reg);
  unsigned rex = 0;
  if (size == 8) rex |= 8;
  if (reg >= 8) rex |= 4;
  if (index != host::kNone && index >= 8) rex |= 2;
  if (base != host::kNone && base >= 8) rex |= 1;
  const bool lowByte = (operands.reg && reg >= 4) || (operands.rm && !rm.isMemory && rm.reg >= 4);
  Bytes bytes(at_);
  if (opcode.vex) {
    vexPrefix(bytes, opcode, rex);
  } else {
    if (size == 2) bytes.byte(0x66);
    if (opcode.prefix) bytes.byte(opcode.prefix);
    if (!operands.high && (rex || lowByte)) bytes.byte(0x40 | rex);
    if (opcode.map != OpcodeMap::kOneByte) bytes.byte(0x0f);
    if (opcode.map == OpcodeMap::k0F38) bytes.byte(0x38);
    if (opcode.map == OpcodeMap::k0F3A) bytes.byte(0x3a);
  }
  bytes.byte(opcode.byte);
  if (rm.isMemory) {
    memoryOperand(bytes, reg, rm.memory);
  } else {
    bytes.byte(0xc0 | (reg & 7) << 3 | (rm.reg & 7));
  }
  at_ = bytes.at();
}

void Emitter::moveImmediate(uint8_t to, uint64_t value) {
  name(to);
  if (value == static_cast<uint32_t>(value)) {
    if (to >= 8) byte(0x41);
    byte(0xb8 | (to & 7));
    dword(static_cast<uint32_t>(value));
  } else if (value == static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(value)))) {
    instruction({.byte = 0xc7}, 8, 0, to);
    dword(static_cast<uint32_t>(value));
  } else {
    byte(to >= 8 ? 0x49 : 0x48);
    byte(0xb8 | (to & 7));
    qword(value);
  }
}

void Emitter::aluImmediate(Alu operation, unsigned size, const HostRm& to, int32_t value) {
  const auto digit = static_cast<uint8_t>(operation);
  if (size == 1) {
    instruction({.byte = 0x80}, 1, digit, to, {.rm = true});
    return immediate(value, 1);
  }
  const bool small = value == static_cast<int8_t>(value);
  instruction({.byte = static_cast<uint8_t>(small ? 0x83 : 0x81)}, size, digit, to);
  immediate(value, small ? 1 : size == 2 ? 2 : 4);
}

}  // namespace nodevm

#pragma once
// What the integer handlers share: operand sources, address forms, and the shapes that most
// instructions have (register or memory destination, one source), so that an instruction is written
// as its operation alone.

#include <cstdint>
#include <cstring>

#include "interpreter/dispatch.h"

namespace nodevm {

// ---- operands
// -------------------------------------------------------------------------------------

// Registers, as the instruction names them: ModRM.reg or the opcode, ModRM.rm, or implied.
struct RegOperand {
  static uint8_t slot(const Instruction* i) { return i->reg; }
};
struct RmOperand {
  static uint8_t slot(const Instruction* i) { return i->rm; }
};
struct Accumulator {
  static uint8_t slot(const Instruction*) { return gpr::kRax; }
};

// Sources: `get<T>` reads the operand at width T.
template <class Named>
struct FromRegister {
  template <class T>
  static T get(const Cpu& cpu, const Instruction* i) {
    return cpu.reg<T>(Named::slot(i));
  }
};
using FromReg = FromRegister<RegOperand>;
using FromRm = FromRegister<RmOperand>;
struct FromImmediate {
  template <class T>
  static T get(const Cpu&, const Instruction* i) {
    return static_cast<T>(i->immediate);
  }
};
struct FromCl {
  template <class T>
  static T get(const Cpu& cpu, const Instruction*) {
    return cpu.reg<uint8_t>(gpr::kRcx);
  }
};
// The implied 1 of INC, DEC and the D0/D1 shifts.
struct FromOne {
  template <class T>
  static constexpr T get(const Cpu&, const Instruction*) {
    return 1;
  }
};

// ---- addresses
// ------------------------------------------------------------------------------------

struct AnyAddress {
  static uint64_t of(const Cpu& cpu, const Instruction* i) { return effectiveAddress(cpu, i); }
};
// Without an index, which is most of what compilers emit; chosen by specialize().
struct BaseAddress {
  static uint64_t of(const Cpu& cpu, const Instruction* i) {
    return cpu.reg<uint64_t>(i->base) +
           static_cast<uint64_t>(static_cast<int64_t>(i->displacement));
  }
};

// All ones in the width of the instruction's address size.
inline uint64_t addressMask(const Instruction* i) {
  return ~uint64_t{0} >> (64 - (8u << i->addressSize()));
}
// Writes RCX, RSI, RDI... at the width of an address size, by the rules for partial registers.
inline void setAddressRegister(Cpu& cpu, uint8_t slot, uint64_t value, uint64_t mask) {
  if (mask == 0xffff) return cpu.setReg<uint16_t>(slot, static_cast<uint16_t>(value));
  cpu.setReg<uint64_t>(slot, value & mask);
}

// ---- memory
// --------------------------------------------------------------------------------------- A
// handler's fast path makes no calls, so that it needs no stack frame; what misses the TLB, crosses
// a page or touches MMIO or code goes to a cold twin that does the whole instruction.

template <class T>
inline T readHost(const uint8_t* host) {
  T value;
  std::memcpy(&value, host, sizeof value);
  return value;
}
template <class T>
inline void writeHost(uint8_t* host, T value) {
  std::memcpy(host, &value, sizeof value);
}
// The read counterpart of Cpu::writableHost. The page of the last byte is what must match: an
// access that crosses pages then misses, since neighbouring pages have different TLB slots.
template <class T>
[[nodiscard]] inline const uint8_t* readableHost(const Cpu& cpu, uint8_t segment, uint64_t ea) {
  const uint64_t linear = (ea + cpu.segmentBase[segment]) & cpu.linearMask;
  const TlbEntry& entry = cpu.segmentTlb[segment]->at(linear);
  if (entry.readTag != ((linear + sizeof(T) - 1) & kPageMask)) [[unlikely]]
    return nullptr;
  const uint8_t* host = entry.host(linear);
  if (!host) __builtin_unreachable();
  return host;
}

// Word by word: a copy of the struct would be built on the stack and stall on store forwarding.
inline void setFlags(Cpu& cpu, const Flags& flags) {
  cpu.flags.result = flags.result;
  cpu.flags.carries = flags.carries;
}

// The instruction is kUse(cpu, i, value of the memory operand).
template <class T, auto kUse>
[[gnu::noinline, gnu::cold]] void loadOperandSlow(Cpu& cpu, const Instruction* i) {
  const Loaded<uint64_t> loaded = cpu.loadSlow(i->segment, effectiveAddress(cpu, i), sizeof(T));
  if (!loaded.ok) return fault(cpu, i);
  kUse(cpu, i, static_cast<T>(loaded.value));
  return next(cpu, i);
}
template <class T, class Address, auto kUse>
inline void loadOperand(Cpu& cpu, const Instruction* i) {
  if (const uint8_t* host = readableHost<T>(cpu, i->segment, Address::of(cpu, i))) [[likely]] {
    kUse(cpu, i, readHost<T>(host));
    return next(cpu, i);
  }
  return loadOperandSlow<T, kUse>(cpu, i);
}

// The instruction stores kValue(cpu, i).
template <class T, auto kValue>
[[gnu::noinline, gnu::cold]] void storeOperandSlow(Cpu& cpu, const Instruction* i) {
  if (!cpu.storeSlow(i->segment, effectiveAddress(cpu, i), kValue(cpu, i), sizeof(T)))
    return fault(cpu, i);
  return next(cpu, i);
}
template <class T, class Address, auto kValue>
inline void storeOperand(Cpu& cpu, const Instruction* i) {
  if (uint8_t* host = cpu.writableHost<T>(i->segment, Address::of(cpu, i))) [[likely]] {
    writeHost<T>(host, kValue(cpu, i));
    return next(cpu, i);
  }
  return storeOperandSlow<T, kValue>(cpu, i);
}

// The instruction replaces the operand and the flags by kModify(cpu, i, old) -> Result<T>.
template <class T, auto kModify>
[[gnu::noinline, gnu::cold]] void modifyOperandSlow(Cpu& cpu, const Instruction* i) {
  const uint64_t ea = effectiveAddress(cpu, i);
  const Loaded<uint64_t> old = cpu.loadForWrite(i->segment, ea, sizeof(T));
  if (!old.ok) return fault(cpu, i);
  const Result<T> result = kModify(cpu, i, static_cast<T>(old.value));
  if (!cpu.storeSlow(i->segment, ea, result.value, sizeof(T))) return fault(cpu, i);
  setFlags(cpu, result.flags);
  return next(cpu, i);
}
template <class T, class Address, auto kModify>
inline void modifyOperand(Cpu& cpu, const Instruction* i) {
  if (uint8_t* host = cpu.writableHost<T>(i->segment, Address::of(cpu, i))) [[likely]] {
    const Result<T> result = kModify(cpu, i, readHost<T>(host));
    writeHost<T>(host, result.value);
    setFlags(cpu, result.flags);
    return next(cpu, i);
  }
  return modifyOperandSlow<T, kModify>(cpu, i);
}

// Replaces seg:ea by operation(old) and returns old; for the less frequent instructions.
// `operation` may not change cpu.
template <class T, class Operation>
[[nodiscard]] inline Loaded<T> exchangeMemory(Cpu& cpu, uint8_t segment, uint64_t ea,
                                              Operation operation) {
  if (uint8_t* host = cpu.writableHost<T>(segment, ea)) [[likely]] {
    const T old = readHost<T>(host);
    writeHost<T>(host, operation(old));
    return {old, true};
  }
  const Loaded<uint64_t> slow = cpu.loadForWrite(segment, ea, sizeof(T));
  const T old = static_cast<T>(slow.value);
  return {old, slow.ok && cpu.storeSlow(segment, ea, operation(old), sizeof(T))};
}

// ---- stack
// ---------------------------------------------------------------------------------------- Stack
// operations of 64 bits exist in 64-bit mode only, where the stack has no width to wrap at.

// RSP moved by `delta` bytes.
template <class T>
inline uint64_t movedRsp(const Cpu& cpu, uint64_t delta) {
  const uint64_t rsp = cpu.gpr[gpr::kRsp / 8];
  if constexpr (sizeof(T) == 8) {
    return rsp + delta;
  } else {
    return (rsp & ~cpu.stackMask) | ((rsp + delta) & cpu.stackMask);
  }
}
// Offset in the stack segment that a value of RSP stands for.
template <class T>
inline uint64_t stackAddress(const Cpu& cpu, uint64_t rsp) {
  if constexpr (sizeof(T) == 8) return rsp;
  return rsp & cpu.stackMask;
}
// Fast paths of push and pop: nullptr sends the handler to its cold twin.
template <class T>
[[nodiscard]] inline uint8_t* pushHost(Cpu& cpu) {
  return cpu.writableHost<T>(kSs, stackAddress<T>(cpu, movedRsp<T>(cpu, -sizeof(T))));
}
template <class T>
inline void commitPush(Cpu& cpu, uint8_t* host, T value) {
  writeHost<T>(host, value);
  cpu.gpr[gpr::kRsp / 8] = movedRsp<T>(cpu, -sizeof(T));
}
template <class T>
[[nodiscard]] inline const uint8_t* popHost(const Cpu& cpu) {
  return readableHost<T>(cpu, kSs, stackAddress<T>(cpu, cpu.gpr[gpr::kRsp / 8]));
}

// ---- handler sets
// --------------------------------------------------------------------------------- A form is a
// struct with `reg<T>` and `mem<T>`, or with `run<T>` where ModRM.rm makes no difference.

template <class Form>
constexpr HandlerSet byteSet() {
  return {{&Form::template reg<uint8_t>}, {&Form::template mem<uint8_t>}};
}
template <class Form>
constexpr HandlerSet wideSet() {
  return {{nullptr, &Form::template reg<uint16_t>, &Form::template reg<uint32_t>,
           &Form::template reg<uint64_t>},
          {nullptr, &Form::template mem<uint16_t>, &Form::template mem<uint32_t>,
           &Form::template mem<uint64_t>}};
}
// Memory operand only; #UD for a register.
template <class Form>
constexpr HandlerSet wideMemorySet() {
  return {{},
          {nullptr, &Form::template mem<uint16_t>, &Form::template mem<uint32_t>,
           &Form::template mem<uint64_t>}};
}
constexpr HandlerSet alwaysSet(Handler reg, Handler mem) {
  return {{reg, reg, reg, reg}, {mem, mem, mem, mem}};
}
constexpr HandlerSet alwaysSet(Handler handler) { return alwaysSet(handler, handler); }

// Gives a form with `run` the two names that the builders ask for.
template <class Form>
struct EitherForm {
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    return Form::template run<T>(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return Form::template run<T>(cpu, i);
  }
};
template <class Form>
constexpr HandlerSet byteOnly() {
  return byteSet<EitherForm<Form>>();
}
template <class Form>
constexpr HandlerSet wideOnly() {
  return wideSet<EitherForm<Form>>();
}

// ---- forms of an operation
// ------------------------------------------------------------------------ An operation is a struct
// with `apply<T>(destination, source, flags) -> Result<T>` and `kWrites`: whether the result is
// stored (CMP and TEST only set flags).

template <class Operation, class T>
inline void applyToRegister(Cpu& cpu, uint8_t slot, T source) {
  const Result<T> result = Operation::template apply<T>(cpu.reg<T>(slot), source, cpu.flags);
  if constexpr (Operation::kWrites) cpu.setReg<T>(slot, result.value);
  setFlags(cpu, result.flags);
}

// op r/m, source
template <class Operation, class Source, class Address = AnyAddress>
struct ToRm {
  template <class T>
  static Result<T> modify(Cpu& cpu, const Instruction* i, T old) {
    return Operation::template apply<T>(old, Source::template get<T>(cpu, i), cpu.flags);
  }
  template <class T>
  static void compare(Cpu& cpu, const Instruction* i, T value) {
    setFlags(cpu, modify<T>(cpu, i, value).flags);
  }
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    applyToRegister<Operation, T>(cpu, i->rm, Source::template get<T>(cpu, i));
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    if constexpr (Operation::kWrites) {
      return modifyOperand<T, Address, &modify<T>>(cpu, i);
    } else {
      return loadOperand<T, Address, &compare<T>>(cpu, i);
    }
  }
};

// op r, r/m
template <class Operation, class Address = AnyAddress>
struct ToReg {
  template <class T>
  static void use(Cpu& cpu, const Instruction* i, T source) {
    applyToRegister<Operation, T>(cpu, i->reg, source);
  }
  template <class T>
  static void reg(Cpu& cpu, const Instruction* i) {
    use<T>(cpu, i, cpu.reg<T>(i->rm));
    return next(cpu, i);
  }
  template <class T>
  static void mem(Cpu& cpu, const Instruction* i) {
    return loadOperand<T, Address, &use<T>>(cpu, i);
  }
};

// op with a register that ModRM does not name: AL or rAX, or the opcode's register.
template <class Operation, class Destination, class Source>
struct ToImplied {
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    applyToRegister<Operation, T>(cpu, Destination::slot(i), Source::template get<T>(cpu, i));
    return next(cpu, i);
  }
};

}  // namespace nodevm

#include "interpreter/evex_operation.h"

#include <bit>

#include "cpu/avx512.h"

namespace nodevm::evex {

namespace {

constexpr unsigned kRoundingShift = 13, kRoundingControl = 3 << kRoundingShift;

// One execution of an operation.
struct Execution {
  Cpu& cpu;
  const Instruction* i;
  const Operation& operation;
  unsigned size;    // operand size code
  uint64_t active;  // the elements that the opmask selects
  Operands operands;

  Execution(Cpu& processor, const Instruction* instruction, const Operation& what)
      : cpu(processor), i(instruction), operation(what), size(instruction->operandSize()) {
    operands.opmask = opmaskOf(cpu, i->opmask());
    active = operands.opmask & all();
  }
  uint64_t all() const { return ~uint64_t{0} >> ((64 - operation.elements[size]) & 63); }
  unsigned memoryBytes() const { return operation.memoryBytes[size]; }
  // What a memory operand is read from, or written to, on the host.
  ZmmRegister& memory() { return operation.memoryOnly ? operands.memory : operands.rm; }
  const ZmmRegister& result() const { return operation.storesRm() ? operands.rm : operands.reg; }
};

void loadRegisters(Execution& e) {
  const Operation& operation = e.operation;
  const bool empty = e.i->zeroing() && !operation.accumulates;
  const auto zeroed = [&](Destination here) { return empty && operation.destination == here; };
  const bool vectorReg = operation.destination != Destination::kGeneralReg &&
                         operation.destination != Destination::kMask;
  if (vectorReg && !zeroed(Destination::kReg)) e.operands.reg = readZmm(e.cpu, e.i->reg);
  if (!zeroed(Destination::kVvvv)) e.operands.vvvv = readZmm(e.cpu, e.i->vvvv());
}

void loadRm(Execution& e) {
  const uint8_t rm = e.i->rm;
  if (e.operation.generalRm) {
    e.operands.rsi = e.cpu.reg<uint64_t>(rm);
  } else if (e.operation.maskRm) {
    e.operands.rmMask = e.cpu.avx512.mask[rm];
  } else if (!(e.i->zeroing() && e.operation.destination == Destination::kRm)) {
    e.operands.rm = readZmm(e.cpu, rm);
  }
}

bool isTiny(Tiny kind, const uint8_t* element) {
  const auto within = [&](auto smallestNormal) {
    using T = decltype(smallestNormal);
    constexpr T kSign = static_cast<T>(T{1} << (sizeof(T) * 8 - 1));
    const T magnitude = static_cast<T>(readHost<T>(element) & static_cast<T>(~kSign));
    return magnitude != 0 && magnitude < smallestNormal;
  };
  if (kind == Tiny::kHalves) return within(uint16_t{0x400});
  const bool floats = kind == Tiny::kFloats || kind == Tiny::kLowFloat;
  return floats ? within(uint32_t{1} << 23) : within(uint64_t{1} << 52);
}

// Only elements that were computed count.
bool hasTiny(const Execution& e) {
  const Tiny kind = e.operation.tiny;
  if (kind == Tiny::kNever) return false;
  const unsigned bytes = kind == Tiny::kHalves                              ? 2
                         : kind == Tiny::kFloats || kind == Tiny::kLowFloat ? 4
                                                                            : 8;
  for (uint64_t left = e.active; left != 0; left &= left - 1)
    if (isTiny(kind, e.result().bytes + static_cast<unsigned>(std::countr_zero(left)) * bytes))
      return true;
  return false;
}

// The vectors that isInexact() computes with: only elements that were computed count.
struct Sources {
  ZmmRegister destination, first, second;

  explicit Sources(const Execution& e)
      : destination(e.operands.reg),
        first(e.operands.vvvv),
        second(e.operation.storesRm() ? e.operands.reg : e.operands.rm) {
    const unsigned bytes = e.operation.elementBytes;
    for (uint64_t left = ~e.active & e.all(); left != 0; left &= left - 1)
      for (ZmmRegister* part : {&destination, &first, &second})
        std::memset(part->bytes + static_cast<unsigned>(std::countr_zero(left)) * bytes, 0, bytes);
  }
};

bool computeUnmasked(Execution& e, HostCode code, uint8_t immediate) {
  const Sources before(e);
  const FloatSources sources{before.destination.bytes, before.first.bytes, before.second.bytes,
                             vectorBytes(e.size), immediate};
  const uint32_t guest = beginUnmasked(e.cpu);
  executeOnHost(code, immediate, e.operands);
  return endUnmasked(e.cpu, guest, hasTiny(e), kRows[e.i->row].mnemonic, sources);
}

// SDM volume 2, "Static Rounding Support in EVEX": no exceptions, no flags.
void runRounded(Execution& e, HostCode code, uint8_t immediate) {
  const unsigned control = _mm_getcsr();
  if (e.operation.rounds)
    _mm_setcsr((control & ~kRoundingControl) | e.i->roundingControl() << kRoundingShift);
  executeOnHost(code, immediate, e.operands);
  _mm_setcsr(control);
}

void zeroInactive(Execution& e) {
  const unsigned bytes = e.operation.elementBytes;
  for (uint64_t left = ~e.active & e.all(); left != 0; left &= left - 1)
    std::memset(e.operands.reg.bytes + static_cast<unsigned>(std::countr_zero(left)) * bytes, 0,
                bytes);
}

// False: #XM is recorded.
bool compute(Execution& e) {
  const HostCode code = e.operation.code[e.size];
  const auto immediate = static_cast<uint8_t>(e.i->immediate);
  bool ok = true;
  if (e.i->evexB() && !e.i->isMemory()) {
    runRounded(e, code, immediate);
  } else if (!e.operation.isFloat || allExceptionsMasked(e.cpu)) {
    executeOnHost(code, immediate, e.operands);
  } else {
    ok = computeUnmasked(e, code, immediate);
  }
  if (ok && e.operation.accumulates && e.i->zeroing()) zeroInactive(e);
  return ok;
}

void commit(Execution& e) {
  Cpu& cpu = e.cpu;
  const Instruction* i = e.i;
  switch (e.operation.destination) {
    case Destination::kReg:
      return writeZmm(cpu, i->reg, e.operands.reg);
    case Destination::kVvvv:
      return writeZmm(cpu, i->vvvv(), e.operands.vvvv);
    case Destination::kRm:
      return writeZmm(cpu, i->rm, e.operands.rm);
    case Destination::kGeneralReg:
      return cpu.setReg<uint64_t>(i->reg, e.operands.rax);
    case Destination::kGeneralRm:
      return cpu.setReg<uint64_t>(i->rm, e.operands.rsi);
    case Destination::kMask:
      cpu.avx512.mask[i->reg] = e.operands.regMask;
      return;
    case Destination::kFlags:
      return setFlags(cpu, Flags::unpack(e.operands.flags & eflags::kArithmetic));
  }
}

bool loadInto(Execution& e, uint8_t* to, uint64_t ea, unsigned bytes, unsigned align = 0) {
  const uint8_t* from = e.cpu.loadBytes(e.i->segment, ea, bytes, align);
  if (!from) return false;
  std::memcpy(to, from, bytes);
  return true;
}

bool loadBroadcast(Execution& e, uint64_t ea) {
  const unsigned bytes = e.operation.broadcastBytes;
  if (e.active == 0 && e.operation.reads != Reads::kWhole) return true;
  uint8_t* to = e.memory().bytes;
  if (!loadInto(e, to, ea, bytes)) return false;
  for (unsigned at = bytes; at < sizeof(ZmmRegister); at += bytes) std::memcpy(to + at, to, bytes);
  return true;
}

// Of `count` elements in memory, which serve `elements` in turns, those that are needed.
uint64_t neededElements(uint64_t active, unsigned elements, unsigned count) {
  uint64_t needed = active;
  for (unsigned at = count; at < elements; at += count) needed |= active >> at;
  return needed & (~uint64_t{0} >> (64 - count));
}

// SDM volume 2, "Memory Fault Suppression": what the mask leaves out raises nothing.
bool loadElements(Execution& e, uint64_t ea) {
  const unsigned bytes = e.memoryBytes(), count = e.operation.inMemory[e.size];
  uint8_t* to = e.memory().bytes;
  if (const uint8_t* from = e.cpu.bulkHost(e.i->segment, ea, bytes, false)) {
    std::memcpy(to, from, bytes);
    return true;
  }
  const unsigned each = bytes / count;
  const uint64_t needed = neededElements(e.active, e.operation.elements[e.size], count);
  for (uint64_t left = needed; left != 0; left &= left - 1) {
    const unsigned at = static_cast<unsigned>(std::countr_zero(left)) * each;
    if (!loadInto(e, to + at, ea + at, each)) return false;
  }
  return true;
}

bool checkAlignment(Execution& e, uint64_t ea) {
  if (!e.operation.aligned) return true;
  const uint64_t linear = (ea + e.cpu.segmentBase[e.i->segment]) & e.cpu.linearMask;
  return (linear & (e.memoryBytes() - 1)) == 0 || e.cpu.raise(kGp, 0);
}

bool loadSource(Execution& e, uint64_t ea) {
  if (e.i->evexB()) return loadBroadcast(e, ea);
  unsigned bytes = e.memoryBytes();
  switch (e.operation.reads) {
    case Reads::kWhole:
      break;
    case Reads::kElements:
      if (e.active == 0) return true;
      if (e.active != e.all()) return checkAlignment(e, ea) && loadElements(e, ea);
      break;
    case Reads::kExpanded:
      bytes = static_cast<unsigned>(std::popcount(e.active)) * e.operation.elementBytes;
      break;
  }
  return checkAlignment(e, ea) && (bytes == 0 || loadInto(e, e.memory().bytes, ea, bytes));
}

// Proves that every element that will be stored can be.
bool probeElements(Execution& e, uint64_t ea, unsigned each) {
  if (e.operation.reads == Reads::kWhole)
    return e.cpu.probeWrite(e.i->segment, ea, e.memoryBytes());
  for (uint64_t left = e.active; left != 0; left &= left - 1)
    if (!e.cpu.probeWrite(e.i->segment, ea + static_cast<unsigned>(std::countr_zero(left)) * each,
                          each))
      return false;
  return true;
}

bool storeElements(Execution& e, uint64_t ea, unsigned each) {
  uint8_t* const host = e.cpu.bulkHost(e.i->segment, ea, e.memoryBytes(), true);
  if ((!host && !probeElements(e, ea, each)) || !compute(e)) return false;
  for (uint64_t left = e.active; left != 0; left &= left - 1) {
    const unsigned at = static_cast<unsigned>(std::countr_zero(left)) * each;
    const uint8_t* from = e.memory().bytes + at;
    if (host) {
      std::memcpy(host + at, from, each);
    } else if (!e.cpu.storeBytes(e.i->segment, ea + at, from, each)) {
      return false;
    }
  }
  return true;
}

// What is stored may have changed MXCSR: a fault has to come first.
bool storeResult(Execution& e, uint64_t ea) {
  unsigned bytes = e.memoryBytes();
  if (e.active != 0 && !checkAlignment(e, ea)) return false;
  if (e.operation.compresses) {
    bytes = static_cast<unsigned>(std::popcount(e.active)) * e.operation.elementBytes;
  } else if (e.active != e.all()) {
    return storeElements(e, ea, bytes / e.operation.elements[e.size]);
  }
  if (bytes == 0) return true;
  if (e.operation.isFloat && !e.cpu.probeWrite(e.i->segment, ea, bytes)) return false;
  if (!compute(e)) return false;
  const void* result =
      e.operation.generalRm ? static_cast<const void*>(&e.operands.rsi) : e.memory().bytes;
  return e.cpu.storeBytes(e.i->segment, ea, result, bytes);
}

}  // namespace

bool onRegisters(Cpu& cpu, const Instruction* i, const Operation& operation) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  Execution e(cpu, i, operation);
  loadRegisters(e);
  loadRm(e);
  if (!compute(e)) return false;
  commit(e);
  return true;
}

bool onMemory(Cpu& cpu, const Instruction* i, const Operation& operation) {
  if (!raiseUnlessEvexUsable(cpu)) return false;
  Execution e(cpu, i, operation);
  loadRegisters(e);
  e.operands.rsi = operation.memoryOnly ? reinterpret_cast<uint64_t>(&e.operands.memory) : 0;
  const uint64_t ea = effectiveAddress(cpu, i);
  if (operation.storesRm()) return storeResult(e, ea);
  if (!loadSource(e, ea)) return false;
  if (operation.generalRm) std::memcpy(&e.operands.rsi, e.memory().bytes, sizeof e.operands.rsi);
  if (!compute(e)) return false;
  commit(e);
  return true;
}

}  // namespace nodevm::evex

#pragma once
// Handlers of SIMD instructions, made from an operation (sse_host.h, sse_host_float.h), where its
// source is and where its result goes. An operation is a function of (destination, source, imm8),
// (destination, source) or (source). A VEX form differs in its operands only, not in its operation.
//
// Each handler exists twice. On the fast path every operand is in a register or in the TLB, the
// control registers allow the instruction and no floating-point exception is unmasked: no calls, so
// no stack frame. Whatever else happens, the fast path has changed nothing and goes to its slow
// twin.

#include "decoder/row.h"
#include "interpreter/dispatch.h"
#include "interpreter/sse_control.h"
#include "interpreter/sse_memory.h"

namespace nodevm::simd {

// What ModRM.rm names, and how much of memory is read when it names memory; the rest is zero.
enum class Source : uint8_t {
  kXmm,           // xmm, or 16 aligned bytes
  kXmmUnaligned,  // xmm, or 16 bytes
  kXmm64,
  kXmm32,
  kXmm16,
  kMm,  // mm, or 8 bytes
  kMm32,
  kGpr32,
  kGpr64,
};

// What ModRM.reg names. kFlags: xmm, and the result is an EFLAGS word.
enum class Target : uint8_t { kXmm, kMm, kGpr32, kFlags, kGpr64 };

enum class Path : uint8_t { kFast, kSlow };

// --- registers

inline Xmm xmm(const Cpu& cpu, uint8_t number) {
  return _mm_load_si128(reinterpret_cast<const Xmm*>(cpu.vector[number].bytes));
}
inline void setXmm(Cpu& cpu, uint8_t number, Xmm value) {
  _mm_store_si128(reinterpret_cast<Xmm*>(cpu.vector[number].bytes), value);
}
inline Xmm mm(const Cpu& cpu, uint8_t number) { return lowXmm(cpu.x87.registers[number].mantissa); }
// What every MMX instruction but EMMS does to the x87 state: SDM volume 3, "Effect of MMX
// Instructions on x87 FPU State".
inline void enterMmx(Cpu& cpu) {
  cpu.x87.status &= static_cast<uint16_t>(~(7 << 11));
  cpu.x87.validTags = 0xff;
}
inline void setMm(Cpu& cpu, uint8_t number, uint64_t value) {
  cpu.x87.registers[number].mantissa = value;
  cpu.x87.registers[number].signExponent = 0xffff;
}

constexpr bool isMm(Source source) { return source == Source::kMm || source == Source::kMm32; }
constexpr bool isXmm(Source source) { return source <= Source::kXmm16; }
// Whether the instruction goes over to MMX. CVTPI2PS and CVTPI2PD from memory leave the x87 state
// alone, as hardware does (SDM volume 2 says so of the latter only).
constexpr bool touchesMmx(bool memory, Source source, Target target) {
  return target == Target::kMm || (isMm(source) && !memory);
}

template <Path kPath, bool kXmm, bool kMmx>
inline bool available(Cpu& cpu) {
  if constexpr (kPath == Path::kFast) return (!kXmm || sseUsable(cpu)) && (!kMmx || mmxUsable(cpu));
  return (!kXmm || raiseUnlessSseUsable(cpu)) && (!kMmx || raiseUnlessMmxUsable(cpu));
}

// --- operands
// What these return is whether they succeeded; on the slow path a fault is recorded when not.

// The low bytes of a vector from memory.
template <Path kPath, class T>
[[gnu::always_inline]] inline bool loadLow(Cpu& cpu, const Instruction* i, T& value) {
  const uint64_t ea = effectiveAddress(cpu, i);
  if constexpr (kPath == Path::kFast) {
    const uint8_t* from = readableSimd<sizeof(T), false>(cpu, i->segment, ea);
    if (!from) return false;
    std::memcpy(&value, from, sizeof value);
    return true;
  } else {
    const Loaded<uint64_t> loaded = cpu.loadSlow(i->segment, ea, sizeof(T));
    value = static_cast<T>(loaded.value);
    return loaded.ok;
  }
}

template <Path kPath, bool kAligned>
[[gnu::always_inline]] inline bool loadWhole(Cpu& cpu, const Instruction* i, Xmm& value) {
  const uint64_t ea = effectiveAddress(cpu, i);
  const uint8_t* from = kPath == Path::kFast ? readableSimd<16, kAligned>(cpu, i->segment, ea)
                                             : cpu.loadBytes(i->segment, ea, 16, kAligned ? 16 : 0);
  if (!from) return false;
  value = loadXmm(from);
  return true;
}

template <Path kPath, class T>
[[gnu::always_inline]] inline bool loadZeroExtended(Cpu& cpu, const Instruction* i, Xmm& value) {
  T low = 0;
  const bool ok = loadLow<kPath, T>(cpu, i, low);
  value = lowXmm(low);
  return ok;
}

template <Path kPath, Source kSource>
[[gnu::always_inline]] inline bool loadSource(Cpu& cpu, const Instruction* i, Xmm& value) {
  using enum Source;
  if constexpr (kSource == kXmm || kSource == kXmmUnaligned) {
    return loadWhole<kPath, kSource == kXmm>(cpu, i, value);
  } else if constexpr (kSource == kXmm16) {
    return loadZeroExtended<kPath, uint16_t>(cpu, i, value);
  } else if constexpr (kSource == kXmm32 || kSource == kMm32 || kSource == kGpr32) {
    return loadZeroExtended<kPath, uint32_t>(cpu, i, value);
  } else {
    return loadZeroExtended<kPath, uint64_t>(cpu, i, value);
  }
}

template <Source kSource>
inline Xmm sourceRegister(const Cpu& cpu, const Instruction* i) {
  if constexpr (isXmm(kSource)) return xmm(cpu, i->rm);
  if constexpr (isMm(kSource)) return mm(cpu, i->rm);
  if constexpr (kSource == Source::kGpr32) return lowXmm(cpu.reg<uint32_t>(i->rm));
  return lowXmm(cpu.reg<uint64_t>(i->rm));
}

template <Path kPath, bool kMemory, Source kSource>
[[gnu::always_inline]] inline bool fetch(Cpu& cpu, const Instruction* i, Xmm& value) {
  if constexpr (kMemory) return loadSource<kPath, kSource>(cpu, i, value);
  value = sourceRegister<kSource>(cpu, i);
  return true;
}

template <Path kPath, class T>
[[gnu::always_inline]] inline bool storeLow(Cpu& cpu, const Instruction* i, T value) {
  const uint64_t ea = effectiveAddress(cpu, i);
  if constexpr (kPath == Path::kSlow) return cpu.storeSlow(i->segment, ea, value, sizeof(T));
  uint8_t* to = writableSimd<sizeof(T), false>(cpu, i->segment, ea);
  if (!to) return false;
  std::memcpy(to, &value, sizeof value);
  return true;
}

// A function of its own, so that no handler has a local whose address is taken.
[[gnu::noinline]] inline bool storeWholeSlow(Cpu& cpu, const Instruction* i, unsigned align,
                                             Xmm value) {
  return cpu.storeBytes(i->segment, effectiveAddress(cpu, i), &value, 16, align);
}

template <Path kPath, bool kAligned>
[[gnu::always_inline]] inline bool storeWhole(Cpu& cpu, const Instruction* i, Xmm value) {
  if constexpr (kPath == Path::kSlow) return storeWholeSlow(cpu, i, kAligned ? 16 : 0, value);
  uint8_t* to = writableSimd<16, kAligned>(cpu, i->segment, effectiveAddress(cpu, i));
  if (!to) return false;
  storeXmm(to, value);
  return true;
}

template <Target kTarget>
inline Xmm oldTarget(const Cpu& cpu, const Instruction* i) {
  if constexpr (kTarget == Target::kXmm || kTarget == Target::kFlags) return xmm(cpu, i->reg);
  if constexpr (kTarget == Target::kMm) return mm(cpu, i->reg);
  return zeroXmm();
}

// The six flags from an EFLAGS word. Member by member: a copy of the struct would go through the
// stack.
inline void setSimdFlags(Cpu& cpu, uint64_t word) {
  const Flags flags = Flags::unpack(word);
  cpu.flags.result = flags.result;
  cpu.flags.carries = flags.carries;
}

template <Target kTarget>
inline void commit(Cpu& cpu, const Instruction* i, Xmm result) {
  using enum Target;
  if constexpr (kTarget == kXmm) setXmm(cpu, i->reg, result);
  if constexpr (kTarget == kMm) setMm(cpu, i->reg, lowHalf(result));
  if constexpr (kTarget == kGpr32)
    cpu.setReg<uint32_t>(i->reg, static_cast<uint32_t>(lowHalf(result)));
  if constexpr (kTarget == kGpr64) cpu.setReg<uint64_t>(i->reg, lowHalf(result));
  if constexpr (kTarget == kFlags) setSimdFlags(cpu, lowHalf(result));
}

template <auto kOp>
inline Xmm apply(Xmm a, Xmm b, uint8_t imm) {
  if constexpr (requires { kOp(a, b, imm); }) {
    return kOp(a, b, imm);
  } else if constexpr (requires { kOp(a, b); }) {
    return kOp(a, b);
  } else {
    return kOp(b);
  }
}

// --- handlers

// Operations that raise no floating-point exception.
template <Path kPath, bool kMemory, Source kSource, Target kTarget, auto kOp>
[[gnu::noinline]] void execute(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise =
      kPath == Path::kFast ? execute<Path::kSlow, kMemory, kSource, kTarget, kOp> : fault;
  constexpr bool kXmm = isXmm(kSource) || kTarget == Target::kXmm;
  constexpr bool kMmx = touchesMmx(kMemory, kSource, kTarget);
  if (!available<kPath, kXmm, kMmx>(cpu)) [[unlikely]]
    return kOtherwise(cpu, i);
  Xmm source;
  if (!fetch<kPath, kMemory, kSource>(cpu, i, source)) [[unlikely]]
    return kOtherwise(cpu, i);
  if constexpr (kMmx) enterMmx(cpu);
  commit<kTarget>(
      cpu, i, apply<kOp>(oldTarget<kTarget>(cpu, i), source, static_cast<uint8_t>(i->immediate)));
  return next(cpu, i);
}

// Operations that do.
template <Path kPath, bool kMemory, Source kSource, Target kTarget, Tiny kTiny, auto kOp>
[[gnu::noinline]] void executeFloat(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise =
      kPath == Path::kFast ? executeFloat<Path::kSlow, kMemory, kSource, kTarget, kTiny, kOp>
                           : fault;
  constexpr bool kMmx = touchesMmx(kMemory, kSource, kTarget);
  const bool masked = allExceptionsMasked(cpu);
  if (!available<kPath, true, kMmx>(cpu) || (kPath == Path::kFast && !masked)) [[unlikely]]
    return kOtherwise(cpu, i);
  Xmm source;
  if (!fetch<kPath, kMemory, kSource>(cpu, i, source)) [[unlikely]]
    return kOtherwise(cpu, i);
  // Before computing: hardware changes to MMX even when a floating-point exception follows.
  if constexpr (kMmx) enterMmx(cpu);
  const Xmm old = oldTarget<kTarget>(cpu, i);
  const auto imm = static_cast<uint8_t>(i->immediate);
  Xmm result;
  if (kPath == Path::kFast || masked) {
    result = apply<kOp>(old, source, imm);
  } else {
    result = executeUnmasked(cpu, apply<kOp>, kRows[i->row].mnemonic, kTiny, old, source, imm);
    if (cpu.fault.pending) return fault(cpu, i);
  }
  commit<kTarget>(cpu, i, result);
  return next(cpu, i);
}

// kOp(destination, source, XMM0).
template <Path kPath, bool kMemory, auto kOp>
[[gnu::noinline]] void executeWithXmm0(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise =
      kPath == Path::kFast ? executeWithXmm0<Path::kSlow, kMemory, kOp> : fault;
  if (!available<kPath, true, false>(cpu)) [[unlikely]]
    return kOtherwise(cpu, i);
  Xmm source;
  if (!fetch<kPath, kMemory, Source::kXmm>(cpu, i, source)) [[unlikely]]
    return kOtherwise(cpu, i);
  setXmm(cpu, i->reg, kOp(xmm(cpu, i->reg), source, xmm(cpu, 0)));
  return next(cpu, i);
}

// What a store with ModRM.rm as its destination writes.
enum class Stored : uint8_t { kAligned, kUnaligned, kLow32, kLow64, kHigh64, kMm };

template <Path kPath, Stored kStored>
[[gnu::always_inline]] inline bool store(Cpu& cpu, const Instruction* i) {
  using enum Stored;
  if constexpr (kStored == kMm) return storeLow<kPath>(cpu, i, lowHalf(mm(cpu, i->reg)));
  const Xmm value = xmm(cpu, i->reg);
  if constexpr (kStored == kLow32)
    return storeLow<kPath>(cpu, i, static_cast<uint32_t>(lowHalf(value)));
  if constexpr (kStored == kLow64) return storeLow<kPath>(cpu, i, lowHalf(value));
  if constexpr (kStored == kHigh64) return storeLow<kPath>(cpu, i, lowHalf(highQword(value)));
  return storeWhole<kPath, kStored == kAligned>(cpu, i, value);
}

template <Path kPath, Stored kStored>
[[gnu::noinline]] void storeRegister(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise = kPath == Path::kFast ? storeRegister<Path::kSlow, kStored> : fault;
  constexpr bool kMmx = kStored == Stored::kMm;
  if (!available<kPath, !kMmx, kMmx>(cpu) || !store<kPath, kStored>(cpu, i)) [[unlikely]]
    return kOtherwise(cpu, i);
  if constexpr (kMmx) enterMmx(cpu);
  return next(cpu, i);
}

// The register form of a store: kOp(old ModRM.rm, ModRM.reg) or kOp(ModRM.reg).
template <Path kPath, auto kOp>
[[gnu::noinline]] void moveToRm(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise = kPath == Path::kFast ? moveToRm<Path::kSlow, kOp> : fault;
  if (!available<kPath, true, false>(cpu)) [[unlikely]]
    return kOtherwise(cpu, i);
  setXmm(cpu, i->rm, apply<kOp>(xmm(cpu, i->rm), xmm(cpu, i->reg), 0));
  return next(cpu, i);
}

// kOp(ModRM.rm, imm8) on a register: the shifts by an immediate.
template <Path kPath, bool kMmx, auto kOp>
[[gnu::noinline]] void executeCount(Cpu& cpu, const Instruction* i) {
  constexpr Handler kOtherwise =
      kPath == Path::kFast ? executeCount<Path::kSlow, kMmx, kOp> : fault;
  if (!available<kPath, !kMmx, kMmx>(cpu)) [[unlikely]]
    return kOtherwise(cpu, i);
  const auto count = static_cast<uint8_t>(i->immediate);
  if constexpr (kMmx) {
    enterMmx(cpu);
    setMm(cpu, i->rm, lowHalf(kOp(mm(cpu, i->rm), count)));
  } else {
    setXmm(cpu, i->rm, kOp(xmm(cpu, i->rm), count));
  }
  return next(cpu, i);
}

// --- handler sets

constexpr HandlerSet forms(Handler reg, Handler mem) {
  return {{reg, reg, reg, reg}, {mem, mem, mem, mem}};
}
// 32-bit forms from `narrow`, 64-bit ones (REX.W) from `wide`.
constexpr HandlerSet byWidth(const HandlerSet& narrow, const HandlerSet& wide) {
  return {{nullptr, nullptr, narrow.reg[2], wide.reg[3]},
          {nullptr, nullptr, narrow.mem[2], wide.mem[3]}};
}

template <auto kOp, Source kSource = Source::kXmm, Target kTarget = Target::kXmm>
constexpr HandlerSet vector() {
  return forms(execute<Path::kFast, false, kSource, kTarget, kOp>,
               execute<Path::kFast, true, kSource, kTarget, kOp>);
}
template <auto kOp, Source kSource = Source::kMm>
constexpr HandlerSet mmx() {
  return vector<kOp, kSource, Target::kMm>();
}
template <auto kOp, Tiny kTiny = Tiny::kNever, Source kSource = Source::kXmm,
          Target kTarget = Target::kXmm>
constexpr HandlerSet floating() {
  return forms(executeFloat<Path::kFast, false, kSource, kTarget, kTiny, kOp>,
               executeFloat<Path::kFast, true, kSource, kTarget, kTiny, kOp>);
}
template <auto kOp>
constexpr HandlerSet withXmm0() {
  return forms(executeWithXmm0<Path::kFast, false, kOp>, executeWithXmm0<Path::kFast, true, kOp>);
}
// `store` in memory, kOp between registers.
template <Stored kStored, auto kOp>
constexpr HandlerSet storing() {
  return forms(moveToRm<Path::kFast, kOp>, storeRegister<Path::kFast, kStored>);
}
template <auto kOp>
constexpr HandlerSet counting() {
  return forms(executeCount<Path::kFast, false, kOp>, nullptr);
}
template <auto kOp>
constexpr HandlerSet countingMm() {
  return forms(executeCount<Path::kFast, true, kOp>, nullptr);
}

}  // namespace nodevm::simd

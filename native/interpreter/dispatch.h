#pragma once
// How handlers are written: each executes one instruction and ends with `return next(...)` or one
// of the other exits below, which are tail calls; so the native stack stays flat and a chain of
// handlers runs without returning to the dispatcher.

#include "cpu/cpu.h"
#include "decoder/instruction.h"
#include "interpreter/block_cache.h"

namespace nodevm {

// Handlers of one row: by form of ModRM.rm (register or memory; rows without ModRM fill both) and
// by operand size code. nullptr: #UD.
struct HandlerSet {
  Handler reg[4];
  Handler mem[4];
};

// Sanitizer and debug builds do not promise sibling calls; there the dispatcher walks the block.
#ifdef NODEVM_NO_TAIL_CALLS
inline constexpr bool kTailCalls = false;
#else
inline constexpr bool kTailCalls = true;
#endif

// Goes on with the next instruction of the block.
inline void next(Cpu& cpu, const Instruction* i) {
  if constexpr (kTailCalls) {
    return i[1].handler(cpu, i + 1);
  } else {
    cpu.at = i + 1;
    cpu.leave = Leave::kNext;
  }
}

// RIP after instruction i.
inline uint64_t nextRip(const Cpu& cpu, const Instruction* i) {
  return (cpu.gpr[gpr::kBlockRip / 8] + i->offset + i->length) & cpu.ripMask;
}
inline uint64_t thisRip(const Cpu& cpu, const Instruction* i) {
  return (cpu.gpr[gpr::kBlockRip / 8] + i->offset) & cpu.ripMask;
}

// The instruction did not complete: a fault is recorded in cpu.fault, or an exit is under way.
// The dispatcher puts RIP at i, takes back the charge for what did not run, and delivers.
inline void fault(Cpu& cpu, const Instruction* i) {
  cpu.at = i;
  cpu.leave = Leave::kFault;
}
inline void raise(Cpu& cpu, const Instruction* i, Vector vector) {
  cpu.raise(vector);
  return fault(cpu, i);
}
inline void raise(Cpu& cpu, const Instruction* i, Vector vector, uint32_t errorCode) {
  cpu.raise(vector, errorCode);
  return fault(cpu, i);
}

// A completed instruction that ends its block (row attribute kEndsBlock) and has set cpu.rip: goes
// to the dispatcher, which looks at interrupts, mode changes and single step. For everything that
// is not hot.
inline void leaveBlock(Cpu& cpu) { cpu.leave = Leave::kBoundary; }
// The same for instructions that fall through (CPUID, WRMSR, CLI...).
inline void leaveBlock(Cpu& cpu, const Instruction* i) {
  cpu.rip = nextRip(cpu, i);
  cpu.leave = Leave::kBoundary;
}
// A near branch that has set cpu.rip (and changed nothing else that the dispatcher cares for):
// chains to the next block when it is in the jump cache.
[[gnu::always_inline]] inline void endBlock(Cpu& cpu) {
  if constexpr (kTailCalls) {
    const JumpCacheEntry& entry = cpu.blocks->jumpCache(cpu.rip);
    if (entry.isFor(cpu.rip, cpu.context)) [[likely]] {
      const Block* block = entry.block;
      if (cpu.remaining >= block->count) [[likely]] {
        cpu.remaining -= block->count;
        cpu.block = block;
        cpu.gpr[gpr::kBlockRip / 8] = cpu.rip;
        return block->code->handler(cpu, block->code);
      }
    }
  }
  cpu.leave = Leave::kLookup;
}
// The same for instructions that are no branches: translated code may wait for them, and goes on by
// itself.
inline void goOn(Cpu& cpu) {
  if (cpu.leave != Leave::kNext) return endBlock(cpu);
  cpu.leave = Leave::kLookup;
}

// Effective address of the ModRM operand (or of a moffs/implicit operand rewritten by the decoder):
// the address sizes that are not the natural one are reduced by a pseudo-instruction before i.
inline uint64_t effectiveAddress(const Cpu& cpu, const Instruction* i) {
  return cpu.reg<uint64_t>(i->base) + (cpu.reg<uint64_t>(i->index) << i->scale) +
         static_cast<uint64_t>(static_cast<int64_t>(i->displacement));
}

// Width of operand size code 0..3.
template <SizeCode kCode>
struct UintOf;
template <>
struct UintOf<0> {
  using Type = uint8_t;
};
template <>
struct UintOf<1> {
  using Type = uint16_t;
};
template <>
struct UintOf<2> {
  using Type = uint32_t;
};
template <>
struct UintOf<3> {
  using Type = uint64_t;
};

// Value and flags of an arithmetic operation; flags are committed only once the store has
// succeeded.
template <class T>
struct Result {
  T value;
  Flags flags;
};

// Stack operations in the current stack width; `push` commits RSP only when the store succeeded.
template <class T>
[[nodiscard]] inline bool push(Cpu& cpu, T value) {
  const uint64_t rsp = cpu.gpr[gpr::kRsp / 8];
  const uint64_t newRsp = (rsp & ~cpu.stackMask) | ((rsp - sizeof(T)) & cpu.stackMask);
  if (!cpu.store<T>(kSs, newRsp & cpu.stackMask, value)) return false;
  cpu.gpr[gpr::kRsp / 8] = newRsp;
  return true;
}
// Reads the top of the stack; the caller commits with dropStack once nothing can fault any more.
template <class T>
[[nodiscard]] inline Loaded<T> peekStack(Cpu& cpu, uint64_t displacement = 0) {
  return cpu.load<T>(kSs, (cpu.gpr[gpr::kRsp / 8] + displacement) & cpu.stackMask);
}
inline void dropStack(Cpu& cpu, uint64_t bytes) {
  const uint64_t rsp = cpu.gpr[gpr::kRsp / 8];
  cpu.gpr[gpr::kRsp / 8] = (rsp & ~cpu.stackMask) | ((rsp + bytes) & cpu.stackMask);
}

}  // namespace nodevm

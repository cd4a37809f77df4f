#pragma once
// The ways in and out of translated code, and the C++ functions behind them: the calling convention
// of the host (System V AMD64) is known here and nowhere else.

#include <array>
#include <cstddef>
#include <cstdint>

#include "decoder/instruction.h"
#include "interpreter/block_cache.h"
#include "jit/emitter.h"
#include "jit/state.h"
#include "mmu/tlb.h"

namespace nodevm {

class Cpu;

// Where translated code finds what it needs, as displacements from the Cpu register.
struct Layout {
  explicit Layout(const Cpu& cpu);
  HostMemory at(int32_t displacement) const;

  int32_t rip, block, remaining, context, segmentBase, flatTlb, stackWindow, vector;
  int32_t cpl, eflagsRest, kernelGsBase, segment, segmentTlb, supervisorTlb;
  std::array<int32_t, 5> control;        // CR0..CR4
  int32_t windowInTlb, generationInTlb;  // from the TLB
  int32_t pageRip, flagA, flagB, flagWord, simd, simdSaved, target, targetCode, addends, jumpCache,
      newestReturn, scratch, splitLow, splitHigh, phase;
};

// Which host register holds a guest register while translated code runs; kNone: it stays in memory.
// R9, R10 and R11 are free for each instruction, R14 points into the Cpu, RSP is the host's.
using HomeRegisters = std::array<uint8_t, 16>;
inline constexpr HomeRegisters kHostOf = {host::kRax, host::kRcx,  host::kRdx,  host::kRbx,
                                          host::kR15, host::kRbp,  host::kRsi,  host::kRdi,
                                          host::kR8,  host::kNone, host::kNone, host::kNone,
                                          host::kR12, host::kR13,  host::kNone, host::kNone};
inline constexpr uint8_t kCpuRegister = host::kR14;
// How far into the Cpu it points: displacements of 8 bits reach from R9 far into HotState.
inline constexpr int32_t kCpuBias = gpr::kR9 + 128;

// A register, or a pseudo slot, by its offset in Cpu::gpr.
constexpr HostMemory registerInMemory(uint8_t slot) {
  return {.base = kCpuRegister, .displacement = slot - kCpuBias};
}

// A request to the interpreter.
struct [[gnu::packed]] Request {
  static constexpr uint8_t kCount = 0x0f;          // how many instructions; 0: the block's last one
  static constexpr uint8_t kTouchesFlags = 0x10;   // one of them does
  static constexpr uint8_t kMissed = 0x20;         // translated, but its memory is not at hand
  static constexpr uint8_t kRestoreFlags = 0x40;   // resume with them on the host
  static constexpr uint8_t kReloadVectors = 0x80;  // and with what was there of vector registers

  int32_t resume = 0;  // from this struct
  uint8_t slot = 0;    // of the block, the first instruction
  uint8_t bits = 0;

  unsigned count() const { return bits & kCount; }
};
static_assert(JitSlots::kMost <= Request::kCount);

// A block that has more instructions than are left: how many, and where on its page it is.
struct ShortSlice {
  static constexpr unsigned kOffsetBits = 13;  // behind an instruction that crosses pages, too
  static constexpr uint32_t pack(unsigned count, uint64_t pageOffset) {
    return count << kOffsetBits | static_cast<uint32_t>(pageOffset);
  }
};

// How the translation of a block begins:
//     stop:     call Thunks::stopCounted     call Thunks::stop
//     counting: dec dword [visits left]      dd number
//               js stop
//     linked:   sub qword [remaining], count
//               js stop
struct BlockHead {
  static constexpr int kChargeBytes = 7;  // from `linked` to what follows
};

struct Thunks {
  static constexpr size_t kMostBytes = 48 << 10;

  // Entered as a handler: goes on in the running block's translation, which has been charged.
  const uint8_t* enter = nullptr;
  // Jumped to with the next RIP in R9: leaves for the dispatcher, or for the next block.
  const uint8_t* exit = nullptr;
  // Jumped to: the same, trying for a translated block first; the next instruction is on the
  // running block's page, at the offset of gpa.
  const uint8_t* unlinked(uint64_t gpa) const {
    return firstUnlinked + (gpa & kPageOffset) * kUnlinkedBytes;
  }
  // Jumped to with a ShortSlice in R11: the block has been charged and cannot be run.
  const uint8_t* sliceEnds = nullptr;
  // Called from a BlockHead, does not come back: the block has been charged and cannot be run, or
  // it has been visited often enough to become the beginning of a path.
  const uint8_t *stop = nullptr, *stopCounted = nullptr;
  // Called where the block's number follows, and an array of requests; the number of one of them
  // has been pushed, or the complement of a slot, from which on the block is interpreted. Goes on
  // where the request says when its instructions completed, or where the block's last one leads.
  // Keeps nothing but general registers of the guest.
  const uint8_t* interpret = nullptr;
  // Called with a RIP in R9, which stays: leaves its translation in R11, or `exit`, and NZ; or 0
  // and Z. At the end of a block only: keeps nothing else but guest registers, vector registers
  // among them. `ask` is for who has looked into the jump cache already. lookUpLink takes the
  // number of a FarLink in R10.
  const uint8_t *lookUp = nullptr, *ask = nullptr, *lookUpLink = nullptr, *lookUpReturn = nullptr;
  // Called likewise with the number of a PageLink, or at the beginning of a path with its number,
  // in R10: NZ where the pages are at hand, or Z.
  const uint8_t *lookUpPage = nullptr, *lookUpPath = nullptr;
  // Called: sets the host's arithmetic flags to the guest's. Clobbers R9 and R10.
  const uint8_t* restoreFlags = nullptr;
  // Called before instructions that the bits of simd_state in the index may block: loads the vector
  // registers, whole ones where kAvxBlocked is among them, and leaves Z; NZ where they are blocked.
  // Clobbers R11.
  std::array<const uint8_t*, simd_state::kBlocked + 1> needVectors{};
  // Called before C++ is: the vector registers of the guest are in memory then. And behind it, to
  // have on the host what was there. The one clobbers R11, the other R9.
  const uint8_t *saveVectors = nullptr, *reloadVectors = nullptr;
  // Called with a linear address in R9, which stays: leaves its addend in R10, and Z, or NZ where
  // the TLB does not know it. For reads and writes of 1 << n bytes. What is to be read across two
  // pages that the TLB knows is copied: the addend leads there. splitWrite does so with what is to
  // be written across two pages, and nothing else; writeSplit writes the copy back, and clobbers
  // R10 and R11.
  static constexpr unsigned kProbeSizes = 6;
  std::array<const uint8_t*, kProbeSizes> probeRead{}, probeWrite{}, splitWrite{};
  const uint8_t* writeSplit = nullptr;
  // The same for an access to the stack of as many bytes as R11 says, which opens the window there.
  const uint8_t *probeStackRead = nullptr, *probeStackWrite = nullptr;

  // The same with a PageCell in R10, which knows the page then.
  const uint8_t *fillReadCell = nullptr, *fillWriteCell = nullptr;
  // Called with PathCells in R10: empties them unless they are of the generation of the TLB in use.
  // Clobbers R9 and R11.
  const uint8_t* renewCells = nullptr;

  // Called: leave in R11 what Cpu::readTsc() and Cpu::mayGoOn() say, Z for 0. Keep what lookUp
  // does.
  const uint8_t *readTsc = nullptr, *mayGoOn = nullptr;

  // Called before MOVS, or STOS, with REP of 1 << n bytes: executes what lies on pages that the TLB
  // knows. Z where that is all, else NZ. Clobbers R9, R10 and R11.
  static constexpr unsigned kStringSizes = 4;
  std::array<const uint8_t*, kStringSizes> repeatMove{}, repeatStore{};

  // Called at level 0: clears or sets EFLAGS.AC, and takes the TLB of what is allowed then.
  // Clobbers R10 and R11.
  std::array<const uint8_t*, 2> userAccess{};

  static constexpr unsigned kUnlinkedBytes = 8;
  const uint8_t* firstUnlinked = nullptr;
};

// Looks for the RIP in R9 in the jump cache. R10: the entry that knows it in this context; returns
// the jumps that are taken when none does. Clobbers R11.
std::array<Emitter::Fixup, 2> emitJumpCacheProbe(Emitter& emitter, const Layout& layout);
// JumpCacheEntry::code of that entry.
inline constexpr HostMemory kJumpCacheCode = {
    .base = host::kR10, .displacement = static_cast<int32_t>(offsetof(JumpCacheEntry, code))};

Thunks emitThunks(Emitter& emitter, const Layout& layout);

}  // namespace nodevm

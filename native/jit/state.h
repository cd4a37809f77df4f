#pragma once
// What translated code keeps in memory beside the architectural state; a part of Cpu, addressed by
// offset.

#include <cstdint>

#include "decoder/instruction.h"
#include "mmu/tlb.h"

namespace nodevm {

struct JumpCacheEntry;

// What the six arithmetic flags are had from. Translated code saves an operand of the last
// operation that set them and its result, or both operands, which is cheaper than the flags, and
// repeats the operation where somebody asks. Outside of translated code it is always kWords.
enum class FlagSource : uint8_t {
  kWords,       // Cpu::flags
  kPacked,      // JitState::flagA, AH as LAHF loads it, AL: OF
  kAdd,         // flagA + b
  kSubtract,    // flagA - b
  kSum,         // the addition of b whose result is flagA
  kDifference,  // the subtraction of b whose result is flagA
  kLogic,       // a logical operation whose result is flagA
  kOrder,       // UCOMISS or UCOMISD, by size, of flagA and flagB
  kShiftLeft,   // flagA << b, b an immediate other than 0, and so on
  kShiftRight,
  kShiftArithmeticRight,
};
inline constexpr unsigned kFlagSources =
    static_cast<unsigned>(FlagSource::kShiftArithmeticRight) + 1;

// b is flagB, or an immediate that is kept beside the form.
struct FlagForm {
  FlagSource source = FlagSource::kWords;
  uint8_t size = 0;  // of the operation, SizeCode
  bool immediate = false;

  static constexpr unsigned kCodes = 128;
  constexpr uint8_t code() const {
    return static_cast<uint8_t>(static_cast<unsigned>(source) | size << 4 | immediate << 6);
  }
  static constexpr FlagForm of(unsigned code) {
    return {static_cast<FlagSource>(code & 15), static_cast<uint8_t>(code >> 4 & 3),
            (code & 0x40) != 0};
  }
  // What JitState::flagWord is, of a form and its immediate.
  static constexpr unsigned kImmediateShift = 8;
  static constexpr bool fits(int32_t immediate) {
    return immediate >= -(1 << 23) && immediate < 1 << 23;
  }
  constexpr int32_t word(int32_t b) const {
    return immediate ? static_cast<int32_t>(static_cast<uint32_t>(b) << kImmediateShift) | code()
                     : code();
  }
};

// Where returns may lead: what the calls that pushed their addresses knew. All of it holds in one
// context; there is a ring for user code and one for supervisor code, so that a system call keeps
// both. Aligned so that an 8-bit addition to the address of an entry goes around.
struct alignas(256) ReturnRing {
  static constexpr unsigned kPoints = 32;

  void clear() {
    for (unsigned n = 0; n < kPoints; ++n) clear(n);
  }
  void forget(const uint8_t* to) {
    for (unsigned n = 0; n < kPoints; ++n)
      if (code[n] == to) clear(n);
  }
  // A guest may return to any address: that of an empty entry is one at which translated code can
  // be left as if it were there, canonical and the first of its page.
  void clear(unsigned n) {
    rips[n] = 0;
    code[n] = leave;
  }

  uint64_t rips[kPoints] = {};
  const uint8_t* code[kPoints] = {};  // expects pageRip to be set, and R9 to be the same
  const uint8_t* leave = nullptr;     // code of empty entries
  uint64_t context = 0;
  uint64_t* newest = rips;  // call's entry, while the other ring is in use
};
static_assert(sizeof(ReturnRing::rips) == 256);

// What a block asks before its vector instructions, in one byte: whether they may run, and whether
// the guest's vector registers are on the host. Set by Cpu::updateSimdState() and by
// jit/vector_thunks.cc.
namespace simd_state {
inline constexpr uint8_t kSseBlocked = 1,  // SSE instructions raise #UD or #NM
    kAvxBlocked = 2,                       // and AVX's, or have upper halves of ZMM to clear
    kFloatBlocked = 4,                     // an exception of MXCSR is unmasked
    kBlocked = kSseBlocked | kAvxBlocked | kFloatBlocked,
                         kNotLoaded = 8,  // XMM and YMM registers are in memory
    kNotWide = 16,                        // upper halves of YMM registers are
    kInMemory = kNotLoaded | kNotWide;
}

struct JitState {
  static constexpr unsigned kMostGroups = 8;

  uint64_t pageRip = 0;  // RIP of the first byte of the page that the running block lies in
  uint64_t flagA = 0, flagB = 0;
  uint64_t* newestReturn = nullptr;  // of the ring in use
  int32_t flagWord = 0;              // FlagForm::word()
  uint8_t simd = simd_state::kBlocked | simd_state::kInMemory;
  uint8_t simdSaved = 0;  // what it was when vector registers were last saved
  // Host address minus linear address, by access group of the running block; 0: look again.
  uint64_t addends[kMostGroups] = {};
  JumpCacheEntry* jumpCache = nullptr;  // BlockCache's
  uint64_t target = 0;                  // of a call, while its push is under way
  const uint8_t* targetCode = nullptr;
  // Of an access across two pages, whose bytes are in Cpu::scratch: where the halves belong.
  uint8_t *splitLow = nullptr, *splitHigh = nullptr;
};

// Instructions on their way through the interpreter: copies, then one whose handler comes back.
struct JitSlots {
  static constexpr unsigned kMost = 8;
  Instruction slots[kMost + 2];
};

// What translated code names most often. It follows the general registers in Cpu, so that
// displacements of 8 bits reach its beginning.
struct HotState {
  int64_t remaining = 0;  // instructions left in the slice; blocks are charged on entry
  uint64_t context = 0;   // key of the jump cache: mode bits, user/supervisor, TLB generation
  // What segmentTlb is for all segments in 64-bit mode, and its window.
  Tlb* flatTlb = nullptr;
  StackWindow stackWindow;
  JitState jitState;
  // The TLB through which each segment is accessed: that of the current rights, or the empty one
  // that sends every access to the slow path, where limits, type and alignment are checked.
  Tlb* segmentTlb[kSegmentCount] = {};
  // What flatTlb is at level 0, by EFLAGS.AC.
  Tlb* supervisorTlb[2] = {};
};

}  // namespace nodevm

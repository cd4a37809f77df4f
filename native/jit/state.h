#pragma once
// What translated code keeps in memory beside the architectural state; a part of Cpu, addressed by
// offset.

#include <cstdint>

#include "decoder/instruction.h"
#include "mmu/tlb.h"

namespace nodevm {

struct JumpCacheEntry;

// How the six arithmetic flags are held. Translated code saves the operands of the last operation
// that set them, which is cheaper than the flags, and repeats the operation where somebody asks.
// Outside of translated code the form is always kWords. The four forms of an operation are by
// operand size code.
enum class FlagForm : uint8_t {
  kWords,   // Cpu::flags
  kPacked,  // JitState::flagA, AH as LAHF loads it, AL: OF
  kAdd,
  kAdd16,
  kAdd32,
  kAdd64,  // flagA + flagB
  kSubtract,
  kSubtract16,
  kSubtract32,
  kSubtract64,  // flagA - flagB
  kLogic,
  kLogic16,
  kLogic32,
  kLogic64,  // a logical operation whose result is flagA
};
inline constexpr unsigned kFlagForms = static_cast<unsigned>(FlagForm::kLogic64) + 1;

constexpr FlagForm withSize(FlagForm byteForm, SizeCode size) {
  return static_cast<FlagForm>(static_cast<unsigned>(byteForm) + size);
}

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

struct JitState {
  static constexpr unsigned kMostGroups = 8;

  uint64_t pageRip = 0;  // RIP of the first byte of the page that the running block lies in
  uint64_t flagA = 0, flagB = 0;
  uint64_t* newestReturn = nullptr;  // of the ring in use
  FlagForm flagForm = FlagForm::kWords;
  // Host address minus linear address, by access group of the running block; 0: look again.
  uint64_t addends[kMostGroups] = {};
  JumpCacheEntry* jumpCache = nullptr;  // BlockCache's
  uint64_t target = 0;                  // of a call, while its push is under way
  const uint8_t* targetCode = nullptr;
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
};

}  // namespace nodevm

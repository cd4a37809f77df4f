#pragma once
// What translated code keeps in memory beside the architectural state; a part of Cpu, addressed by
// offset.

#include <cstdint>

#include "decoder/instruction.h"

namespace nodevm {

struct JumpCacheEntry;
struct Tlb;

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

// Where a return may lead: what the call that pushed its address knew.
struct ReturnPoint {
  static constexpr uint64_t kNoRip = uint64_t{1} << 63;  // not canonical

  uint64_t rip = kNoRip;
  uint64_t context = 0;
  const uint8_t* code = nullptr;  // expects pageRip to be set
  uint64_t unused = 0;
};

struct JitState {
  static constexpr unsigned kMostGroups = 8;
  static constexpr unsigned kReturnPoints = 32;

  uint64_t pageRip = 0;  // RIP of the first byte of the page that the running block lies in
  uint64_t flagA = 0, flagB = 0;
  JumpCacheEntry* jumpCache = nullptr;  // BlockCache's
  uint64_t target = 0;                  // of a call, while its push is under way
  const uint8_t* targetCode = nullptr;
  uint32_t returnTop = 0;  // offset in returnPoints of that of the newest call
  FlagForm flagForm = FlagForm::kWords;
  // Host address minus linear address, by access group of the running block; 0: look again.
  uint64_t addends[kMostGroups] = {};
  ReturnPoint returnPoints[kReturnPoints];  // a ring
};

// Instructions on their way through the interpreter: copies, then one whose handler comes back.
struct JitSlots {
  static constexpr unsigned kMost = 8;
  Instruction slots[kMost + 2];
};

// What translated code names most often. It follows the general registers in Cpu, so that
// displacements of 8 bits reach it.
struct HotState {
  int64_t remaining = 0;  // instructions left in the slice; blocks are charged on entry
  uint64_t context = 0;   // key of the jump cache: mode bits, user/supervisor, TLB generation
  // The TLB through which each segment is accessed: that of the current rights, or the empty one
  // that sends every access to the slow path, where limits, type and alignment are checked.
  Tlb* segmentTlb[kSegmentCount] = {};
  JitState jitState;
};

}  // namespace nodevm

#pragma once
// Breakpoints of the host's: they are held here and never in guest memory, so that no guest code
// can see, copy or lose them.
//
// Execution: the block builder cuts blocks at every address that may be a breakpoint (by its offset
// in the page, since blocks are shared by all linear addresses of a physical page) and puts a check
// in front of the instruction; such blocks are not translated. Watchpoints: watched pages have no
// fast path, the slow one looks here. Nothing of it is there while nothing is set.

#include <bitset>
#include <cstdint>
#include <vector>

#include "mmu/tlb.h"

namespace nodevm {

class Cpu;

// The values of DebugCause in src/native.ts.
enum class DebugCause : uint8_t {
  kBreakpoint = 0,
  kStep = 1,
  kWriteWatch = 2,
  kReadWatch = 3,
  kAccessWatch = 4,
};

// The values of BreakpointKind in src/native.ts.
enum class BreakpointKind : uint8_t {
  kLinear = 0,
  kPhysical = 1,
  kWrite = 2,
  kRead = 3,
  kAccess = 4,
};

struct Breakpoint {
  BreakpointKind kind;
  uint64_t address;
  uint64_t length;  // watchpoints: bytes, at least 1
};

// Why the processor is to stop, and where.
struct DebugStop {
  DebugCause cause;
  uint64_t address;
};

class Breakpoints {
 public:
  using Offsets = std::bitset<kPageSize>;

  // Replaces all of them. Returns the page offsets at which blocks have to be cut differently.
  Offsets replace(std::vector<Breakpoint> wanted);

  // Whether a block has to begin at this guest physical address.
  bool mayStopAt(uint64_t gpa) const { return offsets_[gpa & kPageOffset]; }
  bool stopsAt(uint64_t linear, uint64_t gpa) const;

  bool watching() const { return !watches_.empty(); }
  bool watchesPage(uint64_t linear) const;
  // The watchpoint that an access meets; nullptr when none.
  const Breakpoint* watchAt(uint64_t linear, unsigned size, bool write) const;

 private:
  std::vector<Breakpoint> execution_, watches_;
  Offsets offsets_;
};

// What the dispatcher does for a debugger.
struct DebugControl {
  Breakpoints breakpoints;

  // Single step: ends once an instruction is retired or an exception delivered.
  bool stepping = false;
  // No interrupt is delivered before the step.
  bool stepMasksInterrupts = false;
  uint64_t stepFrom = 0;  // Cpu::progress() when it began

  // Iterations of the REP in hand that were taken alone.
  uint64_t repeats = 0;

  // A watchpoint that was met; the processor stops at the next boundary.
  bool watchHit = false;
  DebugStop watch{};

  // Where the processor stopped last: it goes on from there without meeting the same breakpoint.
  bool resuming = false;
  uint64_t resumeLinear = 0, resumeRetired = 0;
};

}  // namespace nodevm

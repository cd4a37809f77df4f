#pragma once
// What far transfers, returns and events share: checks of the new code segment, and taking it over.

#include "cpu/segments.h"
#include "cpu/stack_cursor.h"

namespace nodevm {

// Where control goes: the segment with its final selector (RPL = new CPL), and RIP.
struct CodeTarget {
  SegmentRegister cs;
  uint64_t rip = 0;

  unsigned cpl() const { return rplOf(cs.selector); }
};

// #GP(0) unless RIP lies in the segment (canonical in 64-bit code).
[[nodiscard]] bool checkTarget(Cpu& cpu, const CodeTarget& target);

// IA-32e mode: L and D must not both be set. #GP(selector).
[[nodiscard]] bool checkCodeSize(Cpu& cpu, const Descriptor& code, uint16_t selector);

// CS, CPL and RIP; updateMode() must follow.
void commitTarget(Cpu& cpu, const CodeTarget& target);

// Code segment of IRET and RET: SDM volume 2, "IRET/IRETD/IRETQ".
[[nodiscard]] bool fetchReturnCode(Cpu& cpu, uint16_t selector, SegmentRegister& code);

// The end of a return to an outer level, or of any return in 64-bit mode: SS:RSP come from the
// stack. `popBytes` are released on the new stack.
[[nodiscard]] bool returnWithStack(Cpu& cpu, const CodeTarget& target, uint16_t stackSelector,
                                   uint64_t rsp, unsigned popBytes);

// The stack of an inner level by the current TSS, for call gates and events outside of IA-32e mode.
[[nodiscard]] bool openInnerStack(Cpu& cpu, unsigned level, SegmentRegister& stack, uint64_t& rsp);

}  // namespace nodevm

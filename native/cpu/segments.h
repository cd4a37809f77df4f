#pragma once
// Checks of segment loads that instructions, returns, gates and task switches share. SDM volume 3,
// "Privilege Level Checking When Loading ... Segment Registers".

#include "cpu/descriptor.h"

namespace nodevm {

// A segment as real-address and virtual-8086 mode see it.
SegmentRegister virtual8086Segment(uint16_t selector);

// Real-address mode changes selector and base only; limit and attributes stay ("unreal mode").
void setRealModeSegment(SegmentRegister& segment, uint16_t selector);

// An unusable segment register with a null selector.
SegmentRegister nullSegment(uint16_t selector, unsigned dpl = 0);

// Checks a stack segment for privilege level `cpl`; the selector is not null. A selector that is
// not allowed is reported by `vector` (#GP, or #TS for stacks and tasks named by a TSS).
[[nodiscard]] bool fetchStackSegment(Cpu& cpu, uint16_t selector, unsigned cpl, Vector vector,
                                     SegmentRegister& stack);

// The same for ES, DS, FS and GS, whose selector may be null.
[[nodiscard]] bool fetchDataSegment(Cpu& cpu, uint16_t selector, unsigned cpl, Vector vector,
                                    SegmentRegister& data);

// Nulls ES, DS, FS and GS where the new, outer privilege level must not use them. SDM volume 2,
// "RET".
void dropPrivilegedSegments(Cpu& cpu, unsigned newCpl);

}  // namespace nodevm

#pragma once
// Entry into interrupt and exception handlers, for the parts of event delivery in events.cc and
// virtual8086_events.cc.

#include "cpu/far_transfers.h"

namespace nodevm {

struct Event {
  Cpu::EventKind kind;
  uint8_t vector;
  bool hasErrorCode = false;
  uint32_t errorCode = 0;
  uint64_t returnRip = 0;

  // INT n, INT3 and INTO, whose gates are checked for privilege. INT1 is not among them.
  bool isSoftware() const {
    return kind == Cpu::EventKind::kSoftware || kind == Cpu::EventKind::kInt3OrInto;
  }
};

// The flags that an entry saves: RF is set for faults other than #DB, and between the iterations of
// a REP instruction. SDM volume 3, "Restarting Instructions" and "RF flag".
uint64_t savedFlags(const Cpu& cpu, const Event& event);

// Through a real-mode interrupt vector table at `table`, pushing `flags`. SDM volume 3, "Interrupt
// and Exception Handling" in the chapter on 8086 emulation. Clears `cleared` in RFLAGS.
[[nodiscard]] bool enterVectorTable(Cpu& cpu, uint64_t table, const Event& event, uint64_t flags,
                                    uint64_t cleared);

// INT n in virtual-8086 mode: SDM volume 3, "Class 3 - Software Interrupt Handling in Virtual-8086
// Mode". kThroughIdt leaves the event to the IDT.
enum class Virtual8086Result : uint8_t { kDone, kFault, kThroughIdt };
[[nodiscard]] Virtual8086Result softwareInterruptVirtual8086(Cpu& cpu, const Event& event);

}  // namespace nodevm

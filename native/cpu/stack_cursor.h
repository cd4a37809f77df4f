#pragma once
// Several pushes or pops of one instruction or event. RSP changes by commit() only, so that a fault
// half-way leaves it alone.

#include "cpu/descriptor.h"

namespace nodevm {

class StackCursor {
 public:
  // The stack in use, with the rights of the current privilege level.
  explicit StackCursor(const Cpu& cpu)
      : segment_(cpu.segment[kSs]),
        rsp_(cpu.gpr[gpr::kRsp / 8]),
        mask_(cpu.stackMask),
        inner_(false) {}
  // The stack of an inner privilege level, with supervisor rights; `mask` is its stack mask.
  StackCursor(const SegmentRegister& segment, uint64_t rsp, uint64_t mask)
      : segment_(segment), rsp_(rsp), mask_(mask), inner_(true) {}

  // Makes the accesses with the rights of the current privilege level after all.
  void useCurrentRights() { inner_ = false; }

  [[nodiscard]] bool push(Cpu& cpu, uint64_t value, SizeCode size);
  [[nodiscard]] bool pop(Cpu& cpu, SizeCode size, uint64_t& value);
  void skip(uint64_t bytes) { rsp_ = merge(rsp_ + bytes); }
  void commit(Cpu& cpu) const { cpu.gpr[gpr::kRsp / 8] = rsp_; }

 private:
  uint64_t merge(uint64_t rsp) const { return (rsp_ & ~mask_) | (rsp & mask_); }
  bool storeInner(Cpu& cpu, uint64_t ea, uint64_t value, unsigned bytes) const;

  SegmentRegister segment_;
  uint64_t rsp_, mask_;
  bool inner_;
};

// Stack mask of a stack segment used by code of the given kind.
inline uint64_t stackMaskOf(const SegmentRegister& stack, bool longCode) {
  return longCode ? ~uint64_t{0} : stack.big() ? 0xffffffff : 0xffff;
}

// Entry `level` of the stack pointers in the current TSS: SDM volume 3, "Task-State Segment (TSS)".
[[nodiscard]] bool readInnerStack(Cpu& cpu, unsigned level, uint16_t& selector, uint64_t& rsp);
// RSP0..2 (index 0..2) or IST1..7 (index 4..10) of the 64-bit TSS: SDM volume 3, "Task Management
// in 64-bit Mode". The pointers are consecutive but for one reserved slot.
inline constexpr unsigned kFirstIst = 4;
[[nodiscard]] bool readLongModeStack(Cpu& cpu, unsigned index, uint64_t& rsp);

}  // namespace nodevm

#pragma once
// The local APIC: SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)". xAPIC and
// x2APIC.

#include <cstdint>

namespace nodevm {

class LocalApic {
 public:
  static constexpr uint64_t kNever = UINT64_MAX;

  void reset(uint32_t id);

  // Register access by xAPIC offset (0x000..0x3f0, multiples of 16); now in guest nanoseconds.
  // The caller has already checked access width and page. x2APIC access comes here with the same
  // offsets, and `x2apic` true: ICR is 64 bits, ID is 32 bits, DFR does not exist. False: #GP
  // (x2APIC, reserved).
  [[nodiscard]] bool read(uint32_t offset, bool x2apic, uint64_t now, uint64_t& value);
  [[nodiscard]] bool write(uint32_t offset, bool x2apic, uint64_t now, uint64_t value);

  // IA32_TSC_DEADLINE: the value the guest wrote, and its guest time in nanoseconds. 0 disarms.
  void writeTscDeadline(uint64_t tsc, uint64_t deadlineNs);
  uint64_t tscDeadline() const { return tscDeadline_; }

  // Guest time of the next timer event, kNever when disarmed.
  uint64_t nextDeadline() const { return deadline_; }
  // Raises what is due at `now`.
  void advance(uint64_t now) {
    if (now >= deadline_) [[unlikely]]
      fireTimer(now);
  }

  // From the I/O APIC or another processor. Returns whether this APIC is a destination.
  bool message(uint32_t destination, bool logical, unsigned deliveryMode, unsigned vector,
               bool level);
  void setLint0(bool level);  // the 8259's INTR
  void raiseLint1();          // NMI

  // What the processor must look at, by priority, at an instruction boundary.
  bool nmiPending() const { return nmi_; }
  void takeNmi() { nmi_ = false; }
  bool initPending() const { return init_; }
  void takeInit() { init_ = false; }
  // A fixed interrupt above the processor priority waits.
  bool interruptPending() const { return ready_; }
  // Any of these, whether or not the processor lets it in, or an EOI to be told.
  bool waits() const {
    return nmi_ || init_ || ready_ || extIntMessage_ || eoiAny_ || extIntPending();
  }
  // IRR -> ISR, returns the vector.
  uint8_t acknowledge();
  // The 8259's interrupt is let through: LINT0 in ExtINT mode, unmasked and asserted, or an ExtINT
  // message, or the APIC is hardware-disabled and LINT0 is the INTR pin.
  bool extIntPending() const;
  void takeExtInt() { extIntMessage_ = false; }

  // CR8 is TPR bits 7..4.
  uint8_t taskPriority() const { return tpr_; }
  void setTaskPriority(uint8_t tpr);

  // IA32_APIC_BASE bits 11 and 10 changed.
  void setMode(bool enabled, bool x2apic);

  // EOI of a level-triggered vector, to be broadcast to the I/O APIC: -1 when none; reading takes
  // it.
  int takeEoiBroadcast();

 private:
  enum LocalVector : uint8_t {
    kLvtTimer,
    kLvtThermal,
    kLvtPerformance,
    kLvtLint0,
    kLvtLint1,
    kLvtError,
    kLvtCount
  };
  // 256 bits in eight words, as the IRR, ISR and TMR registers show them.
  struct VectorSet {
    uint32_t words[8] = {};
    bool has(unsigned vector) const { return words[vector >> 5] >> (vector & 31) & 1; }
    void set(unsigned vector) { words[vector >> 5] |= uint32_t{1} << (vector & 31); }
    void clear(unsigned vector) { words[vector >> 5] &= ~(uint32_t{1} << (vector & 31)); }
    int highest() const;
  };

  void accept(unsigned vector, bool level);
  void evaluate();
  uint8_t processorPriority() const;
  void endOfInterrupt();
  void sendIpi(uint64_t icr);
  void noteError(uint32_t bit);
  void deliverLocal(LocalVector which);
  void writeLvt(LocalVector which, uint32_t value);
  void armTimer(uint64_t now);
  void fireTimer(uint64_t now);
  uint32_t currentCount(uint64_t now) const;
  uint64_t nanosecondsPerCount() const;
  bool addressed(uint32_t destination, bool logical) const;
  unsigned timerMode() const { return (lvt_[kLvtTimer] >> 17) & 3; }

  uint32_t id_ = 0;
  bool enabled_ = true, x2apic_ = false;
  uint8_t tpr_ = 0;
  uint32_t logicalDestination_ = 0, destinationFormat_ = 0xffffffff, spurious_ = 0xff;
  uint32_t errorStatus_ = 0, pendingErrors_ = 0;
  uint64_t icr_ = 0;
  uint32_t lvt_[kLvtCount] = {};
  uint32_t initialCount_ = 0, divideConfiguration_ = 0;
  uint64_t countStart_ = 0;  // guest time at which the counter held initialCount_
  uint64_t deadline_ = kNever;
  uint64_t tscDeadline_ = 0;
  VectorSet irr_, isr_, tmr_;
  uint32_t eoiWaiting_[8] = {};
  bool eoiAny_ = false;
  bool nmi_ = false, init_ = false, lint0_ = false, extIntMessage_ = false, ready_ = false;
};

}  // namespace nodevm

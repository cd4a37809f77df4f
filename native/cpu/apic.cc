#include "cpu/apic.h"

#include <bit>

namespace nodevm {

namespace {

// Register offsets: SDM volume 3, table "Local APIC Register Address Map".
enum Register : uint32_t {
  kId = 0x020,
  kVersion = 0x030,
  kTpr = 0x080,
  kApr = 0x090,
  kPpr = 0x0a0,
  kEoi = 0x0b0,
  kRemoteRead = 0x0c0,
  kLdr = 0x0d0,
  kDfr = 0x0e0,
  kSpurious = 0x0f0,
  kIsr = 0x100,
  kTmr = 0x180,
  kIrr = 0x200,
  kEsr = 0x280,
  kCmci = 0x2f0,
  kIcrLow = 0x300,
  kIcrHigh = 0x310,
  kLvtFirst = 0x320,
  kLvtLast = 0x370,
  kInitialCount = 0x380,
  kCurrentCount = 0x390,
  kDivide = 0x3e0,
  kSelfIpi = 0x3f0,
};

constexpr uint32_t kVersionValue = 0x14 | 5 << 16;  // integrated APIC, six LVT entries
constexpr uint32_t kMasked = 1 << 16, kSoftwareEnable = 1 << 8, kPendingSend = 1 << 12;
constexpr uint32_t kErrorSendIllegal = 1 << 5, kErrorReceiveIllegal = 1 << 6,
                   kErrorRegister = 1 << 7;
enum TimerMode : unsigned { kOneShot, kPeriodic, kTscDeadlineMode };
enum DeliveryMode : unsigned {
  kFixed,
  kLowest,
  kSmi,
  kReserved,
  kNmiMode,
  kInitMode,
  kStartUp,
  kExtInt
};

// Writable bits of each LVT entry: SDM volume 3, figure "Local Vector Table (LVT)".
constexpr uint32_t kLvtWritable[6] = {0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};
// Delivery status, and remote IRR of the pins.
constexpr uint32_t kLvtReadOnly[6] = {0x1000, 0x1000, 0x1000, 0x5000, 0x5000, 0x1000};

// Bits that WRMSR may set: SDM volume 3, "Reserved Bit Checking" of x2APIC mode. The figures of the
// registers are those of xAPIC mode but for the ICR, which has no delivery status there.
constexpr uint64_t x2apicWritable(uint32_t offset) {
  if (offset >= kLvtFirst && offset <= kLvtLast) {
    const uint32_t which = (offset - kLvtFirst) >> 4;
    return kLvtWritable[which] | kLvtReadOnly[which];
  }
  switch (offset) {
    case kEoi:
    case kEsr:
      return 0;
    case kTpr:
    case kSelfIpi:
      return 0xff;
    case kSpurious:
      return 0x1ff;
    case kDivide:
      return 0xb;
    case kIcrLow:
      return 0xffffffff000ccfff;
    default:
      return 0xffffffff;
  }
}

}  // namespace

int LocalApic::VectorSet::highest() const {
  for (int n = 7; n >= 0; --n)
    if (words[n]) return n * 32 + 31 - std::countl_zero(words[n]);
  return -1;
}

void LocalApic::reset(uint32_t id) {
  const bool lint0 = lint0_;  // the wire's
  *this = LocalApic{};
  id_ = id;
  lint0_ = lint0;
  for (uint32_t& entry : lvt_) entry = kMasked;
}

// --- priorities

uint8_t LocalApic::processorPriority() const {
  const int inService = isr_.highest();
  const uint8_t serviceClass = inService < 0 ? 0 : static_cast<uint8_t>(inService & 0xf0);
  return (tpr_ & 0xf0) >= serviceClass ? tpr_ : serviceClass;
}

void LocalApic::evaluate() {
  const int requested = irr_.highest();
  ready_ = enabled_ && (spurious_ & kSoftwareEnable) && requested >= 16 &&
           (requested & 0xf0) > (processorPriority() & 0xf0);
}

void LocalApic::accept(unsigned vector, bool level) {
  if (vector < 16) return noteError(kErrorReceiveIllegal);
  irr_.set(vector);
  if (level) {
    tmr_.set(vector);
  } else {
    tmr_.clear(vector);
  }
  evaluate();
}

uint8_t LocalApic::acknowledge() {
  const int vector = irr_.highest();
  if (!ready_ || vector < 0) return static_cast<uint8_t>(spurious_);
  irr_.clear(static_cast<unsigned>(vector));
  isr_.set(static_cast<unsigned>(vector));
  evaluate();
  return static_cast<uint8_t>(vector);
}

void LocalApic::endOfInterrupt() {
  const int vector = isr_.highest();
  if (vector < 0) return;
  isr_.clear(static_cast<unsigned>(vector));
  if (tmr_.has(static_cast<unsigned>(vector))) {
    eoiWaiting_[vector >> 5] |= uint32_t{1} << (vector & 31);
    eoiAny_ = true;
  }
  evaluate();
}

int LocalApic::takeEoiBroadcast() {
  if (!eoiAny_) return -1;
  for (unsigned n = 0; n < 8; ++n) {
    if (!eoiWaiting_[n]) continue;
    const int bit = std::countr_zero(eoiWaiting_[n]);
    eoiWaiting_[n] &= eoiWaiting_[n] - 1;
    return static_cast<int>(n) * 32 + bit;
  }
  eoiAny_ = false;
  return -1;
}

void LocalApic::setTaskPriority(uint8_t tpr) {
  tpr_ = tpr;
  evaluate();
}

void LocalApic::setMode(bool enabled, bool x2apic) {
  if (enabled_ && !enabled) reset(id_);
  enabled_ = enabled;
  x2apic_ = x2apic;
  // SDM volume 3, "Logical Destination Mode in x2APIC Mode": derived from the ID.
  if (x2apic) logicalDestination_ = (id_ >> 4) << 16 | uint32_t{1} << (id_ & 15);
  evaluate();
}

// --- lines and messages

bool LocalApic::extIntPending() const {
  if (extIntMessage_) return true;
  if (!lint0_) return false;
  if (!enabled_) return true;
  const uint32_t entry = lvt_[kLvtLint0];
  return !(entry & kMasked) && ((entry >> 8) & 7) == kExtInt;
}

void LocalApic::setLint0(bool level) {
  const bool rising = level && !lint0_;
  lint0_ = level;
  if (rising && enabled_) deliverLocal(kLvtLint0);
}

void LocalApic::raiseLint1() {
  if (enabled_) {
    deliverLocal(kLvtLint1);
  } else {
    nmi_ = true;
  }
}

void LocalApic::deliverLocal(LocalVector which) {
  const uint32_t entry = lvt_[which];
  if (entry & kMasked) return;
  switch (which >= kLvtThermal && which <= kLvtLint1 ? (entry >> 8) & 7 : unsigned{kFixed}) {
    case kFixed:
      accept(entry & 0xff, false);
      break;
    case kNmiMode:
      nmi_ = true;
      break;
    case kInitMode:
      init_ = true;
      break;
    default:
      break;  // ExtINT is a level, see extIntPending(); there is no SMM
  }
}

bool LocalApic::addressed(uint32_t destination, bool logical) const {
  const uint32_t broadcast = x2apic_ ? 0xffffffff : 0xff;
  if (destination == broadcast || destination == 0xff) return true;
  if (!logical) return destination == id_;
  if (x2apic_)
    return destination >> 16 == logicalDestination_ >> 16 &&
           (destination & logicalDestination_ & 0xffff);
  const uint32_t mine = logicalDestination_ >> 24;
  if (destinationFormat_ >> 28 == 0xf) return (destination & mine) != 0;
  return (destination >> 4) == (mine >> 4) && (destination & mine & 0xf) != 0;  // cluster model
}

bool LocalApic::message(uint32_t destination, bool logical, unsigned deliveryMode, unsigned vector,
                        bool level) {
  if (!enabled_ || !addressed(destination, logical)) return false;
  switch (deliveryMode) {
    case kFixed:
    case kLowest:
      accept(vector & 0xff, level);
      break;
    case kNmiMode:
      nmi_ = true;
      break;
    case kInitMode:
      init_ = true;
      break;
    case kExtInt:
      extIntMessage_ = true;
      break;
    default:
      break;
  }
  return true;
}

// SDM volume 3, "Interrupt Command Register (ICR)". There is one processor: what is not for it goes
// nowhere.
void LocalApic::sendIpi(uint64_t icr) {
  const auto mode = static_cast<unsigned>(icr >> 8 & 7), vector = static_cast<unsigned>(icr & 0xff);
  const bool logical = icr & (1 << 11);
  const auto shorthand = static_cast<unsigned>(icr >> 18 & 3);
  const auto destination = static_cast<uint32_t>(x2apic_ ? icr >> 32 : icr >> 56);
  const bool deassert = mode == kInitMode && (icr & (1 << 15)) && !(icr & (1 << 14));
  if (deassert) return;
  if ((mode == kFixed || mode == kLowest) && vector < 16) return noteError(kErrorSendIllegal);
  const bool named = shorthand == 0 && addressed(destination, logical);
  const bool self = named || shorthand == 1 || shorthand == 2;
  // By shorthand no INIT reaches the sender, and the bootstrap processor never waits for a SIPI.
  if (self && (mode != kInitMode || named)) message(id_, false, mode, vector, false);
}

void LocalApic::noteError(uint32_t bit) {
  const bool first = !(pendingErrors_ & bit);
  pendingErrors_ |= bit;
  if (first && !(lvt_[kLvtError] & kMasked) && (lvt_[kLvtError] & 0xff) >= 16)
    deliverLocal(kLvtError);
}

// --- timer

// The counter runs at the TSC's rate (1 GHz, CPUID 15H) divided by 1..128.
uint64_t LocalApic::nanosecondsPerCount() const {
  const unsigned code = (divideConfiguration_ & 3) | (divideConfiguration_ >> 1 & 4);
  return uint64_t{1} << ((code + 1) & 7);
}

void LocalApic::armTimer(uint64_t now) {
  countStart_ = now;
  deadline_ = initialCount_ == 0 || timerMode() == kTscDeadlineMode
                  ? kNever
                  : now + initialCount_ * nanosecondsPerCount();
}

void LocalApic::fireTimer(uint64_t now) {
  if (timerMode() == kPeriodic) {
    // Periods that passed unseen collapse into one interrupt, as IRR holds only one; the phase
    // stays.
    const uint64_t period = initialCount_ * nanosecondsPerCount();
    countStart_ += (now - countStart_) / period * period;
    deadline_ = countStart_ + period;
  } else {
    deadline_ = kNever;
    tscDeadline_ = 0;
  }
  deliverLocal(kLvtTimer);
}

uint32_t LocalApic::currentCount(uint64_t now) const {
  if (deadline_ == kNever || timerMode() == kTscDeadlineMode || now >= deadline_) return 0;
  return static_cast<uint32_t>((deadline_ - now + nanosecondsPerCount() - 1) /
                               nanosecondsPerCount());
}

void LocalApic::writeTscDeadline(uint64_t tsc, uint64_t deadlineNs) {
  if (timerMode() != kTscDeadlineMode) return;
  tscDeadline_ = tsc;
  deadline_ = tsc == 0 ? kNever : deadlineNs;
}

void LocalApic::writeLvt(LocalVector which, uint32_t value) {
  uint32_t entry = value & kLvtWritable[which];
  if (!(spurious_ & kSoftwareEnable)) entry |= kMasked;
  const unsigned oldMode = timerMode();
  lvt_[which] = entry;
  if (which == kLvtTimer && timerMode() != oldMode) {
    // SDM volume 3, "TSC-Deadline Mode": changing the mode disarms the timer.
    if (oldMode == kTscDeadlineMode || timerMode() == kTscDeadlineMode) {
      deadline_ = kNever;
      tscDeadline_ = 0;
      initialCount_ = 0;
    }
  }
  if (which == kLvtLint0 && lint0_) deliverLocal(kLvtLint0);
}

// --- registers

bool LocalApic::read(uint32_t offset, bool x2apic, uint64_t now, uint64_t& value) {
  const auto window = [&](uint32_t base, const VectorSet& set) {
    value = set.words[(offset - base) >> 4];
  };
  if (offset >= kIsr && offset < kIsr + 0x80) return window(kIsr, isr_), true;
  if (offset >= kTmr && offset < kTmr + 0x80) return window(kTmr, tmr_), true;
  if (offset >= kIrr && offset < kIrr + 0x80) return window(kIrr, irr_), true;
  if (offset >= kLvtFirst && offset <= kLvtLast) {
    value = lvt_[(offset - kLvtFirst) >> 4];
    return true;
  }
  switch (offset) {
    case kId:
      value = x2apic ? id_ : id_ << 24;
      return true;
    case kVersion:
      value = kVersionValue;
      return true;
    case kTpr:
      value = tpr_;
      return true;
    case kApr:
    case kRemoteRead:
    case kCmci:
      value = 0;
      return !x2apic;
    case kPpr:
      value = processorPriority();
      return true;
    case kLdr:
      value = logicalDestination_;
      return true;
    case kDfr:
      value = destinationFormat_;
      return !x2apic;
    case kSpurious:
      value = spurious_;
      return true;
    case kEsr:
      value = errorStatus_;
      return true;
    case kIcrLow:
      value = x2apic ? icr_ : icr_ & 0xffffffff;
      return true;
    case kIcrHigh:
      value = icr_ >> 32;
      return !x2apic;
    case kInitialCount:
      value = initialCount_;
      return true;
    case kCurrentCount:
      value = currentCount(now);
      return true;
    case kDivide:
      value = divideConfiguration_;
      return true;
    default:
      value = 0;
      if (!x2apic) noteError(kErrorRegister);
      return false;
  }
}

bool LocalApic::write(uint32_t offset, bool x2apic, uint64_t now, uint64_t value) {
  const auto low = static_cast<uint32_t>(value);
  if (x2apic && (value & ~x2apicWritable(offset))) return false;
  if (offset >= kLvtFirst && offset <= kLvtLast) {
    writeLvt(static_cast<LocalVector>((offset - kLvtFirst) >> 4), low);
    return true;
  }
  switch (offset) {
    case kTpr:
      setTaskPriority(static_cast<uint8_t>(low));
      return true;
    case kEoi:
      endOfInterrupt();
      return true;
    case kLdr:
      if (!x2apic) logicalDestination_ = low & 0xff000000;
      return !x2apic;
    case kDfr:
      if (!x2apic) destinationFormat_ = low | 0x0fffffff;
      return !x2apic;
    case kSpurious:
      spurious_ = low & 0x1ff;
      // SDM volume 3, "Local APIC State After It Has Been Software Disabled": all LVT entries are
      // masked.
      if (!(spurious_ & kSoftwareEnable))
        for (uint32_t& entry : lvt_) entry |= kMasked;
      evaluate();
      return true;
    case kEsr:
      errorStatus_ = pendingErrors_;
      pendingErrors_ = 0;
      return true;
    case kIcrLow:
      icr_ = x2apic ? value : (icr_ & 0xffffffff00000000) | (low & ~kPendingSend);
      sendIpi(icr_);
      return true;
    case kIcrHigh:
      if (!x2apic) icr_ = (icr_ & 0xffffffff) | uint64_t{low} << 32;
      return !x2apic;
    case kInitialCount:
      if (timerMode() == kTscDeadlineMode) return true;
      initialCount_ = low;
      armTimer(now);
      return true;
    case kDivide: {
      const uint32_t left = currentCount(now);
      divideConfiguration_ = low & 0xb;
      if (deadline_ != kNever && timerMode() != kTscDeadlineMode)
        deadline_ = now + left * nanosecondsPerCount();
      return true;
    }
    case kSelfIpi:
      if (!x2apic) break;
      accept(low, false);
      return true;
    default:
      break;
  }
  if (!x2apic) noteError(kErrorRegister);
  return false;
}

}  // namespace nodevm

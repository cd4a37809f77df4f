// The dispatcher: events between instructions, slices of the instruction budget, blocks, single
// steps.

#include <algorithm>
#include <utility>

#include "cpu/descriptor.h"
#include "interpreter/binding.h"
#include "interpreter/block_cache.h"
#include "interpreter/dispatch.h"
#include "interpreter/sse_control.h"

namespace nodevm {

namespace {

// Under host time run() comes back after so many nanoseconds, and earlier for who waits.
constexpr uint64_t kLongestRun = 20'000'000, kAskedEvery = 4'000'000;
constexpr unsigned kLongestBlock = BlockCache::kNoLimit;

constexpr uint64_t kDr6Single = 1 << 14, kDr6GeneralDetect = 1 << 13;
constexpr uint64_t kDebugCtlBranchStep = 1 << 1;

// An exception is no instruction, and a handler may fault at its first one for ever: a run ends
// after as many events as it may execute instructions (under host time, as a slice has), and these.
constexpr uint64_t kSpareEvents = 16;

// A block knows nothing of the code segment that it is executed by.
bool endsWithinLimit(const Cpu& cpu, const Block& block) {
  return cpu.code64() || cpu.rip + block.bytes - 1 <= cpu.segment[kCs].limit;
}

}  // namespace

ExitReason Cpu::run(uint64_t maxInstructions) {
  const uint64_t end = retired() + maxInstructions;
  clock.wake();
  enterGuestMxcsr(*this);
  activity.set(Phase::kDispatcher);
  runBegan_ = 0;
  completeExit();
  const ExitReason reason = loop(end);
  activity.set(Phase::kOutside);
  leaveGuestMxcsr(*this);
  publish();
  if (reason == ExitReason::kHalt) clock.rest();
  return reason;
}

// Takes TypeScript's answer to the exit that the previous run() ended with.
void Cpu::completeExit() {
  const uint64_t answer = exitBlock.data | uint64_t{exitBlock.dataHigh} << 32;
  const auto size = static_cast<uint8_t>(exitBlock.size);
  switch (exitReason) {
    case ExitReason::kPortRead:
      replay.add({ReplayLog::Kind::kPortRead, size, exitAddress, answer & 0xffffffff});
      break;
    case ExitReason::kMmioRead:
      replay.add({ReplayLog::Kind::kMmioRead, size, exitAddress, answer});
      break;
    case ExitReason::kMmioWrite:
      replay.add({ReplayLog::Kind::kMmioWrite, size, exitAddress, answer});
      break;
    case ExitReason::kInterruptAcknowledge:
      if (acknowledging_) deliver(EventKind::kExternal, static_cast<uint8_t>(answer));
      acknowledging_ = false;
      break;
    default:
      break;
  }
  exitReason = ExitReason::kBudget;
}

void Cpu::publish() {
  exitBlock.instructions = static_cast<double>(retired());
  exitBlock.now = static_cast<double>(nowNs());
  const uint64_t deadline = apic.nextDeadline();
  exitBlock.apicDeadline =
      deadline == LocalApic::kNever ? __builtin_inf() : static_cast<double>(deadline);
}

ExitReason Cpu::loop(uint64_t end) {
  const uint64_t length = end - retired();
  const bool timed = clock.source() == ClockSource::kHost;
  mostEvents_ =
      eventsDelivered + (timed ? std::min(length, SliceLength::kMost) : length) + kSpareEvents;
  for (;;) {
    if (portWritePending) {
      portWritePending = false;
      return ExitReason::kPortWrite;
    }
    if (debugStopDue()) return leaveForDebugger();
    if (shutdown) return ExitReason::kShutdown;
    if (!replay.empty() || exact) {
      stepOne();
      if (exitReason != ExitReason::kBudget) return exitReason;
      continue;
    }
    if (trace.full()) return ExitReason::kTrace;
    if (stopRequested_.exchange(false, std::memory_order_relaxed)) return ExitReason::kStopped;
    ExitReason exit = ExitReason::kBudget;
    const uint64_t now = nowNs();
    if (serviceEvents(now, exit)) return exit;
    if (halted) return ExitReason::kHalt;
    if (retired() >= end || eventsDelivered >= mostEvents_ || isWaitedFor(now))
      return ExitReason::kBudget;
    startSlice(now, end);
    // A REP keeps RF to its end, and clears it itself.
    const uint64_t stepped = eflags::kTf | (repeating ? 0 : eflags::kRf);
    const bool oneByOne =
        interruptShadow || debug.stepping || (dr7 & 0xff) != 0 || (eflagsRest & stepped) != 0;
    if (oneByOne) {
      stepOne();
    } else {
      runBlocks();
    }
    if (exitReason != ExitReason::kBudget) return exitReason;
  }
}

// Under host time: whether the thread should go to somebody else, or what was printed to its
// reader.
bool Cpu::isWaitedFor(uint64_t now) {
  if (clock.source() != ClockSource::kHost) return false;
  if (runBegan_ == 0) runBegan_ = lastAsked_ = now;
  if (now - lastAsked_ < kAskedEvery) return false;
  lastAsked_ = now;
  return now - runBegan_ >= kLongestRun || exitBlock.posted.count != 0 ||
         (bystander && bystander->waits());
}

// Interrupts and the local APIC's timer, at an instruction boundary. True: `exit` has to be made
// first.
bool Cpu::serviceEvents(uint64_t now, ExitReason& exit) {
  apic.advance(now);
  if (const int vector = apic.takeEoiBroadcast(); vector >= 0) {
    exitBlock.data = static_cast<uint32_t>(vector);
    exit = ExitReason::kEndOfInterrupt;
    return true;
  }
  if (apic.initPending()) {
    apic.takeInit();
    initialise();
    return false;
  }
  if (debug.stepping && debug.stepMasksInterrupts && !halted) return false;
  const bool open = (eflagsRest & eflags::kIf) != 0;
  if (interruptShadow) {
    // The shadow only matters while something waits for the boundary.
    const bool waiting = apic.nmiPending() || apic.extIntPending() || apic.interruptPending();
    const bool debugged = (eflagsRest & eflags::kTf) || (dr7 & 0xff) != 0;
    if (waiting || debugged) return false;
    interruptShadow = debugShadow = false;
  }
  if (apic.nmiPending() && !nmiBlocked) {
    apic.takeNmi();
    nmiBlocked = true;
    deliver(EventKind::kExternal, kNmi);
  } else if (open && apic.extIntPending()) {
    halted = false;
    acknowledging_ = true;
    apic.takeExtInt();
    exitReason = exit = ExitReason::kInterruptAcknowledge;
    return true;
  } else if (open && apic.interruptPending()) {
    deliver(EventKind::kExternal, apic.acknowledge());
  }
  return false;
}

// Sets `remaining` to the instructions until the budget ends or the APIC timer is due.
void Cpu::startSlice(uint64_t now, uint64_t end) {
  const uint64_t executed = retired();
  uint64_t length = end - executed;
  const uint64_t deadline = apic.nextDeadline();
  if (clock.source() == ClockSource::kHost) {
    length = std::min(length, sliceLength_.next(now, deadline, executed));
  } else if (deadline != LocalApic::kNever) {
    length = std::min(length, deadline > now ? deadline - now : 1);
  }
  remaining = static_cast<int64_t>(length);
  sliceEnd = executed + length;
  const bool mayOverrun = clock.source() == ClockSource::kHost && end - sliceEnd >= kLongestBlock;
  overrun_ = mayOverrun ? kLongestBlock : 0;
  blocks->collect(*this);
}

void Cpu::execute(const Block& target) {
  recorder.enter(rip);
  remaining -= target.count;
  block = &target;
  gpr[gpr::kBlockRip / 8] = rip;
  leave = Leave::kBoundary;
  inBlock_ = true;
  activity.set(Phase::kInterpreter);
  target.code->handler(*this, target.code);
  if constexpr (!kTailCalls) {
    while (leave == Leave::kNext) {
      leave = Leave::kBoundary;
      at->handler(*this, at);
    }
  }
  activity.set(Phase::kDispatcher);
  inBlock_ = false;
}

// After a chain of handlers: puts RIP right where an instruction did not complete. True: it
// completed.
bool Cpu::settle() {
  if (leave != Leave::kFault) return true;
  rip = thisRip(*this, at);
  remaining += block->count - at->ordinal;
  return false;
}

void Cpu::runBlocks() {
  repeating = false;
  do {
    if (const Block* target = findBlock(true)) {
      if (trace.blocks() && trace.addBlock(blockRecord(RecordKind::kBlock, *target))) {
        exitReason = ExitReason::kTrace;
        return;
      }
      execute(*target);
      if (settle()) continue;
      if (!fault.pending) return;
    }
    deliverFault();
    leave = Leave::kBoundary;
  } while (remaining > 0 && (leave == Leave::kLookup || mayGoOn()));
}

bool Cpu::mayGoOn() {
  constexpr uint64_t kStepped = eflags::kTf | eflags::kRf;
  if (portWritePending || exact || halted || shutdown || repeating || (eflagsRest & kStepped) ||
      (dr7 & 0xff) != 0 || debug.stepping || debug.watchHit || trace.full() || apic.waits() ||
      eventsDelivered >= mostEvents_)
    return false;
  // STI, MOV SS, POP SS: nothing waits that the shadow could hold back.
  interruptShadow = debugShadow = false;
  return true;
}

const Block* Cpu::findBlock(bool cacheable) {
  const JumpCacheEntry& known = blocks->jumpCache(rip);
  if (cacheable && known.isFor(rip, context) && known.block->count <= remaining + overrun_)
    return known.block;

  const uint64_t linear = (rip + segmentBase[kCs]) & linearMask;
  if (!code64() && rip > segment[kCs].limit) {
    raise(kGp, 0);
    return nullptr;
  }
  uint64_t gpa = 0;
  if (!fetchPage(linear, gpa)) return nullptr;
  gpa = (gpa & kPageMask) | (linear & kPageOffset);
  const auto withinLimit = [&](const Block* alone) -> const Block* {
    if (!alone || endsWithinLimit(*this, *alone)) return alone;
    raise(kGp, 0);
    return nullptr;
  };
  if (!cacheable) {
    const Block* alone = blocks->find(gpa, blockKey | Block::kAlone);
    return withinLimit(alone ? alone : decode(gpa, BlockCache::kAloneLimit));
  }

  const uint64_t nextPage = ((linear & kPageMask) + kPageSize) & linearMask;
  const Block* found = blocks->find(rip, gpa, blockKey);
  if (found && found->secondPage != Block::kNoPage) {
    // The tail has to be where it was decoded from in this address space too.
    uint64_t second = 0;
    if (!fetchPage(nextPage, second)) return nullptr;
    if ((second & kPageMask) != found->secondPage) return withinLimit(decode(gpa, 1));
  } else if (!found) {
    found = decode(gpa, BlockCache::kNoLimit);
    if (!found) return nullptr;
    if (!blocks->keeps(*found)) return found;
  }
  if (!endsWithinLimit(*this, *found)) return withinLimit(decode(gpa, 1));
  if (found->count > remaining + overrun_) return decode(gpa, static_cast<unsigned>(remaining));
  // Without an entry each branch comes back here.
  if (!trace.everyBlock()) {
    tlbs.noteJump(cpl == 3, linear, gpa);
    if (found->secondPage != Block::kNoPage) tlbs.noteJump(cpl == 3, nextPage, found->secondPage);
    blocks->cacheJump(rip, context, *found);
  }
  return found;
}

const Block* Cpu::decode(uint64_t gpa, unsigned limit) {
  const Block* built = blocks->build(*this, gpa, limit);
  if (built) noteDecoded(*built);
  return built;
}

// One instruction alone: for the trap flag, breakpoints, interrupt shadows and exact time.
void Cpu::stepOne() {
  const bool shadowed = interruptShadow, debugQuiet = debugShadow;
  const uint64_t flagsBefore = eflagsRest, delivered = eventsDelivered, ripBefore = rip;
  // The iterations of a REP are one instruction: its breakpoint comes before the first.
  const bool resumed = std::exchange(repeating, false);
  if (!debugQuiet && !resumed && instructionBreakpoint()) return deliverFault();
  // A slice of just this instruction, whatever the budget says: nothing can be chained to it.
  sliceEnd = retired() + 1;
  remaining = 1;
  // What MOV SS met waits for the end of this one.
  const uint64_t carried = pendingDr6_ = debugQuiet ? pendingDr6_ : 0;
  trapDecided_ = false;
  debug.watchHit = false;
  replay.rewind();
  const Block* target = findBlock(false);
  if (!target) return deliverFault();
  // An instruction that comes again with an answer has been seen.
  if (trace.blocks() && replay.empty() &&
      trace.addBlock(blockRecord(RecordKind::kBlock, *target))) {
    exitReason = ExitReason::kTrace;
    repeating = resumed;
    return;
  }
  exact = true;
  execute(*target);
  exact = false;
  const bool completed = settle();
  if (exitReason != ExitReason::kBudget) {  // TypeScript's turn; the instruction comes again
    repeating |= resumed;
    return;
  }
  replay.clear();
  if (!completed) {
    debug.watchHit = false;
    deliverFault();
    return trap(carried);
  }
  ++stepsCompleted_;
  if (shadowed) interruptShadow = false;
  if (debugQuiet) debugShadow = false;
  if ((flagsBefore & eflags::kRf) && eventsDelivered == delivered && !repeating)
    eflagsRest &= ~eflags::kRf;
  if (debugShadow) return;
  const bool branched = !repeating && rip != ((ripBefore + target->bytes) & ripMask);
  const bool trapped = (flagsBefore & eflags::kTf) && eventsDelivered == delivered &&
                       !trapDecided_ && (branched || !(msr.debugCtl & kDebugCtlBranchStep));
  trap(pendingDr6_ | (trapped ? kDr6Single : 0));
}

// #DB behind an instruction, where there is a cause.
void Cpu::trap(uint64_t dr6Bits) {
  pendingDr6_ = 0;
  if (!dr6Bits) return;
  raiseDebug(dr6Bits);
  deliverFault();
}

void Cpu::trapByResultingFlags() {
  trapDecided_ = true;
  if (eflagsRest & eflags::kTf) trap(kDr6Single);
}

// SDM volume 3, "Instruction-Breakpoint Exception Condition": a fault, unless RF is set.
bool Cpu::instructionBreakpoint() {
  if ((dr7 & 0xff) == 0 || (eflagsRest & eflags::kRf)) return false;
  const uint64_t linear = (rip + segmentBase[kCs]) & linearMask;
  uint64_t hits = 0;
  for (unsigned n = 0; n < 4; ++n) {
    const bool enabled = dr7 >> (2 * n) & 3, execute = (dr7 >> (16 + 4 * n) & 3) == 0;
    if (enabled && execute && dr[n] == linear) hits |= uint64_t{1} << n;
  }
  if (!hits) return false;
  // The saved image does not get RF here, as it does for other faults: the handler sets it (SDM
  // volume 3, "Instruction-Breakpoint Exception Condition").
  raiseDebug(hits);
  return true;
}

void Cpu::deliverFault() {
  const PendingFault pending = fault;
  fault = {};
  if (pending.vector == kPf) cr2 = pending.cr2;
  if (pending.vector == kDb) dr6 = (dr6 & ~uint64_t{0xf}) | pending.dr6;
  // The one #DB that is a fault and saves RF set. SDM volume 3, "RF flag".
  if (pending.vector == kDb && (pending.dr6 & kDr6GeneralDetect)) eflagsRest |= eflags::kRf;
  deliver(EventKind::kFault, pending.vector, pending.hasErrorCode, pending.errorCode);
}

}  // namespace nodevm

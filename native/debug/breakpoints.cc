#include "debug/breakpoints.h"

#include <algorithm>
#include <functional>

#include "interpreter/binding.h"
#include "interpreter/block_cache.h"
#include "interpreter/dispatch.h"

namespace nodevm {

namespace {

bool isWatch(const Breakpoint& breakpoint) { return breakpoint.kind >= BreakpointKind::kWrite; }

bool isFor(const Breakpoint& watch, bool write) {
  return watch.kind == BreakpointKind::kAccess || (watch.kind == BreakpointKind::kWrite) == write;
}

DebugCause causeOf(BreakpointKind kind) {
  return kind == BreakpointKind::kWrite  ? DebugCause::kWriteWatch
         : kind == BreakpointKind::kRead ? DebugCause::kReadWatch
                                         : DebugCause::kAccessWatch;
}

// Whether [start, start + length) and [linear, linear + size) meet, at the end of the address space
// too.
bool overlap(const Breakpoint& watch, uint64_t linear, uint64_t size) {
  return linear - watch.address < watch.length || watch.address - linear < size;
}

}  // namespace

Breakpoints::Offsets Breakpoints::replace(std::vector<Breakpoint> wanted) {
  const auto firstWatch = std::partition(wanted.begin(), wanted.end(), std::not_fn(isWatch));
  watches_.assign(firstWatch, wanted.end());
  wanted.erase(firstWatch, wanted.end());
  execution_ = std::move(wanted);
  Offsets offsets;
  for (const Breakpoint& breakpoint : execution_) offsets.set(breakpoint.address & kPageOffset);
  const Offsets changed = offsets ^ offsets_;
  offsets_ = offsets;
  return changed;
}

bool Breakpoints::stopsAt(uint64_t linear, uint64_t gpa) const {
  return std::any_of(execution_.begin(), execution_.end(), [&](const Breakpoint& breakpoint) {
    return breakpoint.address == (breakpoint.kind == BreakpointKind::kLinear ? linear : gpa);
  });
}

bool Breakpoints::watchesPage(uint64_t linear) const {
  return std::any_of(watches_.begin(), watches_.end(), [&](const Breakpoint& watch) {
    return overlap(watch, linear & kPageMask, kPageSize);
  });
}

const Breakpoint* Breakpoints::watchAt(uint64_t linear, unsigned size, bool write) const {
  for (const Breakpoint& watch : watches_)
    if (isFor(watch, write) && overlap(watch, linear, size)) return &watch;
  return nullptr;
}

// --- the processor's side

void Cpu::setBreakpoints(std::vector<Breakpoint> wanted) {
  const bool watched = debug.breakpoints.watching();
  blocks->cutAt(*this, debug.breakpoints.replace(std::move(wanted)));
  if (watched || debug.breakpoints.watching()) flushTlb(true);
}

void Cpu::beginStep(bool masksInterrupts) {
  debug.stepping = true;
  debug.stepMasksInterrupts = masksInterrupts;
  debug.stepFrom = progress();
}

bool Cpu::passesBreakpoint(uint64_t gpa) {
  const uint64_t linear = codeLinear();
  // The whole block has been charged, and none of it has run.
  const uint64_t now = retired() - block->count;
  const bool justStopped =
      debug.resuming && debug.resumeLinear == linear && debug.resumeRetired == now;
  if (debug.stepping || justStopped || !debug.breakpoints.stopsAt(linear, gpa)) return true;
  stopForDebugger({DebugCause::kBreakpoint, linear}, now);
  exitReason = ExitReason::kDebug;
  return false;
}

bool Cpu::noteWatch(uint64_t linear, unsigned size, bool write) {
  const Breakpoint* watch = debug.breakpoints.watchAt(linear, size, write);
  if (!watch) return true;
  // Alone, the instruction is the one after which the processor stops.
  if (inBlock_ && !exact) return needExact();
  debug.watchHit = true;
  debug.watch = {causeOf(watch->kind), watch->address};
  return true;
}

bool Cpu::debugStopDue() const {
  return debug.watchHit || (debug.stepping && progress() != debug.stepFrom);
}

ExitReason Cpu::leaveForDebugger() {
  const DebugStop stop = debug.watchHit ? debug.watch : DebugStop{DebugCause::kStep, codeLinear()};
  stopForDebugger(stop, retired());
  return ExitReason::kDebug;
}

void Cpu::stopForDebugger(const DebugStop& stop, uint64_t retiredNow) {
  exitBlock.debugCause = static_cast<uint32_t>(stop.cause);
  exitBlock.data = static_cast<uint32_t>(stop.address);
  exitBlock.dataHigh = static_cast<uint32_t>(stop.address >> 32);
  debug.stepping = debug.watchHit = false;
  debug.resuming = true;
  debug.resumeLinear = codeLinear();
  debug.resumeRetired = retiredNow;
}

void checkBreakpoint(Cpu& cpu, const Instruction* i) {
  cpu.rip = thisRip(cpu, i);
  if (cpu.passesBreakpoint(cpu.block->gpa)) return next(cpu, i);
  return fault(cpu, i);
}

}  // namespace nodevm

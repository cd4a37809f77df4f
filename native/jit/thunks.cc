#include "jit/thunks.h"

#include <cstddef>
#include <cstring>

#include "cpu/cpu.h"
#include "interpreter/binding.h"
#include "interpreter/block_cache.h"
#include "interpreter/dispatch.h"
#include "jit/flags.h"
#include "jit/jit.h"
#include "jit/string_thunks.h"
#include "jit/tlb_probe.h"
#include "jit/vector_thunks.h"

namespace nodevm {

namespace {

// Pushed on entry, popped in reverse. With the padding below RSP is 16-byte aligned in translated
// code.
constexpr uint8_t kCalleeSaved[] = {host::kRbx, host::kRbp, host::kR12,
                                    host::kR13, host::kR14, host::kR15};
constexpr int32_t kPadding = 8;

// --- C++ called from translated code

void continueAt(Cpu& cpu) {
  cpu.activity.set(Phase::kDispatcher);
  settleFlags(cpu);
  cpu.jit->noteTranslation(cpu.rip);
  return endBlock(cpu);
}

// Behind the call of a BlockHead.
void stop(Cpu& cpu, const Block& block) {
  cpu.remaining += block.count;
  cpu.rip = cpu.jitState.pageRip + (block.gpa & kPageOffset);
  return continueAt(cpu);
}

const Block& blockNumbered(const Cpu& cpu, const uint8_t* place) {
  uint32_t number = 0;
  std::memcpy(&number, place, sizeof number);
  return cpu.jit->table()[number];
}

void stopNumbered(Cpu& cpu, const uint8_t* number) { return stop(cpu, blockNumbered(cpu, number)); }

// The visits left are negative until beginPath() has been told.
void stopCounted(Cpu& cpu, const uint8_t* counting) {
  constexpr int kOperand = 2, kEnd = 6;  // of the DEC
  int32_t distance = 0;
  std::memcpy(&distance, counting + kOperand, sizeof distance);
  const auto* visitsLeft = reinterpret_cast<const int32_t*>(counting + kEnd + distance);
  const Block& block = cpu.jit->table().blockOf(visitsLeft);
  if (*visitsLeft >= 0) return stop(cpu, block);
  cpu.rip = cpu.jitState.pageRip + (block.gpa & kPageOffset);
  settleFlags(cpu);
  cpu.jit->beginPath(block);
  return endBlock(cpu);
}

const Block& enterBlock(Cpu& cpu, const uint8_t* number) {
  const Block& block = blockNumbered(cpu, number);
  cpu.block = &block;
  cpu.gpr[gpr::kBlockRip / 8] = cpu.jitState.pageRip + (block.gpa & kPageOffset);
  return block;
}

// What executes the slot.
Handler enterSlot(Cpu& cpu, const Block& block, unsigned slot) {
  settleFlags(cpu);
  ++cpu.jit->profile.rows[block.code[slot].row].ended;
  cpu.activity.set(Phase::kEnded, block.code[slot].row);
  return slot == 0 ? block.first : block.code[slot].handler;
}

void interpretRest(Cpu& cpu, const uint8_t* number, uint32_t slot) {
  const Block& block = enterBlock(cpu, number);
  const Handler handler = enterSlot(cpu, block, slot);
  return handler(cpu, block.code + slot);
}

// Goes on where the block's last instruction leads.
const uint8_t* interpretLast(Cpu& cpu, const Block& block, unsigned slot) {
  const Handler handler = enterSlot(cpu, block, slot);
  cpu.leave = Leave::kNext;
  handler(cpu, block.code + slot);
  if (cpu.leave != Leave::kLookup) return nullptr;
  cpu.activity.set(Phase::kDispatcher);
  const uint8_t* code = cpu.jit->lookUp(cpu.rip);
  if (!code) return nullptr;
  cpu.jitState.pageRip = cpu.rip & kPageMask;
  cpu.activity.set(Phase::kTranslated);
  return code;
}

void note(JitProfile& profile, const Block& block, const Request& request) {
  for (unsigned n = 0; n < request.count(); ++n) {
    JitProfile::Counts& counts = profile.rows[block.code[request.slot + n].row];
    ++((request.bits & Request::kMissed) != 0 ? counts.missed : counts.untranslated);
  }
}

// What the last copied instruction goes on to.
void returnFromSlots(Cpu& cpu, const Instruction*) { cpu.leave = Leave::kNext; }

// Where to go on; nullptr: the block is left, cpu.leave says why.
const uint8_t* interpretSlots(Cpu& cpu, const uint8_t* number, const Request* request) {
  const Block& block = enterBlock(cpu, number);
  if (request->count() == 0) return interpretLast(cpu, block, request->slot);
  if (request->bits & Request::kTouchesFlags) settleFlags(cpu);
  const unsigned first = request->slot, count = request->count();
  note(cpu.jit->profile, block, *request);
  const bool missed = (request->bits & Request::kMissed) != 0;
  cpu.activity.set(missed ? Phase::kMissed : Phase::kUntranslated, block.code[first].row);
  Instruction* slots = cpu.jitSlots.slots;
  // The one after, too: should the block die, leaveDeadBlock asks it where the guest is.
  std::memcpy(slots, block.code + first, (count + 1) * sizeof(Instruction));
  if (first == 0) slots[0].handler = block.first;
  slots[count].handler = returnFromSlots;
  slots[0].handler(cpu, slots);
  if (cpu.leave == Leave::kNext) {
    cpu.leave = Leave::kBoundary;
    cpu.activity.set(Phase::kTranslated);
    return reinterpret_cast<const uint8_t*>(request) + request->resume;
  }
  settleFlags(cpu);
  return nullptr;
}

const uint8_t* lookUp(Cpu& cpu, uint64_t rip) {
  const ActivityScope scope(cpu.activity, Phase::kDispatcher);
  return cpu.jit->lookUp(rip);
}

const uint8_t* lookUpLink(Cpu& cpu, uint64_t rip, uint32_t link) {
  const ActivityScope scope(cpu.activity, Phase::kDispatcher);
  return cpu.jit->lookUpLink(rip, link);
}

// R9 is not looked at by these.
uint64_t lookUpPage(Cpu& cpu, uint64_t, uint32_t link) {
  const ActivityScope scope(cpu.activity, Phase::kDispatcher);
  return cpu.jit->lookUpPage(link);
}

uint64_t lookUpPath(Cpu& cpu, uint64_t, uint32_t number) {
  const ActivityScope scope(cpu.activity, Phase::kDispatcher);
  return cpu.jit->lookUpPath(number);
}

const uint8_t* lookUpReturn(Cpu& cpu, uint64_t rip) {
  const ActivityScope scope(cpu.activity, Phase::kDispatcher);
  return cpu.jit->lookUpReturn(rip);
}

uint64_t readTsc(Cpu& cpu) { return cpu.readTsc(); }

uint64_t mayGoOn(Cpu& cpu) { return cpu.mayGoOn() ? 1 : 0; }

template <class Function>
uint64_t addressOf(Function* function) {
  return reinterpret_cast<uint64_t>(function);
}

int32_t distance(const Cpu& cpu, const void* field) {
  return static_cast<int32_t>(static_cast<const uint8_t*>(field) -
                              reinterpret_cast<const uint8_t*>(&cpu)) -
         kCpuBias;
}

// --- pieces

HostMemory guestRegister(unsigned number) {
  return registerInMemory(static_cast<uint8_t>(number * 8));
}

void saveGuest(Emitter& e) {
  for (unsigned n = 0; n < kHostOf.size(); ++n)
    if (kHostOf[n] != host::kNone) e.store(8, guestRegister(n), kHostOf[n]);
}

void loadGuest(Emitter& e) {
  for (unsigned n = 0; n < kHostOf.size(); ++n)
    if (kHostOf[n] != host::kNone) e.move(8, kHostOf[n], guestRegister(n));
}

// Gives the host its registers back; RSP is as at the entry of the handler.
void leaveFrame(Emitter& e) {
  e.aluImmediate(Alu::kAdd, 8, host::kRsp, kPadding);
  for (unsigned n = std::size(kCalleeSaved); n-- > 0;) e.pop(kCalleeSaved[n]);
}

void tailCall(Emitter& e, uint64_t function) {
  e.lea(host::kRdi, {.base = kCpuRegister, .displacement = -kCpuBias});
  leaveFrame(e);
  e.moveImmediate(host::kRax, function);
  e.jump(host::kRax);
}

const uint8_t* emitEnter(Emitter& e, const Layout& layout) {
  const uint8_t* start = e.here();
  for (const uint8_t reg : kCalleeSaved) e.push(reg);
  e.aluImmediate(Alu::kSub, 8, host::kRsp, kPadding);
  e.lea(kCpuRegister, {.base = host::kRdi, .displacement = kCpuBias});
  e.move(8, host::kR9, guestRegister(gpr::kBlockRip / 8));
  e.aluImmediate(Alu::kAnd, 8, host::kR9, static_cast<int32_t>(kPageMask));
  e.store(8, layout.at(layout.pageRip), host::kR9);
  e.storeImmediate(1, layout.at(layout.phase), static_cast<int32_t>(Phase::kTranslated));
  loadGuest(e);
  e.move(8, host::kR11, layout.at(layout.block));
  e.move(8, host::kR11, HostMemory{.base = host::kR11, .displacement = offsetof(Block, plain)});
  e.aluImmediate(Alu::kAdd, 8, host::kR11, BlockHead::kChargeBytes);
  e.jump(host::kR11);
  return start;
}

const uint8_t* emitExit(Emitter& e, const Layout& layout, const Thunks& thunks) {
  const uint8_t* start = e.here();
  e.callTo(thunks.saveVectors);
  e.store(8, layout.at(layout.rip), host::kR9);
  saveGuest(e);
  tailCall(e, addressOf(continueAt));
  return start;
}

// R11: an offset from pageRip. Leaves the RIP in R9.
void addPageRip(Emitter& e, const Layout& layout) {
  e.move(8, host::kR9, layout.at(layout.pageRip));
  e.lea(host::kR9, {.base = host::kR9, .index = host::kR11});
}

const uint8_t* emitSliceEnds(Emitter& e, const Layout& layout, const uint8_t* exit) {
  const uint8_t* start = e.here();
  constexpr unsigned kShiftRight = 5;
  e.move(4, host::kR9, host::kR11);
  e.shiftImmediate(kShiftRight, 4, host::kR9, ShortSlice::kOffsetBits);
  e.aluToMemory(Alu::kAdd, 8, layout.at(layout.remaining), host::kR9);
  e.aluImmediate(Alu::kAnd, 4, host::kR11, (1 << ShortSlice::kOffsetBits) - 1);
  addPageRip(e, layout);
  e.jumpTo(exit);
  return start;
}

const uint8_t* emitStop(Emitter& e, const Thunks& thunks, uint64_t function) {
  const uint8_t* start = e.here();
  e.callTo(thunks.saveVectors);
  e.pop(host::kR11);
  saveGuest(e);
  e.move(8, host::kRsi, host::kR11);
  tailCall(e, function);
  return start;
}

// An entry for each offset on a page: the address behind its call says which.
const uint8_t* emitUnlinked(Emitter& e, const Layout& layout, const Thunks& thunks) {
  constexpr unsigned kZero = 4, kShiftRight = 5;
  constexpr unsigned kShift = 3;
  static_assert(Thunks::kUnlinkedBytes == 1 << kShift);
  e.align(Thunks::kUnlinkedBytes);
  const uint8_t* start = e.here();
  const uint8_t* probe = start + kPageSize * Thunks::kUnlinkedBytes;
  for (unsigned offset = 0; offset < kPageSize; ++offset) {
    e.callTo(probe);
    e.align(Thunks::kUnlinkedBytes);
  }
  e.pop(host::kR11);
  e.moveImmediate(host::kR9, reinterpret_cast<uint64_t>(start));
  e.alu(Alu::kSub, 8, host::kR11, host::kR9);
  e.shiftImmediate(kShiftRight, 4, host::kR11, kShift);
  addPageRip(e, layout);
  e.callTo(thunks.lookUp);
  e.bind(e.jumpIf(kZero), thunks.exit);
  e.jump(host::kR11);
  return start;
}

const uint8_t* emitInterpret(Emitter& e, const Thunks& thunks) {
  constexpr unsigned kZero = 4, kNotZero = 5, kSign = 8, kNotSign = 9;
  constexpr uint8_t kRequest = host::kRbx;  // where C++ leaves it alone
  const uint8_t* start = e.here();
  e.callTo(thunks.saveVectors);
  e.pop(host::kR10);
  e.pop(host::kR11);
  saveGuest(e);
  e.lea(host::kRdi, {.base = kCpuRegister, .displacement = -kCpuBias});
  e.move(8, host::kRsi, host::kR10);
  e.test(8, host::kR11, host::kR11);
  const Emitter::Fixup rest = e.jumpIf(kSign);
  static_assert(sizeof(Request) == 6);
  e.lea(host::kRdx, {.base = host::kR11, .index = host::kR11, .scale = 1});
  e.lea(host::kRdx, {.base = host::kR10, .index = host::kRdx, .scale = 1, .displacement = 4});
  e.move(8, kRequest, host::kRdx);
  e.moveImmediate(host::kRax, addressOf(interpretSlots));
  e.call(host::kRax);
  e.move(8, host::kR11, host::kRax);
  e.test(8, host::kR11, host::kR11);
  const Emitter::Fixup left = e.jumpIf(kZero);
  e.move(1, host::kR10, HostMemory{.base = kRequest, .displacement = offsetof(Request, bits)});
  loadGuest(e);
  e.test(1, host::kR10, host::kR10);
  static_assert(Request::kReloadVectors == 0x80);
  const Emitter::Fixup noVectors = e.jumpIf(kNotSign);
  e.callTo(thunks.reloadVectors);
  e.bind(noVectors);
  e.aluImmediate(Alu::kAnd, 4, host::kR10, Request::kRestoreFlags);
  const Emitter::Fixup restore = e.jumpIf(kNotZero);
  e.jump(host::kR11);
  e.bind(restore);
  e.callTo(thunks.restoreFlags);
  e.jump(host::kR11);
  e.bind(left);
  leaveFrame(e);
  e.ret();
  e.bind(rest);
  e.complement(host::kR11);
  e.move(4, host::kRdx, host::kR11);
  tailCall(e, addressOf(interpretRest));
  return start;
}

// Guest registers that a C++ function does not keep, and RIP.
const uint8_t* emitLookUp(Emitter& e, const Thunks& thunks, uint64_t function) {
  constexpr uint8_t kCallerSaved[] = {host::kRax, host::kRcx, host::kRdx, host::kRsi,
                                      host::kRdi, host::kR8,  host::kR9};
  static_assert(std::size(kCallerSaved) % 2 == 1, "alignment of the call");
  const uint8_t* start = e.here();
  for (const uint8_t reg : kCallerSaved) e.push(reg);
  e.callTo(thunks.saveVectors);
  e.lea(host::kRdi, {.base = kCpuRegister, .displacement = -kCpuBias});
  e.move(8, host::kRsi, host::kR9);
  e.move(4, host::kRdx, host::kR10);
  e.moveImmediate(host::kRax, function);
  e.call(host::kRax);
  e.callTo(thunks.reloadVectors);
  e.move(8, host::kR11, host::kRax);
  for (unsigned n = std::size(kCallerSaved); n-- > 0;) e.pop(kCallerSaved[n]);
  e.test(8, host::kR11, host::kR11);
  e.ret();
  return start;
}

const uint8_t* emitLookUpInJumpCache(Emitter& e, const Layout& layout, const uint8_t* ask) {
  const uint8_t* start = e.here();
  for (const Emitter::Fixup miss : emitJumpCacheProbe(e, layout)) e.bind(miss, ask);
  e.move(8, host::kR11, kJumpCacheCode);
  e.test(8, host::kR11, host::kR11);
  e.ret();
  return start;
}

void emitWords(Emitter& e, const Thunks& thunks) {
  constexpr uint8_t kCallerSaved[] = {host::kRax, host::kRcx, host::kRdx, host::kRsi,
                                      host::kRdi, host::kR8,  host::kR11};
  static_assert(std::size(kCallerSaved) % 2 == 1, "alignment of the call");
  for (const uint8_t reg : kCallerSaved) e.push(reg);
  e.callTo(thunks.saveVectors);
  e.lea(host::kRdi, {.base = kCpuRegister, .displacement = -kCpuBias});
  e.moveImmediate(host::kRax, addressOf(packWords));
  e.call(host::kRax);
  e.callTo(thunks.reloadVectors);
  e.move(8, host::kR9, host::kRax);
  for (unsigned n = std::size(kCallerSaved); n-- > 0;) e.pop(kCallerSaved[n]);
  e.push(host::kR9);
  e.popf();
  e.ret();
}

const uint8_t* emitRestoreFlags(Emitter& e, const Layout& layout, const Thunks& thunks) {
  const uint8_t* code[FlagForm::kCodes] = {};
  for (unsigned n = 0; n < FlagForm::kCodes; ++n) {
    const FlagForm form = FlagForm::of(n);
    if (static_cast<unsigned>(form.source) >= kFlagSources) continue;
    code[n] = e.here();
    if (form.source == FlagSource::kWords) {
      emitWords(e, thunks);
      continue;
    }
    if (form.source == FlagSource::kPacked) {
      emitUnpackFlags(e, layout);
    } else {
      emitSavedOperation(e, layout, form);
    }
    e.ret();
  }
  e.align(8);
  const uint8_t* table = e.here();
  for (const uint8_t* place : code) e.qword(reinterpret_cast<uint64_t>(place));
  const uint8_t* start = e.here();
  e.move(1, host::kR9, layout.at(layout.flagWord));
  e.moveImmediate(host::kR10, reinterpret_cast<uint64_t>(table));
  e.jump(HostMemory{.base = host::kR10, .index = host::kR9, .scale = 3});
  return start;
}

// What Cpu::updateRights() does.
const uint8_t* emitUserAccess(Emitter& e, const Layout& layout, bool allowed) {
  constexpr unsigned kZero = 4, kNotZero = 5;
  constexpr auto kAc = static_cast<int32_t>(eflags::kAc);
  const uint8_t* start = e.here();
  e.move(4, host::kR11, layout.at(layout.eflagsRest));
  e.aluImmediate(Alu::kAnd, 4, host::kR11, kAc);
  const Emitter::Fixup as = e.jumpIf(allowed ? kNotZero : kZero);
  e.aluImmediate(Alu::kXor, 4, layout.at(layout.eflagsRest), kAc);
  e.move(8, host::kR10, layout.at(layout.supervisorTlb + (allowed ? 8 : 0)));
  e.alu(Alu::kCmp, 8, host::kR10, layout.at(layout.flatTlb));
  const Emitter::Fixup same = e.jumpIf(kZero);
  e.store(8, layout.at(layout.flatTlb), host::kR10);
  for (int32_t n = 0; n < kSegmentCount; ++n)
    e.store(8, layout.at(layout.segmentTlb + 8 * n), host::kR10);
  for (int32_t at = 0; at < static_cast<int32_t>(sizeof(StackWindow)); at += 8) {
    const HostMemory window{.base = host::kR10, .displacement = layout.windowInTlb + at};
    e.move(8, host::kR11, window);
    e.store(8, layout.at(layout.stackWindow + at), host::kR11);
  }
  e.bind(as);
  e.bind(same);
  e.ret();
  return start;
}

}  // namespace

Layout::Layout(const Cpu& cpu)
    : rip(distance(cpu, &cpu.rip)),
      block(distance(cpu, &cpu.block)),
      remaining(distance(cpu, &cpu.remaining)),
      context(distance(cpu, &cpu.context)),
      segmentBase(distance(cpu, &cpu.segmentBase)),
      flatTlb(distance(cpu, &cpu.flatTlb)),
      stackWindow(distance(cpu, &cpu.stackWindow)),
      vector(distance(cpu, &cpu.vector)),
      cpl(distance(cpu, &cpu.cpl)),
      eflagsRest(distance(cpu, &cpu.eflagsRest)),
      kernelGsBase(distance(cpu, &cpu.msr.kernelGsBase)),
      segment(distance(cpu, cpu.segment)),
      segmentTlb(distance(cpu, cpu.segmentTlb)),
      supervisorTlb(distance(cpu, cpu.supervisorTlb)),
      control{distance(cpu, &cpu.cr0), 0, distance(cpu, &cpu.cr2), distance(cpu, &cpu.cr3),
              distance(cpu, &cpu.cr4)},
      windowInTlb(static_cast<int32_t>(reinterpret_cast<const uint8_t*>(&cpu.flatTlb->window) -
                                       reinterpret_cast<const uint8_t*>(cpu.flatTlb))),
      generationInTlb(
          static_cast<int32_t>(reinterpret_cast<const uint8_t*>(&cpu.flatTlb->generation) -
                               reinterpret_cast<const uint8_t*>(cpu.flatTlb))),
      pageRip(distance(cpu, &cpu.jitState.pageRip)),
      flagA(distance(cpu, &cpu.jitState.flagA)),
      flagB(distance(cpu, &cpu.jitState.flagB)),
      flagWord(distance(cpu, &cpu.jitState.flagWord)),
      simd(distance(cpu, &cpu.jitState.simd)),
      simdSaved(distance(cpu, &cpu.jitState.simdSaved)),
      target(distance(cpu, &cpu.jitState.target)),
      targetCode(distance(cpu, &cpu.jitState.targetCode)),
      addends(distance(cpu, &cpu.jitState.addends)),
      jumpCache(distance(cpu, &cpu.jitState.jumpCache)),
      newestReturn(distance(cpu, &cpu.jitState.newestReturn)),
      scratch(distance(cpu, cpu.scratch)),
      splitLow(distance(cpu, &cpu.jitState.splitLow)),
      splitHigh(distance(cpu, &cpu.jitState.splitHigh)),
      phase(distance(cpu, cpu.activity.phaseByte())) {}

HostMemory Layout::at(int32_t displacement) const {
  return {.base = kCpuRegister, .displacement = displacement};
}

std::array<Emitter::Fixup, 2> emitJumpCacheProbe(Emitter& e, const Layout& layout) {
  constexpr unsigned kNotZero = 5;
  const auto field = [](size_t offset) {
    return HostMemory{.base = host::kR10, .displacement = static_cast<int32_t>(offset)};
  };
  e.multiplyImmediate(4, host::kR10, host::kR9, BlockCache::kJumpCacheFactor);
  e.aluImmediate(Alu::kAnd, 4, host::kR10, BlockCache::kJumpCacheMask);
  e.alu(Alu::kAdd, 8, host::kR10, layout.at(layout.jumpCache));
  e.alu(Alu::kCmp, 8, host::kR9, field(offsetof(JumpCacheEntry, rip)));
  const Emitter::Fixup other = e.jumpIf(kNotZero);
  e.move(8, host::kR11, layout.at(layout.context));
  e.alu(Alu::kCmp, 8, host::kR11, field(offsetof(JumpCacheEntry, context)));
  return {other, e.jumpIf(kNotZero)};
}

Thunks emitThunks(Emitter& e, const Layout& layout) {
  Thunks thunks;
  emitVectorThunks(e, layout, thunks);
  thunks.enter = emitEnter(e, layout);
  thunks.exit = emitExit(e, layout, thunks);
  thunks.sliceEnds = emitSliceEnds(e, layout, thunks.exit);
  thunks.stop = emitStop(e, thunks, addressOf(stopNumbered));
  thunks.stopCounted = emitStop(e, thunks, addressOf(stopCounted));
  thunks.ask = emitLookUp(e, thunks, addressOf(lookUp));
  thunks.lookUp = emitLookUpInJumpCache(e, layout, thunks.ask);
  thunks.lookUpLink = emitLookUp(e, thunks, addressOf(lookUpLink));
  thunks.lookUpPage = emitLookUp(e, thunks, addressOf(lookUpPage));
  thunks.lookUpPath = emitLookUp(e, thunks, addressOf(lookUpPath));
  thunks.lookUpReturn = emitLookUp(e, thunks, addressOf(lookUpReturn));
  thunks.readTsc = emitLookUp(e, thunks, addressOf(readTsc));
  thunks.mayGoOn = emitLookUp(e, thunks, addressOf(mayGoOn));
  thunks.restoreFlags = emitRestoreFlags(e, layout, thunks);
  thunks.interpret = emitInterpret(e, thunks);
  thunks.firstUnlinked = emitUnlinked(e, layout, thunks);
  emitProbeThunks(e, layout, thunks);
  emitStringThunks(e, layout, thunks);
  for (const bool allowed : {false, true})
    thunks.userAccess[allowed] = emitUserAccess(e, layout, allowed);
  e.align(16);
  return thunks;
}

}  // namespace nodevm

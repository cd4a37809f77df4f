#include "cpu/cpu.h"

#include "interpreter/block_cache.h"
#include "interpreter/sse_control.h"
#include "jit/jit.h"

namespace nodevm {

Cpu::Cpu(GuestRam& guestRam, ClockSource source, ExitBlock& block)
    : ram(guestRam),
      exitBlock(block),
      clock(source),
      blocks(std::make_unique<BlockCache>()),
      tlbs(guestRam.pageCount()) {
  jitState.newestReturn = returnRingInUse().newest;
  reset();
}

Cpu::~Cpu() = default;

// SDM volume 3, table "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT".
void Cpu::reset() {
  static_cast<GeneralRegisters&>(*this) = {};
  static_cast<CpuState&>(*this) = {};
  for (SegmentRegister& s : segment)
    s = {.selector = 0, .access = 0x93, .limit = 0xffff, .base = 0};
  segment[kCs] = {.selector = 0xf000, .access = 0x9b, .limit = 0xffff, .base = 0xffff0000};
  ldtr = {.selector = 0, .access = 0x82, .limit = 0xffff, .base = 0};
  tr = {.selector = 0, .access = 0x8b, .limit = 0xffff, .base = 0};
  gpr[gpr::kRdx / 8] = kSignature;
  fault = {};
  interruptShadow = debugShadow = repeating = halted = shutdown = nmiBlocked = exact = false;
  portWritePending = acknowledging_ = false;
  exitReason = ExitReason::kBudget;
  pendingDr6_ = 0;
  replay.clear();
  debug.stepping = debug.watchHit = debug.resuming = false;
  apic.reset(0);
  blocks->dropAll(*this);
  flushTlb(true);
  updateMode();
  note({.linear = codeLinear(rip), .kind = RecordKind::kReset});
}

// The same table, column "INIT": registers of the FPU and SSE, XCR0, MSRs, and the cache control
// bits stay as they are; the local APIC keeps its mode.
void Cpu::initialise() {
  const CpuState kept = *this;
  reset();
  x87 = kept.x87;
  mxcsr = kept.mxcsr;
  std::memcpy(vector, kept.vector, sizeof vector);
  xcr0 = kept.xcr0;
  msr = kept.msr;
  msr.efer = msr.debugCtl = 0;
  cr0 = cr0::kEt | (kept.cr0 & (cr0::kCd | cr0::kNw));
  apic.setMode(msr.apicBase & apic_base::kEnable, msr.apicBase & apic_base::kX2apic);
  updateMode();
}

// --- derived state

namespace {

PagingMode::Format pagingFormat(const Cpu& cpu) {
  if (!(cpu.cr0 & cr0::kPg)) return PagingMode::Format::kNone;
  if (!(cpu.cr4 & cr4::kPae)) return PagingMode::Format::k32Bit;
  return cpu.longMode() ? PagingMode::Format::k4Level : PagingMode::Format::kPae;
}

// A segment whose only check is done by paging: flat in size and of the right type.
bool needsNoCheck(const Cpu& cpu, const SegmentRegister& s, bool code) {
  if (code || s.limit != 0xffffffff || !cpu.protectedMode() || cpu.virtual8086()) return false;
  return s.present() && s.isCodeOrData() && (s.type() & 0xe) == 2;  // data, writable, expand-up
}

}  // namespace

void Cpu::updatePaging() {
  paging.format = pagingFormat(*this);
  paging.root = cr3;
  std::memcpy(paging.pdpte, pdpte, sizeof pdpte);
  paging.pse = cr4 & cr4::kPse;
  paging.pge = cr4 & cr4::kPge;
  paging.nxe = msr.efer & efer::kNxe;
  paging.wp = cr0 & cr0::kWp;
  paging.smep = cr4 & cr4::kSmep;
  paging.smap = cr4 & cr4::kSmap;
}

void Cpu::updateMode() {
  const bool is64 = code64();
  cpl = !protectedMode() ? 0 : virtual8086() ? 3 : cpl;
  updatePaging();

  linearMask = is64 ? ~uint64_t{0} : 0xffffffff;
  ripMask = is64 ? ~uint64_t{0} : segment[kCs].big() ? 0xffffffff : 0xffff;
  stackMask = is64 ? ~uint64_t{0} : segment[kSs].big() ? 0xffffffff : 0xffff;

  updateSimdState();
  dataBreakpoints = false;
  for (unsigned n = 0; n < 4; ++n) {
    const bool enabled = dr7 >> (2 * n) & 3, data = dr7 >> (16 + 4 * n) & 1;
    dataBreakpoints |= enabled && data;
  }
  for (unsigned n = 0; n < kSegmentCount; ++n)
    segmentBase[n] = is64 && n < kFs ? 0 : segment[n].base;
  updatePrivilege();
}

void Cpu::updatePrivilege() {
  alignmentChecked = cpl == 3 && (cr0 & cr0::kAm) && (eflagsRest & eflags::kAc);
  updateRights();
  updateContext();
}

// While C++ runs the vector registers are in memory.
void Cpu::updateSimdState() {
  const bool avx = avxUsable(*this) && avx512.upperInUse == 0;
  jitState.simd = static_cast<uint8_t>(
      simd_state::kInMemory | (sseUsable(*this) ? 0 : simd_state::kSseBlocked) |
      (avx ? 0 : simd_state::kAvxBlocked) |
      (allExceptionsMasked(*this) ? 0 : simd_state::kFloatBlocked));
}

void Cpu::updateRights() {
  const bool slow = alignmentChecked || dataBreakpoints || trace.everyAccess(), is64 = code64();
  Tlb* const direct = &tlbs.of(dataRights());
  Tlb* const checked = &tlbs.of(kChecked);
  for (unsigned n = 0; n < kSegmentCount; ++n)
    segmentTlb[n] = !slow && (is64 || needsNoCheck(*this, segment[n], n == kCs)) ? direct : checked;
  flatTlb = slow ? checked : direct;
  const Rights withoutUser = paging.smap ? kSupervisor : kSupervisorUserAccess;
  supervisorTlb[0] = slow ? checked : &tlbs.of(withoutUser);
  supervisorTlb[1] = slow ? checked : &tlbs.of(kSupervisorUserAccess);
  stackWindow = flatTlb->window;
}

// Everything that a jump cache hit stands for: the decoding mode, fetch rights and the TLB's
// contents.
void Cpu::updateContext() {
  const unsigned mode = code64() ? 2 : segment[kCs].big() ? 1 : 0;
  blockKey = mode | (stackMask == 0xffff ? 4 : stackMask == 0xffffffff ? 8 : 0);
  if (!code64() && (segment[kCs].base != codeBase_ || segment[kCs].limit != codeLimit_)) {
    codeBase_ = segment[kCs].base;
    codeLimit_ = segment[kCs].limit;
    tlbs.forgetJumps();
  }
  setContext(tlbs.generation(cpl == 3) << 8 | (cpl == 3 ? kUserContext : 0) | blockKey);
}

void Cpu::setContext(uint64_t value) {
  if (value == context) return;
  returnRingInUse().newest = jitState.newestReturn;
  context = value;
  ReturnRing& ring = returnRingInUse();
  jitState.newestReturn = ring.newest;
  if (ring.context == value) return;
  ring.context = value;
  ring.clear();
}

void Cpu::setRflags(uint64_t value) {
  flags = Flags::unpack(value);
  const uint64_t rest = (value & ~eflags::kArithmetic & 0x3f7fd7) | eflags::kFixed;
  const bool derived = (rest ^ eflagsRest) & (eflags::kAc | eflags::kVm);
  eflagsRest = rest;
  if (derived) updateMode();
}

// SDM volume 3, "Process-Context Identifiers (PCIDs)": 000H as long as they are not enabled.
uint16_t Cpu::pcid() const { return (cr4 & cr4::kPcide) ? static_cast<uint16_t>(cr3 & 0xfff) : 0; }

void Cpu::flushTlb(bool includingGlobal) {
  if (includingGlobal) {
    tlbs.flushAll();
    tlbs.useAddressSpace(pcid(), true, [](uint64_t, uint64_t) { return false; });
  } else {
    tlbs.flushLocal();
  }
  updateRights();
  updateContext();
}

void Cpu::flushPage(uint64_t linear) {
  tlbs.flushPage(linear);
  updateRights();
  updateContext();
}

void Cpu::forbidFastStores(uint64_t gpa) {
  tlbs.forbidWrites(ram.pageIndex(gpa), ram.page(gpa));
  updateRights();
}

void Cpu::setA20(bool open) {
  constexpr uint64_t kA20 = 1 << 20;
  paging.addressMask = open ? ~uint64_t{0} : ~kA20;
  flushTlb(true);
}

// --- faults

bool Cpu::raise(Vector vector) {
  fault = {.pending = true, .vector = vector};
  return false;
}

bool Cpu::raise(Vector vector, uint32_t errorCode) {
  fault = {.pending = true, .hasErrorCode = true, .vector = vector, .errorCode = errorCode};
  return false;
}

bool Cpu::raisePageFault(uint64_t linear, uint32_t errorCode) {
  raise(kPf, errorCode);
  fault.cr2 = linear;
  return false;
}

bool Cpu::raiseDebug(uint64_t dr6Bits) {
  raise(kDb);
  fault.dr6 = dr6Bits;
  return false;
}

bool Cpu::reportNumericError() {
  if (cr0 & cr0::kNe) return raise(kMf);
  ferrAsserted_ = !ferrAsserted_;
  if (!ferrAsserted_) return true;
  exitReason = ExitReason::kNumericError;
  return false;
}

bool Cpu::needExact() {
  exact = true;
  return false;
}

// --- ports

Loaded<uint32_t> Cpu::portIn(uint16_t port, unsigned size) {
  notePortBreakpoint(port, size);
  if (const auto* access =
          replay.next(ReplayLog::Kind::kPortRead, port, static_cast<uint8_t>(size)))
    return {static_cast<uint32_t>(access->value), true};
  if (size == 1)
    if (const uint32_t* value = exitBlock.posted.read(port)) return {*value, true};
  exitBlock.port = port;
  exitBlock.size = size;
  exitAddress = port;
  exitReason = ExitReason::kPortRead;
  return {0, false};
}

bool Cpu::portOut(uint16_t port, unsigned size, uint32_t value) {
  notePortBreakpoint(port, size);
  if (size == 1 && exitBlock.posted.write(port, value, retired())) return true;
  exitBlock.port = port;
  exitBlock.size = size;
  exitBlock.data = value;
  portWritePending = true;
  return true;
}

// --- time and entropy

uint64_t Cpu::nowNs() { return clock.now(retired()); }

uint64_t Cpu::readTsc() { return nowNs() + msr.tscAdjust; }

// splitmix64 (Steele, Lea, Flood 2014), seeded by the machine.
uint64_t Cpu::entropy() {
  uint64_t z = entropyState_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// --- debug registers

// SDM volume 3, "Debug Registers": lengths 1, 2, 8, 4 by LENn; the address is aligned to the
// length.
void Cpu::noteBreakpoint(uint64_t address, unsigned size, unsigned kinds) {
  static constexpr uint8_t kLength[4] = {1, 2, 8, 4};
  for (unsigned n = 0; n < 4; ++n) {
    if (!(dr7 >> (2 * n) & 3) || !(kinds >> (dr7 >> (16 + 4 * n) & 3) & 1)) continue;
    const unsigned length = kLength[dr7 >> (18 + 4 * n) & 3];
    const uint64_t base = dr[n] & ~uint64_t{length - 1};
    if (address < base + length && base < address + size) pendingDr6_ |= uint64_t{1} << n;
  }
}

// R/Wn of 3 is reads and writes, of 1 writes only, of 2 ports where CR4.DE is set.
void Cpu::noteDataBreakpoint(uint64_t linear, unsigned size, bool write) {
  noteBreakpoint(linear, size, write ? 1 << 3 | 1 << 1 : 1 << 3);
}

void Cpu::notePortBreakpoint(uint16_t port, unsigned size) {
  if ((dr7 & 0xff) && (cr4 & cr4::kDe)) noteBreakpoint(port, size, 1 << 2);
}

}  // namespace nodevm

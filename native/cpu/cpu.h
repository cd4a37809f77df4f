#pragma once
// One virtual processor: state, memory access as the guest sees it, faults, and the way in and out.

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "cpu/apic.h"
#include "cpu/bystander.h"
#include "cpu/clock.h"
#include "cpu/exit_block.h"
#include "cpu/features.h"
#include "cpu/replay_log.h"
#include "cpu/slice_length.h"
#include "cpu/state.h"
#include "debug/breakpoints.h"
#include "debug/host_profile.h"
#include "debug/recorder.h"
#include "debug/trace.h"
#include "jit/state.h"
#include "mmu/guest_ram.h"
#include "mmu/page_walk.h"
#include "mmu/tlb.h"

namespace nodevm {

class BlockCache;
class Jit;
struct Block;

// SDM volume 3, "Protected-Mode Exceptions and Interrupts".
enum Vector : uint8_t {
  kDe = 0,
  kDb = 1,
  kNmi = 2,
  kBp = 3,
  kOf = 4,
  kBr = 5,
  kUd = 6,
  kNm = 7,
  kDf = 8,
  kTs = 10,
  kNp = 11,
  kSsFault = 12,
  kGp = 13,
  kPf = 14,
  kMf = 16,
  kAc = 17,
  kMc = 18,
  kXm = 19,
};

// The fault that stopped an instruction; delivered by the dispatcher with RIP at the instruction.
struct PendingFault {
  bool pending = false;
  bool hasErrorCode = false;
  uint8_t vector = 0;
  uint32_t errorCode = 0;
  uint64_t cr2 = 0;  // #PF
  uint64_t dr6 = 0;  // #DB: bits to set
};

// Why control came back to the dispatcher from a chain of handlers.
enum class Leave : uint8_t {
  kBoundary,  // RIP is exact, between instructions; look at events and modes
  kLookup,    // the same, and nothing but RIP has changed: look up the next block
  kNext,      // (builds without tail calls) go on with `at`; while a handler runs: translated code
              // waits for it to come back
  kFault,     // instruction `at` did not complete: `fault`, or an exit with `exitReason` if none
              // pending
};

template <class T>
struct Loaded {
  T value;
  bool ok;
};

class Cpu : public GeneralRegisters, public HotState, public CpuState {
 public:
  Cpu(GuestRam& ram, ClockSource source, ExitBlock& exitBlock);
  ~Cpu();
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;

  void reset();
  // INIT, at an instruction boundary.
  void initialise();
  // Runs until the budget or an exit. interpreter/run.cc.
  ExitReason run(uint64_t maxInstructions);

  // --- registers
  // A register of width T at a byte offset. Writing 32 bits clears the upper half (SDM volume 1,
  // "General-Purpose Registers in 64-Bit Mode"); legacy modes never read that half.
  template <class T>
  T reg(uint8_t offset) const {
    T value;
    std::memcpy(&value, reinterpret_cast<const uint8_t*>(gpr) + offset, sizeof value);
    return value;
  }
  template <class T>
  void setReg(uint8_t offset, T value) {
    if constexpr (sizeof(T) == 4) {
      const uint64_t wide = value;
      std::memcpy(reinterpret_cast<uint8_t*>(gpr) + offset, &wide, sizeof wide);
    } else {
      std::memcpy(reinterpret_cast<uint8_t*>(gpr) + offset, &value, sizeof value);
    }
  }
  uint64_t rflags() const { return eflagsRest | flags.pack(); }
  // Sets every bit of RFLAGS as given (no privilege rules) and re-derives what depends on it.
  void setRflags(uint64_t value);

  // --- modes
  bool protectedMode() const { return (cr0 & cr0::kPe) != 0; }
  bool longMode() const { return (msr.efer & efer::kLma) != 0; }
  bool code64() const { return longMode() && segment[kCs].longCode(); }
  bool virtual8086() const { return (eflagsRest & eflags::kVm) != 0; }
  bool realMode() const { return !protectedMode(); }
  unsigned iopl() const { return (eflagsRest >> 12) & 3; }
  // log2 bytes of the default operand size of the current code segment: 1, 2 (also in 64-bit mode).
  SizeCode codeSize() const { return code64() || segment[kCs].big() ? 2 : 1; }
  // Must follow every change of CS, SS, a segment base, CPL, CR0, CR3's format, CR4, EFER,
  // EFLAGS.AC/VM: recomputes the derived state, the TLB in force and the block key. Cheap; does not
  // flush the TLB.
  void updateMode();
  void updatePaging();  // part of it
  // The part of it that a change of CPL between 64-bit code segments changes: SYSCALL, SYSRET.
  void updatePrivilege();
  // The part of it that EFLAGS.AC at CPL 0 changes: STAC, CLAC. Follows each loss of TLB entries,
  // too, which may have closed the stack window.
  void updateRights();
  // The part that upperInUse changes; MXCSR's masks do, too.
  void updateSimdState();
  void flushTlb(bool includingGlobal);
  void flushPage(uint64_t linear);
  uint16_t pcid() const;
  // The A20M# pin: bit 20 of physical addresses is 0 while it is closed.
  void setA20(bool open);

  // --- faults
  // Each records the fault and returns false, so that `return cpu.raise(kGp, 0)` reads well.
  bool raise(Vector vector);  // no error code
  bool raise(Vector vector, uint32_t errorCode);
  bool raisePageFault(uint64_t linear, uint32_t errorCode);
  bool raiseDebug(uint64_t dr6Bits);
  PendingFault fault;

  // --- guest memory, with the rights of the current CPL
  // seg:ea as an instruction sees it; fault recorded when not ok. Nothing is committed on failure.
  // T is an unsigned integer of 1, 2, 4 or 8 bytes.
  template <class T>
  [[nodiscard]] Loaded<T> load(uint8_t seg, uint64_t ea) {
    const uint64_t linear = (ea + segmentBase[seg]) & linearMask;
    const TlbEntry& entry = segmentTlb[seg]->at(linear);
    // The tag of the last byte's page: neighbouring pages never share a slot, so crossing misses.
    if (entry.readTag == ((linear + sizeof(T) - 1) & kPageMask)) [[likely]] {
      T value;
      std::memcpy(&value, entry.host(linear), sizeof value);
      return {value, true};
    }
    const Loaded<uint64_t> slow = loadSlow(seg, ea, sizeof(T));
    return {static_cast<T>(slow.value), slow.ok};
  }
  template <class T>
  [[nodiscard]] bool store(uint8_t seg, uint64_t ea, T value) {
    if (uint8_t* host = writableHost<T>(seg, ea)) [[likely]] {
      std::memcpy(host, &value, sizeof value);
      return true;
    }
    return storeSlow(seg, ea, value, sizeof(T));
  }
  // Read-modify-write: the host address when the fast path may be used (then plain access is all
  // that is needed), else nullptr and the pair loadForWrite/store below.
  template <class T>
  [[nodiscard]] uint8_t* writableHost(uint8_t seg, uint64_t ea) {
    const uint64_t linear = (ea + segmentBase[seg]) & linearMask;
    const TlbEntry& entry = segmentTlb[seg]->at(linear);
    if (entry.writeTag != ((linear + sizeof(T) - 1) & kPageMask)) [[unlikely]]
      return nullptr;
    uint8_t* host = entry.host(linear);
    if (!host) __builtin_unreachable();
    return host;
  }
  // Reads, having proven that the same bytes can be written. Follow with storeSlow.
  [[nodiscard]] Loaded<uint64_t> loadForWrite(uint8_t seg, uint64_t ea, unsigned size);
  [[nodiscard]] Loaded<uint64_t> loadSlow(uint8_t seg, uint64_t ea, unsigned size);
  [[nodiscard]] bool storeSlow(uint8_t seg, uint64_t ea, uint64_t value, unsigned size);
  // Any length up to 64 bytes (vectors, x87, descriptors in user memory). The pointer is into guest
  // RAM or into a scratch buffer, valid until the next access; nullptr: fault recorded. `align` of
  // 0: none, else #GP(0) when ea+base is not a multiple of it (SDM: aligned SSE operands).
  [[nodiscard]] const uint8_t* loadBytes(uint8_t seg, uint64_t ea, unsigned size,
                                         unsigned align = 0);
  [[nodiscard]] bool storeBytes(uint8_t seg, uint64_t ea, const void* from, unsigned size,
                                unsigned align = 0);
  // Proves that [ea, ea+size) can be written (for instructions with several stores, e.g. FSAVE,
  // PUSHA).
  [[nodiscard]] bool probeWrite(uint8_t seg, uint64_t ea, unsigned size);
  // Implicit supervisor accesses by linear address: GDT, LDT, IDT, TSS. size up to 8.
  [[nodiscard]] Loaded<uint64_t> loadSystem(uint64_t linear, unsigned size);
  [[nodiscard]] bool storeSystem(uint64_t linear, uint64_t value, unsigned size);
  [[nodiscard]] bool probeSystemWrite(uint64_t linear, unsigned size);
  // Host address of [linear, linear+size) within one page of plain RAM for REP MOVS/STOS in bulk;
  // nullptr where the access must go element by element (page cross, MMIO, code page, fault: none
  // recorded).
  [[nodiscard]] uint8_t* bulkHost(uint8_t seg, uint64_t ea, unsigned size, bool write);

  // Port I/O: permission check against IOPL and the TSS bitmap, then the exit. Not ok: fault or
  // exit.
  [[nodiscard]] Loaded<uint32_t> portIn(uint16_t port, unsigned size);
  // The write is performed by an exit after the instruction completed: end the handler with
  // leaveBlock.
  [[nodiscard]] bool portOut(uint16_t port, unsigned size, uint32_t value);

  // --- segments, gates, events: cpu/segments.cc, cpu/events.cc, cpu/far_transfers.cc
  // MOV/POP to a data segment register or SS with all checks of protected mode; real and
  // virtual-8086 too.
  [[nodiscard]] bool loadSegment(Segment seg, uint16_t selector);
  [[nodiscard]] bool loadLdtr(uint16_t selector);
  [[nodiscard]] bool loadTr(uint16_t selector);
  // Direct and indirect far JMP/CALL, RETF, IRET; on success RIP, CS, CPL, RSP, SS are new.
  // `next`: address of the instruction after. opSize is the operand size code 1..3.
  [[nodiscard]] bool farJump(uint16_t selector, uint64_t offset, SizeCode opSize, uint64_t next);
  [[nodiscard]] bool farCall(uint16_t selector, uint64_t offset, SizeCode opSize, uint64_t next);
  [[nodiscard]] bool farReturn(SizeCode opSize, unsigned popBytes);
  [[nodiscard]] bool interruptReturn(SizeCode opSize, uint64_t next);
  [[nodiscard]] bool taskSwitch(uint16_t selector, int kind, uint64_t next, bool hasErrorCode,
                                uint32_t errorCode);
  enum class EventKind : uint8_t { kFault, kSoftware, kExternal, kInt1, kInt3OrInto };
  // Delivers through the IDT with RIP as it stands; nested faults become #DF, and shutdown.
  void deliver(EventKind kind, uint8_t vector, bool hasErrorCode = false, uint32_t errorCode = 0);
  // INT n, INT3, INTO: RIP is already the next instruction on success; faults are recorded (not
  // delivered) so that they are precise at the instruction.
  [[nodiscard]] bool softwareInterrupt(EventKind kind, uint8_t vector, uint64_t next);
  // An unmasked x87 exception is found by a waiting instruction: #MF, or without CR0.NE an exit
  // that asserts FERR#. True: the instruction goes on in spite of it, since no interrupt came of
  // that.
  [[nodiscard]] bool reportNumericError();
  // For SYSCALL and SYSRET, whose single-step trap depends on the TF that they leave and not on the
  // one that they found; RIP is the target.
  void trapByResultingFlags();

  // --- control, MSRs, CPUID: cpu/control.cc, cpu/msr.cc, cpu/cpuid.cc, cpu/xstate.cc
  [[nodiscard]] bool writeCr0(uint64_t value);
  [[nodiscard]] bool writeCr3(uint64_t value);
  [[nodiscard]] bool writeCr4(uint64_t value);
  [[nodiscard]] bool readMsr(uint32_t index, uint64_t& value);
  [[nodiscard]] bool writeMsr(uint32_t index, uint64_t value);
  struct CpuidResult {
    uint32_t eax, ebx, ecx, edx;
  };
  CpuidResult cpuid(uint32_t leaf, uint32_t subleaf) const;
  uint64_t readTsc();
  // What CPUID offers and what the decoder therefore knows; set before anything runs.
  FeatureSet features = possibleFeatures();

  // --- recorder and traces: debug/notes.cc
  // Keeps a record in the flight recorder, stamped with time, and in the trace that wants it.
  void note(Record record);
  // The linear address of the code at `offset` of CS, and Record::flags, as things stand.
  uint64_t codeLinear(uint64_t offset) const { return (offset + segmentBase[kCs]) & linearMask; }
  uint8_t recordFlags() const;
  // Between two calls of run() only.
  void setTrace(TraceOptions options);

  // --- time and counting
  // Instructions retired; exact at instruction boundaries and, inside a block, at instruction `at`.
  uint64_t retired() const { return sliceEnd - static_cast<uint64_t>(remaining); }
  // Makes the dispatcher look at interrupts, deadlines and stop requests at the next block
  // boundary.
  void breakSoon() {
    sliceEnd -= static_cast<uint64_t>(remaining);
    remaining = 0;
  }
  uint64_t nowNs();
  // At an instruction boundary: whether the dispatcher would go on with the next block without a
  // look at anything. What comes from outside, or is due at a certain time, ends the slice.
  bool mayGoOn();

  // --- debuggers: debug/breakpoints.cc
  DebugControl debug;
  // Replaces all breakpoints and watchpoints; between two run()s.
  void setBreakpoints(std::vector<Breakpoint> wanted);
  // The next run()s execute one instruction, or deliver one exception, and then leave with kDebug.
  void beginStep(bool masksInterrupts);
  // At a block that may begin with a breakpoint; false: the exit is under way.
  [[nodiscard]] bool passesBreakpoint(uint64_t gpa);
  // REP takes one iteration at a time for the debugger, and not for the guest itself.
  bool debugPause() const {
    const bool guestSteps = (eflagsRest & eflags::kTf) || (dr7 & 0xff);
    return (debug.stepping || debug.watchHit) && !guestSteps;
  }

  // --- hot derived state
  uint64_t sliceEnd = 0;         // retired() when `remaining` is 0
  uint32_t blockKey = 0;         // mode bits that decoding depends on
  const Block* block = nullptr;  // running block
  const Instruction* at = nullptr;
  Leave leave = Leave::kBoundary;
  bool interruptShadow =
      false;                 // STI, MOV SS, POP SS: no interrupt before the next instruction ends
  bool debugShadow = false;  // MOV SS, POP SS: no debug trap either
  // RIP is at a REP instruction some of whose iterations are done. SDM volume 3, "RF flag".
  bool repeating = false;
  bool halted = false;
  bool shutdown = false;
  bool nmiBlocked = false;  // until IRET

  // Interrupt shadow, TF, or debug registers armed: the dispatcher goes one instruction at a time.
  bool singleStep = false;

  // --- parts
  GuestRam& ram;
  ExitBlock& exitBlock;
  GuestClock clock;
  LocalApic apic;
  Activity activity;  // what a profile of host time sees
  Bystander* bystander = nullptr;
  std::unique_ptr<BlockCache> blocks;
  std::unique_ptr<Jit> jit;  // nullptr: everything is interpreted
  JitSlots jitSlots;
  alignas(64) uint8_t scratch[64];  // an access across two pages, in one piece
  ReturnRing returnRings[2];        // for supervisor code, for user code
  // That of the context in force.
  ReturnRing& returnRingInUse() { return returnRings[(context & kUserContext) != 0]; }
  TlbSet tlbs;
  PagingMode paging;  // derived by updateMode()
  // An access that needs TypeScript: set together with Leave::kFault and no pending fault.
  ExitReason exitReason = ExitReason::kBudget;
  ReplayLog replay;
  // A port write of a completed instruction, performed before anything else runs.
  bool portWritePending = false;
  // The next pass over the dispatcher runs one instruction with retired() exact; set while it does.
  bool exact = false;
  uint64_t tlbMisses = 0, eventsDelivered = 0, blocksDecoded = 0;
  Trace trace;
  Recorder recorder;

  // For the block cache: stores to a page that now holds code take the slow path; jumps are looked
  // up anew.
  void forbidFastStores(uint64_t gpa);
  void forgetJumps() {
    tlbs.forgetJumps();
    updateContext();
  }

  // Translation of a code address for the dispatcher; fault recorded when not ok.
  [[nodiscard]] bool fetchPage(uint64_t linear, uint64_t& gpa);
  // The same for 64-bit code, without a trace that the guest could see: false where there would be
  // a fault, an accessed bit would be set, or the page is not RAM.
  [[nodiscard]] bool peekFetchPage(uint64_t linear, uint64_t& gpa);
  // Whether a user may execute what is in the page, as the page tables say, and had it fetched
  // before.
  bool isUserCodeAt(uint64_t linear, uint64_t page) const;
  // One 64-bit random number; the only source of guest-visible entropy (RDRAND, RDSEED).
  uint64_t entropy();
  void requestStop() { stopRequested_.store(true, std::memory_order_relaxed); }
  void seedEntropy(uint64_t seed) { entropyState_ = seed; }

 private:
  struct Span {
    uint64_t gpa[2];
    unsigned size[2];
  };
  [[nodiscard]] bool checkSegment(uint8_t seg, uint64_t ea, unsigned size, bool write);
  [[nodiscard]] bool linearFor(uint8_t seg, uint64_t ea, unsigned size, bool write,
                               uint64_t& linear);
  bool raiseSegmentFault(uint8_t seg);
  // SMAP is not for fetches.
  Rights fetchRights() const { return cpl == 3 ? kUser : kSupervisorUserAccess; }
  void fillTlb(Rights rights, uint64_t linear, const Translation& translation);
  void keepTranslation(Rights rights, uint64_t linear, bool write, const Translation& translation);
  [[nodiscard]] bool translate(uint64_t linear, Rights rights, bool write, bool execute,
                               uint64_t& gpa);
  [[nodiscard]] bool translateData(uint64_t linear, Rights rights, bool write, uint64_t& gpa);
  [[nodiscard]] bool translateSpan(uint64_t linear, unsigned size, Rights rights, bool write,
                                   Span& span);
  [[nodiscard]] bool spanFor(uint8_t seg, uint64_t ea, unsigned size, bool write, Span& span);
  bool isApicPage(uint64_t gpa) const;
  bool isUserCode(const Translation& found) const;
  bool leaveForMmio(ReplayLog::Kind kind, uint64_t gpa, unsigned size, uint64_t value);
  [[nodiscard]] bool readMmio(uint64_t gpa, unsigned size, uint64_t& value);
  [[nodiscard]] bool writeMmio(uint64_t gpa, unsigned size, uint64_t value);
  [[nodiscard]] bool readPhysical(uint64_t gpa, unsigned size, uint8_t* to);
  [[nodiscard]] bool writePhysical(uint64_t gpa, unsigned size, const uint8_t* from);
  static unsigned mmioPiece(uint64_t gpa, unsigned size);
  [[nodiscard]] bool readSpan(const Span& span, uint8_t* to);
  [[nodiscard]] bool writeSpan(const Span& span, const uint8_t* from);
  Rights dataRights() const;
  Rights systemRights() const;
  // Breakpoints that the access meets; bit n of `kinds` stands for R/W = n.
  void noteBreakpoint(uint64_t address, unsigned size, unsigned kinds);
  void noteDataBreakpoint(uint64_t linear, unsigned size, bool write);
  void notePortBreakpoint(uint16_t port, unsigned size);
  // Watchpoints that the access meets. False: the instruction has to be repeated alone.
  [[nodiscard]] bool noteWatch(uint64_t linear, unsigned size, bool write);
  // Leaves the instruction so that the dispatcher repeats it alone, with time exact.
  bool needExact();
  static constexpr uint64_t kUserContext = 0x80;
  void updateContext();
  void setContext(uint64_t value);

  [[nodiscard]] InterruptSource interruptSource(uint8_t vector) const;

  // debug/notes.cc
  Record blockRecord(RecordKind kind, const Block& target) const;
  void noteDecoded(const Block& target);
  void noteAccess(RecordKind kind, uint8_t seg, uint64_t ea, const Span& span, uint64_t value,
                  unsigned size);
  void noteTlb(RecordKind kind, uint64_t linear, uint64_t gpa, bool detail);

  // interpreter/run.cc
  ExitReason loop(uint64_t end);
  void completeExit();
  bool isWaitedFor(uint64_t now);
  bool serviceEvents(uint64_t now, ExitReason& exit);
  void startSlice(uint64_t now, uint64_t end);
  void runBlocks();
  void stepOne();
  void execute(const Block& target);
  bool settle();
  const Block* findBlock(bool cacheable);
  const Block* decode(uint64_t gpa, unsigned limit);
  void deliverFault();
  void trap(uint64_t dr6Bits);
  bool instructionBreakpoint();
  void publish();
  uint64_t codeLinear() const { return (rip + segmentBase[kCs]) & linearMask; }
  // Changes with every step that completes and every event that is delivered.
  uint64_t progress() const { return stepsCompleted_ + eventsDelivered; }
  bool debugStopDue() const;
  ExitReason leaveForDebugger();
  void stopForDebugger(const DebugStop& stop, uint64_t retiredNow);

  bool alignmentChecked = false, dataBreakpoints = false;
  uint64_t pendingDr6_ = 0;    // breakpoints hit by the running instruction, or by MOV SS before it
  bool trapDecided_ = false;   // by the instruction itself
  bool ferrAsserted_ = false;  // by the instruction at RIP, and no event has been delivered since
  uint64_t stepsCompleted_ = 0;
  bool inBlock_ = false;  // a handler runs
  // How far a block may go beyond the slice: under host time its end is nothing exact, and a part
  // of a block would have to be decoded anew.
  int64_t overrun_ = 0;
  uint64_t mostEvents_ = 0;  // of eventsDelivered, before run() comes back
  SliceLength sliceLength_;
  uint64_t runBegan_ = 0, lastAsked_ = 0;  // host time; 0: not yet
  uint64_t exitAddress = 0;                // exact form of exitBlock.gpa
  uint64_t codeBase_ = 0;                  // what the jump cache was filled under, in legacy modes
  uint32_t codeLimit_ = 0;
  bool acknowledging_ = false;  // InterruptAcknowledge is out, the vector comes with the next run()
  std::atomic<bool> stopRequested_{false};
  uint64_t entropyState_ = 0x6e6f6465766d;
};

}  // namespace nodevm

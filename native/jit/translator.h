#pragma once
// From one block of decoded instructions to host code.

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "cpu/cpu.h"
#include "interpreter/block_cache.h"
#include "jit/access_groups.h"
#include "jit/emitter.h"
#include "jit/home_swaps.h"
#include "jit/jit.h"
#include "jit/shape.h"
#include "jit/thunks.h"

namespace nodevm {

struct TranslatedBlock {
  const uint8_t* counting;  // entered from translated code: counts the visit
  const uint8_t* linked;    // the same without counting; charges the block
  PageCheck* check;         // nullptr: it is on one page
  const uint8_t *end, *coldEnd;
  std::optional<uint32_t> farLink;  // of the indirect branch at its end
};

struct TranslatedPath {
  const uint8_t* linked;
  PageCheck* check;  // nullptr: it is on one page
  const uint8_t *end, *coldEnd;
};

class Translator {
 public:
  // Room that any block's code fits in, at either place.
  static constexpr size_t kMostBytes = 96 << 10;

  // A block, or several, each of which may go on to the next. turns: how often, where the last
  // one may go on to the first; 0: it does not.
  Translator(Cpu& cpu, Jit& jit, std::span<const Path::Step> steps, unsigned turns,
             Emitter& emitter, TranslatorScratch& scratch);

  // At the emitter's place, and at `cold` what is rarely run. nullopt: the block is better off
  // interpreted. number: the path's, for Jit::lookUpPath().
  std::optional<TranslatedBlock> translateBlock(const uint8_t* cold, uint32_t number);
  TranslatedPath translatePath(const uint8_t* cold, uint32_t number);

 private:
  friend struct TranslatorScratch;

  // A block of the path.
  struct Part {
    const Block* block;
    int64_t distance;     // of its page from the path's first one
    unsigned first, end;  // of instructions_
    unsigned behind = 0;  // instructions of the parts that follow, which have been charged as well
    std::optional<size_t> returnedBy = std::nullopt;  // the part whose return belongs to its call
  };
  // Who still wants the flags that are set before a place.
  struct Liveness {
    bool inMemory = false;  // somebody who may look at the whole state
    bool onHost =
        false;  // an instruction that reads the host's, with nothing between that spoils them
    bool any() const { return inMemory || onHost; }
  };
  // The last operation that set the flags, as long as its operands can be had again: registers, an
  // immediate, what was loaded from memory. Nothing else is stored before somebody has to know.
  struct PendingFlags {
    static constexpr uint8_t kSaved = gpr::kBlockRip;  // in flagA or flagB

    FlagSource source;
    SizeCode size;
    uint8_t a, b;  // general registers, kSaved; b: kZero for the immediate
    int32_t immediate = 0;
    bool isTest = false;  // of a and b, which are not combined yet

    // Of general registers, by number.
    uint32_t sources() const { return (1u << (a >> 3) | 1u << (b >> 3)) & 0xffff; }
    bool operator==(const PendingFlags&) const = default;
  };
  // What is known of the flags at a place.
  struct FlagState {
    bool onHost = false, inMemory = true;
    std::optional<int32_t> word = std::nullopt;
    std::optional<PendingFlags> pending = std::nullopt;
    bool operator==(const FlagState&) const = default;
  };
  // Where the straight line last made sure that an access group has an addend.
  struct Proof {
    unsigned slot = 0;
    FlagState before;  // the slot's access
  };
  // Slots behind whose first one members of groups do not ask whether there is an addend. Nothing
  // comes back into their midst: what misses goes on in a copy of them where each access looks for
  // itself, up to `resume`.
  struct Stretch {
    unsigned first, end;
    FlagState before, after;
    const uint8_t* resume = nullptr;
    uint8_t slotInR9 = gpr::kZero;  // there
  };
  // Bytes that are accessed, or looked up, at once.
  struct GuestBytes {
    AddressRegisters registers;
    int32_t displacement;
    unsigned size;
    bool write;
  };
  // What is to be tried before the interpreter. R10: the addend where it resumes.
  struct SlowAccess {
    struct Window {
      GuestBytes bytes;
      const uint8_t* resume;
      PageCell* cell = nullptr;  // instead of the stack window
      uint8_t slotInR9 = gpr::kZero;
    };
    GuestBytes bytes;
    const AccessPlan* plan;  // nullptr: in no group
    const uint8_t* resume = nullptr;
    uint8_t slotInR9 = gpr::kZero;                // there
    std::optional<Window> window = std::nullopt;  // all that did not lie in the window
  };
  // A plain store of a vector register.
  struct VectorStore {
    HostOpcode opcode;
    uint8_t size, reg;
    GuestBytes bytes;
  };
  // A way out of the straight line, emitted behind it.
  struct Detour {
    enum class Kind : uint8_t { kUntranslated, kInterpretSlot, kInterpretRest, kInterpretLast };
    Kind kind;
    Emitter::Fixup from;
    unsigned slot, count = 1;  // of instructions, only of a kind that is untranslated more
    const uint8_t* resume = nullptr;
    uint8_t slotInR9 = gpr::kZero;  // there
    bool touchesFlags = false, restoreFlags = false;
    uint8_t blockers = 0;               // of vector instructions, see Thunks::needVectors
    const uint8_t* checked = nullptr;   // where it goes on when there are none
    std::optional<SlowAccess> access;   // to be tried first
    std::optional<PendingFlags> flags;  // to be saved before
    const uint8_t* careful = nullptr;   // instead of all that follows
    std::optional<VectorStore> store = std::nullopt;  // what misses, it may be across two pages
  };
  // Those of a part that have been emitted.
  struct Requests {
    const uint8_t* call = nullptr;     // of Thunks::interpret
    const uint8_t* nearest = nullptr;  // leads there as well
    const uint8_t* next = nullptr;     // place of the next
    unsigned made = 0;
  };
  // A branch whose target has to be looked up, emitted behind the straight line.
  struct LookUp {
    std::array<Emitter::Fixup, 2> from;  // nullptr: one less
    const uint8_t* thunk;
    unsigned slot;
    const uint8_t* resume = nullptr;  // R11: the target's translation; nullptr: goes there at once
    std::optional<uint32_t> link = std::nullopt;  // what the thunk takes
    bool mayGiveUp = false;                       // the link
  };
  struct Exit {
    Emitter::Fixup from;
    uint64_t gpa;  // of the target
    // The page that it is on; gpa is an offset there.
    std::optional<uint32_t> pageLink = std::nullopt;
  };
  // A branch out of the middle of a path.
  struct SideExit {
    Emitter::Fixup from;
    std::optional<int64_t> place;  // nullopt: R11 says it
    unsigned slot, part;
    std::optional<PendingFlags> flags;
    bool flagsInMemory;
    const uint8_t* start = nullptr;
  };
  // A path that loops has too little left of the slice for another time.
  struct Again {
    Emitter::Fixup tooShort;
    std::optional<PendingFlags> flags;
  };
  // All pages of a path, or of a block whose last instruction crosses into another one.
  struct CheckedPages {
    PageCheck* check;
    std::array<Emitter::Fixup, 2> elsewhere;
    const uint8_t* inside;  // what follows
  };
  // A way out of the path before an instruction.
  struct Leave {
    Emitter::Fixup from;
    unsigned slot, part;
  };

  // translator.cc
  const Part& part() const { return parts_[part_]; }
  const Block& block() const { return *part().block; }
  const Instruction& instruction(unsigned slot) const { return *instructions_[slot].code; }
  // The part's last instruction, and the path goes on from there.
  bool goesOn(unsigned slot, unsigned part) const {
    return slot + 1 == parts_[part].end && (loops_ || part + 1 < parts_.size());
  }
  void addParts(std::span<const Path::Step> steps);
  const uint8_t* emitBody(const uint8_t* cold);
  void analyze();
  Liveness propagate(Liveness after);
  bool endsPending() const;
  void closeLoop();
  bool worthwhile() const;
  unsigned emitSlot(unsigned slot);
  void translate(const Instruction& i, const Shape& shape);

  // translate_detours.cc
  unsigned interpretRun(unsigned slot);
  void movePage(int64_t distance);
  void swapHomes();
  void restoreHomes();
  void giveBack(unsigned part);
  void giveBackCharge(unsigned part);
  void takeAgain(unsigned part, unsigned next);
  void emitDetours();
  void emitDetour(const Detour& detour);
  void askInterpreter(int32_t request);
  void interpretRest(unsigned slot);
  void request(Request request, const uint8_t* resume = nullptr);
  void emitLeaves();
  void emitSideExit(SideExit& exit);
  void emitExits();

  // Operands.
  HostRm locate(uint8_t slot) const;
  HostMemory slotOf(uint8_t slot) const { return registerInMemory(slot); }
  uint8_t hostOf(uint8_t slot) const { return homes_[slot >> 3]; }
  bool isPinned(uint8_t slot) const { return hostOf(slot) != host::kNone; }
  // A place in the Cpu. Of those, processors forward to a MOV of as many bytes as were stored
  // without a delay, to other instructions after some cycles, and after many where fewer were.
  static bool isHome(const HostRm& place) {
    return place.isMemory && place.memory.base == kCpuRegister;
  }
  // The general register whose place it is; kZero: of none.
  static uint8_t slotAt(const HostRm& place);
  // Its host register, a scratch register that has its value, or `scratch` loaded with it.
  uint8_t inRegister(const HostRm& place, uint8_t scratch);
  uint8_t readable(uint8_t slot, uint8_t scratch) { return inRegister(locate(slot), scratch); }
  void writeBack(uint8_t slot, uint8_t from);
  // What scratch registers have of registers in memory, as long as nothing else comes to where the
  // straight line goes on.
  void noteValue(uint8_t scratch, uint8_t slot);
  void forgetValues() { inR9_ = inR10_ = inR11_ = gpr::kZero; }
  uint8_t scratchWith(uint8_t slot) const;
  void setRegister(unsigned size, uint8_t slot, uint8_t from);
  // Places are counted from the start of the path's first page, whose RIP is pageRip() until
  // somebody leaves the path: see movePage().
  int64_t startOf(const Part& part) const {
    return part.distance + static_cast<int64_t>(part.block->gpa & kPageOffset);
  }
  int64_t placeOf(const Instruction& i) const { return startOf(part()) + i.offset; }

  // translate_memory.cc. The operand of an access may use R9 and R10; R11 is free.
  HostMemory addressOperand(const AddressRegisters& registers, int32_t displacement,
                            uint8_t scratch, uint8_t second = host::kR10);
  void address(const AddressRegisters& registers, int32_t displacement, uint8_t to,
               uint8_t scratch = host::kR10);
  bool plainAddress(const AddressRegisters& registers, int32_t displacement,
                    HostMemory& operand) const;
  void operandAddress(const Instruction& i);
  static GuestBytes operandBytes(const Instruction& i, const Shape& shape);
  HostMemory access(const Instruction& i, const Shape& shape);
  HostMemory stackAccess(uint8_t base, int32_t displacement, bool write);
  HostMemory access(const GuestBytes& bytes, const AccessPlan& plan);
  HostMemory operandOf(const GuestBytes& bytes, bool grouped);
  std::optional<HostMemory> behindOneRegister(const GuestBytes& bytes);
  // kZero: of none.
  uint8_t slotInR9() const { return e_.lost(host::kR9) ? gpr::kZero : inR9_; }
  uint8_t baseInR9(uint8_t slot);
  void loadR9(uint8_t slot);
  static bool isStack(const GuestBytes& bytes) {
    return bytes.registers == AddressRegisters{.base = gpr::kRsp};
  }
  // A load that is large, and often not aligned.
  static bool mayBeSplit(const GuestBytes& bytes) {
    return !bytes.write && bytes.size >= 16 && !isRipRelative(bytes);
  }
  static bool isRipRelative(const GuestBytes& bytes) {
    return bytes.registers.base == gpr::kBlockRip;
  }
  // Of their first.
  int64_t placeOf(const GuestBytes& bytes) const { return startOf(part()) + bytes.displacement; }
  HostMemory pageRip() const { return layout_.at(layout_.pageRip); }
  Emitter::Fixup probe(const GuestBytes& bytes);
  PageCell* takeCell(const GuestBytes& bytes);
  bool indexesTable(const AddressRegisters& registers) const;
  Emitter::Fixup probeByCell(const GuestBytes& bytes, const PageCell& cell);
  uint32_t loadedRegisters() const;
  void openCells();
  void renewCells();
  Emitter::Fixup probeAt(const HostMemory& first, unsigned size, bool write);
  void moveWindow(const SlowAccess::Window& window);
  Emitter::Fixup probeAlone(const GuestBytes& bytes, const AccessPlan* plan);
  void slowAccess(const SlowAccess& slow);
  void splitStore(const Detour& detour);
  void forgetGroups(const Detour& detour);
  HostMemory addendOf(const AccessPlan& plan) const {
    return layout_.at(layout_.addends + 8 * plan.group);
  }
  void detour(Detour::Kind kind, Emitter::Fixup from);
  void push(const Instruction& i, const Shape& shape);
  void pop(const Instruction& i);
  void leave();

  // stretches.cc
  FlagState flagState() const { return {hostFlags_, flagsInMemory_, word_, pending_}; }
  void setFlagState(const FlagState& state);
  bool holds(const AccessPlan& plan) const { return held_ == plan.group && !e_.lost(host::kR10); }
  bool trusts(const AccessPlan& plan) const;
  void trust(const AccessPlan& plan);
  void prove(const AccessPlan& plan);
  void beginCareful(const Shape& shape);
  void endSlot();
  HostMemory carefulAccess(const GuestBytes& bytes, const AccessPlan& plan);
  void leaveCarefully(Emitter::Fixup from);
  void emitStretches();
  bool redirect(Detour& detour);
  void emitCarefully(const Stretch& stretch);

  // translate_flags.cc
  const Liveness& wanted() const { return live_[slot_]; }
  // Its flags can be had again from what it loads, kept in flagA or flagB. The interpreter does not
  // keep that: where it executes such an instruction, the rest of the block as well.
  bool keepsLoaded(const Shape& shape) const {
    return shape.way == Way::kAlu && shape.memory && !shape.readsFlags && wanted().inMemory;
  }
  static FlagSource sourceOf(Alu operation, bool writes);
  static SizeCode sizeCodeOf(const Shape& shape) {
    return static_cast<SizeCode>(__builtin_ctz(shape.size));
  }
  void storeForm(FlagSource source, SizeCode size = 0, std::optional<int32_t> b = std::nullopt);
  void storeSaved(int32_t to, const HostRm& from, uint8_t scratch);
  void saveOperands(const Shape& shape, const HostRm& a, const HostRm* b);
  void savePacked();
  std::optional<PendingFlags> pendingAfter(const Instruction& i, const Shape& shape) const;
  static std::optional<PendingFlags> pendingShift(const Shape& shape);
  HostRm placeOfA(const PendingFlags& pending) const;
  HostRm placeOfB(const PendingFlags& pending) const;
  void operateOnB(Alu operation, const PendingFlags& pending);
  void savePending(const PendingFlags& pending);
  void settlePending();
  void settleBefore(const Shape& shape);
  void repeatOperation(const PendingFlags& pending);
  void needHostFlags();
  HostMemory withHostFlags(const HostMemory& operand);
  void keepFlags(bool onHost);

  // translate_integer.cc
  void alu(const Instruction& i, const Shape& shape);
  PendingFlags aluOfMemory(const Instruction& i, const Shape& shape, const HostRm& to,
                           const HostRm* from);
  void combine(const Shape& shape, HostRm to, const HostRm* from);
  void moveRegister(const Instruction& i, const Shape& shape);
  void renamed(const Instruction& i, const Shape& shape);
  void divide(const Instruction& i, const Shape& shape);
  void implied(const Instruction& i, const Shape& shape);
  void moveImmediate(const Instruction& i, const Shape& shape);
  void loadAddress(const Instruction& i, const Shape& shape);
  void byteSwap(const Instruction& i, const Shape& shape);
  void exchangeAccumulator(const Instruction& i, const Shape& shape);
  void vexGeneral(const Instruction& i, const Shape& shape);

  // translate_exchange.cc
  void moveHighByte(const Instruction& i, const Shape& shape);
  void moveBigEndian(const Instruction& i, const Shape& shape);
  void exchange(const Instruction& i, const Shape& shape);
  void compareExchangeWide(const Instruction& i, const Shape& shape);
  void bitString(const Instruction& i, const Shape& shape);
  HostMemory bitStringElement(const Instruction& i, const Shape& shape);

  // translate_simd.cc
  void placeVectorChecks();
  void checkVectors(uint8_t blockers);
  void simd(const Instruction& i, const Shape& shape);
  void saveOrder(const Instruction& i, const Shape& shape, const HostRm& second);

  // translate_system.cc
  void requireLevel0();
  void setRest(uint64_t bit, bool value);
  void testRest(uint64_t bit);
  void pushFlags();
  void clearInterrupt();
  void setDirection(const Shape& shape);
  void changeCarry(const Shape& shape);
  void allowUserAccess(const Shape& shape);
  void swapGs();
  void readSegment(const Instruction& i, const Shape& shape);
  void readControl(const Instruction& i);
  Segment requireBaseInstructions(const Shape& shape);
  void readBase(const Instruction& i, const Shape& shape);
  void writeBase(const Instruction& i, const Shape& shape);
  HostMemory segmentField(unsigned segment, size_t offset) const;

  void endAndGoOn(const Shape& shape);
  void askLast(Emitter::Fixup from) { detour(Detour::Kind::kInterpretLast, from); }
  void repeatString(const Shape& shape);
  void setInterrupt();
  void readTimeStamp();

  // translate_branch.cc
  void branch(const Instruction& i, const Shape& shape);
  int64_t nextPlace() const;
  void continuePath(const Instruction& i, const Shape& shape);
  void checkReturn(const Instruction& i);
  void followIndirect(const Instruction& i, const Shape& shape);
  void leaveToTarget();
  void leavePath(Emitter::Fixup from, std::optional<int64_t> place);
  std::optional<uint64_t> knownGpa(int64_t place) const;
  static int64_t pageOf(int64_t place) { return place & static_cast<int64_t>(kPageMask); }
  void goToEither(unsigned condition, int64_t taken, int64_t other);
  void goTo(int64_t place);
  std::array<Emitter::Fixup, 2> checkPages(const PageCheck& check);
  std::optional<CheckedPages> checkPages();
  Emitter::Fixup lookForPages(const CheckedPages& pages, uint32_t number);
  uint32_t checkPageLink(int64_t place);
  void followPageLink(uint32_t number, int64_t place);
  void targetAt(int64_t place);
  void indirectTarget(const Instruction& i, const Shape& shape);
  void emitLookUp(const LookUp& lookUp);
  void followLookUp(const LookUp& lookUp, const HostRm& code);
  LookUp checkTarget(FarLink& link);
  void goToTarget();
  void findTarget();
  void lookUpTarget();
  void enterFound(const HostRm& code);
  void enterPage(uint8_t rip);
  void pushReturn(const Instruction& i);
  void turnReturnRing(int32_t entries);
  void noteReturnPoint(int64_t place);
  void noteOpenCalls();
  void probeReturnPoint();
  void call(const Instruction& i, const Shape& shape);
  void returnNear(const Instruction& i);
  void returnTo(const Instruction& i);
  int64_t targetOf(const Instruction& i) const;

  Cpu& cpu_;
  Jit& jit_;
  Emitter& e_;
  const Layout& layout_;

  const bool loops_;
  std::vector<Part>& parts_;
  std::vector<Shape>& shapes_;
  std::vector<PlannedInstruction>& instructions_;  // of all parts
  AccessPlans& plans_;
  std::vector<Liveness>& live_;   // after each slot
  unsigned slot_ = 0, part_ = 0;  // being translated
  HomeSwaps swaps_;               // of a path that loops
  HomeRegisters homes_ = kHostOf;
  bool hostFlags_ = false;               // the host's flags are the guest's
  std::optional<int32_t> word_;          // JitState::flagWord, where it is known
  std::optional<PendingFlags> pending_;  // the flags, which are not in memory then
  uint8_t loopBlockers_ = 0;             // of vector instructions, asked for before the loop
  bool flagsInMemory_ = true;
  const uint8_t* start_ = nullptr;  // of a path, charged
  FlagState before_;                // the instruction of slot_
  std::array<Proof, JitState::kMostGroups> proofs_;
  uint8_t held_ = AccessPlan::kNoGroup;  // whose addend is in R10, where that is not lost
  // Registers whose values are there, where these are not lost.
  uint8_t inR9_ = gpr::kZero, inR10_ = gpr::kZero, inR11_ = gpr::kZero;
  uint32_t fresh_ = 0;          // by number: written by the instruction of slot_, and noted
  bool inLine_ = false;         // that is being translated
  bool trusted_ = false;        // an access of slot_ has not asked
  bool careful_ = false;        // in the copy of a stretch
  PathCells* cells_ = nullptr;  // nullptr: its accesses have none
  uint32_t loaded_ = 0;         // general registers; addresses made of them have none
  std::optional<Again> again_;
  std::optional<uint32_t> farLink_;  // of the last instruction
  std::vector<Stretch>& stretches_;
  std::vector<const uint8_t*>& carefulSlots_;
  std::vector<Detour>& detours_;
  Requests requests_;
  std::vector<LookUp>& lookUps_;
  std::vector<SideExit>& sideExits_;
  std::vector<Leave>& sliceEnds_;  // the interpreter has used up the slice
  std::vector<Exit>& exits_;
};

// Memory for a translation, which is kept for the next.
struct TranslatorScratch {
  std::vector<Translator::Part> parts;
  std::vector<Shape> shapes;
  std::vector<PlannedInstruction> instructions;
  AccessPlans plans;
  std::vector<Translator::Liveness> live;
  std::vector<Translator::Stretch> stretches;
  std::vector<const uint8_t*> carefulSlots;
  std::vector<Translator::Detour> detours;
  std::vector<Translator::LookUp> lookUps;
  std::vector<Translator::SideExit> sideExits;
  std::vector<Translator::Leave> sliceEnds;
  std::vector<Translator::Exit> exits;
};

}  // namespace nodevm

// MOVS, CMPS, STOS, LODS, SCAS with their REP forms. SDM volume 1, "String Instructions" and
// "Repeated String Operations".

#include "interpreter/strings.h"

#include <algorithm>

#include "interpreter/arithmetic.h"

namespace nodevm {

namespace {

// The registers that an instruction walks, in its address size.
struct Walk {
  uint64_t mask;
  bool down;

  Walk(const Cpu& cpu, const Instruction* i)
      : mask(addressMask(i)), down((cpu.eflagsRest & eflags::kDf) != 0) {}
  uint64_t at(const Cpu& cpu, uint8_t slot) const { return cpu.reg<uint64_t>(slot) & mask; }
  void advance(Cpu& cpu, uint8_t slot, uint64_t bytes) const {
    setAddressRegister(cpu, slot, cpu.reg<uint64_t>(slot) + (down ? 0 - bytes : bytes), mask);
  }
};

// Elements from ea that lie in one page and before the address size wraps; may be one too few at
// the wrap.
template <class T>
uint64_t elementsInPage(const Cpu& cpu, uint8_t segment, uint64_t ea, uint64_t mask) {
  const uint64_t linear = (ea + cpu.segmentBase[segment]) & cpu.linearMask;
  return std::min((kPageSize - (linear & kPageOffset)) / sizeof(T), (mask - ea) / sizeof(T));
}

// Copies element by element in ascending order, which is visible where the ranges overlap.
template <class T>
void copyAscending(uint8_t* to, const uint8_t* from, uint64_t count) {
  const uint64_t bytes = count * sizeof(T);
  const uint64_t distance = reinterpret_cast<uintptr_t>(to) - reinterpret_cast<uintptr_t>(from);
  if (distance == 0 || distance >= bytes) {
    std::memmove(to, from, bytes);
    return;
  }
  for (uint64_t n = 0; n < count; ++n)
    writeHost<T>(to + n * sizeof(T), readHost<T>(from + n * sizeof(T)));
}

// Each operation has `step<T>`, one element with its fault or not, registers advanced on success;
// `bulk<T>`, as many as it can of `count` by plain host access: 0 when it has to go by steps; and
// `kPerTurn<T>`, after how many the dispatcher gets to look at interrupts and the budget.
template <class T>
inline constexpr uint64_t kBulkPerTurn = kBulkBytes / sizeof(T);

struct MoveString {
  static constexpr bool kCompares = false;
  template <class T>
  static constexpr uint64_t kPerTurn = kBulkPerTurn<T>;
  template <class T>
  static bool step(Cpu& cpu, const Instruction* i, const Walk& walk) {
    const Loaded<T> source = cpu.load<T>(i->segment, walk.at(cpu, gpr::kRsi));
    if (!source.ok || !cpu.store<T>(kEs, walk.at(cpu, gpr::kRdi), source.value)) return false;
    walk.advance(cpu, gpr::kRsi, sizeof(T));
    walk.advance(cpu, gpr::kRdi, sizeof(T));
    return true;
  }
  template <class T>
  static uint64_t bulk(Cpu& cpu, const Instruction* i, const Walk& walk, uint64_t count) {
    const uint64_t from = walk.at(cpu, gpr::kRsi), to = walk.at(cpu, gpr::kRdi);
    count = std::min({count, elementsInPage<T>(cpu, i->segment, from, walk.mask),
                      elementsInPage<T>(cpu, kEs, to, walk.mask)});
    const auto bytes = static_cast<unsigned>(count * sizeof(T));
    if (bytes == 0) return 0;
    const uint8_t* source = cpu.bulkHost(i->segment, from, bytes, false);
    uint8_t* target = source ? cpu.bulkHost(kEs, to, bytes, true) : nullptr;
    if (!target) return 0;
    copyAscending<T>(target, source, count);
    walk.advance(cpu, gpr::kRsi, bytes);
    walk.advance(cpu, gpr::kRdi, bytes);
    return count;
  }
};

struct StoreString {
  static constexpr bool kCompares = false;
  template <class T>
  static constexpr uint64_t kPerTurn = kBulkPerTurn<T>;
  template <class T>
  static bool step(Cpu& cpu, const Instruction*, const Walk& walk) {
    if (!cpu.store<T>(kEs, walk.at(cpu, gpr::kRdi), cpu.reg<T>(gpr::kRax))) return false;
    walk.advance(cpu, gpr::kRdi, sizeof(T));
    return true;
  }
  template <class T>
  static uint64_t bulk(Cpu& cpu, const Instruction*, const Walk& walk, uint64_t count) {
    const uint64_t to = walk.at(cpu, gpr::kRdi);
    count = std::min(count, elementsInPage<T>(cpu, kEs, to, walk.mask));
    const auto bytes = static_cast<unsigned>(count * sizeof(T));
    uint8_t* target = bytes ? cpu.bulkHost(kEs, to, bytes, true) : nullptr;
    if (!target) return 0;
    const T value = cpu.reg<T>(gpr::kRax);
    for (uint64_t n = 0; n < count; ++n) writeHost<T>(target + n * sizeof(T), value);
    walk.advance(cpu, gpr::kRdi, bytes);
    return count;
  }
};

// The others are rare enough to go by steps.
struct SteppedOnly {
  template <class T>
  static constexpr uint64_t kPerTurn = 4096;
  template <class T>
  static uint64_t bulk(Cpu&, const Instruction*, const Walk&, uint64_t) {
    return 0;
  }
};

struct LoadString : SteppedOnly {
  static constexpr bool kCompares = false;
  template <class T>
  static bool step(Cpu& cpu, const Instruction* i, const Walk& walk) {
    const Loaded<T> source = cpu.load<T>(i->segment, walk.at(cpu, gpr::kRsi));
    if (!source.ok) return false;
    cpu.setReg<T>(gpr::kRax, source.value);
    walk.advance(cpu, gpr::kRsi, sizeof(T));
    return true;
  }
};

struct CompareString : SteppedOnly {
  static constexpr bool kCompares = true;
  template <class T>
  static bool loadFirst(Cpu& cpu, const Instruction* i, const Walk& walk, T& value) {
    const Loaded<T> loaded = cpu.load<T>(i->segment, walk.at(cpu, gpr::kRsi));
    value = loaded.value;
    return loaded.ok;
  }
  template <class T>
  static bool loadSecond(Cpu& cpu, const Walk& walk, T& value) {
    const Loaded<T> loaded = cpu.load<T>(kEs, walk.at(cpu, gpr::kRdi));
    value = loaded.value;
    return loaded.ok;
  }
  template <class T>
  static bool step(Cpu& cpu, const Instruction* i, const Walk& walk) {
    T first, second;
    // Which operand faults first is as on AMD Zen 4: ES:rDI, but not of REPE CMPSB.
    const bool inOrder = sizeof(T) == 1 && i->hasRep() && !i->isRepne();
    const bool ok = inOrder ? loadFirst<T>(cpu, i, walk, first) && loadSecond<T>(cpu, walk, second)
                            : loadSecond<T>(cpu, walk, second) && loadFirst<T>(cpu, i, walk, first);
    if (!ok) return false;
    setFlags(cpu, Compare::apply<T>(first, second, cpu.flags).flags);
    walk.advance(cpu, gpr::kRsi, sizeof(T));
    walk.advance(cpu, gpr::kRdi, sizeof(T));
    return true;
  }
};

struct ScanString : SteppedOnly {
  static constexpr bool kCompares = true;
  template <class T>
  static bool step(Cpu& cpu, const Instruction*, const Walk& walk) {
    const Loaded<T> element = cpu.load<T>(kEs, walk.at(cpu, gpr::kRdi));
    if (!element.ok) return false;
    setFlags(cpu, Compare::apply<T>(cpu.reg<T>(gpr::kRax), element.value, cpu.flags).flags);
    walk.advance(cpu, gpr::kRdi, sizeof(T));
    return true;
  }
};

enum class Progress : uint8_t { kDone, kPaused, kFaulted };

// Iterates until the count or the comparison ends it. A pause or fault leaves RCX, RSI and RDI at
// the next iteration and the flags as the last comparison set them; the instruction then starts
// again.
// Single steps, watched memory, and repeats of an access that TypeScript performed. What runs alone
// for another reason (RF, a shadow) goes on as it would in a block, so that it takes as long.
bool takesOneElement(const Cpu& cpu) {
  const bool guestSteps = (cpu.eflagsRest & eflags::kTf) || (cpu.dr7 & 0xff);
  const bool stepped = guestSteps || cpu.debug.stepping || cpu.debug.breakpoints.watching();
  return !cpu.replay.empty() || (cpu.exact && stepped);
}

template <class Operation, class T>
[[gnu::noinline]] Progress repeatString(Cpu& cpu, const Instruction* i) {
  const Walk walk(cpu, i);
  uint64_t budget = takesOneElement(cpu) ? 1 : Operation::template kPerTurn<T>;
  for (;;) {
    const uint64_t count = walk.at(cpu, gpr::kRcx);
    if (count == 0) return Progress::kDone;
    if (budget == 0) return Progress::kPaused;
    uint64_t done =
        walk.down ? 0 : Operation::template bulk<T>(cpu, i, walk, std::min(count, budget));
    if (done == 0) {
      if (!Operation::template step<T>(cpu, i, walk)) return Progress::kFaulted;
      done = 1;
    }
    setAddressRegister(cpu, gpr::kRcx, count - done, walk.mask);
    budget -= done;
    if (Operation::kCompares && cpu.flags.zf() == i->isRepne()) return Progress::kDone;
  }
}

template <class Operation, class T>
[[gnu::noinline]] bool stepOnce(Cpu& cpu, const Instruction* i) {
  return Operation::template step<T>(cpu, i, Walk(cpu, i));
}

template <class Operation>
struct String {
  template <class T>
  static void repeat(Cpu& cpu, const Instruction* i) {
    switch (repeatString<Operation, T>(cpu, i)) {
      case Progress::kDone:
        cpu.debug.repeats = 0;
        cpu.eflagsRest &= ~eflags::kRf;
        cpu.rip = nextRip(cpu, i);
        return goOn(cpu);
      case Progress::kPaused:
        // One that only a debugger makes does not count as an instruction.
        if (cpu.debugPause() && ++cpu.debug.repeats % Operation::template kPerTurn<T> != 0)
          ++cpu.remaining;
        cpu.repeating = true;
        cpu.rip = thisRip(cpu, i);
        return leaveBlock(cpu);
      case Progress::kFaulted:
        break;
    }
    return fault(cpu, i);
  }
  template <class T>
  static void run(Cpu& cpu, const Instruction* i) {
    if (i->hasRep()) return repeat<T>(cpu, i);
    if (!stepOnce<Operation, T>(cpu, i)) return fault(cpu, i);
    return next(cpu, i);
  }
};

}  // namespace

extern const HandlerSet MOVS_Yb_Xb = byteOnly<String<MoveString>>();
extern const HandlerSet MOVS_Yv_Xv = wideOnly<String<MoveString>>();
extern const HandlerSet CMPS_Xb_Yb = byteOnly<String<CompareString>>();
extern const HandlerSet CMPS_Xv_Yv = wideOnly<String<CompareString>>();
extern const HandlerSet STOS_Yb_AL = byteOnly<String<StoreString>>();
extern const HandlerSet STOS_Yv_rAX = wideOnly<String<StoreString>>();
extern const HandlerSet LODS_AL_Xb = byteOnly<String<LoadString>>();
extern const HandlerSet LODS_rAX_Xv = wideOnly<String<LoadString>>();
extern const HandlerSet SCAS_AL_Yb = byteOnly<String<ScanString>>();
extern const HandlerSet SCAS_rAX_Yv = wideOnly<String<ScanString>>();

}  // namespace nodevm

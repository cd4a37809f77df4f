// Delivery of interrupts and exceptions. SDM volume 3, "Interrupt and Exception Handling", and
// volume 2, "INT n/INTO/INT3/INT1".

#include "cpu/events.h"

#include "cpu/task_switch.h"

namespace nodevm {

namespace {

enum class Delivery : uint8_t { kDone, kFault, kFaultInNewTask };

constexpr Delivery outcome(bool done) { return done ? Delivery::kDone : Delivery::kFault; }

// Faults one delivery may meet before the processor is taken to be stuck. Real chains end in #DF
// after three; alignment checks and task gates could go on for ever.
constexpr unsigned kMaxNestedFaults = 8;

// Error codes of IDT entries. SDM volume 3, "Error Code".
constexpr uint32_t kExternalEvent = 1, kInIdt = 2;

constexpr uint64_t kDr7GeneralDetect = 1 << 13;
constexpr uint64_t kDebugCtlBranchStep = 1 << 1;  // BTF

uint32_t gateError(uint8_t vector) { return vector * 8u | kInIdt; }

bool hasSelectorError(uint8_t vector) {
  return vector == kTs || vector == kNp || vector == kSsFault || vector == kGp;
}

// SDM volume 3, table "Interrupt and Exception Classes".
bool isContributory(uint8_t vector) { return vector == kDe || hasSelectorError(vector); }

// SDM volume 3, table "Conditions for Generating a Double Fault".
bool makesDoubleFault(const Event& first, const PendingFault& second) {
  if (first.kind != Cpu::EventKind::kFault) return false;
  if (first.vector == kPf) return second.vector == kPf || isContributory(second.vector);
  return isContributory(first.vector) && isContributory(second.vector);
}

// Registers that an exception leaves its cause in, whether or not the handler can be entered.
void recordCause(Cpu& cpu, const PendingFault& fault) {
  if (fault.vector == kPf) cpu.cr2 = fault.cr2;
  if (fault.vector == kDb) cpu.dr6 |= fault.dr6;
}

bool checkGateAccess(Cpu& cpu, const Descriptor& gate, const Event& event) {
  if (event.isSoftware() && gate.dpl() < cpu.cpl) return cpu.raise(kGp, gateError(event.vector));
  return gate.present() || cpu.raise(kNp, gateError(event.vector));
}

// The handler's code segment; it may not be less privileged than the code that is interrupted.
bool fetchHandlerCode(Cpu& cpu, uint16_t selector, Descriptor& code) {
  if (isNull(selector)) return cpu.raise(kGp, 0);
  if (!fetchDescriptor(cpu, selector, kGp, code)) return false;
  const bool badSize = cpu.longMode() && (!code.longCode() || code.big());
  // Out of virtual-8086 mode only nonconforming segments of level 0 are entered.
  const bool badLevel = cpu.virtual8086() && (code.isConforming() || code.dpl() != 0);
  if (!code.isCode() || code.dpl() > cpu.cpl || badSize || badLevel)
    return cpu.raise(kGp, selectorError(selector));
  if (!code.present()) return cpu.raise(kNp, selectorError(selector));
  return markAccessed(cpu, code);
}

CodeTarget handlerTarget(const Cpu& cpu, const Descriptor& code, uint16_t selector, uint64_t rip) {
  const unsigned cpl = code.isConforming() ? cpu.cpl : code.dpl();
  const auto adjusted = static_cast<uint16_t>((selector & ~3u) | cpl);
  return {.cs = segmentOf(code, adjusted), .rip = rip};
}

bool pushFrame(Cpu& cpu, StackCursor& stack, const Event& event, SizeCode size) {
  return stack.push(cpu, savedFlags(cpu, event), size) &&
         stack.push(cpu, cpu.segment[kCs].selector, size) &&
         stack.push(cpu, event.returnRip, size) &&
         (!event.hasErrorCode || stack.push(cpu, event.errorCode, size));
}

bool pushStackPointer(Cpu& cpu, StackCursor& stack, SizeCode size) {
  return stack.push(cpu, cpu.segment[kSs].selector, size) &&
         stack.push(cpu, cpu.gpr[gpr::kRsp / 8], size);
}

bool pushVirtual8086Segments(Cpu& cpu, StackCursor& stack, SizeCode size) {
  for (const Segment seg : {kGs, kFs, kDs, kEs})
    if (!stack.push(cpu, cpu.segment[seg].selector, size)) return false;
  return true;
}

// The handler's CS:RIP and flags, after its frame has been pushed.
void commitHandler(Cpu& cpu, const CodeTarget& target, const StackCursor& stack,
                   bool interruptGate) {
  stack.commit(cpu);
  commitTarget(cpu, target);
  const uint64_t cleared =
      eflags::kTf | eflags::kNt | eflags::kRf | eflags::kVm | (interruptGate ? eflags::kIf : 0);
  cpu.setRflags(cpu.rflags() & ~cleared);
  cpu.updateMode();
}

Delivery enterTaskGate(Cpu& cpu, const Descriptor& gate, const Event& event) {
  const TaskSwitchResult result = switchTask(cpu, {.kind = TaskSwitchKind::kEvent,
                                                   .selector = gate.gateSelector(),
                                                   .next = event.returnRip,
                                                   .flags = savedFlags(cpu, event),
                                                   .hasErrorCode = event.hasErrorCode,
                                                   .errorCode = event.errorCode});
  return result == TaskSwitchResult::kFaultInNewTask ? Delivery::kFaultInNewTask
                                                     : outcome(result == TaskSwitchResult::kDone);
}

bool enterInnerLevel(Cpu& cpu, const CodeTarget& target, const Event& event, SizeCode size,
                     bool interruptGate) {
  SegmentRegister ss;
  uint64_t rsp = 0;
  if (!openInnerStack(cpu, target.cpl(), ss, rsp)) return false;
  StackCursor stack(ss, rsp, stackMaskOf(ss, false));
  const bool fromVirtual8086 = cpu.virtual8086();
  if ((fromVirtual8086 && !pushVirtual8086Segments(cpu, stack, size)) ||
      !pushStackPointer(cpu, stack, size) || !pushFrame(cpu, stack, event, size))
    return false;
  if (fromVirtual8086)
    for (const Segment seg : {kEs, kDs, kFs, kGs}) cpu.segment[seg] = nullSegment(0);
  cpu.segment[kSs] = ss;
  commitHandler(cpu, target, stack, interruptGate);
  return true;
}

// An interrupt or trap gate of legacy protected mode.
bool enterGate(Cpu& cpu, const Descriptor& gate, const Event& event) {
  const bool wide = gate.type() & 8, interruptGate = !(gate.type() & 1);
  const SizeCode size = wide ? 2 : 1;
  Descriptor code;
  if (!fetchHandlerCode(cpu, gate.gateSelector(), code)) return false;
  const CodeTarget target = handlerTarget(cpu, code, gate.gateSelector(),
                                          gate.gateOffset() & (wide ? 0xffffffff : 0xffff));
  if (!checkTarget(cpu, target)) return false;
  if (target.cpl() < cpu.cpl) return enterInnerLevel(cpu, target, event, size, interruptGate);
  StackCursor stack(cpu);
  if (!pushFrame(cpu, stack, event, size)) return false;
  commitHandler(cpu, target, stack, interruptGate);
  return true;
}

Delivery enterProtected(Cpu& cpu, const Event& event) {
  const uint32_t offset = event.vector * 8u;
  if (offset + 7 > cpu.idtr.limit) return outcome(cpu.raise(kGp, gateError(event.vector)));
  const Loaded<uint64_t> loaded = cpu.loadSystem(cpu.idtr.base + offset, 8);
  if (!loaded.ok) return Delivery::kFault;
  const Descriptor gate{.low = loaded.value, .high = 0, .linear = cpu.idtr.base + offset};
  const unsigned type = gate.type();
  const bool handlerGate = (type & ~8u) == kInterruptGate16 || (type & ~8u) == kTrapGate16;
  if (gate.isCodeOrData() || (!handlerGate && type != kTaskGate))
    return outcome(cpu.raise(kGp, gateError(event.vector)));
  if (!checkGateAccess(cpu, gate, event)) return Delivery::kFault;
  return type == kTaskGate ? enterTaskGate(cpu, gate, event) : outcome(enterGate(cpu, gate, event));
}

bool fetchLongModeGate(Cpu& cpu, const Event& event, Descriptor& gate) {
  const uint32_t offset = event.vector * 16u;
  if (offset + 15 > cpu.idtr.limit) return cpu.raise(kGp, gateError(event.vector));
  const Loaded<uint64_t> low = cpu.loadSystem(cpu.idtr.base + offset, 8);
  if (!low.ok) return false;
  const Loaded<uint64_t> high = cpu.loadSystem(cpu.idtr.base + offset + 8, 8);
  if (!high.ok) return false;
  gate = {.low = low.value, .high = high.value & 0xffffffff, .linear = cpu.idtr.base + offset};
  if (gate.isCodeOrData() || (gate.type() != kInterruptGate && gate.type() != kTrapGate))
    return cpu.raise(kGp, gateError(event.vector));
  return checkGateAccess(cpu, gate, event);
}

// SDM volume 3, "64-Bit Mode Stack Frame": SS:RSP is always pushed, the frame is aligned to 16
// bytes.
bool enterLongMode(Cpu& cpu, const Event& event) {
  Descriptor gate, code;
  if (!fetchLongModeGate(cpu, event, gate) || !fetchHandlerCode(cpu, gate.gateSelector(), code))
    return false;
  const CodeTarget target = handlerTarget(cpu, code, gate.gateSelector(), gate.gateOffset());
  if (!checkTarget(cpu, target)) return false;

  const bool inner = target.cpl() < cpu.cpl;
  const unsigned ist = gate.gateStackTable();
  uint64_t rsp = cpu.gpr[gpr::kRsp / 8];
  if (ist != 0) {
    if (!readLongModeStack(cpu, kFirstIst + ist - 1, rsp)) return false;
  } else if (inner && !readLongModeStack(cpu, target.cpl(), rsp)) {
    return false;
  }
  // Handlers of level 3 push with the rights of level 3, which is the level in force then.
  StackCursor stack(cpu.segment[kSs], rsp & ~uint64_t{15}, ~uint64_t{0});
  if (target.cpl() == 3) stack.useCurrentRights();
  if (!pushStackPointer(cpu, stack, 3) || !pushFrame(cpu, stack, event, 3)) return false;
  if (inner) cpu.segment[kSs] = nullSegment(static_cast<uint16_t>(target.cpl()), target.cpl());
  commitHandler(cpu, target, stack, gate.type() == kInterruptGate);
  return true;
}

bool enterReal(Cpu& cpu, const Event& event) {
  if (event.vector * 4u + 3 > cpu.idtr.limit) return cpu.raise(kGp, gateError(event.vector));
  return enterVectorTable(cpu, cpu.idtr.base, event, savedFlags(cpu, event),
                          eflags::kIf | eflags::kTf | eflags::kAc | eflags::kRf);
}

Delivery enterHandler(Cpu& cpu, const Event& event) {
  const Delivery result = cpu.realMode()   ? outcome(enterReal(cpu, event))
                          : cpu.longMode() ? outcome(enterLongMode(cpu, event))
                                           : enterProtected(cpu, event);
  // Faults on the way to the handler of an event from outside the program carry EXT.
  if (result != Delivery::kDone && cpu.fault.pending && !event.isSoftware() &&
      hasSelectorError(cpu.fault.vector))
    cpu.fault.errorCode |= kExternalEvent;
  return result;
}

// The two causes that lie outside the event itself.
uint64_t causeOf(const Cpu& cpu, uint8_t vector, bool fault) {
  return fault && vector == kPf ? cpu.cr2 : cpu.gpr[gpr::kRsp / 8];
}

uint8_t flagsOf(const Cpu& cpu, bool hasErrorCode) {
  return cpu.recordFlags() | (hasErrorCode ? kRecordErrorCode : 0);
}

void noteEvent(Cpu& cpu, const Event& event, InterruptSource source) {
  const bool external = event.kind == Cpu::EventKind::kExternal;
  cpu.note({.linear = cpu.codeLinear(event.returnRip),
            .value = causeOf(cpu, event.vector, !external),
            .info = event.errorCode,
            .kind = external ? RecordKind::kInterrupt : RecordKind::kException,
            .vector = event.vector,
            .flags = flagsOf(cpu, event.hasErrorCode),
            .detail = static_cast<uint8_t>(external ? source : InterruptSource{})});
}

void noteNested(Cpu& cpu, const PendingFault& fault) {
  cpu.note({.linear = cpu.codeLinear(cpu.rip),
            .value = causeOf(cpu, fault.vector, true),
            .info = fault.errorCode,
            .kind = RecordKind::kNestedFault,
            .vector = fault.vector,
            .flags = flagsOf(cpu, fault.hasErrorCode)});
}

PendingFault takeFault(Cpu& cpu) {
  const PendingFault taken = cpu.fault;
  cpu.fault = {};
  return taken;
}

Event eventOf(const PendingFault& fault, uint64_t rip) {
  return {.kind = Cpu::EventKind::kFault,
          .vector = fault.vector,
          .hasErrorCode = fault.hasErrorCode,
          .errorCode = fault.errorCode,
          .returnRip = rip};
}

}  // namespace

uint64_t savedFlags(const Cpu& cpu, const Event& event) {
  const bool restarts = event.kind == Cpu::EventKind::kFault && event.vector != kDb &&
                        event.vector != kDf && event.vector != kMc;
  return cpu.rflags() | (restarts || cpu.repeating ? eflags::kRf : 0);
}

void Cpu::deliver(EventKind kind, uint8_t vector, bool hasErrorCode, uint32_t errorCode) {
  const ActivityScope scope(activity, Phase::kEvent);
  ++eventsDelivered;
  inBlock_ = false;  // a watchpoint met from here on is no instruction's
  halted = interruptShadow = debugShadow = ferrAsserted_ = false;
  Event event{.kind = kind,
              .vector = vector,
              .hasErrorCode = hasErrorCode,
              .errorCode = errorCode,
              .returnRip = rip};
  noteEvent(*this, event, interruptSource(vector));
  for (unsigned attempt = 0; attempt < kMaxNestedFaults; ++attempt) {
    if (event.kind == EventKind::kFault && event.vector == kDb) {
      dr7 &= ~kDr7GeneralDetect;
      msr.debugCtl &= ~kDebugCtlBranchStep;
    }
    const Delivery result = enterHandler(*this, event);
    repeating &= result == Delivery::kFault;
    if (result == Delivery::kDone) return;
    // Without a fault the tables or the stack lie where there is no memory.
    if (!fault.pending) break;
    const PendingFault second = takeFault(*this);
    recordCause(*this, second);
    noteNested(*this, second);
    const bool isDoubleFault = event.kind == EventKind::kFault && event.vector == kDf;
    if (result == Delivery::kFaultInNewTask) {
      event = eventOf(second, rip);
    } else if (isDoubleFault) {
      break;
    } else if (makesDoubleFault(event, second)) {
      event = {.kind = EventKind::kFault,
               .vector = kDf,
               .hasErrorCode = true,
               .errorCode = 0,
               .returnRip = rip};
    } else {
      event = eventOf(second, rip);
    }
  }
  shutdown = true;
  note({.linear = codeLinear(rip),
        .kind = RecordKind::kShutdown,
        .vector = event.vector,
        .flags = recordFlags()});
}

// What an event from outside came by: an answer of the 8259, NMI, or the local APIC.
InterruptSource Cpu::interruptSource(uint8_t vector) const {
  if (acknowledging_) return InterruptSource::kPic;
  return vector == kNmi ? InterruptSource::kNmi : InterruptSource::kApic;
}

bool Cpu::softwareInterrupt(EventKind kind, uint8_t vector, uint64_t next) {
  const Event event{
      .kind = kind, .vector = vector, .hasErrorCode = false, .errorCode = 0, .returnRip = next};
  if (virtual8086() && kind == EventKind::kSoftware) {
    const Virtual8086Result result = softwareInterruptVirtual8086(*this, event);
    if (result == Virtual8086Result::kFault) return false;
    if (result == Virtual8086Result::kDone) {
      ++eventsDelivered;
      return true;
    }
  }
  const Delivery result = enterHandler(*this, event);
  if (result == Delivery::kFault) return false;
  ++eventsDelivered;
  // The INT itself is done; the fault is the new task's.
  if (result == Delivery::kFaultInNewTask) deliverFault();
  return true;
}

}  // namespace nodevm

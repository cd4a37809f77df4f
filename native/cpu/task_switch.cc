#include "cpu/task_switch.h"

#include "cpu/far_transfers.h"

namespace nodevm {

namespace {

// Offsets and sizes in each TSS format: SDM volume 3, "Task-State Segment (TSS)" and "16-Bit
// Task-State Segment (TSS)".
struct Layout {
  unsigned minimumLimit;
  unsigned wordBytes;  // of the general registers
  unsigned rip, flags, registers;
  unsigned segments, segmentStride, segmentCount;
  unsigned ldt, size;
};
constexpr Layout kLayout32{.minimumLimit = 0x67,
                           .wordBytes = 4,
                           .rip = 0x20,
                           .flags = 0x24,
                           .registers = 0x28,
                           .segments = 0x48,
                           .segmentStride = 4,
                           .segmentCount = 6,
                           .ldt = 0x60,
                           .size = 0x68};
constexpr Layout kLayout16{.minimumLimit = 0x2b,
                           .wordBytes = 2,
                           .rip = 0x0e,
                           .flags = 0x10,
                           .registers = 0x12,
                           .segments = 0x22,
                           .segmentStride = 2,
                           .segmentCount = 4,
                           .ldt = 0x2a,
                           .size = 0x2c};
constexpr unsigned kLink = 0, kCr3 = 0x1c, kDebugTrap = 0x64;

constexpr unsigned kBusy = 2;                 // bit of a TSS descriptor's type
constexpr uint64_t kDr6TaskSwitch = 1 << 15;  // BT
constexpr uint64_t kDr7LocalEnables = 0x155;  // L0..L3, LE

// The processor state that a TSS holds.
struct TaskState {
  uint64_t cr3 = 0, rip = 0, flags = 0;
  uint64_t registers[8] = {};
  uint16_t selectors[kSegmentCount] = {};
  uint16_t ldt = 0;
  bool debugTrap = false;
};

bool isWide(unsigned type) { return type & 8; }
const Layout& layoutOf(unsigned type) { return isWide(type) ? kLayout32 : kLayout16; }

// The new task returns to the old one by IRET.
bool nests(const TaskSwitch& request) {
  return request.kind == TaskSwitchKind::kCall || request.kind == TaskSwitchKind::kEvent;
}

// Checks the TSS descriptor that the switch leads to.
bool fetchTss(Cpu& cpu, const TaskSwitch& request, Descriptor& tss) {
  const bool isReturn = request.kind == TaskSwitchKind::kReturn;
  const Vector vector = isReturn ? kTs : kGp;
  const uint32_t error = selectorError(request.selector);
  if (isLocal(request.selector) || isNull(request.selector)) return cpu.raise(vector, error);
  if (!fetchDescriptor(cpu, request.selector, vector, tss)) return false;
  const unsigned size = tss.type() & ~kBusy;
  const bool busy = tss.type() & kBusy;
  const bool isTss = !tss.isCodeOrData() && (size == kTss16Available || size == kTssAvailable);
  if (!isTss || busy != isReturn) return cpu.raise(vector, error);
  if (!tss.present()) return cpu.raise(kNp, error);
  if (tss.limit() < layoutOf(tss.type()).minimumLimit) return cpu.raise(kTs, error);
  return true;
}

bool readField(Cpu& cpu, uint64_t linear, unsigned bytes, uint64_t& value) {
  const Loaded<uint64_t> loaded = cpu.loadSystem(linear, bytes);
  value = loaded.value;
  return loaded.ok;
}

bool readTask(Cpu& cpu, const Descriptor& tss, TaskState& task) {
  const Layout& layout = layoutOf(tss.type());
  const uint64_t base = tss.base();
  uint64_t value = 0;
  if (isWide(tss.type())) {
    if (!readField(cpu, base + kCr3, 4, task.cr3) || !readField(cpu, base + kDebugTrap, 2, value))
      return false;
    task.debugTrap = value & 1;
  }
  if (!readField(cpu, base + layout.rip, layout.wordBytes, task.rip) ||
      !readField(cpu, base + layout.flags, layout.wordBytes, task.flags))
    return false;
  for (unsigned n = 0; n < 8; ++n)
    if (!readField(cpu, base + layout.registers + n * layout.wordBytes, layout.wordBytes,
                   task.registers[n]))
      return false;
  for (unsigned n = 0; n < layout.segmentCount; ++n) {
    if (!readField(cpu, base + layout.segments + n * layout.segmentStride, 2, value)) return false;
    task.selectors[n] = static_cast<uint16_t>(value);
  }
  if (!readField(cpu, base + layout.ldt, 2, value)) return false;
  task.ldt = static_cast<uint16_t>(value);
  return true;
}

// Saves the dynamic fields into the TSS that TR names; it has been proven writable.
bool saveTask(Cpu& cpu, const TaskSwitch& request) {
  const Layout& layout = layoutOf(cpu.tr.type());
  const uint64_t base = cpu.tr.base;
  const bool isReturn = request.kind == TaskSwitchKind::kReturn;
  const uint64_t flags = request.flags & ~(isReturn ? eflags::kNt : 0);
  bool ok = cpu.storeSystem(base + layout.rip, request.next, layout.wordBytes) &&
            cpu.storeSystem(base + layout.flags, flags, layout.wordBytes);
  for (unsigned n = 0; ok && n < 8; ++n)
    ok = cpu.storeSystem(base + layout.registers + n * layout.wordBytes, cpu.gpr[n],
                         layout.wordBytes);
  for (unsigned n = 0; ok && n < layout.segmentCount; ++n)
    ok = cpu.storeSystem(base + layout.segments + n * layout.segmentStride, cpu.segment[n].selector,
                         2);
  return ok;
}

// Busy bits and the back link: SDM volume 3, table "Effect of a Task Switch on Busy Flag, NT Flag,
// Previous Task Link Field, and TS Flag".
bool linkTasks(Cpu& cpu, const TaskSwitch& request, const Descriptor& tss,
               const Descriptor& oldTss) {
  if (!nests(request) && !storeType(cpu, oldTss, oldTss.type() & ~kBusy)) return false;
  if (nests(request) && !cpu.storeSystem(tss.base() + kLink, cpu.tr.selector, 2)) return false;
  return request.kind == TaskSwitchKind::kReturn || storeType(cpu, tss, tss.type() | kBusy);
}

// Every page that the switch writes, before it writes any.
bool probeWrites(Cpu& cpu, const Descriptor& tss, const Descriptor& oldTss) {
  return cpu.probeSystemWrite(cpu.tr.base, layoutOf(cpu.tr.type()).size) &&
         cpu.probeSystemWrite(tss.base(), 2) && cpu.probeSystemWrite(tss.linear, 8) &&
         cpu.probeSystemWrite(oldTss.linear, 8);
}

// CR3, RIP, RFLAGS, general registers and selectors; the segments are not usable yet.
bool takeOverState(Cpu& cpu, const TaskState& task, const Descriptor& tss, bool nested) {
  const bool wide = isWide(tss.type());
  for (unsigned n = 0; n < 8; ++n) cpu.gpr[n] = task.registers[n];
  cpu.rip = task.rip;
  for (unsigned n = 0; n < kSegmentCount; ++n) cpu.segment[n] = nullSegment(task.selectors[n]);
  cpu.ldtr = nullSegment(task.ldt);
  cpu.cpl = static_cast<uint8_t>(rplOf(task.selectors[kCs]));
  cpu.cr0 |= cr0::kTs;
  cpu.dr7 &= ~kDr7LocalEnables;
  cpu.setRflags(task.flags | (nested ? eflags::kNt : 0));
  cpu.updateMode();
  return !wide || !(cpu.cr0 & cr0::kPg) || cpu.writeCr3(task.cr3);
}

bool loadTaskLdt(Cpu& cpu, uint16_t selector) {
  if (isNull(selector)) return true;
  if (isLocal(selector)) return cpu.raise(kTs, selectorError(selector));
  Descriptor descriptor;
  if (!fetchDescriptor(cpu, selector, kTs, descriptor)) return false;
  if (descriptor.isCodeOrData() || descriptor.type() != kLdtType || !descriptor.present())
    return cpu.raise(kTs, selectorError(selector));
  cpu.ldtr = segmentOf(descriptor, selector);
  return true;
}

bool loadTaskCode(Cpu& cpu, uint16_t selector) {
  if (isNull(selector)) return cpu.raise(kTs, 0);
  Descriptor descriptor;
  if (!fetchDescriptor(cpu, selector, kTs, descriptor)) return false;
  const unsigned rpl = rplOf(selector);
  const bool level = descriptor.isConforming() ? descriptor.dpl() <= rpl : descriptor.dpl() == rpl;
  if (!descriptor.isCode() || !level) return cpu.raise(kTs, selectorError(selector));
  if (!descriptor.present()) return cpu.raise(kNp, selectorError(selector));
  if (!markAccessed(cpu, descriptor)) return false;
  cpu.segment[kCs] = segmentOf(descriptor, selector);
  return true;
}

bool loadTaskSegments(Cpu& cpu, const TaskState& task) {
  if (cpu.virtual8086()) {
    for (unsigned n = 0; n < kSegmentCount; ++n)
      cpu.segment[n] = virtual8086Segment(task.selectors[n]);
    cpu.updateMode();
    return loadTaskLdt(cpu, task.ldt);
  }
  const uint16_t stack = task.selectors[kSs];
  bool ok = loadTaskLdt(cpu, task.ldt) && loadTaskCode(cpu, task.selectors[kCs]) &&
            (!isNull(stack) || cpu.raise(kTs, 0)) &&
            fetchStackSegment(cpu, stack, cpu.cpl, kTs, cpu.segment[kSs]);
  for (const Segment seg : {kEs, kDs, kFs, kGs})
    ok = ok && fetchDataSegment(cpu, task.selectors[seg], cpu.cpl, kTs, cpu.segment[seg]);
  cpu.updateMode();
  return ok;
}

// What runs with the new task's state: faults are the new task's.
bool enterTask(Cpu& cpu, const TaskSwitch& request, const TaskState& task, const Descriptor& tss) {
  if (!takeOverState(cpu, task, tss, nests(request)) || !loadTaskSegments(cpu, task)) return false;
  if (request.hasErrorCode) {
    StackCursor stack(cpu);
    if (!stack.push(cpu, request.errorCode, isWide(tss.type()) ? 2 : 1)) return false;
    stack.commit(cpu);
  }
  if (cpu.rip > cpu.segment[kCs].limit) return cpu.raise(kGp, 0);
  return !task.debugTrap || cpu.raiseDebug(kDr6TaskSwitch);
}

}  // namespace

TaskSwitchResult switchTask(Cpu& cpu, const TaskSwitch& request) {
  Descriptor tss, oldTss;
  TaskState task;
  const bool ready = fetchTss(cpu, request, tss) && readTask(cpu, tss, task) &&
                     (!isNull(cpu.tr.selector) || cpu.raise(kTs, 0)) &&
                     fetchDescriptor(cpu, cpu.tr.selector, kTs, oldTss) &&
                     probeWrites(cpu, tss, oldTss) && saveTask(cpu, request) &&
                     linkTasks(cpu, request, tss, oldTss);
  if (!ready) return TaskSwitchResult::kFault;
  cpu.tr = segmentOf(tss, request.selector);
  cpu.tr.access |= kBusy;
  return enterTask(cpu, request, task, tss) ? TaskSwitchResult::kDone
                                            : TaskSwitchResult::kFaultInNewTask;
}

bool Cpu::taskSwitch(uint16_t selector, int kind, uint64_t next, bool hasErrorCode,
                     uint32_t errorCode) {
  const TaskSwitchResult result = switchTask(*this, {.kind = static_cast<TaskSwitchKind>(kind),
                                                     .selector = selector,
                                                     .next = next,
                                                     .flags = rflags(),
                                                     .hasErrorCode = hasErrorCode,
                                                     .errorCode = errorCode});
  if (result == TaskSwitchResult::kFault) return false;
  // The instruction is done; what follows happens to the new task, at its own RIP.
  if (result == TaskSwitchResult::kFaultInNewTask) deliverFault();
  return true;
}

}  // namespace nodevm

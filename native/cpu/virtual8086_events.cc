// Software interrupts of virtual-8086 mode, with and without the virtual-8086 mode extensions
// (VME).

#include "cpu/events.h"

namespace nodevm {

namespace {

constexpr unsigned kIoMapBase = 0x66;          // offset in the 32-bit TSS
constexpr unsigned kRedirectionMapBytes = 32;  // directly below the I/O permission map

// The vector's bit of the software interrupt redirection map: set, it goes through the IDT.
bool readRedirection(Cpu& cpu, uint8_t vector, bool& throughIdt) {
  if (cpu.tr.type() != kTssBusy || cpu.tr.limit < kIoMapBase + 1) return cpu.raise(kGp, 0);
  const Loaded<uint64_t> ioMap = cpu.loadSystem(cpu.tr.base + kIoMapBase, 2);
  if (!ioMap.ok) return false;
  const uint64_t offset = ioMap.value - kRedirectionMapBytes + vector / 8;
  if (ioMap.value < kRedirectionMapBytes || offset > cpu.tr.limit) return cpu.raise(kGp, 0);
  const Loaded<uint64_t> bits = cpu.loadSystem(cpu.tr.base + offset, 1);
  throughIdt = (bits.value >> (vector & 7)) & 1;
  return bits.ok;
}

// With IOPL below 3 the 8086 program sees VIF in place of IF, and IOPL 3.
uint64_t virtualFlags(const Cpu& cpu) {
  const uint64_t flags = cpu.rflags();
  if (cpu.iopl() == 3) return flags;
  return (flags & ~eflags::kIf) | eflags::kIopl | ((flags & eflags::kVif) ? eflags::kIf : 0);
}

}  // namespace

bool enterVectorTable(Cpu& cpu, uint64_t table, const Event& event, uint64_t flags,
                      uint64_t cleared) {
  const Loaded<uint64_t> vector = cpu.loadSystem(table + 4 * event.vector, 4);
  if (!vector.ok) return false;
  StackCursor stack(cpu);
  if (!stack.push(cpu, flags, 1) || !stack.push(cpu, cpu.segment[kCs].selector, 1) ||
      !stack.push(cpu, event.returnRip, 1))
    return false;
  stack.commit(cpu);
  setRealModeSegment(cpu.segment[kCs], static_cast<uint16_t>(vector.value >> 16));
  cpu.rip = vector.value & 0xffff;
  cpu.setRflags(cpu.rflags() & ~cleared);
  cpu.updateMode();
  return true;
}

Virtual8086Result softwareInterruptVirtual8086(Cpu& cpu, const Event& event) {
  bool throughIdt = true;
  if ((cpu.cr4 & cr4::kVme) && !readRedirection(cpu, event.vector, throughIdt))
    return Virtual8086Result::kFault;
  if (!throughIdt) {
    const uint64_t interrupt = cpu.iopl() == 3 ? eflags::kIf : eflags::kVif;
    const bool ok = enterVectorTable(cpu, 0, event, virtualFlags(cpu),
                                     interrupt | eflags::kTf | eflags::kRf | eflags::kNt);
    return ok ? Virtual8086Result::kDone : Virtual8086Result::kFault;
  }
  if (cpu.iopl() == 3) return Virtual8086Result::kThroughIdt;
  cpu.raise(kGp, 0);
  return Virtual8086Result::kFault;
}

}  // namespace nodevm

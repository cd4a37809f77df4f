#include "addon/registers.h"

#include <iterator>

namespace nodevm {

namespace {

constexpr std::string_view kGeneral[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

// Registers that are one 64-bit word of the state.
uint64_t* wordByName(Cpu& cpu, std::string_view name) {
  for (size_t n = 0; n < std::size(kGeneral); ++n)
    if (kGeneral[n] == name) return &cpu.gpr[n];
  if (name == "rip") return &cpu.rip;
  if (name == "cr0") return &cpu.cr0;
  if (name == "cr2") return &cpu.cr2;
  if (name == "cr3") return &cpu.cr3;
  if (name == "cr4") return &cpu.cr4;
  if (name == "mtrrDefType") return &cpu.msr.mtrrDefType;
  if (name == "mtrrPhysBase0") return &cpu.msr.mtrrVariable[0];
  if (name == "mtrrPhysMask0") return &cpu.msr.mtrrVariable[1];
  if (name == "efer") return &cpu.msr.efer;
  if (name == "gdtrBase") return &cpu.gdtr.base;
  if (name == "idtrBase") return &cpu.idtr.base;
  return nullptr;
}

}  // namespace

uint64_t readRegister(const Cpu& cpu, std::string_view name) {
  if (name == "rflags") return cpu.rflags();
  if (name == "gdtrLimit") return cpu.gdtr.limit;
  if (name == "idtrLimit") return cpu.idtr.limit;
  const uint64_t* word = wordByName(const_cast<Cpu&>(cpu), name);
  return word ? *word : 0;
}

void writeRegister(Cpu& cpu, std::string_view name, uint64_t value) {
  if (name == "rflags") return cpu.setRflags(value);
  if (name == "gdtrLimit") cpu.gdtr.limit = static_cast<uint16_t>(value);
  if (name == "idtrLimit") cpu.idtr.limit = static_cast<uint16_t>(value);
  if (uint64_t* word = wordByName(cpu, name)) *word = value;
  cpu.flushTlb(true);
  cpu.updateMode();
}

SegmentRegister* segmentByName(Cpu& cpu, std::string_view name) {
  constexpr std::string_view kNames[] = {"es", "cs", "ss", "ds", "fs", "gs"};
  for (size_t n = 0; n < std::size(kNames); ++n)
    if (kNames[n] == name) return &cpu.segment[n];
  if (name == "ldtr") return &cpu.ldtr;
  return name == "tr" ? &cpu.tr : nullptr;
}

}  // namespace nodevm

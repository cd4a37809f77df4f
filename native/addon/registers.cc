#include "addon/registers.h"

#include <cstring>
#include <iterator>

#include "cpu/xstate.h"

namespace nodevm {

namespace {

constexpr std::string_view kGeneral[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

// Nothing is derived from these.
uint64_t* plainWord(Cpu& cpu, std::string_view name) {
  for (size_t n = 0; n < std::size(kGeneral); ++n)
    if (kGeneral[n] == name) return &cpu.gpr[n];
  const struct {
    std::string_view name;
    uint64_t* word;
  } words[] = {
      {"rip", &cpu.rip},
      {"cr2", &cpu.cr2},
      {"dr0", &cpu.dr[0]},
      {"dr1", &cpu.dr[1]},
      {"dr2", &cpu.dr[2]},
      {"dr3", &cpu.dr[3]},
      {"dr6", &cpu.dr6},
      {"xcr0", &cpu.xcr0},
      {"gdtrBase", &cpu.gdtr.base},
      {"idtrBase", &cpu.idtr.base},
      {"star", &cpu.msr.star},
      {"lstar", &cpu.msr.lstar},
      {"cstar", &cpu.msr.cstar},
      {"sfmask", &cpu.msr.sfmask},
      {"kernelGsBase", &cpu.msr.kernelGsBase},
      {"sysenterCs", &cpu.msr.sysenterCs},
      {"sysenterEsp", &cpu.msr.sysenterEsp},
      {"sysenterEip", &cpu.msr.sysenterEip},
      {"mtrrDefType", &cpu.msr.mtrrDefType},
      {"mtrrPhysBase0", &cpu.msr.mtrrVariable[0]},
      {"mtrrPhysMask0", &cpu.msr.mtrrVariable[1]},
  };
  for (const auto& entry : words)
    if (entry.name == name) return entry.word;
  return nullptr;
}

// The mode and the meaning of the TLB depend on these.
uint64_t* modeWord(Cpu& cpu, std::string_view name) {
  if (name == "cr0") return &cpu.cr0;
  if (name == "cr3") return &cpu.cr3;
  if (name == "cr4") return &cpu.cr4;
  if (name == "dr7") return &cpu.dr7;
  return name == "efer" ? &cpu.msr.efer : nullptr;
}

constexpr unsigned kVectorHalf = 16;

}  // namespace

uint64_t readRegister(const Cpu& cpu, std::string_view name) {
  if (name == "rflags") return cpu.rflags();
  if (name == "gdtrLimit") return cpu.gdtr.limit;
  if (name == "idtrLimit") return cpu.idtr.limit;
  if (name == "cr8") return cpu.apic.taskPriority() >> 4;
  if (name == "apicBase") return cpu.msr.apicBase;
  Cpu& words = const_cast<Cpu&>(cpu);
  if (const uint64_t* word = plainWord(words, name)) return *word;
  const uint64_t* word = modeWord(words, name);
  return word ? *word : 0;
}

void writeRegister(Cpu& cpu, std::string_view name, uint64_t value) {
  if (name == "rflags") return cpu.setRflags(value);
  if (name == "gdtrLimit") cpu.gdtr.limit = static_cast<uint16_t>(value);
  if (name == "idtrLimit") cpu.idtr.limit = static_cast<uint16_t>(value);
  if (name == "cr8") cpu.apic.setTaskPriority(static_cast<uint8_t>((value & 15) << 4));
  // Somewhere else to go on is a way out of HLT.
  if (name == "rip" && value != cpu.rip) cpu.halted = cpu.repeating = false;
  if (uint64_t* word = plainWord(cpu, name)) *word = value;
  if (uint64_t* word = modeWord(cpu, name)) {
    *word = value;
    cpu.flushTlb(true);
    cpu.updateMode();
  }
}

SegmentRegister* segmentByName(Cpu& cpu, std::string_view name) {
  constexpr std::string_view kNames[] = {"es", "cs", "ss", "ds", "fs", "gs"};
  for (size_t n = 0; n < std::size(kNames); ++n)
    if (kNames[n] == name) return &cpu.segment[n];
  if (name == "ldtr") return &cpu.ldtr;
  return name == "tr" ? &cpu.tr : nullptr;
}

void readFpuImage(const Cpu& cpu, uint8_t* image) {
  toFxsaveImage(cpu, image);
  for (unsigned n = 0; n < std::size(cpu.vector); ++n)
    std::memcpy(image + kFxsaveBytes + n * kVectorHalf, cpu.vector[n].bytes + kVectorHalf,
                kVectorHalf);
}

void writeFpuImage(Cpu& cpu, const uint8_t* image) {
  fromFxsaveImage(cpu, image);
  for (unsigned n = 0; n < std::size(cpu.vector); ++n)
    std::memcpy(cpu.vector[n].bytes + kVectorHalf, image + kFxsaveBytes + n * kVectorHalf,
                kVectorHalf);
}

}  // namespace nodevm

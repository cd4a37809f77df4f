// Control and debug registers, MSRs, CPUID, time stamps, TLB and cache control. SDM volume 2;
// volume 3, "System Instruction Summary".

#include "cpu/debug_registers.h"
#include "cpu/descriptor.h"
#include "interpreter/system_handler.h"

namespace nodevm {

namespace {

// --- control and debug registers

bool readControl(Cpu& cpu, const Instruction* i) {
  uint64_t value = 0;
  switch (i->reg) {
    case 0:
      value = cpu.cr0;
      break;
    case 2:
      value = cpu.cr2;
      break;
    case 3:
      value = cpu.cr3;
      break;
    case 4:
      value = cpu.cr4;
      break;
    case 8:
      value = cpu.apic.taskPriority() >> 4;
      break;
    default:
      return cpu.raise(kUd);
  }
  if (!requireLevel0(cpu)) return false;
  setRegister(cpu, i->rm, cpu.code64() ? 3 : 2, value);
  return true;
}

bool writeTaskPriority(Cpu& cpu, uint64_t value) {
  if (value > 15) return cpu.raise(kGp, 0);
  cpu.apic.setTaskPriority(static_cast<uint8_t>(value << 4));
  cpu.breakSoon();
  return true;
}

void noteControl(Cpu& cpu, const Instruction* i, unsigned number, uint64_t old, uint64_t value) {
  cpu.note({.linear = cpu.codeLinear(thisRip(cpu, i)),
            .value = value,
            .info = static_cast<uint32_t>(old),
            .kind = RecordKind::kControlRegister,
            .vector = static_cast<uint8_t>(number),
            .flags = cpu.recordFlags()});
}

bool setControl(Cpu& cpu, unsigned number, uint64_t value) {
  switch (number) {
    case 0:
      return cpu.writeCr0(value);
    case 3:
      return cpu.writeCr3(value);
    case 4:
      return cpu.writeCr4(value);
    case 8:
      return writeTaskPriority(cpu, value);
    default:
      cpu.cr2 = value;
      return true;
  }
}

// Those that change the mode or the address space are kept by the flight recorder.
bool writeControl(Cpu& cpu, const Instruction* i) {
  const unsigned number = i->reg;
  if (number != 0 && number != 2 && number != 3 && number != 4 && number != 8)
    return cpu.raise(kUd);
  if (!requireLevel0(cpu)) return false;
  const uint64_t value =
      cpu.code64() ? cpu.reg<uint64_t>(i->rm) : uint64_t{cpu.reg<uint32_t>(i->rm)};
  const uint64_t old = number == 0 ? cpu.cr0 : number == 3 ? cpu.cr3 : cpu.cr4;
  if (!setControl(cpu, number, value)) return false;
  if (number != 2 && number != 8) noteControl(cpu, i, number, old, value);
  return true;
}

bool moveFromDebug(Cpu& cpu, const Instruction* i) {
  uint64_t value = 0;
  if (!readDebugRegister(cpu, i->reg, value)) return false;
  setRegister(cpu, i->rm, cpu.code64() ? 3 : 2, value);
  return true;
}

bool moveToDebug(Cpu& cpu, const Instruction* i) {
  const uint64_t value =
      cpu.code64() ? cpu.reg<uint64_t>(i->rm) : uint64_t{cpu.reg<uint32_t>(i->rm)};
  return writeDebugRegister(cpu, i->reg, value);
}

bool storeMachineStatus(Cpu& cpu, const Instruction* i) {
  if (!requireUserAllowed(cpu)) return false;
  if (i->isMemory()) return writeWord(cpu, i, static_cast<uint16_t>(cpu.cr0));
  setRegister(cpu, i->rm, i->operandSize(), cpu.cr0);
  return true;
}

// PE, MP, EM, TS; PE can be set but not cleared.
bool loadMachineStatus(Cpu& cpu, const Instruction* i) {
  constexpr uint64_t kLoaded = cr0::kMp | cr0::kEm | cr0::kTs;
  uint16_t status = 0;
  if (!requireLevel0(cpu) || !readWord(cpu, i, status)) return false;
  const uint64_t old = cpu.cr0;
  if (!cpu.writeCr0((old & ~kLoaded) | (status & (kLoaded | cr0::kPe)))) return false;
  noteControl(cpu, i, 0, old, cpu.cr0);
  return true;
}

bool clearTaskSwitched(Cpu& cpu, const Instruction*) {
  if (!requireLevel0(cpu)) return false;
  cpu.cr0 &= ~cr0::kTs;
  cpu.updateMode();
  return true;
}

// --- MSRs, CPUID, time

void setEdxEax(Cpu& cpu, uint64_t value) {
  cpu.gpr[gpr::kRax / 8] = value & 0xffffffff;
  cpu.gpr[gpr::kRdx / 8] = value >> 32;
}

uint64_t edxEax(const Cpu& cpu) {
  return uint64_t{cpu.reg<uint32_t>(gpr::kRdx)} << 32 | cpu.reg<uint32_t>(gpr::kRax);
}

Record msrRecord(Cpu& cpu, const Instruction* i, RecordKind kind, uint64_t value) {
  return {.linear = cpu.codeLinear(thisRip(cpu, i)),
          .value = value,
          .info = cpu.reg<uint32_t>(gpr::kRcx),
          .kind = kind,
          .flags = cpu.recordFlags()};
}

// `detail` tells the direction.
bool refuseMsr(Cpu& cpu, const Instruction* i, bool write, uint64_t value) {
  Record record = msrRecord(cpu, i, RecordKind::kMsrRefused, value);
  record.detail = write;
  cpu.note(record);
  return false;
}

bool readModelSpecific(Cpu& cpu, const Instruction* i) {
  uint64_t value = 0;
  if (!requireLevel0(cpu)) return false;
  if (!cpu.readMsr(cpu.reg<uint32_t>(gpr::kRcx), value)) return refuseMsr(cpu, i, false, 0);
  if (cpu.trace.wants(RecordKind::kMsrRead)) {
    Record record = msrRecord(cpu, i, RecordKind::kMsrRead, value);
    record.instructions = cpu.retired();
    cpu.trace.add(record);
  }
  setEdxEax(cpu, value);
  return true;
}

bool writeModelSpecific(Cpu& cpu, const Instruction* i) {
  if (!requireLevel0(cpu)) return false;
  const uint64_t value = edxEax(cpu);
  if (!cpu.writeMsr(cpu.reg<uint32_t>(gpr::kRcx), value)) return refuseMsr(cpu, i, true, value);
  cpu.note(msrRecord(cpu, i, RecordKind::kMsrWrite, value));
  return true;
}

bool identify(Cpu& cpu, const Instruction*) {
  const Cpu::CpuidResult result =
      cpu.cpuid(cpu.reg<uint32_t>(gpr::kRax), cpu.reg<uint32_t>(gpr::kRcx));
  cpu.setReg<uint32_t>(gpr::kRax, result.eax);
  cpu.setReg<uint32_t>(gpr::kRbx, result.ebx);
  cpu.setReg<uint32_t>(gpr::kRcx, result.ecx);
  cpu.setReg<uint32_t>(gpr::kRdx, result.edx);
  return true;
}

bool requireTimeStamp(Cpu& cpu) {
  return cpu.cpl == 0 || !(cpu.cr4 & cr4::kTsd) || cpu.raise(kGp, 0);
}

bool readTimeStamp(Cpu& cpu, const Instruction*) {
  if (!requireTimeStamp(cpu)) return false;
  setEdxEax(cpu, cpu.readTsc());
  return true;
}

bool readTimeStampAndProcessor(Cpu& cpu, const Instruction* i) {
  if (!readTimeStamp(cpu, i)) return false;
  cpu.setReg<uint32_t>(gpr::kRcx, static_cast<uint32_t>(cpu.msr.tscAux));
  return true;
}

// There is no performance counter to read.
bool readPerformanceCounter(Cpu& cpu, const Instruction*) { return cpu.raise(kGp, 0); }

// RDRAND and RDSEED always succeed: CF = 1, the other flags 0.
bool readRandom(Cpu& cpu, const Instruction* i) {
  if (i->hasRep()) return cpu.raise(kUd);
  setRegister(cpu, i->rm, i->operandSize(), cpu.entropy());
  const Flags flags = Flags::unpack(eflags::kCf);
  cpu.flags.result = flags.result;
  cpu.flags.carries = flags.carries;
  return true;
}

// --- FS and GS base

// In 64-bit mode nothing but the base itself depends on a base, so that updateMode() is not needed.
void setBase64(Cpu& cpu, Segment seg, uint64_t base) {
  cpu.segment[seg].base = cpu.segmentBase[seg] = base;
}

bool swapGs(Cpu& cpu, const Instruction*) {
  if (!requireLevel0(cpu)) return false;
  const uint64_t base = cpu.segment[kGs].base;
  setBase64(cpu, kGs, cpu.msr.kernelGsBase);
  cpu.msr.kernelGsBase = base;
  return true;
}

bool readProcessorId(Cpu& cpu, const Instruction* i) {
  setRegister(cpu, i->rm, i->operandSize(), cpu.msr.tscAux);
  return true;
}

bool requireBaseInstructions(Cpu& cpu) { return (cpu.cr4 & cr4::kFsgsbase) || cpu.raise(kUd); }

template <Segment kSeg>
bool readBase(Cpu& cpu, const Instruction* i) {
  if (!requireBaseInstructions(cpu)) return false;
  setRegister(cpu, i->rm, i->operandSize(), cpu.segment[kSeg].base);
  return true;
}

template <Segment kSeg>
bool writeBase(Cpu& cpu, const Instruction* i) {
  if (!requireBaseInstructions(cpu)) return false;
  const uint64_t base =
      i->operandSize() == 3 ? cpu.reg<uint64_t>(i->rm) : uint64_t{cpu.reg<uint32_t>(i->rm)};
  if (!isCanonical(base)) return cpu.raise(kGp, 0);
  setBase64(cpu, kSeg, base);
  return true;
}

// --- TLB and caches

bool invalidatePage(Cpu& cpu, const Instruction* i) {
  if (!requireLevel0(cpu)) return false;
  cpu.flushPage((effectiveAddress(cpu, i) + cpu.segmentBase[i->segment]) & cpu.linearMask);
  return true;
}

// Whether INVPCID's descriptor is valid for its type. SDM volume 2, "INVPCID".
bool checkPcidDescriptor(Cpu& cpu, uint64_t type, uint64_t pcid, uint64_t linear) {
  constexpr uint64_t kAddress = 0, kSingleContext = 1, kLastType = 3, kPcidMask = 0xfff;
  const bool namesPcid = type == kAddress || type == kSingleContext;
  const bool valid = type <= kLastType && !(pcid & ~kPcidMask) &&
                     (type != kAddress || isCanonical(linear)) &&
                     (!namesPcid || pcid == 0 || (cpu.cr4 & cr4::kPcide));
  return valid || cpu.raise(kGp, 0);
}

bool invalidatePcid(Cpu& cpu, const Instruction* i) {
  enum Type : uint64_t { kAddress, kSingleContext, kAllWithGlobal };
  if (!requireLevel0(cpu)) return false;
  const uint64_t ea = effectiveAddress(cpu, i);
  const Loaded<uint64_t> pcid = cpu.load<uint64_t>(i->segment, ea);
  if (!pcid.ok) return false;
  const Loaded<uint64_t> linear = cpu.load<uint64_t>(i->segment, ea + 8);
  if (!linear.ok) return false;
  const uint64_t type =
      cpu.code64() ? cpu.reg<uint64_t>(i->reg) : uint64_t{cpu.reg<uint32_t>(i->reg)};
  if (!checkPcidDescriptor(cpu, type, pcid.value, linear.value)) return false;
  const auto context = static_cast<uint16_t>(pcid.value);
  if (type == kAddress) {
    cpu.tlbs.flushPageOf(context, linear.value);
  } else if (type == kSingleContext) {
    cpu.tlbs.flushAddressSpace(context);
  } else {
    cpu.flushTlb(type == kAllWithGlobal);
  }
  cpu.updateMode();
  return true;
}

// INVD, WBINVD: no cache is modelled.
bool invalidateCaches(Cpu& cpu, const Instruction*) { return requireLevel0(cpu); }

bool halt(Cpu& cpu, const Instruction*) {
  if (!requireLevel0(cpu)) return false;
  cpu.halted = true;
  return true;
}

}  // namespace

extern const HandlerSet MOV_Ry_Cy = always(thenNext<readControl>);
extern const HandlerSet MOV_Cy_Ry = always(thenLeave<writeControl>);
extern const HandlerSet MOV_Ry_Dy = always(thenNext<moveFromDebug>);
extern const HandlerSet MOV_Dy_Ry = always(thenLeave<moveToDebug>);
extern const HandlerSet SMSW_Ev = always(thenNext<storeMachineStatus>);
extern const HandlerSet LMSW_Ew = always(thenLeave<loadMachineStatus>);
extern const HandlerSet CLTS = always(thenNext<clearTaskSwitched>);

extern const HandlerSet RDMSR = always(thenChain<readModelSpecific>);
extern const HandlerSet WRMSR = always(thenLeave<writeModelSpecific>);
extern const HandlerSet CPUID = always(thenNext<identify>);
extern const HandlerSet RDTSC = always(thenChain<readTimeStamp>);
extern const HandlerSet RDTSCP = always(thenChain<readTimeStampAndProcessor>);
extern const HandlerSet RDPMC = always(thenNext<readPerformanceCounter>);
extern const HandlerSet RDRAND_Rv = onlyRegister(thenNext<readRandom>);
extern const HandlerSet RDPID_Rq = onlyRegister(thenNext<readProcessorId>);
extern const HandlerSet RDSEED_Rv = onlyRegister(thenNext<readRandom>);

extern const HandlerSet SWAPGS = always(thenNext<swapGs>);
extern const HandlerSet RDFSBASE_Ry = onlyRegister(thenNext<readBase<kFs>>);
extern const HandlerSet RDGSBASE_Ry = onlyRegister(thenNext<readBase<kGs>>);
extern const HandlerSet WRFSBASE_Ry = onlyRegister(thenNext<writeBase<kFs>>);
extern const HandlerSet WRGSBASE_Ry = onlyRegister(thenNext<writeBase<kGs>>);

extern const HandlerSet INVLPG_M = onlyMemory(thenLeave<invalidatePage>);
extern const HandlerSet INVPCID_Gy_Mdq = onlyMemory(thenLeave<invalidatePcid>);
extern const HandlerSet INVD = always(thenNext<invalidateCaches>);
extern const HandlerSet WBINVD = always(thenNext<invalidateCaches>);
extern const HandlerSet HLT = always(thenLeave<halt>);

}  // namespace nodevm

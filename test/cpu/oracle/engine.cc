#include "engine.h"

#include "cpu/avx512.h"
#include "cpu/xstate.h"
#include "interpreter/block_cache.h"
#include "jit/jit.h"

namespace nodevm::oracle {

namespace {

// The kernel half of the address space, where the host has nothing that user code could see either.
constexpr uint64_t kKernel = 0xffff800000000000;
// Guest physical layout.
constexpr uint64_t kPml4 = 0x100000, kPdpt = 0x101000, kDirectory = 0x102000, kCodeTable = 0x103000,
                   kDataTable = 0x104000, kGdt = 0x105000, kIdt = 0x106000, kTss = 0x107000,
                   kHandlers = 0x108000, kStackTop = 0x10a000, kKernelPdpt = 0x10b000,
                   kKernelDirectory = 0x10c000, kCode = 0x200000, kData = 0x210000;
constexpr uint64_t kPresent = 1, kWrite = 2, kUserPage = 4, kLarge = 128;
constexpr unsigned kHandlerSpacing = 16;

}  // namespace

Engine::Engine(bool jit)
    : ram_(std::make_unique<GuestRam>(16 << 20, 0)),
      cpu_(std::make_unique<Cpu>(*ram_, ClockSource::kIcount, exitBlock_)) {
  // As the host: what it lacks is another instruction, or none, there.
  cpu_->features = hostFeatures();
  if (jit) cpu_->jit = Jit::create(*cpu_, {.threshold = 0});
  buildTables();
}

void Engine::buildTables() {
  const auto put = [&](uint64_t gpa, uint64_t value) {
    std::memcpy(ram_->data() + gpa, &value, 8);
  };
  put(kPml4, kPdpt | kPresent | kWrite | kUserPage);
  put(kPdpt, kDirectory | kPresent | kWrite | kUserPage);
  put(kPml4 + (kKernel >> 39 & 511) * 8, kKernelPdpt | kPresent | kWrite);
  put(kKernelPdpt, kKernelDirectory | kPresent | kWrite);
  put(kKernelDirectory, 0 | kPresent | kWrite | kLarge);
  put(kDirectory + (kCodePage >> 21) * 8, kCodeTable | kPresent | kWrite | kUserPage);
  put(kDirectory + (kDataPages >> 21) * 8, kDataTable | kPresent | kWrite | kUserPage);
  put(kCodeTable, kCode | kPresent | kWrite | kUserPage);
  for (unsigned n = 0; n < kDataSize / 4096; ++n)
    put(kDataTable + n * 8, (kData + n * 4096) | kPresent | kWrite | kUserPage);
  // GDT: kernel code 0x08, kernel data 0x10, user data 0x1b, user code 0x23, TSS 0x28.
  put(kGdt + 0x08, 0x00af9b000000ffff);
  put(kGdt + 0x10, 0x00cf93000000ffff);
  put(kGdt + 0x18, 0x00cff3000000ffff);
  put(kGdt + 0x20, 0x00affb000000ffff);
  put(kTss + 4, kKernel + kStackTop);
  for (unsigned vector = 0; vector < 32; ++vector) {
    const uint64_t handler = kKernel + kHandlers + vector * kHandlerSpacing;
    put(kIdt + vector * 16,
        (handler & 0xffff) | 0x08 << 16 | uint64_t{0xee00} << 32 | (handler >> 16) << 48);
    put(kIdt + vector * 16 + 8, handler >> 32);
    ram_->data()[kHandlers + vector * kHandlerSpacing] = 0xf4;  // HLT
  }
}

void Engine::enterUserMode(const State& before, bool code32) {
  Cpu& cpu = *cpu_;
  static_cast<CpuState&>(cpu) = CpuState{};
  cpu.msr.efer = efer::kSce | efer::kLme | efer::kLma | efer::kNxe;
  cpu.cr0 = cr0::kPe | cr0::kPg | cr0::kNe | cr0::kEt | cr0::kMp | cr0::kWp;
  cpu.cr4 = cr4::kPae | cr4::kOsfxsr | cr4::kOsxmmexcpt | cr4::kFsgsbase | cr4::kOsxsave;
  cpu.xcr0 = supportedXcr0(cpu.features);
  cpu.cr3 = kPml4;
  cpu.gdtr = {.base = kKernel + kGdt, .limit = 0x37};
  cpu.idtr = {.base = kKernel + kIdt, .limit = 0x1ff};
  cpu.tr = {.selector = 0x28, .access = 0x8b, .limit = 0x67, .base = kKernel + kTss};
  for (auto& s : cpu.segment)
    s = {.selector = 0x1b, .access = 0xc0f3, .limit = 0xffffffff, .base = 0};
  const uint16_t access = code32 ? 0xc0fb : 0xa0fb;
  cpu.segment[kCs] = {.selector = 0x23, .access = access, .limit = 0xffffffff, .base = 0};
  cpu.cpl = 3;
  std::memcpy(cpu.gpr, before.gpr, sizeof before.gpr);
  cpu.rip = before.rip;
  cpu.setRflags(before.rflags);
  fromFxsaveImage(cpu, before.fx);
  for (unsigned n = 0; n < 16; ++n) {
    std::memcpy(cpu.vector[n].bytes + 16, before.upper[n], 16);
    std::memcpy(cpu.avx512.high[n].bytes, before.zmmHigh[n], sizeof before.zmmHigh[n]);
    writeZmmUpper(cpu, n, before.zmmUpper[n]);
  }
  std::memcpy(cpu.avx512.mask, before.mask, sizeof before.mask);
  cpu.halted = cpu.shutdown = cpu.interruptShadow = cpu.debugShadow = false;
  cpu.fault = {};
  cpu.flushTlb(true);
  cpu.updateMode();
}

void Engine::run(const Code& code, const State& before, State& after) {
  uint8_t* page = ram_->data() + kCode;
  std::memset(page, 0xcc, 4096);
  std::memcpy(page + kCodeOffset, code.bytes, code.length);
  std::memcpy(ram_->data() + kData, before.data, kDataSize);
  cpu_->blocks->invalidate(*cpu_, kCode, 4096);
  enterUserMode(before, code.code32);
  after = before;
  // The INT3 behind the code, or an exception, ends in a HLT.
  cpu_->run(code.instructions + 64);
  collect(after);
}

void Engine::collect(State& after) {
  Cpu& cpu = *cpu_;
  std::memcpy(after.gpr, cpu.gpr, sizeof after.gpr);
  toFxsaveImage(cpu, after.fx);
  for (unsigned n = 0; n < 16; ++n) {
    std::memcpy(after.upper[n], cpu.vector[n].bytes + 16, 16);
    std::memcpy(after.zmmUpper[n], cpu.avx512.upper[n].bytes, sizeof after.zmmUpper[n]);
    std::memcpy(after.zmmHigh[n], cpu.avx512.high[n].bytes, sizeof after.zmmHigh[n]);
  }
  std::memcpy(after.mask, cpu.avx512.mask, sizeof after.mask);
  std::memcpy(after.data, ram_->data() + kData, kDataSize);
  if (!cpu.halted) {
    after.vector = 0xfe;  // neither ended nor faulted
    after.rip = cpu.rip;
    return;
  }
  after.vector = static_cast<uint8_t>((cpu.rip - 1 - kKernel - kHandlers) / kHandlerSpacing);
  const uint8_t* frame = ram_->data() + (cpu.gpr[4] - kKernel);
  const auto word = [&](unsigned n) {
    uint64_t value;
    std::memcpy(&value, frame + n * 8, 8);
    return value;
  };
  constexpr uint32_t kWithErrorCode = 1 << 8 | 0x7c00 | 1 << 17;
  const unsigned skip = (kWithErrorCode >> after.vector) & 1;
  after.errorCode = skip ? word(0) : 0;
  after.rip = word(skip);
  after.rflags = word(skip + 2);
  after.gpr[4] = word(skip + 3);
  after.cr2 = cpu.cr2;
  if (after.vector == 3) {
    after.vector = kNoVector;
    after.rip -= 1;
  }
}

}  // namespace nodevm::oracle

#include "random.h"

#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <vector>

#include "cpu/cpu.h"
#include "decoder/row.h"
#include "interpreter/block_cache.h"
#include "jit/jit.h"

namespace nodevm::oracle {

namespace {

// Guest physical layout, mapped one to one. Handlers are a HLT each.
constexpr uint64_t kRam = 4 << 20;
constexpr uint64_t kHandler = 0x600, kLowTables = 0x1000, kCode = 0x8000, kTables = 0x40000,
                   kGdt = 0x40000, kPageDirectory = 0x41000, kPml4 = 0x42000, kPdpt = 0x43000,
                   kLongDirectory = 0x44000, kTss = 0x45000, kIdt32 = 0x46000, kIdt64 = 0x47000,
                   kTablesEnd = 0x48000, kKernelStack = 0x50000;
constexpr unsigned kStreamBytes = 64;
constexpr unsigned kInstructions = 128;
// A stream leaves for TypeScript this often at most before it is given up.
constexpr unsigned kMostExits = 64;
// Seconds of processor time for a batch of streams, which takes less than one.
constexpr unsigned kPatience = 60;
constexpr uint64_t kBatch = 4096;

enum Selector : uint16_t {
  kCode64 = 0x08,
  kData = 0x10,
  kUserData = 0x1b,
  kUserCode64 = 0x23,
  kCode32 = 0x28,
  kUserCode32 = 0x33,
  kCode16 = 0x38,
  kUserCode16 = 0x43,
  kTssSelector = 0x48,
};

enum class Bits : uint8_t { kReal, kVirtual8086, k16, k32, k64 };
struct Mode {
  const char* name;
  Bits bits;
  uint8_t cpl;
};
constexpr Mode kModes[] = {
    {"real mode", Bits::kReal, 0},
    {"virtual-8086 mode", Bits::kVirtual8086, 3},
    {"16-bit code at level 0", Bits::k16, 0},
    {"16-bit code at level 3", Bits::k16, 3},
    {"32-bit code at level 0", Bits::k32, 0},
    {"32-bit code at level 3", Bits::k32, 3},
    {"64-bit code at level 0", Bits::k64, 0},
    {"64-bit code at level 3", Bits::k64, 3},
};

// What runs, for whoever reads of a crash. Signal handlers have no other way to find it.
struct Running {
  const char* mode = nullptr;
  uint64_t stream = 0;
  uint8_t code[kStreamBytes] = {};
};
Running running;

void reportCrash(int number) {
  char text[512];
  int length = std::snprintf(text, sizeof text, "random: signal %d in %s, stream %llu:", number,
                             running.mode, static_cast<unsigned long long>(running.stream));
  for (const uint8_t byte : running.code)
    length +=
        std::snprintf(text + length, sizeof text - static_cast<size_t>(length), " %02x", byte);
  text[length] = '\n';
  if (write(STDERR_FILENO, text, static_cast<size_t>(length) + 1) < 0) _exit(3);
  _exit(2);
}

// SIGPROF after so many seconds of processor time; 0: none.
void setWatchdog(unsigned seconds) {
  const itimerval timer{.it_interval = {}, .it_value = {.tv_sec = seconds, .tv_usec = 0}};
  setitimer(ITIMER_PROF, &timer, nullptr);
}

// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators"): most of a
// stream is its random numbers.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t operator()() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

 private:
  uint64_t state_;
};

class RandomMachine {
 public:
  explicit RandomMachine(const RandomOptions& options)
      : random_(options.seed),
        ram_(std::make_unique<GuestRam>(kRam, 0)),
        cpu_(std::make_unique<Cpu>(*ram_, ClockSource::kIcount, exitBlock_)) {
    if (options.jit) cpu_->jit = Jit::create(*cpu_, {.threshold = 0, .pathThreshold = 2});
  }

  // One mode; false: a stream did not end.
  bool run(const Mode& mode, uint64_t streams);

 private:
  uint64_t number() { return random_(); }
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  bool oneIn(unsigned n) { return below(n) == 0; }
  void put(uint64_t gpa, uint64_t value) { std::memcpy(ram_->data() + gpa, &value, 8); }

  void makeCode(uint8_t (&code)[kStreamBytes]);
  unsigned putPrefix(const Row& row, uint8_t (&code)[kStreamBytes], unsigned at);
  void buildTables(const Mode& mode);
  void keepTables();
  void restoreTables();
  void buildGates(const Mode& mode);
  void enter(const Mode& mode);
  void setSegments(const Mode& mode);
  uint64_t registerValue();
  bool runStream();

  Random random_;
  std::vector<uint8_t> lowTables_, tables_;  // what each stream finds there
  std::unique_ptr<GuestRam> ram_;
  ExitBlock exitBlock_;
  std::unique_ptr<Cpu> cpu_;
  uint64_t faults_ = 0, shutdowns_ = 0, exits_ = 0;
};

// The mandatory prefix and the opcode map, as VEX or EVEX where the row is. Returns where the
// opcode goes.
unsigned RandomMachine::putPrefix(const Row& row, uint8_t (&code)[kStreamBytes], unsigned at) {
  const auto prefix = static_cast<unsigned>(row.prefix);
  if (row.has(kVex | kEvex)) {
    constexpr uint8_t kPp[] = {0, 0, 1, 2, 3};
    const bool evex = row.has(kEvex);
    // Outside 64-bit mode R and X have to be 1, or it is LES or BOUND. The fourth bit is EVEX.R'.
    const auto fixed = static_cast<uint8_t>(evex ? 0xf0 : 0xe0);
    const auto registers = static_cast<uint8_t>(oneIn(4) ? number() & fixed : fixed);
    code[at++] = evex ? 0x62 : 0xc4;
    code[at++] = static_cast<uint8_t>(registers | static_cast<unsigned>(row.map));
    code[at] = static_cast<uint8_t>((code[at] & ~3) | kPp[prefix]);
    if (!evex) return at + 1;
    code[at] |= 4;
    return at + 2;
  }
  constexpr uint8_t kByte[] = {0, 0, 0x66, 0xf3, 0xf2};
  if (kByte[prefix]) code[at++] = kByte[prefix];
  if (row.map != OpcodeMap::kOneByte) code[at++] = 0x0f;
  if (row.map == OpcodeMap::k0F38) code[at++] = 0x38;
  if (row.map == OpcodeMap::k0F3A) code[at++] = 0x3a;
  return at;
}

// Half of the streams are random bytes; the others have opcodes that exist, with random operands.
void RandomMachine::makeCode(uint8_t (&code)[kStreamBytes]) {
  for (unsigned n = 0; n < kStreamBytes; n += 8) {
    const uint64_t value = number();
    std::memcpy(code + n, &value, 8);
  }
  if (oneIn(2)) return;
  static constexpr uint8_t kPrefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x64,
                                          0x48, 0x41, 0x4f, 0xc4, 0xc5, 0x62};
  for (unsigned at = 0; at + 16 < kStreamBytes; at += 4 + below(8)) {
    const Row& row = kRows[below(kRowCount)];
    if (oneIn(3)) code[at++] = kPrefixes[below(std::size(kPrefixes))];
    at = putPrefix(row, code, at);
    code[at++] = row.opcode;
    if (row.modrm.exact >= 0) code[at++] = static_cast<uint8_t>(row.modrm.exact);
    if (row.modrm.reg >= 0)
      code[at] = static_cast<uint8_t>((code[at] & ~0x38) | row.modrm.reg << 3);
    // A displacement of 32 random bits leaves RAM.
    if (code[at] >> 6 == 2 && !oneIn(8)) code[at] ^= 0xc0;
  }
}

void RandomMachine::buildGates(const Mode& mode) {
  for (unsigned vector = 0; vector < 256; ++vector) {
    put(kIdt64 + vector * 16, kHandler | kCode64 << 16 | uint64_t{0xee00} << 32);
    put(kIdt64 + vector * 16 + 8, 0);
    put(kIdt32 + vector * 8, kHandler | kCode32 << 16 | uint64_t{0xee00} << 32);
    if (mode.bits == Bits::kReal) std::memcpy(ram_->data() + vector * 4, "\0\6\0", 4);
  }
}

void RandomMachine::buildTables(const Mode& mode) {
  std::memset(ram_->data(), 0, kLowTables);
  std::memset(ram_->data() + kTables, 0, kTablesEnd - kTables);
  std::memset(ram_->data() + kHandler, 0xf4, 16);  // HLT
  constexpr uint64_t kUserPage = 7, kLargeUserPage = 0x87;
  put(kPageDirectory, kLargeUserPage);
  put(kPml4, kPdpt | kUserPage);
  put(kPdpt, kLongDirectory | kUserPage);
  put(kLongDirectory, kLargeUserPage);
  put(kLongDirectory + 8, 0x200000 | kLargeUserPage);
  put(kGdt + 0x08, 0x00af9b000000ffff);
  put(kGdt + 0x10, 0x00cf93000000ffff);
  put(kGdt + 0x18, 0x00cff3000000ffff);
  put(kGdt + 0x20, 0x00affb000000ffff);
  put(kGdt + 0x28, 0x00cf9b000000ffff);
  put(kGdt + 0x30, 0x00cffb000000ffff);
  put(kGdt + 0x38, 0x008f9b000000ffff);
  put(kGdt + 0x40, 0x008ffb000000ffff);
  put(kGdt + 0x48, 0x0000890000000067 | kTss << 16);
  if (mode.bits == Bits::k64) {
    put(kTss + 4, kKernelStack);
  } else {
    put(kTss + 4, kKernelStack | uint64_t{kData} << 32);
  }
  put(kTss + 0x60, uint64_t{0x68} << 48);
  buildGates(mode);
}

void RandomMachine::keepTables() {
  const uint8_t* ram = ram_->data();
  lowTables_.assign(ram, ram + kLowTables);
  tables_.assign(ram + kTables, ram + kTablesEnd);
}

void RandomMachine::restoreTables() {
  std::memcpy(ram_->data(), lowTables_.data(), lowTables_.size());
  std::memcpy(ram_->data() + kTables, tables_.data(), tables_.size());
}

void RandomMachine::setSegments(const Mode& mode) {
  Cpu& cpu = *cpu_;
  const bool user = mode.cpl == 3;
  const uint16_t level = user ? 0x60 : 0;
  for (SegmentRegister& s : cpu.segment) {
    s = {.selector = user ? kUserData : kData,
         .access = static_cast<uint16_t>(0xc093 | level),
         .limit = 0xffffffff,
         .base = 0};
    if (mode.bits <= Bits::kVirtual8086)
      s = {
          .selector = 0, .access = static_cast<uint16_t>(0x93 | level), .limit = 0xffff, .base = 0};
  }
  SegmentRegister& cs = cpu.segment[kCs];
  switch (mode.bits) {
    case Bits::k64:
      cs.selector = user ? kUserCode64 : kCode64;
      cs.access = static_cast<uint16_t>(0xa09b | level);
      break;
    case Bits::k32:
      cs.selector = user ? kUserCode32 : kCode32;
      cs.access = static_cast<uint16_t>(0xc09b | level);
      break;
    case Bits::k16:
      cs.selector = user ? kUserCode16 : kCode16;
      cs.access = static_cast<uint16_t>(0x809b | level);
      break;
    default:
      break;
  }
}

// Mostly an address in RAM, or a small number.
uint64_t RandomMachine::registerValue() {
  switch (below(4)) {
    case 0:
      return number();
    case 1:
      return below(256);
    default:
      return number() % kRam;
  }
}

void RandomMachine::enter(const Mode& mode) {
  Cpu& cpu = *cpu_;
  static_cast<CpuState&>(cpu) = CpuState{};
  const bool is64 = mode.bits == Bits::k64;
  cpu.msr.efer = efer::kSce | efer::kNxe | (is64 ? efer::kLme | efer::kLma : 0);
  cpu.cr0 = cr0::kEt | cr0::kNe | cr0::kMp;
  if (mode.bits != Bits::kReal) cpu.cr0 |= cr0::kPe | cr0::kPg | cr0::kWp | cr0::kAm;
  cpu.cr4 = cr4::kOsfxsr | cr4::kOsxmmexcpt | cr4::kPse | cr4::kFsgsbase | cr4::kOsxsave |
            (is64 ? cr4::kPae : cr4::kVme);
  constexpr uint64_t kComponents[] = {3, 7, 0xe7, 0xe7};  // without AVX, with it, with AVX-512
  cpu.xcr0 = kComponents[below(std::size(kComponents))];
  cpu.cr3 = is64 ? kPml4 : kPageDirectory;
  cpu.gdtr = {.base = kGdt, .limit = 0x57};
  cpu.idtr = {.base = mode.bits == Bits::kReal ? 0
                      : is64                   ? kIdt64
                                               : kIdt32,
              .limit = static_cast<uint16_t>(is64 ? 0xfff : 0x7ff)};
  cpu.tr = {.selector = kTssSelector, .access = 0x8b, .limit = 0x67, .base = kTss};
  cpu.cpl = mode.cpl;
  setSegments(mode);
  for (unsigned n = 0; n < 16; ++n)
    cpu.gpr[n] = is64 ? registerValue() : registerValue() & 0xffffffff;
  cpu.gpr[gpr::kRsp / 8] = kKernelStack + 0x4000 + below(64);
  if (mode.bits <= Bits::k16) cpu.gpr[gpr::kRsp / 8] = 0x7000;
  const bool virtual8086 = mode.bits == Bits::kVirtual8086;
  cpu.setRflags(2 | (number() & 0x4cd5) | (oneIn(8) ? eflags::kTf : 0) |
                (oneIn(2) ? eflags::kIopl : 0) | (virtual8086 ? eflags::kVm : 0) |
                (oneIn(8) ? eflags::kAc : 0));
  for (auto& vector : cpu.vector)
    for (unsigned n = 0; n < sizeof vector.bytes; n += 8) {
      const uint64_t value = number() & number() & number();  // a bit in eight
      std::memcpy(vector.bytes + n, &value, 8);
    }
  cpu.rip = kCode + below(64);
  if (oneIn(32))
    cpu.dr7 = 0x400 | (number() & 0xffff00ff), cpu.dr[0] = cpu.rip, cpu.dr[1] = number() % kRam;
  cpu.halted = cpu.shutdown = cpu.interruptShadow = cpu.debugShadow = cpu.nmiBlocked = false;
  cpu.repeating = cpu.exact = cpu.portWritePending = false;
  cpu.exitReason = ExitReason::kBudget;
  cpu.replay.clear();
  cpu.fault = {};
  cpu.flushTlb(true);
  cpu.updateMode();
}

bool RandomMachine::runStream() {
  const uint64_t end = cpu_->retired() + kInstructions;
  for (unsigned exits = 0; exits < kMostExits && cpu_->retired() < end; ++exits) {
    const uint64_t before = cpu_->retired();
    const ExitReason reason = cpu_->run(kInstructions);
    if (cpu_->retired() > before + 2 * kInstructions) return false;
    if (reason == ExitReason::kShutdown) ++shutdowns_;
    if (reason == ExitReason::kHalt) faults_ += cpu_->rip == kHandler + 1;
    if (reason == ExitReason::kShutdown || reason == ExitReason::kHalt) return true;
    if (reason != ExitReason::kBudget) ++exits_;
    exitBlock_.data = static_cast<uint32_t>(number());
  }
  return true;
}

bool RandomMachine::run(const Mode& mode, uint64_t streams) {
  running.mode = mode.name;
  faults_ = shutdowns_ = exits_ = 0;
  const uint64_t started = cpu_->retired();
  buildTables(mode);
  keepTables();
  for (uint64_t stream = 0; stream < streams; ++stream) {
    if (stream % kBatch == 0) setWatchdog(kPatience);
    running.stream = stream;
    makeCode(running.code);
    restoreTables();
    cpu_->blocks->invalidate(*cpu_, 0, kRam);
    const unsigned at = oneIn(16) ? 0x1000 - kStreamBytes / 2 : 0;  // across pages, now and then
    std::memset(ram_->data() + kCode, 0xcc, 0x100);
    std::memcpy(ram_->data() + kCode + at, running.code, kStreamBytes);
    enter(mode);
    cpu_->rip = kCode + at;
    if (!runStream()) {
      std::fprintf(stderr, "random: %s, stream %llu did not end\n", mode.name,
                   static_cast<unsigned long long>(stream));
      return false;
    }
  }
  setWatchdog(0);
  std::printf("%s: streams %llu, instructions %llu, exceptions %llu, shutdowns %llu, exits %llu\n",
              mode.name, static_cast<unsigned long long>(streams),
              static_cast<unsigned long long>(cpu_->retired() - started),
              static_cast<unsigned long long>(faults_), static_cast<unsigned long long>(shutdowns_),
              static_cast<unsigned long long>(exits_));
  std::fflush(stdout);
  return cpu_->blocks->checkInvariants(*cpu_);
}

}  // namespace

int runRandom(const RandomOptions& options) {
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGPROF})
    std::signal(number, reportCrash);
  RandomMachine machine(options);
  for (const Mode& mode : kModes)
    if (!machine.run(mode, options.streams)) return 1;
  return 0;
}

}  // namespace nodevm::oracle

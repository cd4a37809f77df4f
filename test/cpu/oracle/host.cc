#include "host.h"

#include <cpuid.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

namespace nodevm::oracle {

namespace {

// One run at a time: signal handlers have no other way to find it.
struct Run {
  jmp_buf back;
  State* after = nullptr;
};
Run current;

extern "C" {
struct FarPointer {
  uint32_t offset;
  uint16_t selector;
};
struct EntryFrame {
  uint64_t gpr[16];
  uint64_t rip, rflags;
  const void* image;    // of FXRSTOR, or XRSTOR with
  uint64_t components;  // these; 0: this processor has no XSAVE
  FarPointer farTarget;
};
EntryFrame nodevm_oracle_entry;
}

constexpr uint16_t kUserCode32 = 0x23;  // Linux: __USER32_CS
constexpr uint64_t kX87 = 1, kSse = 2, kKnown = 0xe7;
constexpr unsigned kXstateBvAt = 512;

bool isZero(const uint8_t* from, const uint8_t* end) {
  return std::all_of(from, end, [](uint8_t byte) { return byte == 0; });
}

// What XSAVE has beyond the legacy region, by component number.
struct Component {
  unsigned number, bytes;
  uint8_t* (*inState)(State& state);
};
constexpr Component kComponents[] = {
    {2, sizeof State::upper, [](State& state) { return state.upper[0]; }},
    {5, sizeof State::mask, [](State& state) { return reinterpret_cast<uint8_t*>(state.mask); }},
    {6, sizeof State::zmmUpper, [](State& state) { return state.zmmUpper[0]; }},
    {7, sizeof State::zmmHigh, [](State& state) { return state.zmmHigh[0]; }},
};

unsigned offsetOf(const Component& component) {
  unsigned eax = 0, offset = 0, ecx = 0, edx = 0;
  __get_cpuid_count(0xd, component.number, &eax, &offset, &ecx, &edx);
  return offset;
}

// Those of XCR0 that we know, 0 where there is no XSAVE.
uint64_t enabledComponents() {
  constexpr unsigned kOsxsave = 1 << 27;
  unsigned eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & kOsxsave)) return 0;
  asm("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return eax & kKnown;
}

// What XRSTOR takes: SDM volume 1, "XSAVE Area". Components in their initial state are not in it,
// so that the processor knows them as such.
struct alignas(64) StateImage {
  uint8_t bytes[4096] = {};

  StateImage(State state, uint64_t components) {
    constexpr unsigned kX87Registers = 32, kXmm = 160, kXmmEnd = 416;
    static constexpr uint8_t kInitialX87[24] = {0x7f, 3};
    std::memcpy(bytes, state.fx, sizeof state.fx);
    const bool x87 = std::memcmp(bytes, kInitialX87, sizeof kInitialX87) != 0 ||
                     !isZero(bytes + kX87Registers, bytes + kXmm);
    uint64_t present = (x87 ? kX87 : 0) | (isZero(bytes + kXmm, bytes + kXmmEnd) ? 0 : kSse);
    for (const Component& component : kComponents) {
      const uint8_t* from = component.inState(state);
      if (!(components >> component.number & 1) || isZero(from, from + component.bytes)) continue;
      present |= uint64_t{1} << component.number;
      std::memcpy(bytes + offsetOf(component), from, component.bytes);
    }
    std::memcpy(bytes + kXstateBvAt, &present, sizeof present);
  }
};

// The kernel's XSAVE image: Linux asm/sigcontext.h, struct _xstate. A component in its initial
// state may be missing from it.
void captureVectors(const uint8_t* image, State& after) {
  constexpr unsigned kMagicAt = 464;
  constexpr uint32_t kMagic = 0x46505853;
  std::memcpy(after.fx, image, sizeof after.fx);
  uint32_t magic;
  uint64_t present;
  std::memcpy(&magic, image + kMagicAt, sizeof magic);
  std::memcpy(&present, image + kXstateBvAt, sizeof present);
  for (const Component& component : kComponents) {
    uint8_t* to = component.inState(after);
    if (magic == kMagic && (present >> component.number & 1)) {
      std::memcpy(to, image + offsetOf(component), component.bytes);
    } else {
      std::memset(to, 0, component.bytes);
    }
  }
}

void capture(int, siginfo_t*, void* context) {
  const auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
  constexpr int kOrder[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};
  State& after = *current.after;
  for (int n = 0; n < 16; ++n) after.gpr[n] = static_cast<uint64_t>(machine.gregs[kOrder[n]]);
  after.rip = static_cast<uint64_t>(machine.gregs[REG_RIP]);
  after.rflags = static_cast<uint64_t>(machine.gregs[REG_EFL]);
  after.vector = static_cast<uint8_t>(machine.gregs[REG_TRAPNO]);
  after.errorCode = static_cast<uint64_t>(machine.gregs[REG_ERR]);
  after.cr2 = static_cast<uint64_t>(machine.gregs[REG_CR2]);
  captureVectors(reinterpret_cast<const uint8_t*>(machine.fpregs), after);
  longjmp(current.back, 1);
}

void* mapAt(uint64_t address, size_t size, int protection) {
  void* wanted = reinterpret_cast<void*>(address);
  void* got =
      mmap(wanted, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (got != wanted) {
    std::perror("oracle: mmap");
    std::exit(2);
  }
  return got;
}

// Loads every register from nodevm_oracle_entry and jumps; comes back by signal only.
[[noreturn]] void enter() {
  asm volatile(
      "mov nodevm_oracle_entry+144(%%rip), %%rcx\n\t"
      "mov nodevm_oracle_entry+152(%%rip), %%rax\n\t"
      "xor %%edx, %%edx\n\t"
      "test %%rax, %%rax\n\t"
      "jz 1f\n\t"
      "xrstor64 (%%rcx)\n\t"
      "jmp 2f\n\t"
      "1: fxrstor64 (%%rcx)\n\t"
      "2:\n\t"
      "pushq nodevm_oracle_entry+136(%%rip)\n\t"
      "popfq\n\t"
      "mov nodevm_oracle_entry+0(%%rip), %%rax\n\t"
      "mov nodevm_oracle_entry+8(%%rip), %%rcx\n\t"
      "mov nodevm_oracle_entry+16(%%rip), %%rdx\n\t"
      "mov nodevm_oracle_entry+24(%%rip), %%rbx\n\t"
      "mov nodevm_oracle_entry+32(%%rip), %%rsp\n\t"
      "mov nodevm_oracle_entry+40(%%rip), %%rbp\n\t"
      "mov nodevm_oracle_entry+48(%%rip), %%rsi\n\t"
      "mov nodevm_oracle_entry+56(%%rip), %%rdi\n\t"
      "mov nodevm_oracle_entry+64(%%rip), %%r8\n\t"
      "mov nodevm_oracle_entry+72(%%rip), %%r9\n\t"
      "mov nodevm_oracle_entry+80(%%rip), %%r10\n\t"
      "mov nodevm_oracle_entry+88(%%rip), %%r11\n\t"
      "mov nodevm_oracle_entry+96(%%rip), %%r12\n\t"
      "mov nodevm_oracle_entry+104(%%rip), %%r13\n\t"
      "mov nodevm_oracle_entry+112(%%rip), %%r14\n\t"
      "mov nodevm_oracle_entry+120(%%rip), %%r15\n\t"
      "jmp *nodevm_oracle_entry+128(%%rip)"
      :
      :
      : "memory");
  __builtin_unreachable();
}

// Goes on in a 32-bit code segment, with all registers as they are.
[[gnu::naked]] void enterCode32() { asm("ljmpl *nodevm_oracle_entry+160(%rip)"); }

}  // namespace

Host::Host() {
  mapAt(kCodePage, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
  mapAt(kDataPages, kDataSize, PROT_READ | PROT_WRITE);
  static uint8_t signalStack[1 << 16];
  const stack_t stack{.ss_sp = signalStack, .ss_flags = 0, .ss_size = sizeof signalStack};
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = capture;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP})
    sigaction(number, &action, nullptr);
}

void Host::run(const Code& code, const State& before, State& after) {
  constexpr uint8_t kInt3 = 0xcc;
  auto* page = reinterpret_cast<uint8_t*>(kCodePage);
  std::memset(page, kInt3, 4096);
  std::memcpy(page + kCodeOffset, code.bytes, code.length);
  std::memcpy(reinterpret_cast<void*>(kDataPages), before.data, kDataSize);
  std::memcpy(nodevm_oracle_entry.gpr, before.gpr, sizeof before.gpr);
  nodevm_oracle_entry.rip = code.code32 ? reinterpret_cast<uint64_t>(enterCode32) : before.rip;
  nodevm_oracle_entry.farTarget = {static_cast<uint32_t>(before.rip), kUserCode32};
  nodevm_oracle_entry.rflags = before.rflags;
  static const uint64_t components = enabledComponents();
  const StateImage image(before, components);
  nodevm_oracle_entry.image = &image;
  nodevm_oracle_entry.components = components;
  current.after = &after;
  if (_setjmp(current.back) == 0) enter();
  asm volatile("fninit");
  if (__builtin_cpu_supports("avx")) asm volatile("vzeroupper");
  const uint32_t mxcsr = 0x1f80;
  asm volatile("ldmxcsr %0" : : "m"(mxcsr));
  std::memcpy(after.data, reinterpret_cast<void*>(kDataPages), kDataSize);
  // INT3 is how a run ends, not an exception of the code; RIP is back at it.
  if (after.vector == 3) {
    after.vector = kNoVector;
    after.rip -= 1;
  }
}

}  // namespace nodevm::oracle

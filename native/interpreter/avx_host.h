#pragma once
// The VEX part of the vector back end (see sse_host.h). Here the host executes the guest's own
// instruction, with its operands in fixed registers: a row of the opcode table says how it is
// encoded, so that it says what it does as well. The code of every row is there in each vector
// length, and 256 times where an immediate selects the operation.

#include <cstdint>

#include "cpu/state.h"
#include "interpreter/row_form.h"

namespace nodevm::vex {

// Where the operands are while the instruction runs. ModRM.reg is register 0 (YMM0 or RAX),
// VEX.vvvv 1, imm8[7:4] 2, ModRM.rm 6 (YMM6, RSI, or `memory`, which RSI then
// points to).
struct alignas(32) Operands {
  VectorRegister reg, vvvv, imm, rm;
  VectorRegister memory;
  uint64_t rax, rcx, rdx, rsi, flags;
};

// kVariant: VEX.L, or VEX.W in rows with kWideByW.
template <Form kForm, bool kVariant>
[[gnu::naked]] void code() {
  constexpr bool kWide = kForm.has(kW1) || (kForm.has(kWideByW) && kVariant);
  constexpr bool kLong = kForm.has(kL1) || (!kForm.has(kL0 | kLig | kWideByW) && kVariant);
  constexpr unsigned kVvvv = kForm.has(Operand::Hx) ? 1 : 0;
  constexpr unsigned kFirst = 0xe0 | static_cast<unsigned>(kForm.map);
  constexpr unsigned kSecond = kWide << 7 | (~kVvvv & 15) << 3 | kLong << 2 | ppOf(kForm);
  constexpr unsigned kModRm = modRmOf(kForm);
  if constexpr (kForm.has(Operand::Ib)) {
    asm("leaq 1f(%%rip), %%r11\n\t"
        "leaq (%%r11, %%r10, 8), %%r11\n\t"
        "jmp *%%r11\n\t"
        ".balign 8\n"
        "1:\n\t"
        ".set nodevm_vex_immediate, 0\n\t"
        ".rept 256\n\t"
        ".byte 0xc4, %c0, %c1, %c2, %c3, nodevm_vex_immediate\n\t"
        "ret\n\t"
        ".balign 8\n\t"
        ".set nodevm_vex_immediate, nodevm_vex_immediate + 1\n\t"
        ".endr"
        :
        : "i"(kFirst), "i"(kSecond), "i"(kForm.opcode), "i"(kModRm));
  } else if constexpr (kForm.has(Operand::Lx)) {
    asm(".byte 0xc4, %c0, %c1, %c2, %c3, 2 << 4\n\tret"
        :
        : "i"(kFirst), "i"(kSecond), "i"(kForm.opcode), "i"(kModRm));
  } else {
    asm(".byte 0xc4, %c0, %c1, %c2, %c3\n\tret"
        :
        : "i"(kFirst), "i"(kSecond), "i"(kForm.opcode), "i"(kModRm));
  }
}

// Runs it under the MXCSR in force. Past the red zone, since the compiler knows nothing of the
// call.
inline void executeOnHost(HostCode code, uint8_t immediate, Operands& operands) {
  register uint64_t r10 asm("r10") = immediate;
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"
      "vmovdqa (%[operands]), %%ymm0\n\t"
      "vmovdqa 32(%[operands]), %%ymm1\n\t"
      "vmovdqa 64(%[operands]), %%ymm2\n\t"
      "vmovdqa 96(%[operands]), %%ymm6\n\t"
      "movq 160(%[operands]), %%rax\n\t"
      "movq 168(%[operands]), %%rcx\n\t"
      "movq 176(%[operands]), %%rdx\n\t"
      "movq 184(%[operands]), %%rsi\n\t"
      "call *%[code]\n\t"
      "pushfq\n\t"
      "popq 192(%[operands])\n\t"
      "vmovdqa %%ymm0, (%[operands])\n\t"
      "vmovdqa %%ymm1, 32(%[operands])\n\t"
      "vmovdqa %%ymm6, 96(%[operands])\n\t"
      "movq %%rax, 160(%[operands])\n\t"
      "movq %%rcx, 168(%[operands])\n\t"
      "movq %%rsi, 184(%[operands])\n\t"
      "vzeroupper\n\t"
      "leaq 128(%%rsp), %%rsp"
      :
      : [operands] "D"(&operands), [code] "r"(code), "r"(r10)
      : "rax", "rcx", "rdx", "rsi", "r11", "xmm0", "xmm1", "xmm2", "xmm6", "memory", "cc");
}
static_assert(offsetof(Operands, rax) == 160 && offsetof(Operands, flags) == 192);

}  // namespace nodevm::vex

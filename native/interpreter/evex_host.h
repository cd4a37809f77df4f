#pragma once
// The EVEX part of the vector back end, as avx_host.h is the VEX part: the host executes the
// guest's own instruction with its operands in fixed registers. Code is there for each vector
// length, and 256 times where an immediate selects the operation. What EVEX adds needs no code of
// its own: masks are always merging, into zeros where the guest asked for zeros, and all ones where
// there is none; broadcasts come from a register filled before; rounding control is MXCSR's.

#include "cpu/state.h"
#include "interpreter/row_form.h"

namespace nodevm::evex {

// Where the operands are while the instruction runs. ModRM.reg is register 0 (ZMM0, RAX, K0),
// EVEX.vvvv 1, ModRM.rm 6 (ZMM6, RSI, K6, or `memory`, which RSI then points to); the opmask is K1.
struct alignas(64) Operands {
  ZmmRegister reg, vvvv, rm, memory;
  uint64_t rax, rsi, flags, regMask, rmMask, opmask;
};

// kVariant: the vector length, or EVEX.W in rows with kWideByW.
template <Form kForm, unsigned kVariant>
[[gnu::naked]] void code() {
  constexpr bool kWide = kForm.has(kW1) || (kForm.has(kWideByW) && kVariant);
  constexpr unsigned kLength = kForm.has(kWideByW | kLig | kL0) ? 0 : kVariant;
  constexpr unsigned kVvvv = kForm.has(Operand::Hx) ? 1 : 0;
  constexpr unsigned kFirst = 0xf0 | static_cast<unsigned>(kForm.map);
  constexpr unsigned kSecond = kWide << 7 | (~kVvvv & 15) << 3 | 4 | ppOf(kForm);
  constexpr unsigned kThird = kLength << 5 | 8 | (kForm.has(kMaskable) ? 1 : 0);
  constexpr unsigned kModRm = modRmOf(kForm);
  if constexpr (kForm.has(Operand::Ib)) {
    asm("leaq 1f(%%rip), %%r11\n\t"
        "leaq (%%r11, %%r10, 8), %%r11\n\t"
        "jmp *%%r11\n\t"
        ".balign 8\n"
        "1:\n\t"
        ".set nodevm_evex_immediate, 0\n\t"
        ".rept 256\n\t"
        ".byte 0x62, %c0, %c1, %c2, %c3, %c4, nodevm_evex_immediate\n\t"
        "ret\n\t"
        ".set nodevm_evex_immediate, nodevm_evex_immediate + 1\n\t"
        ".endr"
        :
        : "i"(kFirst), "i"(kSecond), "i"(kThird), "i"(kForm.opcode), "i"(kModRm));
  } else {
    asm(".byte 0x62, %c0, %c1, %c2, %c3, %c4\n\tret"
        :
        : "i"(kFirst), "i"(kSecond), "i"(kThird), "i"(kForm.opcode), "i"(kModRm));
  }
}

// Runs it under the MXCSR in force. Past the red zone, since the compiler knows nothing of the
// call.
inline void executeOnHost(HostCode code, uint8_t immediate, Operands& operands) {
  register uint64_t r10 asm("r10") = immediate;
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"
      "vmovdqa64 (%[operands]), %%zmm0\n\t"
      "vmovdqa64 64(%[operands]), %%zmm1\n\t"
      "vmovdqa64 128(%[operands]), %%zmm6\n\t"
      "movq 256(%[operands]), %%rax\n\t"
      "movq 264(%[operands]), %%rsi\n\t"
      "kmovq 288(%[operands]), %%k6\n\t"
      "kmovq 296(%[operands]), %%k1\n\t"
      "call *%[code]\n\t"
      "pushfq\n\t"
      "popq 272(%[operands])\n\t"
      "vmovdqa64 %%zmm0, (%[operands])\n\t"
      "vmovdqa64 %%zmm1, 64(%[operands])\n\t"
      "vmovdqa64 %%zmm6, 128(%[operands])\n\t"
      "movq %%rax, 256(%[operands])\n\t"
      "movq %%rsi, 264(%[operands])\n\t"
      "kmovq %%k0, 280(%[operands])\n\t"
      "vzeroupper\n\t"
      "leaq 128(%%rsp), %%rsp"
      :
      : [operands] "D"(&operands), [code] "r"(code), "r"(r10)
      : "rax", "rsi", "r11", "xmm0", "xmm1", "xmm6", "memory", "cc");
}
static_assert(offsetof(Operands, rax) == 256 && offsetof(Operands, opmask) == 296);

}  // namespace nodevm::evex

# MXCSR.PE was that of the masked result where an unmasked overflow or underflow raised #XM. Hardware rounds to
# an exponent without bounds then: 2^100 squared is exact.

.include "lib.inc"

.equ OVERFLOW_UNMASKED, 0x1b80
.equ UNDERFLOW_UNMASKED, 0x1780
.equ OE, 0x08
.equ UE, 0x10
.equ PE, 0x20

# #XM with these flags, for the square of a float.
.macro squares name, float, mxcsr, flags
  mov dword ptr [SCRATCH], \mxcsr
  ldmxcsr [SCRATCH]
  mov eax, \float
  movd xmm0, eax
  faults "\name", V_XM, 0, mulss xmm0, xmm0
  stmxcsr [SCRATCH]
  check_memory "\name: the flags", SCRATCH, \mxcsr + \flags
.endm

use16
main:
  enter_long
  set_bits cr4, CR4_OSFXSR | CR4_OSXMMEXCPT
  squares "exact overflow", 0x71800000, OVERFLOW_UNMASKED, OE
  squares "inexact overflow", 0x71800001, OVERFLOW_UNMASKED, OE | PE
  squares "exact underflow to zero", 0x0d800000, UNDERFLOW_UNMASKED, UE
  squares "inexact underflow", 0x0d800001, UNDERFLOW_UNMASKED, UE | PE
  finish

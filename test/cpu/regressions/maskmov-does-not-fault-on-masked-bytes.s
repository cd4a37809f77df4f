# MASKMOVDQU and MASKMOVQ fault on all of their bytes, whatever the mask: as AMD Zen 4. MASKMOVQ has changed the
# x87 state by then.

.include "lib.inc"

use16
main:
  enter_long
  set_bits cr4, CR4_OSFXSR
  pxor xmm0, xmm0
  mov rdi, 1
  shl rdi, 32
  faults "MASKMOVDQU with an empty mask", V_PF, 2, maskmovdqu xmm1, xmm0
  sub rdi, 12
  faults "MASKMOVDQU across the end", V_PF, 2, maskmovdqu xmm1, xmm0
  mov rax, cr2
  check "its address", eax, 0
  fninit
  add rdi, 8
  faults "MASKMOVQ across the end", V_PF, 2, maskmovq mm1, mm0
  fnstenv [SCRATCH]
  check_memory "MASKMOVQ: the tags are valid", SCRATCH+8, 0xffff5555
  finish

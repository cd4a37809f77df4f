# FXRSTOR and XRSTOR took reserved bits of the x87 control word from the image: FNSTCW showed FFFF, and 0.

.include "lib.inc"

use16
main:
  enter_long
  set_bits cr4, CR4_OSFXSR
  fninit
  fxsave [SCRATCH]
  mov word ptr [SCRATCH], 0xffff
  fxrstor [SCRATCH]
  mov dword ptr [SCRATCH], 0
  fnstcw [SCRATCH]
  check_memory "all bits set", SCRATCH, 0x1f7f
  fxsave [SCRATCH]
  mov word ptr [SCRATCH], 0
  fxrstor [SCRATCH]
  mov dword ptr [SCRATCH], 0
  fnstcw [SCRATCH]
  check_memory "no bit set", SCRATCH, 0x40
  finish

# Where there is no RAM, fetches read FF: an undefined instruction. The jump cache kept a pointer to the one
# block that all code without RAM is decoded into, so that a second visit ran whatever was decoded there last.

.include "lib.inc"

.set FIRST, 0xa0000             # the VGA window
.set SECOND, 0xb0000

.macro nothing_at address, name
  arm 1f, \address
  mov eax, \address
  jmp rax
1:
  fault_result "\name", V_UD, 0
.endm

use16
main:
  enter_long
  mov r13d, 20
again:
  nothing_at FIRST, "an undefined instruction at the first place"
  nothing_at SECOND, "an undefined instruction at the second"
  dec r13d
  jnz again
  finish

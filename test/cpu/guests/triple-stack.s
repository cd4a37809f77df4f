# #DF whose own stack is not there is shutdown, in 64-bit mode: #UD finds no stack, nor does #PF.
# SDM volume 3, "Interrupt 8 - Double Fault Exception (#DF)".

.include "lib.inc"

use16
main:
  enter_long
  mov eax, 1
  check "before the triple fault", eax, 1
  mov rsp, 1
  shl rsp, 40
  ud2
  check "behind the triple fault", eax, 0
  finish

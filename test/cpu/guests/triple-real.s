# A vector table too short for any exception is shutdown in real mode. SDM volume 3, "Interrupt 8 - Double Fault Exception (#DF)".

.include "lib.inc"

use16
main:
  mov eax, 1
  check "before the triple fault", eax, 1
  lidt [no_table]
  int3
  check "behind the triple fault", eax, 0
  finish

.data
no_table:
  .word 3
  .quad 0

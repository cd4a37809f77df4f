# Without an IDT an exception ends in shutdown. The last line is all that is seen of it.

.include "lib.inc"

use16
main:
  enter_long
  check "before the triple fault", eax, eax
  lidt [no_idt]
  ud2
  check "the triple fault was survived", eax, 0

.data
no_idt:
  .word 0
  .quad 0

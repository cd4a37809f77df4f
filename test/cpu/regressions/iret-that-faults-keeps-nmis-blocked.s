# NMIs stayed blocked when the handler's IRET faulted. SDM volume 3, "Handling Multiple NMIs".

.include "lib.inc"
.include "apic.inc"

use16
main:
  enter_long
  apic SVR, 0x1ff
  arm 1f, 1f
  apic ICR, 0x400                               # NMI to the processor itself
  nop
1:
  check_memory "the first NMI", last_vector, V_NMI
  mov dword ptr [last_count], 0
  apic ICR, 0x400
  nop
  check_memory "the second is held back", last_count, 0
  arm 1f, 1f
  push DATA
  push rsp
  push 2
  push DATA                                     # no code segment
  push 0
  iretq
1:
  check_memory "#GP and then the second", last_vector, V_NMI
  mov dword ptr [resume], offset unexpected64
  check_memory "which interrupts the handler of the #GP", last_ip, "offset stubs64+16*V_GP"
  finish

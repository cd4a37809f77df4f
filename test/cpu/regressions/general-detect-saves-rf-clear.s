# DR7.GD raises a fault, which saves RF set as all faults but instruction breakpoints do. SDM volume 3, "RF flag".

.include "lib.inc"

use16
main:
  enter_long
  mov eax, 0x2400
  mov dr7, rax
  faults "MOV DR with GD", V_DB, 0, mov rax, dr0
  mov eax, [last_flags]
  and eax, FL_RF
  check "RF", eax, FL_RF
  finish

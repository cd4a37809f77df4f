# The trap behind a HLT was delivered, and the processor stayed halted. SDM volume 2, "HLT".

.include "lib.inc"

use16
main:
  enter_long
  arm 2f, 1f
  pushfq
  or dword ptr [rsp], FL_TF
  popfq
  hlt
1:
  ud2
2:
  fault_result "trap behind HLT", V_DB, 0
  finish

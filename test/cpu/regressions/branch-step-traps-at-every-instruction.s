# IA32_DEBUGCTL.BTF was kept and had no effect. SDM volume 3, "Single-Stepping on Branches".

.include "lib.inc"

use16
main:
  enter_long
  write_msr 0x1d9, 2
  arm 2f, 1f
  pushfq
  or dword ptr [rsp], FL_TF
  popfq
  nop
  nop
  jmp 1f
  ud2
1:
  ud2
2:
  fault_result "trap behind the branch", V_DB, 0
  finish

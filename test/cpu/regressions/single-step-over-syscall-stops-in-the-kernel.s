# A SYSCALL under TF trapped at its target although IA32_FMASK had cleared TF, and the SYSRET that brought TF back did
# not: a debugger in the guest stepped into the kernel. The TF that they leave counts.

.include "lib.inc"

use16
main:
  enter_long
  write_msr 0xc0000081, 0,((USER_CODE32<<16)|CODE64)
  write_msr 0xc0000082, "offset kernel"
  write_msr 0xc0000084, FL_TF
  arm 2f, 1f
  push USER_DATA
  push USER_STACK
  push 2 + FL_TF
  push USER_CODE64
  push offset user
  iretq
user:
  syscall
1:
  ud2
kernel:
  sysretq
2:
  fault_result "the step ends behind SYSCALL", V_DB, 0
  check_memory "at level 3", last_cs, USER_CODE64
  finish

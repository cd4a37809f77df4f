# An execute breakpoint on a REP instruction was met again at each iteration: RF was cleared after the
# first. SDM volume 3, "RF flag".

.include "lib.inc"

use16
main:
  enter_long
  mov qword ptr [hook], offset resume_flag
  xor ebp, ebp
  mov eax, offset 1f
  mov dr0, rax
  mov eax, 1
  mov dr7, rax
  mov esi, SCRATCH
  mov edi, SCRATCH + 0x100
  mov ecx, 5
1:
  rep movsb
  xor eax, eax
  mov dr7, rax
  mov qword ptr [hook], 0
  check "faults", ebp, 1
  check "count", ecx, 0
  finish

resume_flag:
  add rsp, 16
  inc ebp
  or qword ptr [rsp + 16], FL_RF
  iretq

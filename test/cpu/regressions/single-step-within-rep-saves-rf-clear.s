# A trap between two iterations of a REP instruction saved RF clear. SDM volume 3, "RF flag".

.include "lib.inc"

use16
main:
  enter_long
  mov qword ptr [hook], offset step
  xor ebp, ebp
  mov esi, SCRATCH
  mov edi, SCRATCH + 0x100
  mov ecx, 3
  pushfq
  or dword ptr [rsp], FL_TF
  popfq
repeated:
  rep movsb
behind:
  nop
  mov qword ptr [hook], 0
  check "steps", ebp, 3
  mov eax, [between]
  and eax, FL_RF
  check "RF between two iterations", eax, FL_RF
  mov eax, [last]
  and eax, FL_RF
  check "RF after the last", eax, 0
  finish

step:
  add rsp, 16
  push rax
  inc ebp
  mov eax, [rsp + 24]
  mov [last], eax
  cmp qword ptr [rsp + 8], offset repeated
  jne 1f
  mov [between], eax
1:
  cmp qword ptr [rsp + 8], offset behind
  jne 2f
  and qword ptr [rsp + 24], ~FL_TF
2:
  pop rax
  iretq

.data
between: .quad 0
last: .quad -1

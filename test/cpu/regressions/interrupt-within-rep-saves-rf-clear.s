# An interrupt between two iterations of a REP has to save RF set; with it saved, the rest of the REP went one
# element a step. SDM volume 3, "RF flag".

.include "lib.inc"
.include "apic.inc"

use16
main:
  enter_long
  mov qword ptr [hook], offset interrupt
  apic SVR, 0x1ff
  apic DIVIDE, 0xb
  apic LVT_TIMER, 0x50
  mov edi, SCRATCH
  mov ecx, 0x600000                            # one by one it would take more than the runner allows
  apic INITIAL, 20
  sti
repeated:
  rep stosb
  cli
  mov qword ptr [hook], 0
  check_memory "RIP", saved_rip, "offset repeated"
  mov eax, [saved_flags]
  and eax, FL_RF
  check "RF", eax, FL_RF
  check "RDI", edi, SCRATCH+0x600000
  finish

interrupt:
  add rsp, 16
  push rax
  mov rax, [rsp + 8]
  mov [saved_rip], rax
  mov rax, [rsp + 24]
  mov [saved_flags], rax
  apic EOI, 0
  pop rax
  iretq

.data
saved_rip: .quad 0
saved_flags: .quad 0

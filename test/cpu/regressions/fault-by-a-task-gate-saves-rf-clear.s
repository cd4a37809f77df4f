# A fault that a task handles left RF clear in the TSS of the task that it interrupted. SDM volume 3, "RF flag".

.include "lib.inc"

.set TSS_B, FREE

use16
main:
  enter_protected
  descriptor TSS_B, "offset tss_b", 103, 0x89, 0
  mov dword ptr [idt + 8 * V_UD], TSS_B << 16
  mov dword ptr [idt + 8 * V_UD + 4], 0x8500
  mov dword ptr [tss_b + 0x20], offset handler
  mov dword ptr [tss_b + 0x24], 2
  mov dword ptr [tss_b + 0x38], STACK - 0x1000
  mov dword ptr [tss_b + 0x48], USER_DATA
  mov dword ptr [tss_b + 0x4c], CODE32
  mov dword ptr [tss_b + 0x50], DATA
  mov dword ptr [tss_b + 0x54], USER_DATA
  stc
  ud2
handler:
  mov eax, [tss + 0x24]
  and eax, FL_RF+FL_CF
  check "EFLAGS in the old TSS", eax, FL_RF+FL_CF
  finish

.data
.balign 16
tss_b: .fill 104, 1, 0

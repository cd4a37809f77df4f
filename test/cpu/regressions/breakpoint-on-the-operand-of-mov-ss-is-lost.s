# A data breakpoint that MOV SS met was forgotten, not held back until the next instruction had ended.
# SDM volume 3, "Masking Exceptions and Interrupts When Switching Stacks".

.include "lib.inc"

use16
main:
  enter_long
  mov dword ptr [SCRATCH], DATA
  mov eax, SCRATCH
  mov dr0, rax
  mov eax, 0x70001                              # reads and writes, two bytes
  mov dr7, rax
  arm 2f, 1f
  mov ss, [SCRATCH]
  nop
1:
  ud2
2:
  fault_result "trap behind the next instruction", V_DB, 0
  mov rax, dr6
  and eax, 15
  check "DR6.B0", eax, 1
  finish

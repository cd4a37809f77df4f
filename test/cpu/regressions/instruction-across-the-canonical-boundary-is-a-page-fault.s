# The part of an instruction that is behind the last canonical address was looked up in the page tables: #PF, not #GP(0).
# SDM volume 3, "Limit Checking in 64-bit Mode".

.include "lib.inc"

.set LAST, 0x7fffffffffff
.set PDPT, 0x110000

use16
main:
  enter_long
  mov qword ptr [PML4 + 8 * 255], PDPT + 7
  mov qword ptr [PDPT + 8 * 511], PDPT + 0x1007
  mov qword ptr [PDPT + 0x1000 + 8 * 511], SCRATCH + 0x87
  mov rax, cr3
  mov cr3, rax
  mov byte ptr [SCRATCH + 0x1fffff], 0xb8       # MOV EAX, imm32
  arm 1f, 0
  movabs rbx, LAST
  jmp rbx
1:
  mov dword ptr [resume], offset unexpected64
  check_memory "vector", last_vector, V_GP
  mov rax, [last_ip]
  check64 "RIP", rax, LAST
  finish

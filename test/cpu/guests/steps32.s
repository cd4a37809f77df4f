# The trap flag in protected and virtual-8086 mode: SYSENTER and SYSEXIT, call gates, IRET between the modes, INT through the
# IDT and the 8086 program's own table, task switches. SDM volume 3, "Single-Step Exception Condition".

.include "lib.inc"

.set GATE, FREE
.set TSS_B, FREE + 8
.set V86_STACK, 0x8000          # segment

use16
main:
  enter_protected
  write_msr 0x174, CODE32
  write_msr 0x175, STACK-0x1000
  gate "gdt+GATE", CODE32, "offset through_gate", 0xec
  descriptor TSS_B, "offset tss_b", 103, 0x89, 0
  mov byte ptr [idt + 8 * 0x21 + 5], 0xee
  call fast_calls
  call gates
  call virtual8086
  call tasks
  finish

.macro set_trap_flag
  pushfd
  or dword ptr [esp], FL_TF
  popfd
.endm

.macro enter_user_stepping target
  push USER_DATA
  push USER_STACK
  push 2 + FL_TF
  push USER_CODE32
  push offset \target
  iretd
.endm

# The latest exception and the TF and CS of its frame.
.macro frame name, vector, tf, cs
  fault_result "\name", \vector, 0
  mov eax, [last_flags]
  and eax, FL_TF
  check "\name: TF", eax, \tf
  check_memory "\name: CS", last_cs, \cs
.endm

fast_calls:
  write_msr 0x176, "offset 2f"
  arm 3f, 2f
  enter_user_stepping 1f
1:
  sysenter
2:
  ud2
3:
  frame "SYSENTER", V_DB, FL_TF, CODE32
  arm 3f, 1f
  mov ecx, USER_STACK
  mov edx, offset 1f
  set_trap_flag
  .byte 0x0f, 0x35                              # SYSEXIT
1:
  ud2
3:
  frame "SYSEXIT", V_DB, FL_TF, "((CODE32+16)|3)"
  ret

gates:
  arm 3f, "offset through_gate"
  enter_user_stepping 1f
1:
  .byte 0x9a
  .long 0
  .word GATE
3:
  frame "call gate to level 0", V_DB, FL_TF, CODE32
  arm 3f, 1f
  push USER_DATA
  push USER_STACK
  push USER_CODE32
  push offset 1f
  set_trap_flag
  retf
1:
  ud2
3:
  frame "RETF to level 3", V_DB, FL_TF, USER_CODE32
  arm 3f, 2f
  enter_user_stepping 1f
1:
  int 0x21
2:
3:
  frame "INT to level 0", 0x21, FL_TF, USER_CODE32
  ret

.macro enter_v86 target, flags
  push 0
  push 0
  push 0
  push 0
  push V86_STACK
  push 0x1000
  push FL_VM + 2 + \flags
  push 0
  push offset \target
  iretd
.endm

virtual8086:
  arm 3f, 2f
  enter_v86 1f, FL_TF
use16
1:
  nop
2:
  ud2
use32
3:
  frame "virtual-8086: the first instruction", V_DB, FL_TF, 0
  arm 3f, 2f
  enter_v86 1f, FL_TF+FL_IOPL3
use16
1:
  int 0x21
2:
use32
3:
  frame "virtual-8086: INT through the IDT", 0x21, FL_TF, 0
  arm 3f, 1f
  enter_v86 1f, FL_TF
use16
1:
  int 0x21
use32
3:
  fault_result "virtual-8086: INT without IOPL", V_GP, 0
  # POPF by IOPL 3 sets TF: the trap comes after the next instruction.
  mov word ptr [V86_STACK * 16 + 0x1000], 2 + FL_TF
  arm 3f, 2f
  enter_v86 1f, FL_IOPL3
use16
1:
  popf
  nop
2:
  ud2
use32
3:
  frame "virtual-8086: POPF that sets TF", V_DB, FL_TF, 0
  # Redirected to the program's own handler, which runs with TF clear.
  mov eax, cr4
  or eax, CR4_VME
  mov cr4, eax
  mov word ptr [gdt + TSS], 104 + 32 + 1
  mov byte ptr [gdt + TSS + 5], 0x89
  mov word ptr [tss + 0x66], 104 + 32
  mov eax, TSS
  ltr ax
  mov dword ptr [4 * 0x22], offset handler22
  arm 3f, "offset handler22 + 1"
  enter_v86 1f, FL_TF+FL_IOPL3
use16
1:
  int 0x22
use32
3:
  frame "virtual-8086: redirected INT", V_BP, 0, 0
  movzx eax, word ptr [V86_STACK * 16 + 0xffe]
  and eax, FL_TF
  check "virtual-8086: it pushes TF", eax, FL_TF
  mov eax, cr4
  and eax, ~CR4_VME
  mov cr4, eax
  ret

# A task switch takes TF from the new task's image; the switch itself does not trap by the old one.
tasks:
  .macro task flags
  mov dword ptr [tss_b + 0x20], offset in_task
  mov dword ptr [tss_b + 0x24], 2 + \flags
  mov dword ptr [tss_b + 0x38], STACK - 0x2000
  mov dword ptr [tss_b + 0x48], USER_DATA
  mov dword ptr [tss_b + 0x4c], CODE32
  mov dword ptr [tss_b + 0x50], DATA
  mov dword ptr [tss_b + 0x54], USER_DATA
  and byte ptr [gdt + TSS_B + 5], 0xfd
  and byte ptr [gdt + TSS + 5], 0xfd
  mov eax, TSS
  ltr ax
  .endm
  task FL_TF
  arm 3f, "offset in_task + 1"
  jump_far TSS_B, 0
3:
  frame "a task with TF: its first instruction", V_DB, FL_TF, CODE32
  clts
  ret

in_task:
  nop
  ud2

through_gate:
  ud2

use16
handler22:
  int3
use32

.data
.balign 16
tss_b: .fill 104, 1, 0

# Hardware task switches by JMP, CALL, IRET, task gates and interrupts: busy bits, NT, back link, the state that is
# saved and loaded, faults on the way. SDM volume 3, "Task Management".

.include "lib.inc"

.set TSS_B, 0x60
.set TASK_GATE, 0x68
.set TSS_16, 0x70
.set TSS_SMALL, 0x78
.set TSS_ABSENT, 0x80
.set TSS_BAD, 0x88
.set ABSENT_DATA, 0x90
.set TASK_STACK, 0x90000

# Offsets in a 32-bit TSS.
.set T_LINK, 0
.set T_CR3, 0x1c
.set T_EIP, 0x20
.set T_EFLAGS, 0x24
.set T_EAX, 0x28
.set T_ECX, 0x2c
.set T_EBX, 0x34
.set T_ESP, 0x38
.set T_ES, 0x48
.set T_CS, 0x4c
.set T_SS, 0x50
.set T_DS, 0x54
.set T_FS, 0x58
.set T_GS, 0x5c
.set T_LDT, 0x60
.set T_TRAP, 0x64

use16
main:
  enter_protected
  descriptor TSS_B, "offset tss_b", 103, 0x89, 0
  descriptor TSS_BAD, "offset tss_bad", 103, 0x89, 0
  descriptor TSS_16, "offset tss_16", 43, 0x81, 0
  descriptor TSS_SMALL, "offset tss_b", 102, 0x89, 0
  descriptor TSS_ABSENT, "offset tss_b", 103, 0x09, 0
  descriptor ABSENT_DATA, 0, 0xfffff, 0x13, 0xc
  mov dword ptr [gdt + TASK_GATE], TSS_B << 16
  mov dword ptr [gdt + TASK_GATE + 4], 0xe500
  call by_jump
  call by_call
  call by_gate
  call by_interrupt
  call sixteen_bits
  call refused
  call bad_state
  finish

# Fills the TSS of task B to start at `entry`.
.macro task_b entry, tss=tss_b
  mov dword ptr [\tss + T_EIP], offset \entry
  mov dword ptr [\tss + T_EFLAGS], 2
  mov dword ptr [\tss + T_ESP], TASK_STACK
  mov dword ptr [\tss + T_CS], CODE32
  mov dword ptr [\tss + T_SS], DATA
  mov dword ptr [\tss + T_DS], USER_DATA
  mov dword ptr [\tss + T_ES], USER_DATA
  mov dword ptr [\tss + T_FS], DATA
  mov dword ptr [\tss + T_GS], 0
  mov dword ptr [\tss + T_LDT], 0
  mov dword ptr [\tss + T_EAX], 0xaaaa0001
  mov dword ptr [\tss + T_ECX], 0xcccc0001
  mov dword ptr [\tss + T_TRAP], 0
.endm

.macro type_of name, selector, want
  movzx eax, byte ptr [gdt+\selector+5]
  check "\name", eax, \want
.endm

by_jump:
  task_b 1f
  mov ebx, 0xbbbb0001
  mov dword ptr [saved_sp], esp
  stc
  jump_far TSS_B, 0
  jmp 2f
1:
  mov [seen_eax], eax
  mov [seen_ecx], ecx
  str eax
  mov [seen_tr], eax
  mov eax, fs
  mov [seen_fs], eax
  mov [seen_esp], esp
  mov eax, cr0
  mov [seen_cr0], eax
  pushfd
  pop dword ptr [seen_flags]
  check_memory "JMP: EAX", seen_eax, 0xaaaa0001
  check_memory "JMP: ECX", seen_ecx, 0xcccc0001
  check_memory "JMP: TR", seen_tr, TSS_B
  check_memory "JMP: FS", seen_fs, DATA
  check_memory "JMP: ESP", seen_esp, TASK_STACK
  check_memory "JMP: EFLAGS", seen_flags, 2
  mov eax, [seen_cr0]
  and eax, CR0_TS
  check "JMP: CR0.TS", eax, CR0_TS
  type_of "JMP: the old task is not busy", TSS, 0x89
  type_of "JMP: the new task is busy", TSS_B, 0x8b
  check_memory "JMP: EBX saved", tss+T_EBX, 0xbbbb0001
  mov eax, [tss + T_ESP]
  sub eax, [saved_sp]
  check "JMP: ESP saved", eax, 0
  mov eax, [tss + T_EFLAGS]
  and eax, FL_CF+FL_NT
  check "JMP: EFLAGS saved", eax, FL_CF
  check_memory "JMP: CS saved", tss+T_CS, CODE32
  mov ebx, [tss + T_EIP]
  faults "JMP to the own task is #GP", V_GP, TSS_B, .byte 0xea, 0, 0, 0, 0, TSS_B, 0
  clts
  mov ecx, 0x1234
  jump_far TSS, 0
3:
  check "JMP again goes on behind the JMP", ebx, ebx
  jmp 4f
2:
  check "JMP back: EBX", ebx, 0xbbbb0001
  mov eax, esp
  sub eax, [saved_sp]
  check "JMP back: ESP", eax, 0
  mov eax, [tss_b + T_ECX]
  check "JMP back: the other task's ECX is saved", eax, 0x1234
  mov eax, [tss_b + T_EIP]
  check "JMP back: its EIP is behind the JMP", eax, "offset 3b"
4:
  clts
  ret

by_call:
  task_b 1f
  mov ebx, 0xbbbb0002
  .byte 0x9a
  .long 0
  .word TSS_B
  jmp 2f
1:
  pushfd
  pop dword ptr [seen_flags]
  movzx eax, word ptr [tss_b + T_LINK]
  check "CALL: back link", eax, TSS
  mov eax, [seen_flags]
  and eax, FL_NT
  check "CALL: NT", eax, FL_NT
  type_of "CALL: the old task stays busy", TSS, 0x8b
  type_of "CALL: the new task is busy", TSS_B, 0x8b
  faults "CALL to a busy task is #GP", V_GP, TSS, .byte 0x9a, 0, 0, 0, 0, TSS, 0
  pushfd
  or dword ptr [esp], FL_NT                     # which the exception has cleared
  popfd
  iretd
3:
  jmp 4f
2:
  pushfd
  pop eax
  and eax, FL_NT
  check "IRET: NT of the old task", eax, 0
  check "IRET: EBX", ebx, 0xbbbb0002
  type_of "IRET: the old task is busy", TSS, 0x8b
  type_of "IRET: the other one is not", TSS_B, 0x89
  str eax
  check "IRET: TR", eax, TSS
  mov eax, [tss_b + T_EFLAGS]
  and eax, FL_NT
  check "IRET: NT is clear in the image it leaves", eax, 0
  mov eax, [tss_b + T_EIP]
  check "IRET: the other task would go on behind IRET", eax, "offset 3b"
4:
  clts
  ret

by_gate:
  task_b 1f
  mov ebx, 3
  .byte 0x9a
  .long 0
  .word TASK_GATE
  jmp 2f
1:
  str eax
  mov [seen_tr], eax
  iretd
2:
  check_memory "CALL through a task gate", seen_tr, TSS_B
  # A task at level 3, called from level 3 through a gate that it may use.
  task_b 1f
  arm 2f, 2f
  enter_user 3f
3:
  .byte 0x9a
  .long 0
  .word TASK_GATE
  mov ebx, 0x99
  int SYSTEM_CALL
1:
  mov eax, cs
  mov [seen_eax], eax
  iretd
2:
  fault_result "user CALL through a task gate", SYSTEM_CALL, 0
  check_memory "the task runs at its own level", seen_eax, CODE32
  check "and the caller goes on", ebx, 0x99
  mov byte ptr [gdt + TASK_GATE + 5], 0x85
  user_faults "task gate of level 0 is #GP", V_GP, TASK_GATE, .byte 0x9a, 0, 0, 0, 0, TASK_GATE, 0
  user_faults "TSS of level 0 is #GP", V_GP, TSS_B, .byte 0x9a, 0, 0, 0, 0, TSS_B, 0
  mov byte ptr [gdt + TASK_GATE + 5], 0x65
  faults "absent task gate is #NP", V_NP, TASK_GATE, .byte 0x9a, 0, 0, 0, 0, TASK_GATE, 0
  mov byte ptr [gdt + TASK_GATE + 5], 0xe5
  clts
  ret

# Sets the vector's gate to task B, with the old gate kept on the stack.
.macro task_vector vector
  push dword ptr [idt + 8 * \vector]
  push dword ptr [idt + 8 * \vector + 4]
  mov dword ptr [idt + 8 * \vector], TSS_B << 16
  mov dword ptr [idt + 8 * \vector + 4], 0xe500
.endm

.macro old_vector vector
  pop dword ptr [idt + 8 * \vector + 4]
  pop dword ptr [idt + 8 * \vector]
.endm

by_interrupt:
  task_vector 0x90
  task_b 1f
  mov ebx, 4
  int 0x90
  jmp 2f
1:
  pushfd
  pop eax
  and eax, FL_NT
  mov [seen_flags], eax
  mov [seen_esp], esp
  iretd
2:
  old_vector 0x90
  check_memory "INT to a task: NT", seen_flags, FL_NT
  check_memory "INT to a task: no error code", seen_esp, TASK_STACK
  task_vector V_GP
  task_b 1f
  mov eax, TSS
3:
  mov fs, eax
  jmp 2f
1:
  mov [seen_esp], esp
  pop dword ptr [seen_ecx]
  add dword ptr [tss + T_EIP], 2                # over MOV FS, EAX
  iretd
2:
  old_vector V_GP
  check_memory "#GP to a task: error code on its stack", seen_esp, TASK_STACK-4
  check_memory "#GP to a task: the error code", seen_ecx, TSS
  # The T flag: #DB in the new task before its first instruction.
  task_b 1f
  mov byte ptr [tss_b + T_TRAP], 1
  arm 2f, 1f
  .byte 0x9a
  .long 0
  .word TSS_B
  jmp 3f
1:
  nop
2:
  fault_result "debug trap on a task switch", V_DB, 0
  mov eax, dr6
  and eax, 0x8000
  check "DR6.BT", eax, 0x8000
  mov esp, TASK_STACK
  pushfd
  or dword ptr [esp], FL_NT                     # which the exception has cleared
  popfd
  iretd
3:
  mov byte ptr [tss_b + T_TRAP], 0
  clts
  ret

# A 286 TSS: 16-bit registers, CR3 and FS and GS are not in it.
sixteen_bits:
  mov word ptr [tss_16 + 14], offset 1f
  mov word ptr [tss_16 + 16], 2
  mov word ptr [tss_16 + 18], 0x1234            # AX
  mov word ptr [tss_16 + 26], 0x9000            # SP
  mov word ptr [tss_16 + 34], USER_DATA
  mov word ptr [tss_16 + 36], CODE32
  mov word ptr [tss_16 + 38], DATA
  mov word ptr [tss_16 + 40], USER_DATA
  mov word ptr [tss_16 + 42], 0
  mov ebx, 5
  .byte 0x9a
  .long 0
  .word TSS_16
  jmp 2f
1:
  movzx eax, ax
  mov [seen_eax], eax
  str eax
  mov [seen_tr], eax
  movzx esp, sp
  iretd
2:
  check_memory "286 task: AX", seen_eax, 0x1234
  check_memory "286 task: TR", seen_tr, TSS_16
  check "286 task: back", ebx, 5
  type_of "286 task: not busy", TSS_16, 0x81
  clts
  ret

refused:
  faults "absent TSS is #NP", V_NP, TSS_ABSENT, .byte 0xea, 0, 0, 0, 0, TSS_ABSENT, 0
  faults "short TSS is #TS", V_TS, TSS_SMALL, .byte 0xea, 0, 0, 0, 0, TSS_SMALL, 0
  mov word ptr [gdt + TASK_GATE + 2], DATA
  faults "task gate to data is #GP", V_GP, DATA, .byte 0xea, 0, 0, 0, 0, TASK_GATE, 0
  mov word ptr [gdt + TASK_GATE + 2], TSS
  faults "task gate to a busy TSS is #GP", V_GP, TSS, .byte 0xea, 0, 0, 0, 0, TASK_GATE, 0
  mov word ptr [gdt + TASK_GATE + 2], TSS_B
  # IRET with NT and a bad link.
  mov word ptr [tss], TSS_B
  pushfd
  or dword ptr [esp], FL_NT
  popfd
  faults "IRET to a task that is not busy is #TS", V_TS, TSS_B, iretd
  mov word ptr [tss], DATA
  pushfd
  or dword ptr [esp], FL_NT
  popfd
  faults "IRET to what is no task is #TS", V_TS, DATA, iretd
  push 2
  popfd
  ret

# Faults of the new task's own state come in the new task.
.macro bad name, field, value, vector, error
  task_b .Lentry\@, tss_bad
  mov dword ptr [tss_bad + \field], \value
  and byte ptr [gdt + TSS_BAD + 5], 0xfd
  and byte ptr [gdt + TSS + 5], 0xfd
  mov eax, TSS
  ltr ax
  arm .Lafter\@, .Lentry\@
  jump_far TSS_BAD, 0
.Lentry\@:
  nop
.Lafter\@:
  mov eax, DATA
  mov ss, eax
  fault_result "\name", \vector, \error
  str eax
  check "\name: in the new task", eax, TSS_BAD
  clts
.endm

.macro bad_by_task name, field, value, error
  task_b .Lhandler\@
  task_b 0, tss_bad
  mov dword ptr [tss_bad + \field], \value
  mov dword ptr [saved_sp], esp
  and byte ptr [gdt + TSS_BAD + 5], 0xfd
  and byte ptr [gdt + TSS_B + 5], 0xfd
  and byte ptr [gdt + TSS + 5], 0xfd
  mov eax, TSS
  ltr ax
  jump_far TSS_BAD, 0
.Lhandler\@:
  pop ebx
  mov esp, [saved_sp]
  push 2
  popfd
  check "\name", ebx, \error
  movzx eax, word ptr [tss_b + T_LINK]
  check "\name: it comes from the new task", eax, TSS_BAD
  clts
.endm

bad_state:
  bad "DS beyond the GDT is #TS", T_DS, GDT_END, V_TS, GDT_END
  bad "FS is a TSS: #TS", T_FS, TSS, V_TS, TSS
  bad "absent FS is #NP", T_FS, ABSENT_DATA, V_NP, ABSENT_DATA

  # Without CS or SS only a task can handle it, as the SDM advises.
  task_vector V_TS
  bad_by_task "null CS is #TS", T_CS, 0, 0
  bad_by_task "CS is data: #TS", T_CS, DATA, DATA
  bad_by_task "null SS is #TS", T_SS, 0, 0
  bad_by_task "SS of level 3 is #TS", T_SS, USER_DATA, USER_DATA&~3
  bad_by_task "LDT is data: #TS", T_LDT, DATA, DATA
  old_vector V_TS
  ret

.data
.balign 16
tss_b: .fill 112, 1, 0
tss_bad: .fill 112, 1, 0
tss_16: .fill 48, 1, 0
saved_sp: .long 0
seen_eax: .long 0
seen_ecx: .long 0
seen_tr: .long 0
seen_fs: .long 0
seen_esp: .long 0
seen_cr0: .long 0
seen_flags: .long 0

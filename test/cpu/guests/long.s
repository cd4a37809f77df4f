# Long mode: gates and stacks, IRETQ, CR8, far transfers, compatibility mode.
# SDM volume 3, "64-Bit Mode Stack Frame".

.include "lib.inc"

.set DATA_BASE, FREE            # data segment with base 0x1234000
.set GATE64, FREE + 8           # 64-bit call gate, 16 bytes
.set NOT_PRESENT, FREE + 24
.set GATE_BAD, FREE + 32        # 64-bit call gate to compatibility code

use16
main:
  enter_long
  call instructions
  call stack_frames
  call interrupt_return
  call task_priority
  call far_transfers
  call compatibility
  finish

# What 64-bit mode does not have, or has otherwise.
instructions:
  .irp code, 0x06, 0x0e, 0x16, 0x1e, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x82, 0x9a, 0xce, 0xd6, 0xea
  faults "no opcode \code", V_UD, 0, .byte \code, 0, 0, 0, 0, 0, 0, 0
  .endr
  mov rbx, -1
  mov ebx, ebx
  check64 "32-bit result clears the upper half", rbx, 0xffffffff
  mov rbx, -1
  mov bx, 1
  check64 "16-bit result keeps the rest", rbx, 0xffffffffffff0001
  mov rbx, -1
  .byte 0x67
  lea rbx, [rbx]
  check64 "32-bit addresses", rbx, 0xffffffff
  mov eax, -1
  movsxd rbx, eax
  check64 "MOVSXD", rbx, 0xffffffffffffffff
  mov rbx, rsp
  push word ptr 0x1234
  sub rbx, rsp
  pop ax
  check "16-bit PUSH", ebx, 2
  mov rbx, rsp
  .byte 0x66, 0x6a, 0x55
  sub rbx, rsp
  pop cx
  check "16-bit PUSH of a byte", ebx, 2
  mov eax, ds
  push rax
  mov eax, 0
  mov ds, eax
  faults "null DS is no hindrance", NONE, 0, mov eax, [SCRATCH]
  pop rax
  mov ds, eax
  movabs rcx, 0x100000001
  faults "JECXZ looks at ECX", NONE, 0, jecxz .Lcounted
  dec rcx
.Lcounted:
  check64 "LOOP uses RCX", rcx, 0x100000000
  ret

# Interrupts push SS:RSP always, on a stack aligned to 16 bytes.
stack_frames:
  mov rbx, rsp
  traps "INT3 at level 0", V_BP, 0, int3
  mov rax, [last_frame_sp]
  sub rax, rbx
  check64 "frame has RSP", rax, 0
  check_memory "frame has SS", last_frame_ss, DATA
  mov rbx, rsp
  sub rsp, 3
  traps "INT3 on an odd stack", V_BP, 0, int3
  mov rsp, rbx
  mov eax, [last_sp]
  and eax, 15
  check "frame is aligned", eax, 0
  user_traps "INT3 at level 3", V_BP, 0, int3
  check_memory "user frame has RSP", last_frame_sp, USER_STACK
  check_memory "user frame has SS", last_frame_ss, USER_DATA
  check_memory "user frame has CS", last_cs, USER_CODE64
  check_memory "frame ends at RSP0", last_sp, TRAP_STACK
  mov byte ptr [idt + 16 * V_BP + 4], 1
  traps "INT3 with IST at level 0", V_BP, 0, int3
  check_memory "frame ends at IST1", last_sp, IST_STACK
  user_traps "INT3 with IST at level 3", V_BP, 0, int3
  check_memory "frame of level 3 ends at IST1", last_sp, IST_STACK
  mov byte ptr [idt + 16 * V_BP + 4], 0

  # Handlers run with a null SS after a change of level.
  mov qword ptr [hook], offset 1f
  arm 2f, 2f
  enter_user 3f
3:
  int SYSTEM_CALL
1:
  mov ebx, ss
  mov ecx, DATA
  mov ss, ecx
  mov rsp, [resume_sp]
2:
  mov qword ptr [hook], 0
  check "SS is null after a change of level", ebx, 0

  mov byte ptr [idt + 16 * V_BP + 5], 0x0e
  faults "gate not present is #NP", V_NP, V_BP*8+2, int3
  mov byte ptr [idt + 16 * V_BP + 5], 0x8e
  user_faults "INT3 through a level 0 gate is #GP", V_GP, V_BP*8+2, int3
  user_faults "INT through a level 0 gate is #GP", V_GP, 0x90*8+2, int 0x90
  user_faults "UD2 does not mind the gate's level", V_UD, 0, ud2
  mov byte ptr [idt + 16 * V_BP + 5], 0x85
  faults "task gate is #GP", V_GP, V_BP*8+2, int3
  mov byte ptr [idt + 16 * V_BP + 5], 0xee
  mov word ptr [idt + 16 * V_BP + 2], CODE32
  faults "gate to 32-bit code is #GP", V_GP, CODE32, int3
  mov word ptr [idt + 16 * V_BP + 2], 0
  faults "gate to null is #GP(0)", V_GP, 0, int3
  mov word ptr [idt + 16 * V_BP + 2], DATA
  faults "gate to data is #GP", V_GP, DATA, int3
  mov word ptr [idt + 16 * V_BP + 2], CODE64
  mov dword ptr [idt + 16 * V_BP + 8], 0x8000
  faults "gate to non-canonical is #GP(0)", V_GP, 0, int3
  mov dword ptr [idt + 16 * V_BP + 8], 0
  mov word ptr [idt_pointer], 16 * 0x90 - 1
  lidt [idt_pointer]
  faults "INT beyond the IDT is #GP", V_GP, 0x90*8+2, int 0x90
  mov word ptr [idt_pointer], 4095
  lidt [idt_pointer]
  ret

# Builds a frame and returns; `at` is where a fault of IRETQ itself is reported.
.macro return_frame ss, rsp, flags, cs, rip
  mov rax, \ss
  push rax
  mov rax, \rsp
  push rax
  mov rax, \flags
  push rax
  mov rax, \cs
  push rax
  mov rax, \rip
  push rax
.endm

interrupt_return:
  mov rbx, rsp
  lea rcx, [rsp - 64]
  return_frame DATA, rcx, 2, CODE64, "offset 1f"
  iretq
1:
  sub rcx, rsp
  mov rsp, rbx
  check64 "IRETQ pops RSP at the same level", rcx, 0
  return_frame 0, rbx, 2, CODE64, "offset 1f"
  iretq
1:
  mov eax, ss
  check "IRETQ takes a null SS at level 0", eax, 0
  mov eax, DATA
  mov ss, eax
  return_frame 3, rbx, 2, CODE64, "offset 1f"
  faults "IRETQ with SS 3 to level 0 is #GP(0)", V_GP, 0, iretq
1:
  mov rsp, rbx
  return_frame 0, rbx, 2, USER_CODE64, "offset 1b"
  faults "IRETQ with null SS to level 3 is #GP(0)", V_GP, 0, iretq
  mov rsp, rbx
  return_frame USER_CODE32, rbx, 2, USER_CODE64, "offset 1b"
  faults "IRETQ with code in SS is #GP", V_GP, USER_CODE32&~3, iretq
  mov rsp, rbx
  return_frame DATA, rbx, 2, DATA, "offset 1b"
  faults "IRETQ to data is #GP", V_GP, DATA, iretq
  mov rsp, rbx
  return_frame DATA, rbx, 2, 0, "offset 1b"
  faults "IRETQ to null CS is #GP(0)", V_GP, 0, iretq
  mov rsp, rbx
  return_frame DATA, rbx, 2, "CODE64 + 3", "offset 1b"
  faults "IRETQ with RPL 3 to DPL 0 is #GP", V_GP, CODE64, iretq
  mov rsp, rbx
  return_frame DATA, rbx, 2, GDT_END, "offset 1b"
  faults "IRETQ beyond the GDT is #GP", V_GP, GDT_END, iretq
  mov rsp, rbx
  movabs rcx, 0x800000000000
  return_frame DATA, rbx, 2, CODE64, rcx
  faults "IRETQ to non-canonical is #GP(0)", V_GP, 0, iretq
  mov rsp, rbx
  return_frame DATA, rbx, 2, CODE64, "offset 1f"
  pushfq
  or dword ptr [rsp], FL_NT
  popfq
  faults "IRETQ with NT is #GP(0)", V_GP, 0, iretq
1:
  pushfq
  and dword ptr [rsp], ~FL_NT
  popfq
  mov rsp, rbx
  return_frame DATA, rbx, "0x3000 + FL_NT + FL_RF + FL_AC + FL_VM", CODE64, "offset 1f"
  iretq
1:
  pushfq
  pop rax
  push 2
  popfq
  check "IRETQ loads flags, without VM and RF", eax, "0x3002+FL_NT+FL_AC"
  return_frame USER_DATA, USER_STACK, "2 + FL_IF", USER_CODE64, "offset 1f"
  arm 2f, 2f
  iretq
1:
  push 2 + FL_NT + FL_IOPL3
  popfq
  pushfq
  pop rdx
  int SYSTEM_CALL
2:
  fault_result "user POPFQ goes through", SYSTEM_CALL, 0
  check "user POPFQ keeps IF and IOPL", edx, "2+FL_IF+FL_NT"
  mov rsp, rbx
  push 2
  popfq
  ret

task_priority:
  mov eax, 5
  mov cr8, rax
  xor ebx, ebx
  mov rbx, cr8
  check "CR8 holds the priority class", ebx, 5
  mov edi, 0xfee00080
  mov ebx, [edi]
  check "TPR is CR8 shifted", ebx, 0x50
  mov dword ptr [edi], 0x37
  mov rbx, cr8
  check "CR8 is TPR shifted", ebx, 3
  mov eax, 0x10
  faults "CR8 of 16 is #GP(0)", V_GP, 0, mov cr8, rax
  user_faults "CR8 at level 3 is #GP(0)", V_GP, 0, mov rax, cr8
  xor eax, eax
  mov cr8, rax
  ret

far_transfers:
  # A 64-bit call gate: two descriptors wide, pushes SS:RSP on a change of level, no parameters.
  gate "gdt + GATE64", CODE64, "offset .Lgate_entry", 0xec
  mov qword ptr [gdt + GATE64 + 8], 0
  arm 2f, 2f
  mov dword ptr [SCRATCH], 0
  mov dword ptr [SCRATCH + 4], GATE64
  enter_user 1f
1:
  call fword ptr [SCRATCH]
3:
  mov esi, 0x777
  int SYSTEM_CALL
.Lgate_entry:
  mov ebx, ss
  mov ecx, cs
  mov rdx, rsp
  mov r8, [rsp]
  mov r9, [rsp + 8]
  mov r10, [rsp + 16]
  mov r11, [rsp + 24]
  rex.w lret
2:
  fault_result "call gate and back", SYSTEM_CALL, 0
  check "RETF came back", esi, 0x777
  check "gate loads a null SS", ebx, 0
  check "gate loads CS", ecx, CODE64
  check64 "gate pushes four quadwords", rdx, TRAP_STACK-32
  check64 "return RIP", r8, "offset 3b"
  check64 "return CS", r9, USER_CODE64
  check64 "return RSP", r10, USER_STACK
  check64 "return SS", r11, USER_DATA
  gate "gdt + GATE_BAD", CODE32, "offset .Lgate_entry", 0xec
  mov qword ptr [gdt + GATE_BAD + 8], 0
  mov dword ptr [SCRATCH + 4], GATE_BAD
  faults "call gate to 32-bit code is #GP", V_GP, CODE32, call fword ptr [SCRATCH]
  mov dword ptr [SCRATCH + 4], TSS
  faults "JMP to a TSS is #GP", V_GP, TSS, jmp fword ptr [SCRATCH]
  mov dword ptr [SCRATCH + 4], USER_CODE64
  faults "CALL to outer code is #GP", V_GP, USER_CODE64&~3, call fword ptr [SCRATCH]
  descriptor NOT_PRESENT, 0, 0xfffff, 0x1b, 0xa
  mov dword ptr [SCRATCH + 4], NOT_PRESENT
  faults "CALL to absent code is #NP", V_NP, NOT_PRESENT, call fword ptr [SCRATCH]
  descriptor NOT_PRESENT, 0, 0xfffff, 0x9b, 0xe
  faults "L and D together are #GP", V_GP, NOT_PRESENT, call fword ptr [SCRATCH]
  mov dword ptr [SCRATCH], offset 1f
  mov dword ptr [SCRATCH + 4], CODE64
  mov rbx, rsp
  call fword ptr [SCRATCH]
1:
  sub rbx, rsp
  add rsp, 8
  check "far CALL pushes two doublewords", ebx, 8
  faults "LTR of a busy TSS is #GP", V_GP, TSS, ltr [ltr_selector]
  mov eax, DATA
  faults "LTR of data is #GP", V_GP, DATA, ltr ax
  faults "LLDT of a TSS is #GP", V_GP, TSS, lldt [ltr_selector]
  mov eax, TSS
  lar ebx, eax
  check "LAR of a busy 64-bit TSS", ebx, 0x8b00
  lsl ebx, eax
  check "LSL of a TSS", ebx, 103
  ret

# 32-bit code under long mode: no 64-bit registers, 32-bit addresses, 4 GiB wrap, 64-bit interrupts.
compatibility:
  mov rbx, rsp
  mov dword ptr [SCRATCH], offset 1f
  mov dword ptr [SCRATCH + 4], CODE32
  jmp fword ptr [SCRATCH]
use32
1:
  mov eax, 0x12345678
  inc eax
  mov ecx, eax
  .byte 0x48                    # DEC EAX, no REX prefix
  mov esi, eax
  mov edx, 0xfffffff0
  mov edi, [edx + SCRATCH + 0x10 + 8]
  mov dword ptr [SCRATCH + 8], 0x0a11a5ed
  mov edi, [edx + SCRATCH + 0x10 + 8]
  pushad
  popad
  jump_far CODE64, 1f
use64
1:
  mov rsp, rbx
  check "compatibility mode has no REX", esi, 0x12345678
  check "addresses wrap at 4 GiB", edi, 0x0a11a5ed
  mov dword ptr [SCRATCH], offset 1f
  mov dword ptr [SCRATCH + 4], CODE32
  arm 2f, 3f
  jmp fword ptr [SCRATCH]
use32
1:
3:
  ud2
use64
2:
  fault_result "fault in compatibility mode", V_UD, 0
  check_memory "its CS", last_cs, CODE32
  mov rsp, rbx
  arm 2f, 3f
  jmp fword ptr [SCRATCH + 16]
use32
1:
  nop
3:
use64
2:
  mov dword ptr [resume], offset unexpected64
  mov rsp, rbx
  # Segment limits count in compatibility mode.
  descriptor DATA_BASE, 0, 0xfff, 0x93, 4
  mov dword ptr [SCRATCH], offset 1f
  arm 2f, 3f
  jmp fword ptr [SCRATCH]
use32
1:
  mov eax, DATA_BASE
  mov fs, eax
  mov eax, fs:[0xffc]
3:
  mov eax, fs:[0xffd]
use64
2:
  fault_result "limit in compatibility mode is #GP(0)", V_GP, 0
  mov rsp, rbx
  mov eax, fs:[0xffd]
  check "no limit in 64-bit mode", eax, eax
  ret

.data
ltr_selector: .word TSS

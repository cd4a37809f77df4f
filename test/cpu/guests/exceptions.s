# Exceptions in 64-bit mode: what raises each vector, priorities, double fault, instruction length, #AC, and
# the FPU and SSE ones. SDM volume 3, "Exception and Interrupt Reference".

.include "lib.inc"

use16
main:
  enter_long
  call arithmetic
  call invalid_opcodes
  call length
  call alignment
  call device_not_available
  call floating_point
  call simd
  call flags_of_frames
  call double_fault
  call privileged
  finish

arithmetic:
  xor ebx, ebx
  faults "DIV by zero", V_DE, 0, div ebx
  mov edx, 1
  mov ebx, 1
  faults "DIV overflow", V_DE, 0, div ebx
  check "DIV kept EDX", edx, 1
  movabs rax, 0x8000000000000000
  mov rdx, -1
  mov rbx, -1
  faults "IDIV of the most negative number", V_DE, 0, idiv rbx
  mov eax, 0xff80
  mov bl, 0xff
  faults "IDIV of a byte overflows", V_DE, 0, idiv bl
  xor ebx, ebx
  user_faults "DIV by zero at level 3", V_DE, 0, div ebx
  traps "INT3", V_BP, 0, int3
  traps "INT 3 in two bytes", V_BP, 0, .byte 0xcd, 3
  traps "INT 6 is no #UD", V_UD, 0, int 6
  traps "INT 13 pushes no error code", SYSTEM_CALL, 0, int SYSTEM_CALL
  traps "INT1", V_DB, 0, .byte 0xf1
  user_traps "INT1 at level 3 ignores the gate's level", V_DB, 0, .byte 0xf1
  ret

invalid_opcodes:
  mov edi, SCRATCH
  faults "UD2", V_UD, 0, ud2
  faults "UD1", V_UD, 0, .byte 0x0f, 0xb9, 0xc0
  faults "UD0", V_UD, 0, .byte 0x0f, 0xff, 0xc0
  faults "LOCK MOV", V_UD, 0, .byte 0xf0, 0x89, 0x07
  faults "LOCK ADD of a register", V_UD, 0, .byte 0xf0, 0x01, 0xc0
  faults "LOCK CMP", V_UD, 0, .byte 0xf0, 0x39, 0x07
  faults "LOCK NOP", V_UD, 0, .byte 0xf0, 0x90
  faults "LOCK ADD of memory", NONE, 0, .byte 0xf0, 0x01, 0x07
  faults "MOV to CS", V_UD, 0, .byte 0x8e, 0xc8
  faults "MOV to segment register 6", V_UD, 0, .byte 0x8e, 0xf0
  faults "LEA of a register", V_UD, 0, .byte 0x8d, 0xc0
  faults "CMPXCHG8B of a register", V_UD, 0, .byte 0x0f, 0xc7, 0xc8
  faults "group 4 /2", V_UD, 0, .byte 0xfe, 0xd0
  faults "group 5 /7", V_UD, 0, .byte 0xff, 0xf8
  faults "group 11 /1", V_UD, 0, .byte 0xc6, 0xc8, 0
  push rax
  mov rbx, rsp
  faults "POP /1", V_UD, 0, .byte 0x8f, 0xc8
  lea rsp, [rbx + 8]
  faults "far JMP of a register", V_UD, 0, .byte 0xff, 0xe8
  faults "MOV to CR1", V_UD, 0, .byte 0x0f, 0x22, 0xc8
  faults "MOV to CR5", V_UD, 0, .byte 0x0f, 0x22, 0xe8
  faults "BSWAP with LOCK", V_UD, 0, .byte 0xf0, 0x0f, 0xc8
  faults "SSE without OSFXSR", V_UD, 0, addps xmm0, xmm0
  faults "XGETBV without OSXSAVE", V_UD, 0, xgetbv
  faults "XSAVE without OSXSAVE", V_UD, 0, xsave [rdi]
  faults "VADDPS without OSXSAVE", V_UD, 0, vaddps xmm0, xmm0, xmm0
  user_faults "UD2 at level 3", V_UD, 0, ud2
  ret

# SDM volume 2, "Instruction Format": 15 bytes at most, else #GP(0).
length:
  faults "15 bytes", NONE, 0, .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
  faults "16 bytes", V_GP, 0, .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
  faults "15 bytes with an immediate", NONE, 0, .byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x48, 0xb8, 1, 0, 0, 0, 0, 0, 0, 0
  faults "16 bytes with an immediate", V_GP, 0, .byte 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x48, 0xb8, 1, 0, 0, 0, 0, 0, 0, 0
  # 15 prefixes up to the end of what is mapped: the length comes before the page fault.
  mov edi, PML4 + 0x2000 + 8 * 8                # 0x1000000
  mov qword ptr [rdi], 0
  mov rax, cr3
  mov cr3, rax
  mov edi, 0x1000000 - 16
  mov al, 0x66
  mov ecx, 16
  cld
  rep stosb
  mov ebx, 0x1000000 - 14
  arm 1f, 0x1000000-14
  jmp rbx
1:
  fault_result "fetch runs off the page", V_PF, 0x10
  check_memory "CR2 is the next page", last_cr2, 0x1000000
  mov ebx, 0x1000000 - 15
  arm 1f, 0x1000000-15
  jmp rbx
1:
  fault_result "15 prefixes before the page's end", V_GP, 0
  mov edi, PML4 + 0x2000 + 8 * 8
  mov qword ptr [rdi], 0x1000087
  ret

alignment:
  mov edi, SCRATCH + 1
  user_faults "unaligned without AM", SYSTEM_CALL, 0, mov eax, [rdi]
  set_bits cr0, CR0_AM
  user_faults "unaligned without AC", SYSTEM_CALL, 0, mov eax, [rdi]
  pushfq
  or dword ptr [rsp], FL_AC
  popfq
  faults "unaligned at level 0", NONE, 0, mov eax, [rdi]
  user_faults "unaligned load is #AC(0)", V_AC, 0, mov eax, [rdi]
  user_faults "unaligned store is #AC(0)", V_AC, 0, mov [rdi], eax
  user_faults "unaligned word is #AC(0)", V_AC, 0, mov ax, [rdi]
  user_faults "byte is not", SYSTEM_CALL, 0, mov al, [rdi]
  user_faults "unaligned ADD is #AC(0)", V_AC, 0, add dword ptr [rdi], 1
  inc edi
  user_faults "aligned word is not", SYSTEM_CALL, 0, mov ax, [rdi]
  user_faults "unaligned quadword is #AC(0)", V_AC, 0, mov rax, [rdi]
  inc edi
  inc edi
  user_faults "doubleword at 4 is not", SYSTEM_CALL, 0, mov eax, [rdi]
  user_faults "quadword at 4 is #AC(0)", V_AC, 0, mov rax, [rdi]
  movabs rdi, 0x400000000 - 2
  user_faults "#AC comes before #PF", V_AC, 0, mov eax, [rdi]
  push 2
  popfq
  clear_bits cr0, CR0_AM
  ret

device_not_available:
  set_bits cr4, CR4_OSFXSR
  set_bits cr0, CR0_TS
  faults "x87 with TS", V_NM, 0, fld1
  faults "SSE with TS", V_NM, 0, addps xmm0, xmm0
  faults "MMX with TS", V_NM, 0, paddb mm0, mm0
  faults "FXSAVE with TS", V_NM, 0, fxsave [SCRATCH]
  clear_bits cr0, CR0_MP
  faults "WAIT with TS", NONE, 0, .byte 0x9b
  set_bits cr0, CR0_MP
  faults "WAIT with TS and MP", V_NM, 0, .byte 0x9b
  faults "UD2 comes before #NM", V_UD, 0, ud2
  clts
  set_bits cr0, CR0_EM
  faults "x87 with EM", V_NM, 0, fld1
  faults "SSE with EM", V_UD, 0, addps xmm0, xmm0
  faults "MMX with EM", V_UD, 0, paddb mm0, mm0
  clear_bits cr0, CR0_EM
  faults "x87", NONE, 0, fninit
  ret

# x87 exceptions come with the next waiting instruction. SDM volume 1, "Handling x87 FPU Exceptions in Software".
floating_point:
  set_bits cr0, CR0_NE
  fninit
  mov word ptr [SCRATCH], 0x37b                 # ZM clear
  fldcw [SCRATCH]
  fld1
  fldz
  faults "FDIV by zero itself is silent", NONE, 0, fdivp st(1), st
  faults "FNSTSW does not wait", NONE, 0, fnstsw ax
  and eax, 0x8084
  check "ES, B and ZE are set", eax, 0x8084
  faults "WAIT is #MF", V_MF, 0, .byte 0x9b
  faults "FLD1 is #MF", V_MF, 0, fld1
  faults "FNSTCW does not wait", NONE, 0, fnstcw [SCRATCH]
  faults "MMX is #MF", V_MF, 0, paddb mm0, mm0
  faults "FNCLEX does not wait", NONE, 0, fnclex
  faults "then nothing is left", NONE, 0, .byte 0x9b
  fninit
  ret

simd:
  mov dword ptr [SCRATCH], 0x1f80 - 0x200       # ZM clear
  set_bits cr4, CR4_OSXMMEXCPT
  ldmxcsr [SCRATCH]
  mov eax, 0x3f800000
  movd xmm0, eax
  xorps xmm1, xmm1
  faults "DIVSS by zero is #XM", V_XM, 0, divss xmm0, xmm1
  stmxcsr [SCRATCH + 4]
  check_memory "MXCSR has ZE", "SCRATCH+4", 0x1d84
  movd eax, xmm0
  check "the destination is kept", eax, 0x3f800000
  clear_bits cr4, CR4_OSXMMEXCPT
  ldmxcsr [SCRATCH]
  faults "DIVSS by zero without OSXMMEXCPT is #UD", V_UD, 0, divss xmm0, xmm1
  set_bits cr4, CR4_OSXMMEXCPT
  mov dword ptr [SCRATCH], 0x10000
  faults "LDMXCSR of a reserved bit is #GP(0)", V_GP, 0, ldmxcsr [SCRATCH]
  mov dword ptr [SCRATCH], 0x1f80
  ldmxcsr [SCRATCH]
  mov edi, SCRATCH + 8
  faults "MOVAPS unaligned is #GP(0)", V_GP, 0, movaps xmm0, [rdi]
  faults "ADDPS unaligned is #GP(0)", V_GP, 0, addps xmm0, [rdi]
  faults "MOVUPS unaligned", NONE, 0, movups xmm0, [rdi]
  faults "MOVNTDQ unaligned is #GP(0)", V_GP, 0, movntdq [rdi], xmm0
  faults "FXSAVE unaligned is #GP(0)", V_GP, 0, fxsave [rdi]
  faults "CMPXCHG16B unaligned is #GP(0)", V_GP, 0, cmpxchg16b [rdi]
  ret

# SDM volume 3, "Restarting of Programs or Tasks": faults save RF set, traps save it clear.
flags_of_frames:
  faults "fault", V_UD, 0, ud2
  mov eax, [last_flags]
  and eax, FL_RF
  check "a fault saves RF set", eax, FL_RF
  traps "trap", V_BP, 0, int3
  mov eax, [last_flags]
  and eax, FL_RF
  check "a software interrupt saves RF clear", eax, 0
  mov edi, SCRATCH
  mov ecx, 4
  pushfq
  or dword ptr [rsp], FL_NT
  popfq
  mov qword ptr [hook], offset 1f
  arm 2f, 2f
  ud2
1:
  pushfq
  pop rbx
  mov rsp, [resume_sp]
2:
  mov qword ptr [hook], 0
  and ebx, FL_NT+FL_RF+FL_TF+FL_IF
  check "the handler runs with NT, RF, TF and IF clear", ebx, 0
  ret

# SDM volume 3, table "Conditions for Generating a Double Fault".
double_fault:
  mov rbx, rsp
  mov byte ptr [idt + 16 * V_DF + 4], 1
  mov ebp, 16
  mov byte ptr [idt + 16 * V_GP + 5], 0
  faults "#GP whose gate is absent is #DF", V_DF, 0, mov cr8, rbp
  mov byte ptr [idt + 16 * V_GP + 5], 0x8e
  mov byte ptr [idt + 16 * V_DE + 5], 0
  xor ecx, ecx
  faults "#DE whose gate is absent is #DF", V_DF, 0, div ecx
  mov byte ptr [idt + 16 * V_DE + 5], 0x8e
  mov byte ptr [idt + 16 * V_UD + 5], 0x0e
  faults "#UD whose gate is absent is #NP", V_NP, V_UD*8+3, ud2
  mov byte ptr [idt + 16 * V_UD + 5], 0x8e
  movabs rdi, 0x400000000
  mov byte ptr [idt + 16 * V_PF + 5], 0x0e
  faults "#PF whose gate is absent is #DF", V_DF, 0, mov eax, [rdi]
  mov rax, [last_cr2]
  check64 "CR2 of the #PF", rax, 0x400000000
  mov byte ptr [idt + 16 * V_PF + 5], 0x8e
  mov byte ptr [idt + 16 * V_BP + 5], 0x6e
  faults "INT3 whose gate is absent is #NP", V_NP, V_BP*8+2, int3
  mov byte ptr [idt + 16 * V_BP + 5], 0xee

  # A stack that is not mapped: #UD cannot be pushed, which is #PF, and that cannot be pushed either.
  arm 1f, 2f
  movabs rsp, 0x400001000
2:
  ud2
1:
  fault_result "#UD without a stack is #DF", V_DF, 0
  mov byte ptr [idt + 16 * V_PF + 4], 1
  arm 1f, 2f
  movabs rsp, 0x400001000
2:
  ud2
1:
  fault_result "#UD without a stack, #PF with one, is #PF", V_PF, 2
  mov byte ptr [idt + 16 * V_PF + 4], 0
  mov byte ptr [idt + 16 * V_DF + 4], 0
  mov rsp, rbx
  ret

# Level 0 only: #GP(0) at level 3.
privileged:
  .irp code, clts, invd, wbinvd, hlt, rdmsr, wrmsr, cli, sti
  user_faults "user \code", V_GP, 0, \code
  .endr
  user_faults "user MOV CR0", V_GP, 0, mov rax, cr0
  user_faults "user MOV to CR3", V_GP, 0, mov cr3, rax
  user_faults "user MOV DR7", V_GP, 0, mov rax, dr7
  user_faults "user INVLPG", V_GP, 0, invlpg [rdi]
  user_faults "user LGDT", V_GP, 0, lgdt [gdt_pointer]
  user_faults "user LIDT", V_GP, 0, lidt [idt_pointer]
  user_faults "user LLDT", V_GP, 0, lldt ax
  user_faults "user LTR", V_GP, 0, ltr ax
  user_faults "user LMSW", V_GP, 0, lmsw ax
  user_faults "user IN", V_GP, 0, in al, 0x80
  user_faults "user OUT", V_GP, 0, out 0x80, al
  user_faults "user OUTSB", V_GP, 0, outsb
  user_faults "user SGDT", SYSTEM_CALL, 0, sgdt [SCRATCH]
  user_faults "user SMSW", SYSTEM_CALL, 0, smsw eax
  user_faults "user STR", SYSTEM_CALL, 0, str eax
  user_faults "user SLDT", SYSTEM_CALL, 0, sldt eax
  set_bits cr4, CR4_UMIP
  user_faults "user SGDT with UMIP", V_GP, 0, sgdt [SCRATCH]
  user_faults "user SIDT with UMIP", V_GP, 0, sidt [SCRATCH]
  user_faults "user SMSW with UMIP", V_GP, 0, smsw eax
  user_faults "user STR with UMIP", V_GP, 0, str eax
  user_faults "user SLDT with UMIP", V_GP, 0, sldt eax
  faults "SMSW at level 0 with UMIP", NONE, 0, smsw eax
  clear_bits cr4, CR4_UMIP
  user_faults "user RDTSC", SYSTEM_CALL, 0, rdtsc
  set_bits cr4, CR4_TSD
  user_faults "user RDTSC with TSD", V_GP, 0, rdtsc
  user_faults "user RDTSCP with TSD", V_GP, 0, rdtscp
  faults "RDTSC at level 0 with TSD", NONE, 0, rdtsc
  clear_bits cr4, CR4_TSD
  user_faults "user RDPMC", V_GP, 0, rdpmc

  # The I/O permission bitmap: a port is allowed when its bits are clear, and two bytes are always read.
  mov word ptr [tss + 0x66], 104
  mov byte ptr [tss + 104 + 0x10], 0xfc         # ports 0x80 and 0x81
  mov byte ptr [tss + 104 + 0x11], 0xff
  mov word ptr [gdt + TSS], 104 + 0x11
  mov byte ptr [gdt + TSS + 5], 0x89
  mov eax, TSS
  ltr ax
  user_faults "user IN of an allowed port", SYSTEM_CALL, 0, in al, 0x80
  user_faults "user IN of two allowed ports", SYSTEM_CALL, 0, in ax, 0x80
  user_faults "user IN of one allowed and one not", V_GP, 0, in ax, 0x81
  user_faults "user IN of a forbidden port", V_GP, 0, in al, 0x82
  user_faults "user IN beyond the limit", V_GP, 0, in al, 0x88
  pushfq
  or dword ptr [rsp], FL_IOPL3
  popfq
  user_faults "user IN with IOPL 3", SYSTEM_CALL, 0, in al, 0x88
  user_faults "user CLI with IOPL 3", SYSTEM_CALL, 0, cli
  push 2
  popfq
  ret

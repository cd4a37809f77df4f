# The trap flag across everything that is more than an instruction: system calls, returns, interrupts, exceptions,
# far transfers, REP, ports; branch steps; the trap of MOV SS; RF. 64-bit mode.
# SDM volume 3, "Single-Step Exception Condition", "Masking Exceptions and Interrupts When Switching Stacks", "RF flag".

.include "lib.inc"
.include "debugging.inc"
.include "apic.inc"

.set IA32_STAR, 0xc0000081
.set IA32_LSTAR, 0xc0000082
.set IA32_FMASK, 0xc0000084
.set IA32_SYSENTER_CS, 0x174
.set IA32_SYSENTER_ESP, 0x175
.set IA32_SYSENTER_EIP, 0x176
.set IA32_DEBUGCTL, 0x1d9
.set BTF, 2
.set GATE64, FREE               # 64-bit call gate, 16 bytes
.set PT, 0x110000
.set WINDOW, 0x40000000         # mapped when its fault is handled

use16
main:
  enter_long
  write_msr IA32_STAR, 0,((USER_CODE32<<16)|CODE64)
  write_msr IA32_SYSENTER_CS, CODE64
  write_msr IA32_SYSENTER_ESP, STACK-0x1000
  call system_calls
  call returns
  call software_interrupts
  call one_step_each
  call repeats
  call far_transfers
  call faults_repaired
  call branch_steps
  call stack_switches
  call resume_flag
  call interrupted_repeat
  finish

.macro set_trap_flag
  pushfq
  or dword ptr [rsp], FL_TF
  popfq
.endm

# IRET to level 3 with TF set: the first instruction there is the first to be traced.
.macro enter_user_stepping target
  push USER_DATA
  push USER_STACK
  push 2 + FL_TF
  push USER_CODE64
  push offset \target
  iretq
.endm

# Checks a flag of the latest frame.
.macro saved_flag name, flag, want
  mov eax, [last_flags]
  and eax, \flag
  check "\name", eax, \want
.endm

# SYSCALL and SYSRET trap by the TF that they leave, not by the one that they find, so that a kernel is not
# stepped into and a step over a call ends behind it. SYSENTER and SYSEXIT leave TF alone.
system_calls:
  write_msr IA32_FMASK, FL_TF
  write_msr IA32_LSTAR, "offset 2f"
  arm 3f, 2f
  enter_user_stepping 1f
1:
  syscall
2:
  mov rsp, [resume_sp]
3:
  fault_result "SYSCALL that masks TF does not trap", NONE, 0
  and r11d, FL_TF
  check "R11 has TF", r11d, FL_TF
  write_msr IA32_FMASK, 0
  write_msr IA32_LSTAR, "offset 2f"
  arm 3f, 2f
  enter_user_stepping 1f
1:
  syscall
2:
  ud2
3:
  fault_result "SYSCALL that does not mask TF traps at its target", V_DB, 0
  check_memory "that trap is at level 0", last_cs, CODE64
  arm 3f, 1f
  mov ecx, offset 1f
  mov r11d, 2 + FL_TF
  sysretq
1:
  ud2
3:
  fault_result "SYSRET that sets TF traps at once", V_DB, 0
  check_memory "that trap is at level 3", last_cs, USER_CODE64
  arm 3f, 3f
  mov ecx, offset 1f
  mov r11d, 2
  set_trap_flag
  sysretq
1:
  int SYSTEM_CALL
3:
  fault_result "SYSRET that clears TF does not trap", SYSTEM_CALL, 0
  write_msr IA32_SYSENTER_EIP, "offset 2f"
  arm 3f, 2f
  enter_user_stepping 1f
1:
  sysenter
2:
  ud2
3:
  fault_result "SYSENTER traps at its target", V_DB, 0
  saved_flag "SYSENTER keeps TF", FL_TF, FL_TF
  arm 3f, 1f
  mov ecx, USER_STACK
  mov edx, offset 1f
  set_trap_flag
  .byte 0x48, 0x0f, 0x35                        # SYSEXIT with REX.W
1:
  ud2
3:
  fault_result "SYSEXIT traps at its target", V_DB, 0
  check_memory "SYSEXIT has left level 0", last_cs, USER_CODE64
  ret

# Pushes a frame for IRETQ to `target`.
.macro same_level_frame flags, target
  mov rax, rsp
  push DATA
  push rax
  push \flags
  push CODE64
  push offset \target
.endm

returns:
  arm 3f, 2f
  same_level_frame 2+FL_TF, 1f
  iretq
1:
  nop
2:
  ud2
3:
  fault_result "IRET that sets TF traps after the next instruction", V_DB, 0
  arm 3f, 1f
  same_level_frame 2, 1f
  set_trap_flag
  iretq
1:
  ud2
3:
  fault_result "IRET that clears TF traps itself", V_DB, 0
  saved_flag "its frame has TF clear", FL_TF, 0
  arm 3f, 2f
  push 2 + FL_TF
  popfq
  nop
2:
  ud2
3:
  fault_result "POPF that sets TF does not trap itself", V_DB, 0
  ret

# One exception each, with TF in its frame.
.macro steps_into name, vector, code:vararg
  mov r12d, [last_count]
  xor eax, eax
  mov dr6, rax
  arm 3f, 2f
  set_trap_flag
  \code
2:
3:
  fault_result "\name", \vector, 0
  saved_flag "\name: TF is saved", FL_TF, FL_TF
  sub r12d, [last_count]
  check "\name: nothing more", r12d, -1
  check_dr6 "\name: DR6 is left alone", 0
.endm

software_interrupts:
  steps_into "INT n", SYSTEM_CALL, int SYSTEM_CALL
  steps_into "INT3", V_BP, int3
  steps_into "INT1", V_DB, .byte 0xf1
  ret

# Instructions that a trap might come to twice or never.
one_step_each:
  .macro one_step name, code:vararg
  trace \code
  check_steps "\name traps once", 1
  .endm
  one_step "OUT", out 0x80, al
  one_step "IN", in al, 0x80
  mov edi, 0xfec00000
  one_step "load from the I/O APIC", mov eax, [rdi]
  one_step "store to the I/O APIC", mov [rdi], eax
  mov edi, APIC
  one_step "load from the local APIC", mov eax, [rdi+ID]
  one_step "STI", sti
  cli
  one_step "CPUID", cpuid
  one_step "HLT", hlt
  mov ecx, 0xc0000103
  xor edx, edx
  one_step "WRMSR", wrmsr
  ret

repeats:
  cld
  .macro repeats name, count, steps, code:vararg
  mov esi, offset .Lsame
  mov edi, offset .Lother
  mov ecx, \count
  mov eax, 'd'
  trace \code
  check_steps "\name", \steps
  .endm
  repeats "REP LODSB", 4, 4, rep lodsb
  repeats "REPE CMPSB stops at a difference", 4, 3, repe cmpsb
  repeats "REPNE SCASB stops at a match", 8, 4, repne scasb
  repeats "REP CMPSB of nothing", 0, 1, repe cmpsb
  mov edx, 0x80
  repeats "REP OUTSB", 3, 3, rep outsb
  repeats "REP INSB", 3, 3, rep insb
  repeats "REP INSB of nothing", 0, 1, rep insb
  repeats "REP MOVSQ", 3, 3, rep movsq
  mov edi, SCRATCH
  ret

far_transfers:
  gate "gdt + GATE64", CODE64, "offset 1f", 0x8c
  mov qword ptr [gdt + GATE64 + 8], 0
  mov dword ptr [SCRATCH + 4], GATE64
  trace call fword ptr [SCRATCH]
  check_steps "call gate and RETF", 2
  check_memory "the first trap is behind the gate", TRACE, "offset 1f"
  mov dword ptr [SCRATCH], offset 2f
  mov dword ptr [SCRATCH + 4], CODE64
  .macro jump_over
  jmp fword ptr [SCRATCH]
  ud2
2:
  nop
  .endm
  trace jump_over
  check_steps "far JMP", 2
  mov ebx, ss
  mov dword ptr [SCRATCH + 8], ebx
  mov dword ptr [SCRATCH + 4], 7
  trace lss eax, [SCRATCH+4]
  check_steps "LSS has no shadow", 1
  check "LSS loads the offset", eax, 7
  ret
1:
  rex.w lret

# A #PF is handled in the middle of a traced instruction: RF in its frame, and one trap at the end.
faults_repaired:
  mov dword ptr [PML4 + 0x3000], PT + 7
  mov dword ptr [PT], 0
  mov rax, cr3
  mov cr3, rax
  mov edi, WINDOW
  mov dword ptr [trace_count], 0
  mov qword ptr [hook], offset .Lrepair
  set_trap_flag
1:
  mov [rdi], eax
2:
  nop
  mov qword ptr [hook], 0
  check_steps "a repaired #PF and one trap", 2
  check_memory "the #PF was at the instruction", TRACE, "offset 1b"
  check_memory "the trap was behind it", TRACE+8, "offset 2b"
  ret
.Lrepair:
  cmp dword ptr [rsp], V_PF
  mov qword ptr [stop_at], offset 2b
  jne step
  mov dword ptr [PT], 0x300007
  add rsp, 16
  push rax
  mov rax, [rsp + 8]
  mov [TRACE], rax
  mov dword ptr [trace_count], 1
  pop rax
  iretq

# IA32_DEBUGCTL.BTF: traps after taken branches only; each #DB clears it.
branch_steps:
  xor eax, eax
  mov dr6, rax
  write_msr IA32_DEBUGCTL, BTF
  mov dword ptr [trace_count], 0
  mov qword ptr [stop_at], offset 3f
  mov qword ptr [hook], offset step
  mov edi, SCRATCH
  mov ecx, 3
  set_trap_flag
  rep stosb
  test ecx, ecx
  jnz 1f
  jz 1f
  nop
1:
  nop
2:
  nop
3:
  nop
  mov qword ptr [hook], 0
  check_memory "BTF: the first trap is behind the taken branch", TRACE, "offset 1b"
  check_memory "then every instruction traps again", TRACE+8, "offset 2b"
  check_steps "BTF: three traps", 3
  check_dr6 "BTF: DR6.BS", BS
  mov ecx, IA32_DEBUGCTL
  rdmsr
  check "#DB clears BTF", eax, 0
  .macro call_and_return
  nop
  nop
  call .Lfunction
  .endm
  write_msr IA32_DEBUGCTL, BTF
  trace call_and_return
  check_steps "BTF: CALL is a branch", 2
  write_msr IA32_DEBUGCTL, 0
.Lfunction:
  ret

# MOV SS: what its own operand met waits for the end of the next instruction.
stack_switches:
  mov dword ptr [SCRATCH], DATA
  mov edi, SCRATCH
  breakpoint SCRATCH, 3, 1
  arm 3f, 2f
  mov ss, [rdi]
  nop
2:
  nop
3:
  no_breakpoints
  fault_result "data breakpoint of MOV SS comes one later", V_DB, 0
  check_dr6 "it is not forgotten", 1
  breakpoint SCRATCH, 3, 1
  arm 3f, "stubs64+16*V_BP"
  mov ss, [rdi]
  int3
3:
  no_breakpoints
  fault_result "or at the handler, where that is INT3", V_DB, 0
  check_dr6 "it has its cause", 1
  breakpoint SCRATCH, 3, 1
  mov r12d, [last_count]
  arm 3f, 2f
  mov ss, [rdi]
2:
  ud2
3:
  no_breakpoints
  check_memory "or at the handler of a fault", last_vector, V_DB
  check_memory "that is where it is", last_ip, "offset stubs64+16*V_UD"
  mov dword ptr [resume], offset unexpected64
  ret

resume_flag:
  breakpoint "offset 1f", 0, 0
  arm 3f, 1f
  pushfq
  or dword ptr [rsp], FL_RF
  popfq
1:
  nop
3:
  no_breakpoints
  fault_result "POPF does not load RF", V_DB, 0
  saved_flag "an instruction breakpoint saves RF clear", FL_RF, 0
  mov eax, 0x2400
  mov dr7, rax
  faults "MOV DR with GD", V_DB, 0, mov rax, dr0
  saved_flag "general detect is a fault and saves RF set", FL_RF, FL_RF
  no_breakpoints
  # IRET loads it for one instruction.
  breakpoint "offset 1f", 0, 0
  mov ecx, 2
  arm 3f, 1f
  same_level_frame 2+FL_RF, 1f
  iretq
1:
  dec ecx
  jnz 1b
3:
  no_breakpoints
  fault_result "IRET with RF passes once", V_DB, 0
  check "one pass", ecx, 1
  ret

# An interrupt between two iterations saves RF set and RIP at the instruction; one behind the last does not.
interrupted_repeat:
  apic SVR, 0x1ff
  apic DIVIDE, 0xb
  apic LVT_TIMER, 0x50
  mov qword ptr [hook], offset .Linterrupt
  mov dword ptr [trace_count], 0
  mov edi, SCRATCH
  mov ecx, 0x100000
  cld
  apic INITIAL, 20
  sti
1:
  rep stosb
  self_ipi 0x51
  nop
2:
  cli
  mov qword ptr [hook], 0
  mov eax, [TRACE]
  check "the interrupt came within REP STOSB", eax, "offset 1b"
  mov eax, [TRACE+8]
  and eax, FL_RF
  check "it saves RF set", eax, FL_RF
  mov eax, [TRACE+24]
  and eax, FL_RF
  check "one behind it saves RF clear", eax, 0
  check_steps "two interrupts", 2
  check "all was stored", edi, SCRATCH+0x100000
  ret
.Linterrupt:
  add rsp, 16
  push rax
  push rbx
  push rcx
  mov ecx, [trace_count]
  shl ecx, 4
  mov rax, [rsp + 24]
  mov [TRACE + rcx], rax
  mov rax, [rsp + 40]
  mov [TRACE + rcx + 8], rax
  inc dword ptr [trace_count]
  apic EOI, 0
  pop rcx
  pop rbx
  pop rax
  iretq

.data
.Lsame: .ascii "abcxabcdabcdabcdabcdabcd"
.Lother: .ascii "abydefghabcdefghabcdefgh"

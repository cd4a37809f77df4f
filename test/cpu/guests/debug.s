# Debug exceptions: single steps, breakpoints, RF, the MOV SS shadow, DR6, DR7.GD. 64-bit mode.
# SDM volume 3, "Debug Exceptions", "Debug Registers".

.include "lib.inc"
.include "debugging.inc"

use16
main:
  enter_long
  call registers
  call single_step
  call shadows
  call execute_breakpoints
  call data_breakpoints
  call general_detect
  finish

registers:
  mov rax, dr6
  check "DR6 after reset", eax, 0xffff0ff0
  mov rax, dr7
  check "DR7 after reset", eax, 0x400
  mov eax, 0x12345678
  mov dr0, rax
  mov rbx, dr0
  check "DR0", ebx, 0x12345678
  xor eax, eax
  mov dr6, rax
  mov rax, dr6
  check "DR6 fixed bits", eax, 0xffff0ff0
  mov rax, 1
  shl rax, 32
  faults "DR7 above 32 bits is #GP(0)", V_GP, 0, mov dr7, rax
  faults "DR6 above 32 bits is #GP(0)", V_GP, 0, mov dr6, rax
  faults "DR0 above 32 bits", NONE, 0, mov dr0, rax
  mov rax, dr4
  check "DR4 is DR6 without DE", eax, 0xffff0ff0
  set_bits cr4, CR4_DE
  faults "DR4 with DE is #UD", V_UD, 0, mov rax, dr4
  faults "DR5 with DE is #UD", V_UD, 0, mov rax, dr5
  clear_bits cr4, CR4_DE
  xor eax, eax
  mov dr0, rax
  ret

single_step:
  trace nop
  check_steps "one NOP", 1
  mov rax, dr6
  and eax, BS+15
  check "DR6.BS", eax, BS
  mov edi, SCRATCH
  mov ecx, 3
  cld
  trace rep stosb
  check_steps "REP STOSB traps after each iteration", 3
  mov ecx, 0
  trace rep stosb
  check_steps "REP STOSB of nothing traps once", 1
  xor ecx, ecx
  # INT clears TF for its handler, and the frame keeps it.
  mov qword ptr [hook], offset 1f
  mov dword ptr [trace_count], 0
  pushfq
  or dword ptr [rsp], FL_TF
  popfq
  int SYSTEM_CALL
1:
  mov rbx, [rsp + 16 + 16]
  pushfq
  pop rcx
  mov rsp, [rsp + 40]
  mov qword ptr [hook], 0
  and ebx, FL_TF
  check "INT saves TF", ebx, FL_TF
  and ecx, FL_TF
  check "INT clears TF", ecx, 0
  check_memory "INT itself does not trap", last_vector, SYSTEM_CALL
  # A fault has no trap on top of it.
  arm 1f, 2f
  pushfq
  or dword ptr [rsp], FL_TF
  popfq
2:
  ud2
1:
  fault_result "UD2 with TF is #UD", V_UD, 0
  mov eax, [last_flags]
  and eax, FL_TF
  check "the frame of #UD has TF", eax, FL_TF
  # POPF that sets TF does not trap itself, the one that clears it does.
  push 2
  trace popfq
  check_steps "POPF that clears TF traps", 1
  ret

# After MOV SS nothing comes in between, not even the trap; STI has no effect on it.
shadows:
  mov ebx, ss
  mov dword ptr [trace_count], 0
  mov qword ptr [stop_at], offset 2f
  mov qword ptr [hook], offset step
  pushfq
  or dword ptr [rsp], FL_TF
  popfq
  mov ss, ebx
1:
  nop
2:
  nop
  mov qword ptr [hook], 0
  check_steps "MOV SS has no trap", 1
  check_memory "the trap comes after the next instruction", TRACE, "offset 2b"
  mov ax, ds
  mov dword ptr [trace_count], 0
  mov qword ptr [stop_at], offset 2f
  mov qword ptr [hook], offset step
  pushfq
  or dword ptr [rsp], FL_TF
  popfq
  mov ds, ax
1:
  nop
2:
  nop
  mov qword ptr [hook], 0
  check_steps "MOV DS has a trap", 2
  ret

execute_breakpoints:
  breakpoint "offset 2f", 0, 0
  xor ebx, ebx
  arm 1f, 2f
  nop
2:
  mov ebx, 1
1:
  no_breakpoints
  fault_result "execute breakpoint is a fault", V_DB, 0
  check "it comes before the instruction", ebx, 0
  check_dr6 "DR6.B0", 1
  mov eax, [last_flags]
  and eax, FL_RF
  check "the frame has no RF", eax, 0
  # IRET with RF, which is the handler's affair, gets over it.
  mov qword ptr [hook], offset step_over
  mov dword ptr [trace_count], 0
  mov qword ptr [stop_at], 0
  breakpoint "offset 2f", 0, 0
  mov ebx, 3
2:
  dec ebx
  jnz 2b
  no_breakpoints
  mov qword ptr [hook], 0
  check_steps "three passes, three faults", 3
  # An address in the middle of an instruction does not match.
  breakpoint "offset 2f + 1", 0, 0
  faults "breakpoint within an instruction", NONE, 0, nop
2:
  mov ebx, 0x90909090
  no_breakpoints
  # Breakpoint on the instruction after MOV SS is lost.
  breakpoint "offset 2f", 0, 0
  mov ecx, ss
  arm 1f, 2f
  mov ss, ecx
2:
  mov ebx, 7
1:
  no_breakpoints
  fault_result "execute breakpoint after MOV SS is lost", NONE, 0
  # A match that DR7 does not enable leaves no exception.
  mov eax, offset 2f
  mov dr1, rax
  mov eax, 0x400
  mov dr7, rax
2:
  faults "disabled breakpoint", NONE, 0, nop
  mov dword ptr [hook], 0
  ret

data_breakpoints:
  mov edi, SCRATCH
  breakpoint SCRATCH, 1, 3
  traps "write breakpoint", V_DB, 0, mov [rdi], eax
  check_dr6 "DR6.B0 of a write", 1
  traps "write breakpoint ignores reads", NONE, 0, mov eax, [rdi]
  traps "write of the last byte", V_DB, 0, mov [rdi+3], al
  traps "write just behind", NONE, 0, mov [rdi+4], al
  traps "write that overlaps", V_DB, 0, mov [rdi-4], rax
  traps "read-modify-write", V_DB, 0, inc dword ptr [rdi]
  breakpoint SCRATCH, 3, 0
  traps "read breakpoint", V_DB, 0, mov al, [rdi]
  traps "its write", V_DB, 0, mov [rdi], al
  traps "its neighbour", NONE, 0, mov al, [rdi+1]
  traps "LEA is no access", NONE, 0, lea rax, [rdi]
  breakpoint SCRATCH, 1, 2
  traps "eight bytes", V_DB, 0, mov [rdi+7], al
  traps "behind eight bytes", NONE, 0, mov [rdi+8], al
  breakpoint "SCRATCH+2", 1, 0
  mov ecx, 8
  cld
  arm 1f, 1f
2:
  rep stosb
1:
  mov ebx, [last_vector]
  check "REP STOSB stops at the breakpoint", ebx, V_DB
  check "REP STOSB: ECX", ecx, 5
  breakpoint SCRATCH+0x108, 1, 2
  arm 1f, 1f
  mov esp, SCRATCH + 0x110
  push rax
1:
  fault_result "PUSH to a breakpoint", V_DB, 0
  # I/O breakpoints need DE.
  set_bits cr4, CR4_DE
  breakpoint 0x80, 2, 0
  traps "OUT to a breakpoint", V_DB, 0, out 0x80, al
  check_dr6 "DR6.B0 of OUT", 1
  traps "OUT elsewhere", NONE, 0, out 0xed, al
  traps "IN from a breakpoint", V_DB, 0, in al, 0x80
  clear_bits cr4, CR4_DE
  # Two at once.
  mov eax, SCRATCH
  mov dr0, rax
  mov dr3, rax
  xor eax, eax
  mov dr6, rax
  mov eax, 0xf0010482 | 0x00010000
  mov dr7, rax
  mov edi, SCRATCH
  traps "two breakpoints", V_DB, 0, mov [rdi], al
  check_dr6 "DR6.B0 and B3", 9
  no_breakpoints
  ret

general_detect:
  xor eax, eax
  mov dr6, rax
  mov eax, 0x2400
  mov dr7, rax
  faults "MOV from DR7 with GD is #DB", V_DB, 0, mov rax, dr7
  mov rax, dr6
  and eax, BD
  check "DR6.BD", eax, BD
  mov rax, dr7
  check "GD is cleared for the handler", eax, 0x400
  ret

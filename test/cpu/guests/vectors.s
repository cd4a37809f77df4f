# Every vector through every kind of gate: frames of 16, 32 and 64 bits, error codes, levels, IST, IF, DPL. Protected mode,
# then 64-bit mode. SDM volume 3, "Interrupt and Exception Handling"; volume 2, "INT n/INTO/INT3/INT1".

.include "lib.inc"

.set UNMAPPED, 0x400000000

# Vectors whose stubs push no dummy error code.
.set ERROR_VECTORS, 1<<8 | 1<<10 | 1<<11 | 1<<12 | 1<<13 | 1<<14 | 1<<17

# Of a case: what a mismatch reports, beside the vector in bits 0 to 7.
.set GATE_SHIFT, 8              # access byte
.set LEVEL_SHIFT, 16            # 0 or 3
.set IST_SHIFT, 20
.set FIELD_SHIFT, 24            # which field was wrong

use16
main:
  enter_protected
  call software32
  call privilege32
  jmp to_long

use32
# The case in hand: EBP (vector), `gate_byte`, `level`.

# Puts the access byte into the gate of EBP.
set_gate32:
  mov eax, [gate_byte]
  mov [idt + ebp * 8 + 5], al
  ret

# All vectors but the runtime's own by INT n, four kinds of gates of DPL 3, two levels.
software32:
  mov dword ptr [hook], offset caught32
  .irp access, 0xee, 0xef, 0xe6, 0xe7
  mov dword ptr [gate_byte], \access
  call vectors32
  .endr
  mov dword ptr [hook], 0
  check_memory "INT n, protected mode: last mismatch", mismatch, 0
  check_memory "INT n, protected mode: mismatches", mismatches, 0
  check_memory "INT n, protected mode: cases", cases, 4*2*255
  ret

vectors32:
  xor ebp, ebp
.Lvector32:
  cmp ebp, SYSTEM_CALL
  je 2f
  push dword ptr [idt + ebp * 8 + 4]
  call set_gate32
  mov dword ptr [level], 0
  mov [resume_sp], esp
  mov dword ptr [resume], offset 1f
  mov dword ptr [expected_stack], esp
  mov dword ptr [expected_code], CODE32
  sti
  lea eax, [int_table + ebp + ebp * 2]
  jmp eax
1:
  call compare32
  mov dword ptr [level], 3
  mov dword ptr [resume], offset 1f
  mov dword ptr [expected_stack], TRAP_STACK
  mov dword ptr [expected_code], USER_CODE32
  lea eax, [int_table + ebp + ebp * 2]
  push USER_DATA
  push USER_STACK
  push 2 + FL_IF
  push USER_CODE32
  push eax
  iretd
1:
  call compare32
  pop dword ptr [idt + ebp * 8 + 4]
2:
  inc ebp
  cmp ebp, 256
  jb .Lvector32
  ret

# The vector and, above a dummy error code if its stub has pushed one, the frame.
caught32:
  pushfd
  pop dword ptr [handler_flags]
  cli
  pushad
  lea esi, [esp + 36]
  mov edi, offset raw_frame
  mov ecx, 8
  cld
  rep movsd
  lea eax, [esp + 36]
  mov [frame_at], eax
  popad
  mov eax, [esp]
  mov [raw_vector], eax
  mov esp, [resume_sp]
  jmp [resume]

# Compares the frame with what it has to be. EBP, ESP and what the stack holds are kept.
.macro same_field field, got, want
  mov eax, \got
  mov edx, \want
  mov ecx, \field
  call same_or_note
.endm

compare32:
  inc dword ptr [cases]
  same_field 1, "[raw_vector]", ebp
  # Vectors with an error code have none by INT n: their frame begins where others have the dummy.
  mov esi, offset raw_frame
  mov ebx, [frame_at]
  cmp ebp, 32
  jae 1f
  mov eax, ERROR_VECTORS
  bt eax, ebp
  jc 2f
1:
  add esi, 4
  add ebx, 4
2:
  lea edi, [int_table + ebp + ebp * 2 + 2]
  test byte ptr [gate_byte], 8
  jz .Lwords
  same_field 2, "[esi]", edi
  same_field 3, "[esi+4]", "[expected_code]"
  mov eax, [esi + 8]
  and eax, FL_IF + FL_VM + FL_TF
  same_field 4, eax, FL_IF
  add ebx, 12
  cmp dword ptr [level], 0
  je .Lframe_end
  same_field 5, "[esi+12]", USER_STACK
  same_field 6, "[esi+16]", USER_DATA
  add ebx, 8
  jmp .Lframe_end
.Lwords:
  movzx eax, word ptr [esi]
  same_field 2, eax, edi
  movzx eax, word ptr [esi + 2]
  same_field 3, eax, "[expected_code]"
  movzx eax, word ptr [esi + 4]
  and eax, FL_IF + FL_TF
  same_field 4, eax, FL_IF
  add ebx, 6
  cmp dword ptr [level], 0
  je .Lframe_end
  movzx eax, word ptr [esi + 6]
  same_field 5, eax, "USER_STACK&0xffff"
  movzx eax, word ptr [esi + 8]
  same_field 6, eax, USER_DATA
  add ebx, 4
.Lframe_end:
  same_field 7, ebx, "[expected_stack]"
  # A trap gate leaves IF set.
  mov eax, [handler_flags]
  and eax, FL_IF + FL_TF + FL_NT + FL_RF + FL_VM
  mov edx, [gate_byte]
  and edx, 1
  shl edx, 9
  mov ecx, 8
  jmp same_or_note

same_or_note:
  cmp eax, edx
  je 1f
  inc dword ptr [mismatches]
  shl ecx, FIELD_SHIFT
  or ecx, ebp
  mov eax, [gate_byte]
  shl eax, GATE_SHIFT
  or ecx, eax
  mov eax, [level]
  shl eax, LEVEL_SHIFT
  or ecx, eax
  mov [mismatch], ecx
1:
  ret

# INT n at level 3 through gates of DPL 0 is #GP with the gate, whatever the vector.
privilege32:
  xor ebp, ebp
  xor ebx, ebx
.Lprivilege32:
  push dword ptr [idt + ebp * 8 + 4]
  mov byte ptr [idt + ebp * 8 + 5], 0x8e
  arm 1f, 0
  lea eax, [int_table + ebp + ebp * 2]
  push USER_DATA
  push USER_STACK
  push 2
  push USER_CODE32
  push eax
  iretd
1:
  pop dword ptr [idt + ebp * 8 + 4]
  lea eax, [ebp * 8 + 2]
  cmp dword ptr [last_vector], V_GP
  jne 1f
  cmp [last_error], eax
  jne 1f
  inc ebx
1:
  inc ebp
  cmp ebp, 256
  jb .Lprivilege32
  mov dword ptr [resume], offset unexpected32
  check "INT n through gates of DPL 0 from level 3", ebx, 256
  ret

to_long:
  mov dword ptr [mismatch], 0
  mov dword ptr [mismatches], 0
  mov dword ptr [cases], 0
  call setup_long
  jump_far CODE64, 1f
use64
1:
  call setup_long_segments
  call software64
  call exceptions64
  finish

# The same in 64-bit mode: interrupt and trap gates, with and without IST. The INT is entered on an odd stack.
software64:
  mov qword ptr [hook], offset caught64
  .irp access, 0xee, 0xef
  mov dword ptr [gate_byte], \access
  mov dword ptr [ist], 0
  call vectors64
  mov dword ptr [ist], 1
  call vectors64
  .endr
  mov qword ptr [hook], 0
  check_memory "INT n, 64-bit mode: last mismatch", mismatch, 0
  check_memory "INT n, 64-bit mode: mismatches", mismatches, 0
  check_memory "INT n, 64-bit mode: cases", cases, 4*2*255
  ret

vectors64:
  xor ebp, ebp
.Lvector64:
  cmp ebp, SYSTEM_CALL
  je 1f
  lea eax, [int_table + rbp + rbp * 2]
  mov [cause], rax
  add eax, 2
  mov [expected_rip], rax
  mov dword ptr [expected_error], -1
  mov dword ptr [level], 0
  call one64
  mov dword ptr [level], 3
  call one64
1:
  inc ebp
  cmp ebp, 256
  jb .Lvector64
  ret

# Runs `cause` at `level` through the gate of EBP, and compares.
one64:
  mov eax, ebp
  shl eax, 4
  push qword ptr [idt + rax]
  mov ecx, [gate_byte]
  mov [idt + rax + 5], cl
  mov ecx, [ist]
  mov [idt + rax + 4], cl
  mov qword ptr [resume], offset .Lran64
  mov [resume_sp], rsp
  cmp dword ptr [level], 3
  je 1f
  lea rax, [rsp - 0x105]
  mov [expected_rsp], rax
  and rax, ~15
  mov [expected_stack], rax
  mov dword ptr [expected_code], CODE64
  mov dword ptr [expected_ss], DATA
  push DATA
  push [expected_rsp]
  jmp 2f
1:
  mov qword ptr [expected_rsp], USER_STACK - 5
  mov dword ptr [expected_stack], TRAP_STACK
  mov dword ptr [expected_code], USER_CODE64
  mov dword ptr [expected_ss], USER_DATA
  push USER_DATA
  push USER_STACK - 5
2:
  cmp dword ptr [ist], 0
  je 1f
  mov dword ptr [expected_stack], IST_STACK
1:
  push 2 + FL_IF + FL_AC
  push [expected_code]
  push [cause]
  iretq
.Lran64:
  call compare64
  mov eax, ebp
  shl eax, 4
  pop qword ptr [idt + rax]
  mov byte ptr [idt + rax + 4], 0
  ret

caught64:
  pushfq
  pop qword ptr [handler_flags]
  cli
  pop qword ptr [raw_vector]
  mov [frame_at], rsp
  mov [kept_rsi], rsi
  mov [kept_rdi], rdi
  mov [kept_rcx], rcx
  mov rsi, rsp
  mov edi, offset raw_frame
  mov ecx, 6
  cld
  rep movsq
  mov rsi, [kept_rsi]
  mov rdi, [kept_rdi]
  mov rcx, [kept_rcx]
  mov r8d, DATA
  mov ss, r8d
  mov rsp, [resume_sp]
  jmp [resume]

compare64:
  inc dword ptr [cases]
  same_field 1, "[raw_vector]", ebp
  mov esi, offset raw_frame
  mov ebx, [frame_at]
  cmp dword ptr [expected_error], -1
  je 1f
  same_field 2, "[rsi]", "[expected_error]"
  jmp .Lbehind_error
1:
  # By INT n nothing lies where exceptions have an error code, but for the stub's dummy.
  cmp ebp, 32
  jae .Lbehind_error
  mov eax, ERROR_VECTORS
  bt eax, ebp
  jc 1f
.Lbehind_error:
  add esi, 8
  add ebx, 8
1:
  same_field 3, "[rsi]", "[expected_rip]"
  same_field 4, "[rsi+8]", "[expected_code]"
  mov eax, [rsi + 16]
  and eax, FL_IF + FL_TF + FL_AC
  same_field 5, eax, "FL_IF+FL_AC"
  same_field 6, "[rsi+24]", "[expected_rsp]"
  same_field 7, "[rsi+32]", "[expected_ss]"
  add ebx, 40
  same_field 9, ebx, "[expected_stack]"
  mov eax, [handler_flags]
  and eax, FL_IF + FL_TF + FL_NT + FL_RF + FL_VM
  mov edx, [gate_byte]
  and edx, 1
  shl edx, 9
  mov ecx, 8
  jmp same_or_note

# The exceptions themselves: `cause` faults at its first instruction.
.macro exception name, vector, error, levels, code:vararg
  mov ebp, \vector
  mov dword ptr [expected_error], \error
  mov qword ptr [cause], offset .Lcause\@
  mov qword ptr [expected_rip], offset .Lcause\@
  jmp 1f
.Lcause\@:
  \code
  ud2
1:
  .irp access, 0x8e, 0x8f
  mov dword ptr [gate_byte], \access
  .irp table, 0, 1
  mov dword ptr [ist], \table
  .irp cpl, \levels
  mov dword ptr [level], \cpl
  call one64
  .endr
  .endr
  .endr
  check_memory "\name", mismatch, 0
.endm

exceptions64:
  mov dword ptr [cases], 0
  mov qword ptr [hook], offset caught64
  mov word ptr [gdt + FREE], -1
  mov dword ptr [gdt + FREE + 4], 0x00cf7300    # data of level 3, not present
  xor r9d, r9d
  mov r10d, FREE + 3
  mov r11d, GDT_END
  movabs r12, UNMAPPED
  movabs r13, 0x800000000000
  set_bits cr4, CR4_OSFXSR+CR4_OSXMMEXCPT
  mov dword ptr [SCRATCH], 0x1f80 - 0x200
  ldmxcsr [SCRATCH]
  pxor xmm0, xmm0
  mov r14d, SCRATCH + 1
  exception "#DE", V_DE, 0, "0,3", div r9d
  exception "#UD", V_UD, 0, "0,3", ud2
  exception "#NP", V_NP, FREE, "0,3", mov fs, r10d
  exception "#SS", V_SS, 0, "0,3", mov rax, [rsp+r13]
  exception "#GP(0)", V_GP, 0, "0,3", mov rax, [r13]
  exception "#GP with a selector", V_GP, GDT_END, "0,3", mov fs, r11d
  exception "#PF, read", V_PF, 0, "0", mov rax, [r12]
  exception "#PF, write", V_PF, 2, "0", mov [r12], rax
  exception "#PF, user read", V_PF, 4, "3", mov rax, [r12]
  exception "#PF, user write", V_PF, 6, "3", mov [r12], rax
  mov dword ptr [SCRATCH + 4], 0x3f800000
  movd xmm1, [SCRATCH + 4]
  exception "#XM", V_XM, 0, "0,3", divss xmm1, xmm0
  set_bits cr0, CR0_AM
  exception "#AC", V_AC, 0, "3", mov rax, [r14]
  clear_bits cr0, CR0_AM
  set_bits cr0, CR0_TS
  exception "#NM", V_NM, 0, "0,3", fld1
  clts
  set_bits cr0, CR0_NE
  fninit
  mov word ptr [SCRATCH], 0x37b                 # ZM clear
  fldcw [SCRATCH]
  fld1
  fldz
  fdivp st(1), st
  exception "#MF", V_MF, 0, "0,3", fwait
  fninit
  mov qword ptr [hook], 0
  check_memory "exceptions: mismatches", mismatches, 0
  check_memory "exceptions: cases", cases, 4*23
  ret

# INT n; each three bytes.
int_table:
.set vector, 0
.rept 256
  .byte 0xcd, vector, 0xf4
.set vector, vector + 1
.endr

.data
gate_byte: .quad 0
level: .quad 0
ist: .quad 0
cause: .quad 0
expected_rip: .quad 0
expected_rsp: .quad 0
expected_ss: .quad 0
expected_code: .quad 0
expected_stack: .quad 0
expected_error: .quad 0
raw_vector: .quad 0
raw_frame: .fill 8, 8, 0
frame_at: .quad 0
handler_flags: .quad 0
cases: .quad 0
mismatch: .quad 0
mismatches: .quad 0
kept_rsi: .quad 0
kept_rdi: .quad 0
kept_rcx: .quad 0
